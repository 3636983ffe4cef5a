/* zygote: see zygote.h. It is its workers' reaper and, for what they leave behind, child subreaper: kills go to process
 * groups, so another uid or a program's orphans are no obstacle. Losing the control socket ends it, and with it every
 * worker (PR_SET_PDEATHSIG, and end of file on their pipes). */
#include "workers/zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/buf.h"
#include "workers/log.h"
#include "workers/message.h"
#include "workers/worker.h"

struct child {
    pid_t pid;
    uint32_t slot, generation;
};

static struct child *children;
static size_t child_count, child_capacity;

/* Reports that the socket has no room for wait here: a zygote that waited for the front while the front waits to give
 * it orders would be the end of both. */
static struct buf waiting;

static void send_waiting(void)
{
    while (waiting.length > 0) {
        ssize_t n = send(ZYGOTE_CONTROL_FD, buf_start(&waiting), sizeof(struct report), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno != EINTR)
            _exit(0); /* the front is gone */
        if (n > 0)
            buf_consume(&waiting, sizeof(struct report));
    }
}

static void report(uint32_t type, const struct child *child, int status, uint64_t peak_bytes)
{
    struct report packet = {.version = PROTOCOL_VERSION,
                            .type = type,
                            .slot = child->slot,
                            .generation = child->generation,
                            .pid = child->pid,
                            .status = status,
                            .peak_bytes = peak_bytes};
    buf_append(&waiting, &packet, sizeof packet);
    send_waiting();
}

static void harden(void)
{
    static const struct {
        int resource;
        rlim_t limit;
    } limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_FSIZE, 0}, {RLIMIT_NOFILE, 16}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        setrlimit(limits[i].resource, &(struct rlimit){limits[i].limit, limits[i].limit});
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = write(fd, "500", 3); /* the kernel's choice should be a worker, not the front */
        (void)n;
        close(fd);
    }
}

/* In the child: only the worker's own descriptors stay, in their places. */
static void keep_descriptors(const int fds[ORDER_FDS])
{
    int high[ORDER_FDS];
    for (int i = 0; i < ORDER_FDS; i++)
        if ((high[i] = fcntl(fds[i], F_DUPFD, WORKER_PAGE_FD + 1)) < 0)
            die("fcntl: %s", strerror(errno));
    for (int i = 0; i < ORDER_FDS; i++)
        if (dup2(high[i], WORKER_TASK_FD + i) < 0)
            die("dup2: %s", strerror(errno));
    if (syscall(SYS_close_range, WORKER_PAGE_FD + 1, ~0u, 0) != 0)
        for (int fd = WORKER_PAGE_FD + 1; fd < 4096; fd++)
            close(fd);
}

_Noreturn static void become_worker(const struct order *order, const int fds[ORDER_FDS], pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    keep_descriptors(fds);
    free(children);
    buf_clear(&waiting);
    log_open("worker");
    prctl(PR_SET_NAME, "forkmap-work");
    if (order->flags & ORDER_SPAWN) {
        char generation[16], recycle[16], memory[24];
        snprintf(generation, sizeof generation, "%u", order->generation);
        snprintf(recycle, sizeof recycle, "%u", order->recycle_items);
        snprintf(memory, sizeof memory, "%llu", (unsigned long long)order->memory_bytes);
        char name[] = "forkmap-worker", verb[] = "worker";
        char *argv[] = {name, verb, generation, recycle, memory, NULL};
        char *env[] = {NULL};
        harden();
        execve("/proc/self/exe", argv, env);
        die("exec: %s", strerror(errno));
    }
    harden();
    worker_main(&(struct worker_settings){order->generation, order->recycle_items, order->memory_bytes});
}

static void fork_worker(const struct order *order, const int fds[ORDER_FDS])
{
    struct child child = {.slot = order->slot, .generation = order->generation};
    if (child_count == child_capacity) {
        child_capacity = child_capacity ? child_capacity * 2 : 64;
        children = realloc(children, child_capacity * sizeof *children);
        if (children == NULL)
            die("out of memory: %zu children", child_capacity);
    }
    pid_t parent = getpid();
    child.pid = fork();
    if (child.pid == 0)
        become_worker(order, fds, parent);
    if (child.pid < 0) {
        report(REPORT_FAILED, &child, errno, 0);
        return;
    }
    setpgid(child.pid, child.pid); /* here too: a kill may come before the child ran */
    children[child_count++] = child;
    report(REPORT_FORKED, &child, parent, 0);
}

static void kill_worker(const struct order *order)
{
    for (size_t i = 0; i < child_count; i++)
        if (children[i].slot == order->slot && children[i].generation == order->generation)
            if (kill(-children[i].pid, SIGKILL) != 0)
                kill(children[i].pid, SIGKILL);
}

/* SIGCHLD coalesces: all that have ended. */
static void reap(void)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
            return;
        kill(-info.si_pid, SIGKILL); /* what it left in its group, while the number is still its own */
        int status = 0;
        struct rusage usage;
        if (wait4(info.si_pid, &status, 0, &usage) != info.si_pid)
            return;
        for (size_t i = 0; i < child_count; i++) {
            if (children[i].pid != info.si_pid)
                continue;
            report(REPORT_ENDED, &children[i], status, (uint64_t)usage.ru_maxrss * 1024);
            children[i] = children[--child_count];
            break;
        }
    }
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* One order; false at end of file. */
static bool take_order(void)
{
    struct order order;
    int fds[ORDER_FDS];
    size_t fd_count = 0;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof fds)];
    } control;
    struct iovec iov = {&order, sizeof order};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_LEN(sizeof fds)};
    ssize_t n = recvmsg(ZYGOTE_CONTROL_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n <= 0)
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            fd_count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(fds, CMSG_DATA(c), fd_count * sizeof(int));
        }
    if (n != sizeof order || order.version != PROTOCOL_VERSION)
        die("an order that cannot be read");
    if (order.type == ORDER_KILL)
        kill_worker(&order);
    else if (order.type == ORDER_FORK && fd_count == ORDER_FDS)
        fork_worker(&order, fds);
    else if (order.type == ORDER_FORK)
        report(REPORT_FAILED, &(struct child){.slot = order.slot, .generation = order.generation}, EMFILE, 0);
    close_all(fds, fd_count);
    return true;
}

/* Nothing that computes reads the operator's standard input or writes to its standard output. */
static void close_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        die("/dev/null: %s", strerror(errno));
    close(null);
}

_Noreturn void zygote_main(void)
{
    log_open("zygote");
    signal(SIGPIPE, SIG_IGN);
    close_terminal();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_BLOCK, &mask, NULL); /* a terminal's ^C is the supervisor's business: it closes the socket */
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0)
        die("signalfd: %s", strerror(errno));
    struct pollfd polled[] = {{ZYGOTE_CONTROL_FD, POLLIN, 0}, {signals, POLLIN, 0}};
    for (;;) {
        polled[0].events = (short)(POLLIN | (waiting.length > 0 ? POLLOUT : 0));
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        send_waiting();
        if (polled[1].revents) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) == sizeof info)
                ;
            reap();
        }
        if ((polled[0].revents & ~POLLOUT) && !take_order())
            break;
    }
    for (size_t i = 0; i < child_count; i++)
        kill(-children[i].pid, SIGKILL);
    _exit(0);
}
