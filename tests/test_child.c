/* child: when a child that ended may start again, when it is hopeless, how its end reads. Times are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "server/child.h"

#define MS UINT64_C(1000000)
#define SECOND (1000 * MS)
#define HEALTHY (60 * SECOND)

/* It starts at `now`, lives for `lived`, ends; returns how long it has to pause. */
static uint64_t life(struct child *child, uint64_t *now, uint64_t lived, bool served)
{
    child->pid = 1;
    child->started_ns = *now;
    child->served = served;
    child->kill_at_ns = 5;
    *now += lived;
    child_ended(child, HEALTHY, *now);
    assert_int_equal(child->pid, 0);
    assert_int_equal(child->kill_at_ns, 0);
    uint64_t pause = child->start_at_ns - *now;
    *now = child->start_at_ns;
    return pause;
}

static void failed_starts_pause_longer_and_longer(void **state)
{
    static const uint64_t pauses_ms[] = {50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000};
    struct child child = {0};
    uint64_t now = 7 * SECOND;
    for (size_t i = 0; i < sizeof pauses_ms / sizeof *pauses_ms; i++)
        assert_int_equal(life(&child, &now, MS, false), pauses_ms[i] * MS);
    assert_int_equal(life(&child, &now, MS, true), 0); /* it served: no failure, and all is forgiven */
    assert_int_equal(life(&child, &now, MS, false), 50 * MS);
    assert_int_equal(life(&child, &now, HEALTHY - 1, false), 100 * MS);
    assert_int_equal(life(&child, &now, HEALTHY, false), 0);
    assert_int_equal(life(&child, &now, 0, false), 50 * MS);
}

static void five_failures_in_a_window_are_hopeless(void **state)
{
    struct child child = {0};
    uint64_t now = 7 * SECOND;
    for (int i = 0; i < CHILD_TRIES; i++) {
        assert_false(child_hopeless(&child, 30 * SECOND));
        life(&child, &now, MS, false);
    }
    assert_true(child_hopeless(&child, 30 * SECOND));
    life(&child, &now, MS, true);
    assert_false(child_hopeless(&child, 30 * SECOND));
}

static void slow_failures_are_not_hopeless(void **state)
{
    struct child child = {0};
    uint64_t now = 7 * SECOND;
    for (int i = 0; i < 3 * CHILD_TRIES; i++) {
        life(&child, &now, 10 * SECOND, false);
        assert_false(child_hopeless(&child, 30 * SECOND));
    }
    /* The last five count, whatever was before. */
    for (int i = 0; i < CHILD_TRIES; i++)
        life(&child, &now, 0, false);
    assert_true(child_hopeless(&child, 30 * SECOND));
}

static void ends_are_described(void **state)
{
    char text[96];
    child_describe_end(3 << 8, text, sizeof text);
    assert_string_equal(text, "exited with status 3");
    child_describe_end(SIGKILL, text, sizeof text);
    assert_string_equal(text, "was killed by signal 9 (Killed)");
    child_describe_end(SIGSEGV | 0x80, text, sizeof text);
    assert_string_equal(text, "was killed by signal 11 (Segmentation fault)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failed_starts_pause_longer_and_longer),
        cmocka_unit_test(five_failures_in_a_window_are_hopeless),
        cmocka_unit_test(slow_failures_are_not_hopeless),
        cmocka_unit_test(ends_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
