/* supervisor: see supervisor.h. Two children: the front, which gets the listening sockets, and a zygote, which gets one
 * end of a link whose other end goes to the front. A zygote lives no longer than its front: it sees end of file on the
 * link and leaves with its workers, while a new pair is already starting. What is due is done in tick(), which says how
 * long to sleep; all else happens because of a message, a signal or a child's end. */
#include "server/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "server/child.h"
#include "server/listener.h"
#include "workers/log.h"

#define MILLISECOND_NS UINT64_C(1000000)
#define SECOND_NS (1000 * MILLISECOND_NS)
#define FRONT_HEALTHY_NS (60 * SECOND_NS) /* a front that lived so long did not fail to start */
#define ZYGOTE_HEALTHY_NS (1 * SECOND_NS)
#define HOPELESS_NS (30 * SECOND_NS) /* CHILD_TRIES failed starts within: give up */
#define LEAVING_NS (1 * SECOND_NS)   /* what a zygote gets to end its workers */
#define LEAVING_MAX 8

enum state { STARTING, SERVING, DRAINING, STOPPING, STOPPED };
static const char *const state_names[] = {"starting", "serving", "draining", "stopping", "stopped"};

/* A zygote whose front is gone. */
struct leaving {
    pid_t pid; /* 0: unused */
    uint64_t kill_at_ns;
};

struct supervisor {
    const struct options *options;
    const struct supervisor_programs *programs;
    enum state state;
    struct listener listeners[OPTION_LIST_MAX];
    size_t listener_count;
    struct child front, zygote;
    struct leaving leaving[LEAVING_MAX];
    int control; /* to the front; -1: none */
    int signals;
    bool announced; /* the line and the port file are out */
    bool alone;     /* no child is left, known or not */
    uint64_t stop_at_ns;
    int status;
};

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * SECOND_NS + (uint64_t)time.tv_nsec;
}

static void enter(struct supervisor *supervisor, enum state state)
{
    if (supervisor->state != state)
        notice("%s, was %s", state_names[state], state_names[supervisor->state]);
    supervisor->state = state;
}

static void drop_control(struct supervisor *supervisor)
{
    if (supervisor->control >= 0)
        close(supervisor->control);
    supervisor->control = -1;
}

/* Leaves the zygote to itself, for `grace_ns`. */
static void let_zygote_go(struct supervisor *supervisor, uint64_t grace_ns, uint64_t now)
{
    struct child *zygote = &supervisor->zygote;
    size_t i = 0;
    while (i < LEAVING_MAX && supervisor->leaving[i].pid != 0)
        i++;
    if (zygote->pid != 0 && i < LEAVING_MAX)
        supervisor->leaving[i] = (struct leaving){zygote->pid, now + grace_ns};
    else if (zygote->pid != 0)
        kill(zygote->pid, SIGKILL);
    *zygote = (struct child){.name = zygote->name, .bare = true};
}

/* From here on nothing is started; ends when no child is left, or a second after the last grace. */
static void stop(struct supervisor *supervisor, int status, uint64_t grace_ns, uint64_t now)
{
    supervisor->status = status;
    supervisor->stop_at_ns = now + grace_ns + LEAVING_NS;
    if (supervisor->front.pid != 0)
        kill(supervisor->front.pid, SIGKILL);
    drop_control(supervisor);
    let_zygote_go(supervisor, grace_ns, now);
    enter(supervisor, STOPPING);
}

static void start_front(struct supervisor *supervisor, uint64_t now)
{
    int pair[2], fds[1 + OPTION_LIST_MAX];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        die("cannot make the front's control socket: %s", strerror(errno));
    fds[0] = pair[1];
    for (size_t i = 0; i < supervisor->listener_count; i++)
        fds[1 + i] = supervisor->listeners[i].fd;
    if (!child_start(&supervisor->front, supervisor->programs->front, supervisor->programs->front_argv, fds,
                     1 + supervisor->listener_count, now)) {
        warning("cannot fork the front: %s", strerror(errno));
        child_ended(&supervisor->front, FRONT_HEALTHY_NS, now);
        close(pair[0]);
        pair[0] = -1;
    }
    close(pair[1]);
    supervisor->control = pair[0];
}

static void start_zygote(struct supervisor *supervisor, uint64_t now)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        die("cannot make the zygote's link: %s", strerror(errno));
    if (!child_start(&supervisor->zygote, supervisor->programs->zygote, supervisor->programs->zygote_argv, &pair[1], 1,
                     now)) {
        warning("cannot fork the zygote: %s", strerror(errno));
        child_ended(&supervisor->zygote, ZYGOTE_HEALTHY_NS, now);
    } else if (!supervisor_send(supervisor->control, SUPERVISOR_ZYGOTE_LINK, SUPERVISOR_NATIVE, pair[0]) &&
               errno != EPIPE && errno != ECONNRESET) {
        warning("the front does not read its control socket: killing it");
        supervisor->front.kill_at_ns = now;
    }
    close(pair[0]);
    close(pair[1]);
}

static void announce(struct supervisor *supervisor, uint64_t now)
{
    const struct options *options = supervisor->options;
    if (options->port_file != NULL &&
        !listener_write_port_file(supervisor->listeners, supervisor->listener_count, options->port_file)) {
        fprintf(stderr, "forkmap: cannot write the port file %s: %s\n", options->port_file, strerror(errno));
        stop(supervisor, 1, LEAVING_NS, now);
        return;
    }
    supervisor->announced = true;
    if (options->quiet)
        return;
    printf("forkmap: serving on ");
    for (size_t i = 0; i < supervisor->listener_count; i++)
        printf("%s%s", i > 0 ? " and " : "", supervisor->listeners[i].name);
    printf(" with %llu worker%s (%s)\n", (unsigned long long)options->workers, options->workers == 1 ? "" : "s",
           options->workers_reason);
    fflush(stdout);
}

static void take_messages(struct supervisor *supervisor, uint64_t now)
{
    struct supervisor_message message;
    int passed, result = -1;
    while (supervisor->control >= 0 && (result = supervisor_receive(supervisor->control, &message, &passed)) == 1) {
        if (passed >= 0)
            close(passed);
        if (message.type != SUPERVISOR_SERVING)
            continue;
        supervisor->front.served = true;
        if (supervisor->state == STARTING)
            enter(supervisor, SERVING);
        if (!supervisor->announced)
            announce(supervisor, now);
    }
    if (supervisor->control < 0 || (result < 0 && errno == EAGAIN))
        return;
    /* It closed its control socket: it is leaving, or broken. */
    drop_control(supervisor);
    if (supervisor->front.pid != 0 && supervisor->front.kill_at_ns == 0)
        supervisor->front.kill_at_ns = now + LEAVING_NS;
}

static void give_up(struct supervisor *supervisor, const char *name, const char *end, uint64_t now)
{
    fprintf(stderr, "forkmap: giving up: the %s failed to start %d times in a row, at last it %s\n", name, CHILD_TRIES,
            end);
    stop(supervisor, 1, LEAVING_NS, now);
}

static void front_ended(struct supervisor *supervisor, int status, uint64_t now)
{
    struct child *front = &supervisor->front;
    char end[96];
    child_describe_end(status, end, sizeof end);
    take_messages(supervisor, now); /* its last words: it may have said SERVING */
    drop_control(supervisor);
    pid_t pid = front->pid;
    child_ended(front, FRONT_HEALTHY_NS, now);
    if (supervisor->state == STOPPING)
        return;
    let_zygote_go(supervisor, LEAVING_NS, now);
    if (supervisor->state == DRAINING) {
        if (status != 0)
            warning("the front (%d) %s while draining", (int)pid, end);
        stop(supervisor, status == 0 ? 0 : 1, LEAVING_NS, now);
        return;
    }
    warning("the front (%d) %s; starting it again", (int)pid, end);
    enter(supervisor, STARTING);
    if (child_hopeless(front, HOPELESS_NS))
        give_up(supervisor, front->name, end, now);
}

static void zygote_ended(struct supervisor *supervisor, int status, uint64_t now)
{
    struct child *zygote = &supervisor->zygote;
    char end[96];
    child_describe_end(status, end, sizeof end);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        notice("the zygote (%d) left: the front let it go",
               (int)zygote->pid); /* the front's own end is about to be told */
    else
        warning("the zygote (%d) %s; starting it again", (int)zygote->pid, end);
    child_ended(zygote, ZYGOTE_HEALTHY_NS, now);
    /* Later on a front without workers is better than none: it says what is wrong. */
    if (!supervisor->announced && child_hopeless(zygote, HOPELESS_NS))
        give_up(supervisor, zygote->name, end, now);
}

/* Takes every end there is, of orphans too: signals coalesce, and as PID 1 or subreaper all orphans are ours. */
static void reap(struct supervisor *supervisor, uint64_t now)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == supervisor->front.pid)
            front_ended(supervisor, status, now);
        else if (pid == supervisor->zygote.pid)
            zygote_ended(supervisor, status, now);
        for (size_t i = 0; i < LEAVING_MAX; i++)
            if (supervisor->leaving[i].pid == pid)
                supervisor->leaving[i].pid = 0;
    }
    supervisor->alone = pid < 0 && errno == ECHILD;
}

static void take_end_signal(struct supervisor *supervisor, uint64_t now)
{
    if (supervisor->state >= DRAINING || supervisor->front.pid == 0) {
        /* The second one, or nothing is under way: at once. */
        stop(supervisor,
             supervisor->state == DRAINING   ? 1
             : supervisor->state == STOPPING ? supervisor->status
                                             : 0,
             0, now);
        for (size_t i = 0; i < LEAVING_MAX; i++)
            supervisor->leaving[i].kill_at_ns = now;
        return;
    }
    enter(supervisor, DRAINING);
    supervisor->front.kill_at_ns = now + supervisor->options->drain_ms * MILLISECOND_NS;
    if (supervisor->control < 0 || !supervisor_send(supervisor->control, SUPERVISOR_DRAIN, 0, -1))
        supervisor->front.kill_at_ns = now;
}

static void take_signals(struct supervisor *supervisor, uint64_t now)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(supervisor, now);
        else if (info.ssi_signo == SIGHUP)
            warning("SIGHUP: nothing to reload yet");
        else
            take_end_signal(supervisor, now);
    }
}

static void wake(uint64_t *next, bool wanted, uint64_t at_ns)
{
    if (wanted && at_ns < *next)
        *next = at_ns;
}

/* Does what is due; returns for how many milliseconds nothing will be, -1: until something happens. */
static int tick(struct supervisor *supervisor, uint64_t now)
{
    struct child *front = &supervisor->front, *zygote = &supervisor->zygote;
    struct leaving *leaving = supervisor->leaving;
    if (front->pid == 0 && supervisor->state < DRAINING && front->start_at_ns <= now)
        start_front(supervisor, now);
    if (zygote->pid == 0 && supervisor->control >= 0 && zygote->start_at_ns <= now)
        start_zygote(supervisor, now);
    if (front->pid != 0 && front->kill_at_ns != 0 && front->kill_at_ns <= now) {
        kill(front->pid, SIGKILL);
        front->kill_at_ns = 0;
    }
    for (size_t i = 0; i < LEAVING_MAX; i++)
        if (leaving[i].pid != 0 && leaving[i].kill_at_ns <= now) {
            kill(leaving[i].pid, SIGKILL);
            leaving[i].kill_at_ns = UINT64_MAX;
        }
    if (supervisor->state == STOPPING && (supervisor->alone || supervisor->stop_at_ns <= now))
        enter(supervisor, STOPPED);

    uint64_t next = UINT64_MAX;
    wake(&next, front->pid == 0 && supervisor->state < DRAINING, front->start_at_ns);
    wake(&next, zygote->pid == 0 && supervisor->control >= 0, zygote->start_at_ns);
    wake(&next, front->pid != 0 && front->kill_at_ns != 0, front->kill_at_ns);
    for (size_t i = 0; i < LEAVING_MAX; i++)
        wake(&next, leaving[i].pid != 0, leaving[i].kill_at_ns);
    wake(&next, supervisor->state == STOPPING, supervisor->stop_at_ns);
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)((next - now + MILLISECOND_NS - 1) / MILLISECOND_NS);
}

static bool open_listeners(struct supervisor *supervisor)
{
    const struct option_list *list = &supervisor->options->listen;
    for (size_t i = 0; i < list->count; i++) {
        struct listener *listener = &supervisor->listeners[i];
        char error[512];
        const char *why = NULL;
        if (!listener_parse(listener, list->at[i], &why))
            die("--listen %s %s", list->at[i], why);
        supervisor->listener_count++;
        if (!listener_open(listener, error, sizeof error)) {
            fprintf(stderr, "forkmap: %s\n", error);
            return false;
        }
    }
    return true;
}

static void open_signals(struct supervisor *supervisor)
{
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        sigaddset(&set, taken[i]);
        signal(taken[i], SIG_DFL); /* as PID 1, or under nohup, some may come ignored */
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (supervisor->signals < 0)
        die("cannot make a signalfd: %s", strerror(errno));
}

static void run(struct supervisor *supervisor)
{
    while (supervisor->state != STOPPED) {
        int sleep_ms = tick(supervisor, now_ns());
        struct pollfd fds[2] = {{supervisor->signals, POLLIN, 0}, {supervisor->control, POLLIN, 0}};
        if (supervisor->state == STOPPED)
            break;
        poll(fds, 2, sleep_ms);
        uint64_t now = now_ns();
        take_messages(supervisor, now); /* before ends, so that what was said before an end counts */
        take_signals(supervisor, now);
    }
}

int supervisor_run(const struct options *options, const struct supervisor_programs *programs)
{
    struct supervisor supervisor = {.options = options,
                                    .programs = programs,
                                    .front = {.name = "front"},
                                    .zygote = {.name = "zygote", .bare = true},
                                    .control = -1,
                                    .signals = -1,
                                    .status = 1};
    /* So that no socket of ours lands at 0 to 2 where those were closed. */
    int null;
    while ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && null <= STDERR_FILENO)
        fcntl(null, F_SETFD, 0);
    if (null >= 0)
        close(null);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    open_signals(&supervisor);
    if (access(programs->zygote, X_OK) != 0)
        fprintf(stderr, "forkmap: cannot run %s: %s\n", programs->zygote, strerror(errno));
    else if (open_listeners(&supervisor))
        run(&supervisor);
    for (size_t i = 0; i < supervisor.listener_count; i++)
        listener_close(&supervisor.listeners[i]);
    if (supervisor.announced && options->port_file != NULL)
        unlink(options->port_file);
    close(supervisor.signals);
    return supervisor.status;
}
