/* scheduler_talk: see scheduler_talk.h. */
#include "tests/scheduler_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct scheduler *scheduler;
uint64_t now_ns;
struct sched_action said;
static char owner;

static uint32_t fit_all(void *of, uint64_t first, uint32_t most, bool chunksize_given)
{
    return most;
}

void hear(enum sched_action_type type)
{
    assert_true(scheduler_take(scheduler, &said));
    assert_int_equal(said.type, type);
}

void hear_nothing(void)
{
    assert_false(scheduler_take(scheduler, &said));
}

void run_at(uint64_t at_ns)
{
    now_ns = at_ns;
    scheduler_run(scheduler, now_ns);
}

void hear_task(uint32_t slot, uint64_t first, uint32_t count)
{
    hear(SCHED_DISPATCH);
    assert_int_equal(said.slot, slot);
    assert_int_equal(said.first, first);
    assert_int_equal(said.count, count);
    assert_ptr_equal(said.owner, &owner);
}

void hear_fail(uint64_t first, uint32_t count, enum item_error error, uint32_t attempts)
{
    hear(SCHED_FAIL);
    assert_int_equal(said.first, first);
    assert_int_equal(said.count, count);
    assert_int_equal(said.error, error);
    assert_int_equal(said.attempts, attempts);
}

void hear_end(enum sched_ended ended)
{
    hear(SCHED_END);
    assert_int_equal(said.ended, ended);
    assert_ptr_equal(said.owner, &owner);
}

/* A scheduler with so many workers, all ready. */
void with_workers(uint32_t workers)
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

int clean(void **state)
{
    while (scheduler_take(scheduler, &said))
        ;
    scheduler_free(scheduler);
    return 0;
}

struct sched_call *call(struct sched_options options, uint64_t items)
{
    options.owner = &owner;
    options.deadline_ns = options.deadline_ns != 0 ? options.deadline_ns : now_ns + 1000 * SECOND;
    options.item_timeout_ns = SECOND;
    struct sched_call *made = scheduler_call(scheduler, &options, now_ns);
    scheduler_items(scheduler, made, items, true);
    run_at(now_ns);
    return made;
}

enum sched_verdict result(uint32_t slot, uint64_t task, uint32_t first, uint32_t count, uint32_t flags)
{
    struct sched_accepted accepted;
    struct sched_result told = {
        .task = task, .started_ns = now_ns, .ended_ns = now_ns + 1000, .first = first, .count = count, .flags = flags};
    return scheduler_result(scheduler, slot, &told, now_ns, &accepted);
}

void result_last(uint32_t slot, uint64_t task, uint32_t count)
{
    assert_int_equal(result(slot, task, 0, count, RESULT_LAST), SCHED_ACCEPTED);
}

void dies(uint32_t slot, int status, uint64_t page_task, uint32_t page_item)
{
    struct sched_death death = {.status = status, .page_task = page_task, .page_item = page_item};
    scheduler_ended(scheduler, slot, &death, now_ns);
    run_at(now_ns);
}

void sample(uint32_t slot, uint64_t task, uint32_t item, uint64_t at_ns)
{
    scheduler_sample(scheduler, slot, task, item, true, at_ns);
    run_at(at_ns);
}

/* A worker that went is replaced, and the new one is ready. */
void hear_fork_and_ready(uint32_t slot)
{
    hear(SCHED_FORK);
    assert_int_equal(said.slot, slot);
    scheduler_ready(scheduler, slot, now_ns);
    run_at(now_ns);
}
