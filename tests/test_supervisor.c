/* supervisor: the real one, in a process of its own, with children that this program plays itself
 * (supervisor_children). What is killed is started again; what is asked to leave leaves; nothing is left behind. No
 * test depends on how long anything takes; LATE_MS only ends one that failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/supervisor.h"
#include "tests/supervisor_children.h"
#include "workers/log.h"

static char folder[] = "/tmp/forkmap-supervisor-XXXXXX";

struct running {
    pid_t pid;
    int out, log; /* its standard output and standard error */
    int port;
    char line[256];
};

struct start {
    const char *scenario, *zygote_scenario, *zygote, *listen;
    uint64_t drain_ms;
};

static _Noreturn void supervise(struct start start, const int out[2], const int log[2])
{
    struct options options;
    char port_file[128], count[8];
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* no test that failed leaves one behind */
    log_verbose(false);
    options_init(&options);
    snprintf(port_file, sizeof port_file, "--port-file=%s/port", folder);
    char *argv[] = {(char[64]){0}, port_file};
    snprintf(argv[0], 64, "--listen=%s", start.listen != NULL ? start.listen : "127.0.0.1:0");
    if (options_parse(&options, 2, argv, NULL, NULL) != OPTIONS_OK)
        _exit(99);
    options.drain_ms = start.drain_ms != 0 ? start.drain_ms : LATE_MS;
    options.workers = 2;
    snprintf(options.workers_reason, sizeof options.workers_reason, "because");
    snprintf(count, sizeof count, "%zu", options.listen.count);
    char *const front[] = {"forkmap", "front", (char *)(uintptr_t)start.scenario, count, NULL};
    char *const zygote[] = {"forkmap-worker", (char *)(uintptr_t)start.zygote_scenario, NULL};
    dup2(out[1], 1);
    dup2(log[1], 2);
    close(out[1]); /* the read ends stay open here on purpose: no child may see them */
    close(log[1]);
    int status = supervisor_run(&options, &(struct supervisor_programs){"/proc/self/exe", front, start.zygote, zygote});
    options_clear(&options);
    _exit(status);
}

static struct running begin(struct start start)
{
    int out[2], log[2];
    struct running running = {0};
    if (start.zygote_scenario == NULL)
        start.zygote_scenario = "zygote";
    if (start.zygote == NULL)
        start.zygote = "/proc/self/exe";
    assert_int_equal(pipe(out), 0);
    assert_int_equal(pipe(log), 0);
    running.pid = fork();
    if (running.pid == 0)
        supervise(start, out, log);
    close(out[1]);
    close(log[1]);
    running.out = out[0];
    running.log = log[0];
    return running;
}

static bool readable(int fd)
{
    struct pollfd poll_fd = {fd, POLLIN, 0};
    return poll(&poll_fd, 1, LATE_MS) == 1;
}

/* Waits for the line that says that it serves. */
static struct running serve(struct start start)
{
    struct running running = begin(start);
    assert_true(readable(running.out));
    ssize_t got = read(running.out, running.line, sizeof running.line - 1);
    assert_true(got > 0);
    const char *port = strstr(running.line, "127.0.0.1:");
    assert_non_null(port);
    running.port = atoi(port + 10);
    return running;
}

static int pidfd(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(fd >= 0);
    return fd;
}

/* Its exit status; checks what it wrote to the log and that it left no file. */
static int end(struct running *running, const char *logged)
{
    int fd = pidfd(running->pid), status;
    char log[4096] = "", path[128];
    assert_true(readable(fd));
    close(fd);
    assert_int_equal(waitpid(running->pid, &status, 0), running->pid);
    fcntl(running->log, F_SETFL, O_NONBLOCK);
    ssize_t got = read(running->log, log, sizeof log - 1);
    if (logged == NULL)
        assert_string_equal(log, "");
    else if (strstr(log, logged) == NULL)
        fail_msg("not logged: %s; but: %s (%zd)", logged, log, got);
    snprintf(path, sizeof path, "%s/port", folder);
    assert_int_equal(access(path, F_OK), -1);
    close(running->out);
    close(running->log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct pair {
    int a, b;
};

static struct pair say(int fd, const struct sockaddr *address, socklen_t length, const char *word)
{
    char text[128] = "";
    struct pair pair = {-1, -1};
    assert_int_equal(connect(fd, address, length), 0);
    assert_int_equal(write(fd, word, strlen(word)), strlen(word));
    assert_true(readable(fd));
    if (read(fd, text, sizeof text - 1) > 0)
        assert_int_equal(sscanf(text, "%d %d", &pair.a, &pair.b), 2);
    close(fd);
    return pair;
}

static struct pair ask(const struct running *running, const char *word)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)running->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return say(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), (struct sockaddr *)&address, sizeof address, word);
}

static void it_tells_where_it_serves_and_drains(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    char path[128], port[16] = "", expected[128];
    snprintf(expected, sizeof expected, "forkmap: serving on http://127.0.0.1:%d with 2 workers (because)\n",
             running.port);
    assert_string_equal(running.line, expected);
    snprintf(path, sizeof path, "%s/port", folder);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, port, sizeof port - 1) > 0);
    close(fd);
    snprintf(expected, sizeof expected, "%d\n", running.port);
    assert_string_equal(port, expected);
    struct pair who = ask(&running, "who");
    int zygote = pidfd(who.b);
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, NULL), 0);
    assert_true(readable(zygote));
    close(zygote);
}

static void children_get_what_is_theirs_and_no_more(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    struct pair seen = ask(&running, "state");
    assert_int_equal(seen.a, 5); /* 0, 1, 2, the control socket, the listening socket */
    assert_int_equal(seen.b, 1); /* no signal blocked or ignored, a process group of its own */
    kill(running.pid, SIGINT);
    assert_int_equal(end(&running, NULL), 0);
}

static void a_killed_front_is_replaced_and_no_connection_refused(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    struct pair before = ask(&running, "who");
    for (int i = 0; i < 10; i++) {
        int old_zygote = pidfd(before.b);
        kill(before.a, SIGKILL);
        struct pair after = ask(&running, "who");
        assert_int_not_equal(after.a, before.a);
        assert_int_not_equal(after.b, before.b);
        assert_true(readable(old_zygote));
        close(old_zygote);
        before = after;
    }
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, "was killed by signal 9 (Killed); starting it again"), 0);
}

static void a_front_that_left_by_itself_is_replaced(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    struct pair before = ask(&running, "who");
    ask(&running, "exit");
    assert_int_not_equal(ask(&running, "who").a, before.a);
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, "exited with status 3; starting it again"), 0);
}

static void a_killed_zygote_is_replaced_and_the_front_told(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    struct pair before = ask(&running, "who");
    for (int i = 0; i < 3; i++) {
        kill(before.b, SIGKILL);
        int old = before.b;
        before.b = ask(&running, "who").b;
        assert_int_not_equal(before.b, old);
    }
    assert_int_equal(ask(&running, "who").a, before.a);
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, "the zygote ("), 0);
}

static void nothing_outlives_a_killed_supervisor(void **state)
{
    static const char *const scenarios[] = {"good", "deaf"};
    for (size_t i = 0; i < 2; i++) {
        struct running running = serve((struct start){.scenario = scenarios[i]});
        struct pair who = ask(&running, "who");
        char path[128];
        int front = pidfd(who.a), zygote = pidfd(who.b);
        kill(running.pid, SIGKILL);
        assert_true(readable(front));
        assert_true(readable(zygote));
        close(front);
        close(zygote);
        snprintf(path, sizeof path, "%s/port", folder);
        assert_int_equal(unlink(path), 0); /* which nobody could remove */
        assert_int_equal(end(&running, NULL), -SIGKILL);
    }
}

static void a_front_that_does_not_drain_is_killed(void **state)
{
    struct running running = serve((struct start){.scenario = "deaf", .drain_ms = 20});
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, "was killed by signal 9 (Killed) while draining"), 1);
}

static void a_second_signal_ends_it_at_once(void **state)
{
    struct running running = serve((struct start){.scenario = "deaf", .drain_ms = 10 * LATE_MS});
    struct pair who = ask(&running, "who");
    int front = pidfd(who.a);
    kill(running.pid, SIGTERM);
    kill(running.pid, SIGINT);
    assert_int_equal(end(&running, NULL), 1);
    assert_true(readable(front));
    close(front);
}

static void a_hangup_changes_nothing(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    struct pair before = ask(&running, "who");
    kill(running.pid, SIGHUP);
    assert_true(readable(running.log));
    struct pair after = ask(&running, "who");
    assert_int_equal(after.a, before.a);
    assert_int_equal(after.b, before.b);
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, "SIGHUP: nothing to reload yet"), 0);
}

static void orphans_are_reaped(void **state)
{
    struct running running = serve((struct start){.scenario = "good"});
    struct pair orphan = ask(&running, "orphan");
    int fd = pidfd(orphan.a);
    kill(ask(&running, "who").a, SIGKILL);
    assert_true(readable(fd)); /* ended: a zombie until somebody waits for it */
    close(fd);
    for (int i = 0; i < LATE_MS && kill(orphan.a, 0) == 0; i++)
        usleep(1000);
    assert_int_equal(kill(orphan.a, 0), -1);
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, "was killed by signal 9"), 0);
}

static void what_cannot_start_is_given_up(void **state)
{
    static const struct {
        struct start start;
        const char *logged;
    } cases[] = {
        {{.scenario = "failing"},
         "giving up: the front failed to start 5 times in a row, at last it exited with status 7\n"},
        {{.scenario = "silent", .zygote_scenario = "broken"},
         "giving up: the zygote failed to start 5 times in a row, at last it exited with status 8\n"},
        {{.scenario = "good", .zygote = "/no/such/file"}, "forkmap: cannot run /no/such/file: No such file"},
        {{.scenario = "good", .listen = "192.0.2.1:80"}, "forkmap: cannot listen on 192.0.2.1 port 80: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct running running = begin(cases[i].start);
        assert_int_equal(end(&running, cases[i].logged), 1);
    }
}

static void it_listens_on_tcp_and_unix_beside_each_other(void **state)
{
    char listen[64];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    snprintf(listen, sizeof listen, "unix:%s/s,127.0.0.1:0", folder);
    struct running running = serve((struct start){.scenario = "good", .listen = listen});
    struct pair who = say(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof address, "who");
    assert_int_equal(ask(&running, "who").a, who.a);
    kill(running.pid, SIGTERM);
    assert_int_equal(end(&running, NULL), 0);
    assert_int_equal(access(address.sun_path, F_OK), -1);
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "front") == 0)
        return play_front(argv[2], strtoul(argv[3], NULL, 10));
    if (argc > 1 && strcmp(argv[1], "zygote") == 0)
        return play_zygote();
    if (argc > 1 && strcmp(argv[1], "broken") == 0)
        return 8;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_tells_where_it_serves_and_drains),
        cmocka_unit_test(children_get_what_is_theirs_and_no_more),
        cmocka_unit_test(a_killed_front_is_replaced_and_no_connection_refused),
        cmocka_unit_test(a_front_that_left_by_itself_is_replaced),
        cmocka_unit_test(a_killed_zygote_is_replaced_and_the_front_told),
        cmocka_unit_test(nothing_outlives_a_killed_supervisor),
        cmocka_unit_test(a_front_that_does_not_drain_is_killed),
        cmocka_unit_test(a_second_signal_ends_it_at_once),
        cmocka_unit_test(a_hangup_changes_nothing),
        cmocka_unit_test(orphans_are_reaped),
        cmocka_unit_test(what_cannot_start_is_given_up),
        cmocka_unit_test(it_listens_on_tcp_and_unix_beside_each_other),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (rmdir(folder) != 0) {
        perror(folder); /* something was left behind */
        return 1;
    }
    return failed;
}
