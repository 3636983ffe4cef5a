/* scheduler: what becomes of the tasks that share a worker with an item that takes long, as a dialogue, one promise
 * each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "server/scheduler_state.h"
#include "tests/scheduler_talk.h"

/* One worker and in its pipe two tasks of two quick items each, items 0 and 1, 2 and 3; then there is one more worker.
 */
static struct sched_call *two_tasks(uint64_t tasks[2], uint32_t retries)
{
    with_workers(1);
    struct sched_call *made = call((struct sched_options){.chunksize = 2, .crash_retries = retries, .item_ns = 1e4}, 4);
    for (uint32_t i = 0; i < 2; i++) {
        hear_task(0, i * 2, 2);
        tasks[i] = said.task;
    }
    hear_nothing();
    return made;
}

static void another_worker(void)
{
    scheduler->grown = 2;
    scheduler->grown_ns = now_ns;
    run_at(now_ns);
    hear_fork_and_ready(1);
}

/* Two samples show the same: this item is a long one. */
static void seen_long(uint32_t slot, uint64_t task, uint32_t item)
{
    sample(slot, task, item, now_ns + 10 * MS);
    hear_nothing();
    sample(slot, task, item, now_ns + 10 * MS);
}

static void test_tasks_behind_a_long_item_go_elsewhere(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 1);
    hear_task(1, 2, 2);
    hear_nothing();
    result_last(1, said.task, 2);
    result_last(0, tasks[0], 2);
    hear_end(SCHED_COMPLETE);
    assert_int_equal(result(0, tasks[1], 0, 2, RESULT_LAST), SCHED_STALE);
    assert_int_equal(scheduler_slot_state(scheduler, 0), SLOT_READY);
}

static void test_unwritten_tasks_before_a_long_item_go_elsewhere(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    assert_int_equal(result(0, tasks[0], 0, 1, 0), SCHED_ACCEPTED);
    another_worker();
    seen_long(0, tasks[1], 0);
    hear_task(1, 1, 1); /* what has its result does not run again */
    hear_nothing();
    result_last(1, said.task, 1);
    assert_int_equal(result(0, tasks[0], 1, 1, RESULT_LAST), SCHED_STALE);
    result_last(0, tasks[1], 2);
    hear_end(SCHED_COMPLETE);
}

static void test_a_short_item_sends_nobody_away(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    sample(0, tasks[0], 0, now_ns + 10 * MS);
    sample(0, tasks[0], 1, now_ns + 10 * MS);
    sample(0, tasks[0], 1, now_ns + 5 * MS); /* not longer than that */
    sample(0, 0, 0, now_ns + 10 * MS);
    sample(0, 0, 0, now_ns + 10 * MS); /* no item at all */
    hear_nothing();
}

static void test_the_rest_of_a_stale_task_is_dropped(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 0);
    hear_task(1, 2, 2);
    uint64_t again = said.task;
    result_last(0, tasks[0], 2);
    assert_int_equal(result(0, tasks[1], 0, 1, RESULT_LAST | RESULT_YIELDED), SCHED_STALE);
    run_at(now_ns);
    hear_nothing(); /* and not given out once more */
    result_last(1, again, 2);
    hear_end(SCHED_COMPLETE);
}

static void test_a_malformed_stale_task_ends_no_call(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 0);
    hear_task(1, 2, 2);
    result_last(0, tasks[0], 2);
    struct sched_accepted accepted;
    assert_int_equal(scheduler_malformed(scheduler, 0, tasks[1], now_ns, &accepted), SCHED_STALE);
    result_last(1, said.task, 2);
    hear_end(SCHED_COMPLETE);
}

static void test_the_long_item_keeps_its_clock(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    uint64_t seen_ns = now_ns + 10 * MS;
    seen_long(0, tasks[1], 0);
    hear_task(1, 0, 2); /* it was before it */
    result_last(1, said.task, 2);
    sample(0, tasks[1], 0, seen_ns + SECOND);
    hear_nothing(); /* what is stale before it kills nobody */
    sample(0, tasks[1], 0, seen_ns + SECOND + MS);
    hear(SCHED_KILL);
    assert_int_equal(said.slot, 0);
    hear(SCHED_FORK);
    dies(0, SIGKILL, tasks[1], 0);
    hear_fail(2, 1, ITEM_TIMEOUT, 1);
    hear_task(1, 3, 1);
}

/* The credit that a task took is given back with it: two tasks cost as much as they would have elsewhere. */
static void test_what_goes_elsewhere_is_paid_for_once(void **state)
{
    uint64_t tasks[2];
    struct sched_call *made = two_tasks(tasks, 0);
    double credit_ns = made->credit_ns, of_all_ns = made->principal->credit_ns;
    another_worker();
    seen_long(0, tasks[0], 0);
    hear_task(1, 2, 2);
    assert_true(made->credit_ns == credit_ns);
    assert_true(made->principal->credit_ns == of_all_ns);
    assert_int_equal(made->in_flight, 2);
}

static void test_one_process_is_not_used_up_by_a_stale_task(void **state)
{
    with_workers(2);
    call((struct sched_options){.chunksize = 1}, 1);
    hear_task(0, 0, 1);
    uint64_t endless = said.task;
    call((struct sched_options){.item_ns = 6e6}, 1);
    hear_task(1, 0, 1);
    uint64_t busy = said.task;
    call((struct sched_options){.chunksize = 1, .processes = 1, .item_ns = 1e4}, 2);
    hear_task(0, 0, 1);
    hear_task(0, 1, 1);
    result_last(1, busy, 1);
    hear_end(SCHED_COMPLETE);
    seen_long(0, endless, 0);
    hear_task(1, 0, 1);
    hear_task(1, 1, 1);
}

static void test_a_suspect_has_no_mates(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 1);
    dies(0, SIGSEGV, tasks[0], 0);
    hear_fork_and_ready(0);
    hear_task(0, 0, 1); /* the suspect */
    hear_nothing();
    uint64_t suspect = said.task;
    seen_long(0, suspect, 0);
    call((struct sched_options){.item_ns = 1e4}, 1);
    hear_nothing();
    another_worker();
    while (scheduler_take(scheduler, &said)) {
        assert_int_equal(said.type, SCHED_DISPATCH);
        assert_int_equal(said.slot, 1);
    }
    result_last(0, suspect, 1);
}

/* The slow worker dies of the long item: that one is blamed; what was stale there runs no second time more. */
static void test_a_death_concerns_nothing_stale(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 0);
    hear_task(1, 2, 2);
    uint64_t again = said.task;
    dies(0, SIGSEGV, tasks[0], 0);
    hear_fail(0, 1, ITEM_WORKER_DIED, 1);
    hear(SCHED_FORK);
    hear_task(1, 1, 1);
    uint64_t rest = said.task;
    scheduler_ready(scheduler, 0, now_ns);
    run_at(now_ns);
    hear_nothing();
    result_last(1, again, 2);
    result_last(1, rest, 1);
    hear_end(SCHED_COMPLETE);
}

static void test_a_stale_item_that_kills_is_not_blamed(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 0);
    hear_task(1, 2, 2);
    uint64_t again = said.task;
    result_last(0, tasks[0], 2);
    dies(0, SIGSEGV, tasks[1], 0);
    hear_fork_and_ready(0);
    hear_nothing();
    result_last(1, again, 2);
    hear_end(SCHED_COMPLETE);
}

/* It has come to a stale item, which never ends: nobody waits for that, so it has some time and then goes. */
static void goes_in_time(uint64_t stale_task)
{
    uint64_t begun_ns = now_ns;
    sample(0, stale_task, 0, begun_ns + 50 * MS);
    hear_nothing();
    sample(0, stale_task, 0, begun_ns + 51 * MS);
    hear(SCHED_KILL);
    assert_int_equal(said.slot, 0);
    hear(SCHED_FORK);
    dies(0, SIGKILL, stale_task, 0);
    hear_nothing();
}

static void test_a_stale_endless_item_is_stopped(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 1);
    hear_task(1, 2, 2);
    uint64_t again = said.task;
    result_last(0, tasks[0], 2);
    sample(0, tasks[1], 0, now_ns);
    goes_in_time(tasks[1]);
    result_last(1, again, 2);
    hear_end(SCHED_COMPLETE);
}

static void test_a_stale_endless_item_behind_unwritten_results_is_stopped(void **state)
{
    uint64_t tasks[2];
    two_tasks(tasks, 0);
    another_worker();
    seen_long(0, tasks[0], 1);
    hear_task(1, 2, 2);
    result_last(1, said.task, 2);
    sample(0, tasks[1], 0, now_ns + 10 * MS);
    uint64_t begun_ns = now_ns;
    sample(0, tasks[1], 0, now_ns + 10 * MS);
    hear_task(1, 0, 2); /* its results never come */
    uint64_t again = said.task;
    now_ns = begun_ns;
    goes_in_time(tasks[1]);
    result_last(1, again, 2);
    hear_end(SCHED_COMPLETE);
}

/* A call's results lie unwritten behind another's item when it is cancelled: that item goes on. */
static void test_a_cancelled_task_before_a_long_item_kills_nobody(void **state)
{
    with_workers(1);
    struct sched_call *first = call((struct sched_options){.chunksize = 2, .item_ns = 1e4}, 2);
    hear_task(0, 0, 2);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e4}, 2);
    hear_task(0, 0, 2);
    scheduler_cancel(scheduler, first, now_ns);
    sample(0, said.task, 1, now_ns + 10 * MS);
    sample(0, said.task, 1, now_ns + 100 * MS);
    hear_nothing();
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tasks_behind_a_long_item_go_elsewhere),
        TEST(test_unwritten_tasks_before_a_long_item_go_elsewhere),
        TEST(test_a_short_item_sends_nobody_away),
        TEST(test_the_rest_of_a_stale_task_is_dropped),
        TEST(test_a_malformed_stale_task_ends_no_call),
        TEST(test_the_long_item_keeps_its_clock),
        TEST(test_what_goes_elsewhere_is_paid_for_once),
        TEST(test_one_process_is_not_used_up_by_a_stale_task),
        TEST(test_a_suspect_has_no_mates),
        TEST(test_a_death_concerns_nothing_stale),
        TEST(test_a_stale_item_that_kills_is_not_blamed),
        TEST(test_a_stale_endless_item_is_stopped),
        TEST(test_a_stale_endless_item_behind_unwritten_results_is_stopped),
        TEST(test_a_cancelled_task_before_a_long_item_kills_nobody),
    };
    return cmocka_run_group_tests_name("scheduler unload", tests, NULL, NULL);
}
