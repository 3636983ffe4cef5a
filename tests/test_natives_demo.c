/* What the misbehaving functions do to their process, each in a child of its own; and that sleeping is real. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/native_call.h"
#include "workers/roll.h"

#define RETURNED 99

/* How a child ends that calls the function, in the manner of waitpid(); RETURNED if the function returns. A child that
 * would hang is ended by its own alarm. */
static int ending_of(const char *function, const char *args)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        struct itimerval alarm_at = {.it_value = {.tv_usec = 50000}};
        setrlimit(RLIMIT_CORE, &no_core);
        if (function[0] == 'h' || function[0] == 's')
            setitimer(ITIMER_REAL, &alarm_at, NULL);
        native_result(function, args);
        _exit(RETURNED);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void crash_dies_by_the_signal(void **state)
{
    static const struct {
        const char *args;
        int number;
    } cases[] = {
        {"[true]", SIGSEGV},        {"[\"SIGSEGV\"]", SIGSEGV}, {"[\"SIGABRT\"]", SIGABRT}, {"[\"SIGKILL\"]", SIGKILL},
        {"[\"SIGILL\"]", SIGILL},   {"[\"SIGFPE\"]", SIGFPE},   {"[\"SIGBUS\"]", SIGBUS},   {"[\"SIGTERM\"]", SIGTERM},
        {"[\"SIGTRAP\"]", SIGTRAP}, {"[\"SIGSYS\"]", SIGSYS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = ending_of("crash", cases[i].args);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), cases[i].number);
    }
}

/* A worker may ignore and block signals for its own ends. */
static void crash_unblocks_the_signal(void **state)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    signal(SIGTERM, SIG_IGN);
    int status = ending_of("crash", "[\"SIGTERM\"]");
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static void exit_code_exits(void **state)
{
    static const int codes[] = {0, 1, 70, 255};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        char args[16];
        snprintf(args, sizeof args, "[%d]", codes[i]);
        int status = ending_of("exit_code", args);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), codes[i]);
    }
}

static void hang_and_spin_do_not_return(void **state)
{
    static const char *const functions[] = {"hang", "spin"};
    for (size_t i = 0; i < 2; i++) {
        int status = ending_of(functions[i], "[true]");
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGALRM);
    }
}

static void leak_stops_where_memory_is_refused(void **state)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        unsigned long pages = 0;
        FILE *statm = fopen("/proc/self/statm", "r");
        if (statm == NULL || fscanf(statm, "%lu", &pages) != 1)
            _exit(1);
        fclose(statm);
        rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + (24u << 20);
        setrlimit(RLIMIT_AS, &(struct rlimit){most, most});
        const char *wanted = "memory_limit MemoryError: leak() was refused memory after ";
        _exit(strncmp(native_result("leak", "[true]"), wanted, strlen(wanted)) == 0 ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static unsigned long resident_pages(void)
{
    unsigned long size, resident = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%lu %lu", &size, &resident), 2);
    fclose(statm);
    return resident;
}

static void leak_keeps_what_it_takes(void **state)
{
    unsigned long before = resident_pages();
    assert_string_equal(native_result("leak", "[8]"), "8");
    assert_true((resident_pages() - before) * (unsigned long)sysconf(_SC_PAGESIZE) >= 7u << 20);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static volatile sig_atomic_t interruptions;

static void count_interruption(int number)
{
    interruptions++;
}

/* Only lower bounds: a busy machine may take longer. */
static void sleep_and_spin_take_their_time(void **state)
{
    struct itimerval often = {{.tv_usec = 2000}, {.tv_usec = 2000}}, never = {{0}, {0}};
    struct sigaction action = {.sa_handler = count_interruption};
    sigaction(SIGALRM, &action, NULL);
    uint64_t start_ns = clock_ns();
    setitimer(ITIMER_REAL, &often, NULL);
    assert_string_equal(native_result("sleep_ms", "[30]"), "30");
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_DFL);
    assert_true(clock_ns() - start_ns >= 30000000u);
    assert_true(interruptions > 0);
    start_ns = clock_ns();
    assert_string_equal(native_result("spin", "[5]"), "5");
    assert_true(clock_ns() - start_ns >= 5000000u);
}

static void roll_draws_by_seed_and_index(void **state)
{
    static const char *const args[] = {"[]", "[1]", "[null, \"x\", {}]"};
    struct buf out;
    buf_init(&out);
    uint64_t seen = 0;
    for (uint64_t index = 0; index < 1000; index++) {
        char wanted[16];
        const char *text = args[index % 3];
        buf_reset(&out);
        native_call("roll", (struct span){text, strlen(text)}, index, &out);
        buf_append_char(&out, '\0');
        uint32_t total = roll_two(42, index);
        assert_in_range(total, 2, 12);
        seen |= 1u << total;
        snprintf(wanted, sizeof wanted, "%u", total);
        assert_string_equal(buf_start(&out), wanted);
    }
    assert_int_equal(seen, 0x1ffc);
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_dies_by_the_signal),
        cmocka_unit_test(crash_unblocks_the_signal),
        cmocka_unit_test(exit_code_exits),
        cmocka_unit_test(hang_and_spin_do_not_return),
        cmocka_unit_test(leak_stops_where_memory_is_refused),
        cmocka_unit_test(leak_keeps_what_it_takes),
        cmocka_unit_test(sleep_and_spin_take_their_time),
        cmocka_unit_test(roll_draws_by_seed_and_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
