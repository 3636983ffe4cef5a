/* scheduler: what it is told and what it says, as a dialogue, one promise each: work, calls, the pool's size. Deaths
 * are in test_scheduler_deaths, storms in sim_scheduler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "tests/scheduler_talk.h"

/* --- work --------------------------------------------------------------------------------------------------------- */

static void test_no_items_no_work(void **state)
{
    with_workers(1);
    call((struct sched_options){0}, 0);
    hear_end(SCHED_COMPLETE);
    hear_nothing();
}

static void test_a_chunksize_is_taken_as_said(void **state)
{
    with_workers(2);
    call((struct sched_options){.chunksize = 4}, 6);
    hear_task(0, 0, 4);
    assert_int_equal(said.budget_us, 0);
    uint64_t task = said.task;
    hear_task(1, 4, 2);
    result_last(1, said.task, 2);
    run_at(now_ns);
    hear_nothing();
    result_last(0, task, 4);
    hear_end(SCHED_COMPLETE);
}

static void test_a_yielded_rest_runs_again(void **state)
{
    with_workers(1);
    call((struct sched_options){0}, 16);
    hear_task(0, 0, 16);
    assert_true(said.budget_us > 0);
    assert_int_equal(result(0, said.task, 0, 5, 0), SCHED_ACCEPTED);
    assert_int_equal(result(0, said.task, 5, 5, RESULT_LAST | RESULT_YIELDED), SCHED_ACCEPTED);
    run_at(now_ns);
    hear_task(0, 10, 6);
}

static void test_processes_are_a_limit(void **state)
{
    with_workers(3);
    call((struct sched_options){.chunksize = 1, .processes = 2, .item_ns = 1e6}, 5);
    hear_task(0, 0, 1);
    uint64_t task = said.task;
    hear_task(1, 1, 1);
    hear_nothing();
    result_last(0, task, 1);
    run_at(now_ns);
    hear_task(0, 2, 1);
    hear_nothing();
}

static void test_an_error_stops_what_asked_for_it(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2, .stop_on_error = true, .item_ns = 1e6}, 6);
    hear_task(0, 0, 2);
    struct sched_result told = {.task = said.task, .count = 1, .flags = RESULT_LAST | RESULT_STOPPED, .failed = 1};
    struct sched_accepted accepted;
    assert_int_equal(scheduler_result(scheduler, 0, &told, now_ns, &accepted), SCHED_ACCEPTED);
    hear_end(SCHED_STOPPED);
    run_at(now_ns);
    hear_nothing();
}

static void test_lies_are_found_out(void **state)
{
    static const struct {
        uint64_t task;
        uint32_t first, count, flags;
    } lies[] = {
        {1, 0, 4, RESULT_LAST},                  /* another's task */
        {0, 1, 3, RESULT_LAST},                  /* a gap */
        {0, 0, 5, RESULT_LAST},                  /* too many */
        {0, 0, 4, 0},                            /* all, and not the last */
        {0, 0, 2, RESULT_LAST},                  /* the last, and not all */
        {0, 0, 2, RESULT_YIELDED},               /* given back, and not the last */
        {0, 0, 4, RESULT_LAST | RESULT_YIELDED}, /* given back, and nothing is left */
        {0, 0, 0, RESULT_LAST | RESULT_YIELDED}, /* given back, and nothing was done */
    };
    with_workers(1);
    call((struct sched_options){.chunksize = 4}, 4);
    hear_task(0, 0, 4);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        assert_int_equal(result(0, said.task + lies[i].task, lies[i].first, lies[i].count, lies[i].flags),
                         SCHED_BREACH);
    result_last(0, said.task, 4);
    assert_int_equal(result(0, said.task, 0, 4, RESULT_LAST), SCHED_BREACH);
    scheduler_breach(scheduler, 0, now_ns);
    hear_end(SCHED_COMPLETE);
    hear(SCHED_KILL);
}

static void test_small_tasks_join_a_worker_that_is_awake(void **state)
{
    with_workers(2);
    call((struct sched_options){.item_ns = 1000}, 3);
    hear_task(0, 0, 3);
    call((struct sched_options){.item_ns = 1000}, 3);
    hear_task(0, 0, 3);
    hear_nothing();
}

static void test_nothing_queues_behind_a_late_task(void **state)
{
    with_workers(2);
    call((struct sched_options){.item_ns = 1000}, 3);
    hear_task(0, 0, 3);
    now_ns += 5 * MS;
    call((struct sched_options){.item_ns = 1000}, 3);
    hear_task(1, 0, 3);
}

static void test_a_new_call_overtakes_a_long_one(void **state)
{
    with_workers(1);
    call((struct sched_options){.item_ns = 1e5}, 1000000);
    hear_task(0, 0, 20);
    uint64_t task = said.task;
    hear_nothing();
    call((struct sched_options){.item_ns = 1e5}, 1);
    hear_task(0, 0, 1); /* behind the task under way, before all others */
    hear_nothing();
    result_last(0, task, 20);
    run_at(now_ns);
    hear_nothing();
    result_last(0, said.task, 1);
    hear_end(SCHED_COMPLETE);
    run_at(now_ns);
    hear(SCHED_DISPATCH);
    assert_int_equal(said.first, 20);
}

/* A task that looks enormous costs its principal a few rounds, not thousands. */
static void test_debts_are_bounded(void **state)
{
    with_workers(2);
    call((struct sched_options){.chunksize = 1000000000, .principal = 1}, 1000000000);
    hear_task(0, 0, 1000000000);
    call((struct sched_options){.chunksize = 1, .item_ns = 1e6, .principal = 2}, 100);
    hear_task(1, 0, 1);
    uint64_t task = said.task;
    call((struct sched_options){.chunksize = 2, .item_ns = 1e6, .principal = 1}, 2);
    for (int rounds = 0; rounds < 40; rounds++) {
        now_ns += MS;
        struct sched_accepted accepted;
        struct sched_result told = {
            .task = task, .started_ns = now_ns - MS, .ended_ns = now_ns, .count = 1, .flags = RESULT_LAST};
        assert_int_equal(scheduler_result(scheduler, 1, &told, now_ns, &accepted), SCHED_ACCEPTED);
        run_at(now_ns);
        hear(SCHED_DISPATCH);
        if (said.count == 2)
            return;
        task = said.task;
    }
    fail_msg("principal 1 is still not served");
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

static void test_a_call_waits_for_its_last_items(void **state)
{
    with_workers(1);
    struct sched_options options = {
        .owner = &said, .chunksize = 2, .deadline_ns = UINT64_MAX, .item_timeout_ns = SECOND};
    struct sched_call *made = scheduler_call(scheduler, &options, now_ns);
    scheduler_items(scheduler, made, 1, false);
    run_at(now_ns);
    hear(SCHED_DISPATCH);
    result_last(0, said.task, 1);
    run_at(now_ns);
    hear_nothing();
    scheduler_items(scheduler, made, 1, true);
    hear(SCHED_END);
    assert_int_equal(said.ended, SCHED_COMPLETE);
}

static void test_a_deadline_ends_a_call(void **state)
{
    with_workers(1);
    uint64_t deadline_ns = now_ns + 100 * MS;
    call((struct sched_options){.chunksize = 4, .deadline_ns = deadline_ns}, 8);
    hear_task(0, 0, 4);
    sample(0, said.task, 2, now_ns + 10 * MS);
    assert_int_equal(scheduler_due_ns(scheduler), deadline_ns);
    run_at(deadline_ns);
    hear_fail(2, 1, ITEM_TIMEOUT, 1); /* it was running; the others just did not */
    assert_true(said.by_deadline);
    hear_end(SCHED_DEADLINE);
    assert_int_equal(result(0, said.task, 0, 3, 0), SCHED_BREACH);
    run_at(deadline_ns + 40 * MS);
    hear_nothing();
    run_at(deadline_ns + 60 * MS); /* the worker has had its time to give up by itself */
    hear(SCHED_KILL);
}

static void test_a_cancelled_call_is_never_heard_of_again(void **state)
{
    with_workers(1);
    struct sched_call *made = call((struct sched_options){.chunksize = 4}, 8);
    hear_task(0, 0, 4);
    uint64_t task = said.task;
    scheduler_cancel(scheduler, made, now_ns);
    assert_int_equal(result(0, task, 0, 4, RESULT_LAST), SCHED_STALE);
    assert_int_equal(scheduler_calls(scheduler), 0);
    run_at(now_ns);
    hear_nothing();
}

static void test_a_cancelled_call_takes_back_what_was_not_heard(void **state)
{
    with_workers(1);
    struct sched_call *made = call((struct sched_options){0}, 0);
    scheduler_cancel(scheduler, made, now_ns);
    hear_nothing();
}

static void test_malformed_items_are_their_calls_affair(void **state)
{
    with_workers(1);
    struct sched_accepted accepted;
    struct sched_call *made = call((struct sched_options){.chunksize = 4}, 8);
    hear_task(0, 0, 4);
    assert_int_equal(scheduler_malformed(scheduler, 0, said.task + 1, now_ns, &accepted), SCHED_BREACH);
    assert_int_equal(scheduler_malformed(scheduler, 0, said.task, now_ns, &accepted), SCHED_ACCEPTED);
    scheduler_cancel(scheduler, made, now_ns);
    run_at(now_ns);
    hear_nothing();
    assert_int_equal(scheduler_slot_state(scheduler, 0), SLOT_READY);
}

/* --- the pool's size ---------------------------------------------------------------------------------------------- */

static void test_the_pool_grows_for_processes_and_shrinks(void **state)
{
    with_workers(2);
    call((struct sched_options){.processes = 9}, 0);
    hear_end(SCHED_COMPLETE);
    hear(SCHED_FORK);
    hear(SCHED_FORK); /* four are the most */
    hear_nothing();
    scheduler_ready(scheduler, 2, now_ns);
    scheduler_ready(scheduler, 3, now_ns);
    call((struct sched_options){.processes = 4, .isolated = true}, 1); /* has workers of its own */
    hear(SCHED_FORK);
    hear(SCHED_DISPATCH);
    run_at(now_ns + 61 * SECOND);
    hear(SCHED_KILL); /* the one that is not ready after a minute */
    hear(SCHED_RETIRE);
    hear(SCHED_RETIRE);
    hear_nothing();
    assert_int_equal(scheduler_target(scheduler), 2);
}

static void test_without_a_zygote_nobody_is_forked(void **state)
{
    with_workers(1);
    scheduler_link(scheduler, false);
    dies(0, 0, 0, 0);
    hear_nothing();
    scheduler_link(scheduler, true);
    run_at(now_ns);
    hear(SCHED_FORK);
}

static void test_failing_forks_are_tried_less_and_less_often(void **state)
{
    with_workers(1);
    dies(0, 0, 0, 0);
    uint64_t wait_ns = 0;
    for (int i = 0; i < 5; i++) {
        hear(SCHED_FORK);
        scheduler_fork_failed(scheduler, 0, now_ns);
        run_at(now_ns);
        hear_nothing();
        uint64_t due_ns = scheduler_due_ns(scheduler);
        assert_true(due_ns - now_ns > wait_ns);
        wait_ns = due_ns - now_ns;
        run_at(due_ns);
    }
    assert_true(wait_ns < 5 * SECOND);
}

static void test_an_isolated_item_has_a_process_of_its_own(void **state)
{
    with_workers(1);
    call((struct sched_options){.isolated = true, .processes = 1}, 2);
    hear(SCHED_FORK);
    assert_int_equal(said.slot, 1);
    hear_task(1, 0, 1);
    assert_true(said.flags & TASK_LEAVE);
    hear_nothing();
    scheduler_ready(scheduler, 1, now_ns);
    result_last(1, said.task, 1);
    run_at(now_ns);
    hear(SCHED_RETIRE); /* it is to leave, */
    hear(SCHED_FORK);   /* and the next need not wait for that */
    hear_task(2, 1, 1);
    run_at(now_ns + 6 * SECOND);
    hear(SCHED_KILL); /* it did not */
    assert_int_equal(said.slot, 1);
}

static void test_spawned_workers_serve_their_call_alone(void **state)
{
    with_workers(1);
    call((struct sched_options){.spawn = true, .chunksize = 1}, 2);
    hear(SCHED_FORK);
    assert_true(said.spawn);
    hear_task(1, 0, 1);
    scheduler_ready(scheduler, 1, now_ns);
    result_last(1, said.task, 1);
    run_at(now_ns);
    hear_task(1, 1, 1);
    result_last(1, said.task, 1);
    hear(SCHED_RETIRE);
    hear_end(SCHED_COMPLETE);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_items_no_work),
        TEST(test_a_chunksize_is_taken_as_said),
        TEST(test_a_yielded_rest_runs_again),
        TEST(test_processes_are_a_limit),
        TEST(test_an_error_stops_what_asked_for_it),
        TEST(test_lies_are_found_out),
        TEST(test_small_tasks_join_a_worker_that_is_awake),
        TEST(test_nothing_queues_behind_a_late_task),
        TEST(test_a_new_call_overtakes_a_long_one),
        TEST(test_debts_are_bounded),
        TEST(test_a_call_waits_for_its_last_items),
        TEST(test_a_deadline_ends_a_call),
        TEST(test_a_cancelled_call_is_never_heard_of_again),
        TEST(test_a_cancelled_call_takes_back_what_was_not_heard),
        TEST(test_malformed_items_are_their_calls_affair),
        TEST(test_the_pool_grows_for_processes_and_shrinks),
        TEST(test_without_a_zygote_nobody_is_forked),
        TEST(test_failing_forks_are_tried_less_and_less_often),
        TEST(test_an_isolated_item_has_a_process_of_its_own),
        TEST(test_spawned_workers_serve_their_call_alone),
    };
    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
