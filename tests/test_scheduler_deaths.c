/* scheduler: who pays for a worker's death, as a dialogue, one promise each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "tests/scheduler_talk.h"

static void test_the_guilty_item_runs_alone_then_fails(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 8, .crash_retries = 1, .item_ns = 1e6}, 8);
    hear_task(0, 0, 8);
    assert_int_equal(result(0, said.task, 0, 2, 0), SCHED_ACCEPTED);
    dies(0, SIGSEGV, said.task, 5);
    hear_fork_and_ready(0);
    hear_task(0, 2, 3); /* those before it, without blame */
    result_last(0, said.task, 3);
    run_at(now_ns);
    hear_task(0, 5, 1);
    hear_nothing();
    dies(0, SIGSEGV, said.task, 0);
    hear_fail(5, 1, ITEM_WORKER_DIED, 2);
    assert_int_equal(said.signal, SIGSEGV);
    hear_fork_and_ready(0);
    hear_task(0, 6, 2);
    result_last(0, said.task, 2);
    hear_end(SCHED_COMPLETE);
}

static void test_an_exit_code_is_told(void **state)
{
    with_workers(1);
    call((struct sched_options){0}, 1);
    hear_task(0, 0, 1);
    dies(0, EXIT_STATUS(7), said.task, 0);
    hear_fail(0, 1, ITEM_WORKER_DIED, 1);
    assert_int_equal(said.exit_code, 7);
    assert_int_equal(said.signal, 0);
    hear_end(SCHED_COMPLETE);
}

static void test_what_was_not_begun_is_not_blamed(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e5}, 4);
    hear_task(0, 0, 2);
    uint64_t task = said.task;
    hear_task(0, 2, 2);
    result_last(0, task, 2);
    scheduler_bye(scheduler, 0, task, now_ns);
    dies(0, 0, 0, 0);
    hear_fork_and_ready(0);
    hear_task(0, 2, 2);
}

/* Results may lie in the worker, computed and not written, while it is at a later task: however often that happens. */
static void test_unwritten_results_run_again_without_blame(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e4}, 2);
    for (int deaths = 0; deaths < 12; deaths++) {
        hear_task(0, 0, 2);
        call((struct sched_options){.item_ns = 1e4}, 1);
        hear_task(0, 0, 1);
        dies(0, SIGKILL, said.task, 0);
        hear_fail(0, 1, ITEM_WORKER_DIED, 1);
        hear_end(SCHED_COMPLETE);
        hear_fork_and_ready(0);
    }
    hear_task(0, 0, 2);
    result_last(0, said.task, 2);
    hear_end(SCHED_COMPLETE);
}

/* A worker that dies again and again with nothing on its page: somebody has to pay, or it would never end. */
static void test_deaths_nobody_explains_are_counted(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e6}, 2);
    for (int deaths = 0; deaths < 9; deaths++) {
        hear_task(0, 0, 2);
        dies(0, SIGKILL, 0, 0);
        if (deaths < 8)
            hear_fork_and_ready(0);
    }
    hear_fail(0, 1, ITEM_WORKER_DIED, 1);
}

static void test_causes_that_are_not_tried_again(void **state)
{
    static const struct {
        int status;
        uint64_t peak_bytes;
        enum item_error error;
    } causes[] = {
        {SIGSYS, 0, ITEM_SANDBOX_VIOLATION},
        {SIGABRT, MEMORY / 10 * 8, ITEM_MEMORY_LIMIT},
        {SIGSEGV, MEMORY / 10 * 8, ITEM_MEMORY_LIMIT},
        {EXIT_STATUS(70), MEMORY / 10 * 8, ITEM_MEMORY_LIMIT},
    };
    with_workers(1);
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        call((struct sched_options){.crash_retries = 3}, 1);
        hear_task(0, 0, 1);
        struct sched_death death = {
            .status = causes[i].status, .peak_bytes = causes[i].peak_bytes, .page_task = said.task};
        scheduler_ended(scheduler, 0, &death, now_ns);
        run_at(now_ns);
        hear_fail(0, 1, causes[i].error, 1);
        hear_end(SCHED_COMPLETE);
        hear_fork_and_ready(0);
    }
}

/* --- kills of our own --------------------------------------------------------------------------------------------- */

static void test_an_item_that_takes_too_long_is_stopped(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 3, .crash_retries = 2}, 3);
    hear_task(0, 0, 3);
    uint64_t task = said.task, seen_ns = now_ns + 10 * MS;
    sample(0, task, 1, seen_ns);
    assert_int_equal(result(0, task, 0, 0, 0), SCHED_ACCEPTED); /* says nothing, and stops no clock */
    sample(0, task, 1, seen_ns + SECOND);
    hear_nothing();
    sample(0, task, 1, seen_ns + SECOND + 10 * MS);
    hear(SCHED_KILL);
    hear(SCHED_FORK);
    dies(0, SIGKILL, task, 1);
    hear_fail(1, 1, ITEM_TIMEOUT, 1);
    assert_false(said.by_deadline);
}

static void test_the_clock_of_an_item_behind_unwritten_results_runs(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e4}, 4);
    hear_task(0, 0, 2);
    hear_task(0, 2, 2);
    uint64_t task = said.task, seen_ns = now_ns + 10 * MS;
    sample(0, task, 0, seen_ns);
    sample(0, task, 0, seen_ns + SECOND + 10 * MS);
    hear(SCHED_KILL);
    hear(SCHED_FORK);
    dies(0, SIGKILL, task, 0);
    hear_fail(2, 1, ITEM_TIMEOUT, 1);
}

static void test_a_kill_that_comes_too_late_blames_nobody(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 3}, 3);
    hear_task(0, 0, 3);
    uint64_t task = said.task, seen_ns = now_ns + 10 * MS;
    sample(0, task, 1, seen_ns);
    scheduler_over_memory(scheduler, 0, seen_ns);
    run_at(seen_ns);
    hear(SCHED_KILL);
    hear(SCHED_FORK);
    dies(0, SIGKILL, task, 2); /* it was at another item by then */
    hear_nothing();
    scheduler_ready(scheduler, 1, now_ns);
    run_at(now_ns);
    hear_task(1, 0, 3);
    sample(1, said.task, 1, now_ns + 10 * MS);
    scheduler_over_memory(scheduler, 1, now_ns);
    dies(1, SIGKILL, said.task, 1);
    hear(SCHED_KILL);
    hear_fail(1, 1, ITEM_MEMORY_LIMIT, 1);
}

/* The task of a call that is over is given some time; then its worker goes, whatever it has come to since. */
static void test_a_cancelled_task_costs_others_nothing(void **state)
{
    with_workers(1);
    struct sched_call *first = call((struct sched_options){.chunksize = 2, .item_ns = 1e5}, 2);
    hear_task(0, 0, 2);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e5}, 2);
    hear_task(0, 0, 2);
    uint64_t second = said.task;
    scheduler_cancel(scheduler, first, now_ns);
    run_at(now_ns + 60 * MS);
    hear(SCHED_KILL);
    hear(SCHED_FORK);
    dies(0, SIGKILL, second, 1);
    scheduler_ready(scheduler, 1, now_ns);
    run_at(now_ns);
    hear_task(1, 0, 2);
}

static void test_a_worker_that_begins_nothing_goes(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2}, 2);
    hear_task(0, 0, 2);
    sample(0, 0, 0, now_ns + 10 * MS);
    sample(0, 0, 0, now_ns + 4 * SECOND);
    hear_nothing();
    sample(0, 0, 0, now_ns + 2 * SECOND);
    hear(SCHED_KILL);
}

static void test_a_worker_that_is_not_ready_in_time_goes(void **state)
{
    with_workers(1);
    call((struct sched_options){.spawn = true}, 1);
    hear(SCHED_FORK);
    hear_task(1, 0, 1);
    sample(1, 0, 0, now_ns + 10 * MS);
    sample(1, 0, 0, now_ns + 9 * SECOND);
    hear_nothing(); /* a start may take longer than a task's beginning */
    run_at(now_ns + 2 * SECOND);
    hear(SCHED_KILL);
}

static void test_who_says_bye_and_stays_goes(void **state)
{
    with_workers(1);
    scheduler_bye(scheduler, 0, 0, now_ns);
    run_at(now_ns);
    hear(SCHED_FORK);
    scheduler_bye(scheduler, 0, 0, now_ns + 4 * SECOND);
    run_at(now_ns + 6 * SECOND);
    hear(SCHED_KILL);
    assert_int_equal(said.slot, 0);
}

/* --- the breaker -------------------------------------------------------------------------------------------------- */

/* A call of one item that crashes its worker, heard to the end. */
static void crash_at(uint64_t at_ns)
{
    now_ns = at_ns;
    call((struct sched_options){0}, 1);
    hear_task(0, 0, 1);
    dies(0, SIGSEGV, said.task, 0);
    hear_fail(0, 1, ITEM_WORKER_DIED, 1);
    hear_end(SCHED_COMPLETE);
    hear_fork_and_ready(0);
}

static uint64_t open_until_ns(void)
{
    return scheduler_breaker_ns(scheduler, 0, now_ns);
}

static void test_five_crashes_open_the_breaker(void **state)
{
    with_workers(1);
    uint64_t start_ns = now_ns;
    for (uint64_t i = 0; i < 4; i++)
        crash_at(start_ns + i * SECOND);
    assert_int_equal(open_until_ns(), 0);
    crash_at(start_ns + 4 * SECOND);
    assert_int_equal(open_until_ns(), start_ns + 14 * SECOND);
    now_ns = start_ns + 14 * SECOND;
    assert_int_equal(open_until_ns(), 0); /* half open: */
    crash_at(now_ns);
    assert_int_equal(open_until_ns(), start_ns + 24 * SECOND); /* one more is enough */
    now_ns = start_ns + 24 * SECOND;
    call((struct sched_options){0}, 1);
    hear_task(0, 0, 1);
    result_last(0, said.task, 1); /* it works again */
    hear_end(SCHED_COMPLETE);
    crash_at(now_ns);
    assert_int_equal(open_until_ns(), 0);
}

static void test_any_five_in_half_a_minute_count(void **state)
{
    with_workers(1);
    uint64_t start_ns = now_ns;
    crash_at(start_ns);
    for (uint64_t i = 0; i < 4; i++) {
        crash_at(start_ns + (40 + i) * SECOND);
        assert_int_equal(open_until_ns(), 0);
    }
    crash_at(start_ns + 44 * SECOND);
    assert_int_not_equal(open_until_ns(), 0);
}

static void test_an_open_breaker_ends_what_was_not_begun(void **state)
{
    with_workers(1);
    for (int i = 0; i < 4; i++)
        crash_at(now_ns + SECOND);
    call((struct sched_options){.chunksize = 2, .crash_retries = 5, .item_ns = 1e6}, 6);
    hear_task(0, 0, 2);
    dies(0, SIGSEGV, said.task, 0);
    hear_fail(0, 1, ITEM_WORKER_DIED, 1);
    hear_fail(1, 1, ITEM_UNAVAILABLE, 0);
    hear_fail(2, 4, ITEM_UNAVAILABLE, 0);
    hear_end(SCHED_COMPLETE);
}

static void test_kills_from_outside_open_no_breaker(void **state)
{
    with_workers(1);
    for (int i = 0; i < 10; i++) {
        call((struct sched_options){0}, 1);
        hear_task(0, 0, 1);
        dies(0, i % 2 ? SIGKILL : 0, said.task, 0);
        hear_fail(0, 1, ITEM_WORKER_DIED, 1);
        hear_end(SCHED_COMPLETE);
        hear_fork_and_ready(0);
    }
    assert_int_equal(open_until_ns(), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_guilty_item_runs_alone_then_fails),
        TEST(test_an_exit_code_is_told),
        TEST(test_what_was_not_begun_is_not_blamed),
        TEST(test_unwritten_results_run_again_without_blame),
        TEST(test_deaths_nobody_explains_are_counted),
        TEST(test_causes_that_are_not_tried_again),
        TEST(test_an_item_that_takes_too_long_is_stopped),
        TEST(test_the_clock_of_an_item_behind_unwritten_results_runs),
        TEST(test_a_kill_that_comes_too_late_blames_nobody),
        TEST(test_a_cancelled_task_costs_others_nothing),
        TEST(test_a_worker_that_begins_nothing_goes),
        TEST(test_a_worker_that_is_not_ready_in_time_goes),
        TEST(test_who_says_bye_and_stays_goes),
        TEST(test_five_crashes_open_the_breaker),
        TEST(test_any_five_in_half_a_minute_count),
        TEST(test_an_open_breaker_ends_what_was_not_begun),
        TEST(test_kills_from_outside_open_no_breaker),
    };
    return cmocka_run_group_tests_name("scheduler deaths", tests, NULL, NULL);
}
