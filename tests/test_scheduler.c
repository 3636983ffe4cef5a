/* scheduler: what it is told and what it says, as a dialogue, one promise each. Storms are in sim_scheduler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>

#include "server/scheduler.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define MEMORY (1ull << 30)

static struct scheduler *scheduler;
static uint64_t now_ns;
static struct sched_action said; /* the last one heard */
static char owner;               /* of all calls */

static uint32_t fit_all(void *of, uint64_t first, uint32_t most, bool chunksize_given)
{
    return most;
}

/* --- speaking ----------------------------------------------------------------------------------------------------- */

static void hear(enum sched_action_type type)
{
    assert_true(scheduler_take(scheduler, &said));
    assert_int_equal(said.type, type);
}

static void hear_nothing(void)
{
    assert_false(scheduler_take(scheduler, &said));
}

static void run_at(uint64_t at_ns)
{
    now_ns = at_ns;
    scheduler_run(scheduler, now_ns);
}

static void hear_task(uint32_t slot, uint64_t first, uint32_t count)
{
    hear(SCHED_DISPATCH);
    assert_int_equal(said.slot, slot);
    assert_int_equal(said.first, first);
    assert_int_equal(said.count, count);
    assert_ptr_equal(said.owner, &owner);
}

static void hear_fail(uint64_t first, uint32_t count, enum item_error error, uint32_t attempts)
{
    hear(SCHED_FAIL);
    assert_int_equal(said.first, first);
    assert_int_equal(said.count, count);
    assert_int_equal(said.error, error);
    assert_int_equal(said.attempts, attempts);
}

static void hear_end(enum sched_ended ended)
{
    hear(SCHED_END);
    assert_int_equal(said.ended, ended);
    assert_ptr_equal(said.owner, &owner);
}

/* A scheduler with so many workers, all ready. */
static void with_workers(uint32_t workers)
{
    struct scheduler_limits limits = {.workers = workers,
                                      .max_workers = 4,
                                      .functions = 2,
                                      .idle_shrink_ns = 60 * SECOND,
                                      .memory_bytes = MEMORY,
                                      .fit = fit_all};
    now_ns = 100 * SECOND;
    scheduler = scheduler_new(&limits);
    scheduler_link(scheduler, true);
    run_at(now_ns);
    for (uint32_t i = 0; i < workers; i++) {
        hear(SCHED_FORK);
        assert_int_equal(said.slot, i);
    }
    for (uint32_t i = 0; i < workers; i++)
        scheduler_ready(scheduler, i, now_ns);
    assert_int_equal(scheduler_live(scheduler), workers);
}

static int clean(void **state)
{
    while (scheduler_take(scheduler, &said))
        ;
    scheduler_free(scheduler);
    return 0;
}

static struct sched_call *call(struct sched_options options, uint64_t items)
{
    options.owner = &owner;
    options.deadline_ns = options.deadline_ns != 0 ? options.deadline_ns : now_ns + 1000 * SECOND;
    options.item_timeout_ns = SECOND;
    struct sched_call *made = scheduler_call(scheduler, &options, now_ns);
    scheduler_items(scheduler, made, items, true);
    run_at(now_ns);
    return made;
}

static enum sched_verdict result(uint32_t slot, uint64_t task, uint32_t first, uint32_t count, uint32_t flags)
{
    struct sched_accepted accepted;
    struct sched_result told = {
        .task = task, .started_ns = now_ns, .ended_ns = now_ns + 1000, .first = first, .count = count, .flags = flags};
    return scheduler_result(scheduler, slot, &told, now_ns, &accepted);
}

static void result_last(uint32_t slot, uint64_t task, uint32_t count)
{
    assert_int_equal(result(slot, task, 0, count, RESULT_LAST), SCHED_ACCEPTED);
}

static void dies(uint32_t slot, int status, uint64_t page_task, uint32_t page_item)
{
    struct sched_death death = {.status = status, .page_task = page_task, .page_item = page_item};
    scheduler_ended(scheduler, slot, &death, now_ns);
    run_at(now_ns);
}

static void sample(uint32_t slot, uint64_t task, uint32_t item, uint64_t at_ns)
{
    scheduler_sample(scheduler, slot, task, item, true, at_ns);
    run_at(at_ns);
}

/* A worker that went is replaced, and the new one is ready. */
static void hear_fork_and_ready(uint32_t slot)
{
    hear(SCHED_FORK);
    assert_int_equal(said.slot, slot);
    scheduler_ready(scheduler, slot, now_ns);
    run_at(now_ns);
}

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
        {1, 0, 4, RESULT_LAST},                   /* another's task */
        {0, 1, 3, RESULT_LAST},                   /* a gap */
        {0, 0, 5, RESULT_LAST},                   /* too many */
        {0, 0, 4, 0},                             /* all, and not the last */
        {0, 0, 2, RESULT_LAST},                   /* the last, and not all */
        {0, 0, 2, RESULT_YIELDED},                /* given back, and not the last */
        {0, 0, 4, RESULT_LAST | RESULT_YIELDED},  /* given back, and nothing is left */
        {0, 0, 0, RESULT_LAST | RESULT_YIELDED},  /* given back, and nothing was done */
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

/* --- deaths ------------------------------------------------------------------------------------------------------- */

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
    hear(SCHED_FORK);
    hear_fail(5, 1, ITEM_WORKER_DIED, 2);
    assert_int_equal(said.signal, SIGSEGV);
    scheduler_ready(scheduler, 0, now_ns);
    run_at(now_ns);
    hear_task(0, 6, 2);
    result_last(0, said.task, 2);
    hear_end(SCHED_COMPLETE);
}

static void test_leaving_is_no_crash(void **state)
{
    with_workers(1);
    call((struct sched_options){.chunksize = 2, .item_ns = 1e5}, 4);
    hear_task(0, 0, 2);
    uint64_t task = said.task;
    hear_task(0, 2, 2);
    result_last(0, task, 2);
    scheduler_bye(scheduler, 0, task, now_ns);
    dies(0, 0, 0, 0);
    hear_fork_and_ready(1); /* already at its BYE, but no run came between */
    hear_task(1, 2, 2);
}

int main(void)
{
    return 0;
}
