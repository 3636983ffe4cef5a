/* verdict: what a worker's word is worth: whether a result may be, whose it is, what it has cost. Its items end by it;
 * its output is others' affair. */
#include <stdlib.h>

#include "api/plan.h"
#include "server/scheduler_state.h"

static bool in_order(const struct sched_task *task, const struct sched_result *result)
{
    if (task == NULL || task->id != result->task || result->first != task->done ||
        result->count > task->count - task->done || result->failed > result->count)
        return false;
    bool rest = result->count < task->count - task->done, last = result->flags & RESULT_LAST;
    bool given_back = result->flags & (RESULT_YIELDED | RESULT_STOPPED);
    if (given_back && task->done + result->count == 0)
        return false; /* or a task could go round for ever */
    return rest ? last == given_back : last && !given_back;
}

static void measure(struct scheduler *scheduler, struct sched_task *task, const struct sched_result *result,
                    uint64_t now_ns)
{
    /* Its times are the worker's word: they count as far as they can be true. */
    uint64_t most_ns = now_ns - task->given_ns;
    uint64_t busy_ns = result->ended_ns > result->started_ns ? result->ended_ns - result->started_ns : 0;
    busy_ns = busy_ns < most_ns ? busy_ns : most_ns;
    struct sched_call *call = task->call;
    struct function_state *function = &scheduler->functions[call->options.function];
    call->item_ns = plan_cost(call->item_ns, busy_ns, result->count);
    function->item_ns = plan_cost(function->item_ns, busy_ns, result->count);
    if (function->open_ns != 0 && result->failed < result->count &&
        scheduler_breaker_ns(scheduler, call->options.function, scheduler->run_ns) == 0)
        function->open_ns = function->crashes = 0; /* half open, and it works again */
    double due_ns = (double)busy_ns > task->paid_ns ? (double)busy_ns - task->paid_ns : 0;
    task->paid_ns -= (double)busy_ns - due_ns;
    call_charge(call, due_ns);
}

/* The head task has sent its last result. */
static void finish_task(struct scheduler *scheduler, struct slot *slot, const struct sched_result *result,
                        uint64_t now_ns)
{
    struct sched_task *task = slot_pop(scheduler, slot, now_ns);
    struct sched_call *call = task->call;
    if (slot->head == NULL && slot->state == SLOT_BUSY)
        slot_set(scheduler, slot, SLOT_READY, now_ns);
    if (slot->call != NULL && slot->call->options.isolated) { /* it was told to leave; if it does not, it is made to */
        slot->call->dedicated--;
        slot->call = NULL;
    }
    if (call != NULL) {
        call_charge(call, -task->paid_ns); /* it guessed too high */
        if (result->flags & (RESULT_YIELDED | RESULT_STOPPED)) {
            struct run rest = {.first = task->first + task->done, .count = task->count - task->done, .exit_code = -1};
            call_redo(scheduler, call, &rest);
        }
        call_check(scheduler, call);
    }
    free(task);
    if (slot->state == SLOT_READY && slot->dedicated && slot->call == NULL)
        slot_retire(scheduler, slot, now_ns);
}

enum sched_verdict scheduler_result(struct scheduler *scheduler, uint32_t number, const struct sched_result *result,
                                    uint64_t now_ns, struct sched_accepted *accepted)
{
    struct slot *slot = &scheduler->slots[number];
    struct sched_task *task = slot->head;
    scheduler->run_ns = now_ns;
    if (slot->state == SLOT_EMPTY || slot->state == SLOT_STARTING || !in_order(task, result))
        return SCHED_BREACH;
    struct sched_call *call = task->call;
    *accepted = (struct sched_accepted){call != NULL ? call->options.owner : NULL, task->first + task->done,
                                        task->attempts + 1};
    task->done += result->count;
    slot->items += result->count;
    if (result->count > 0)
        slot->seen_ns = now_ns;
    if (call != NULL) {
        call->ended += result->count;
        if (result->count > 0)
            measure(scheduler, task, result, now_ns);
        if (result->failed > 0 && call->options.stop_on_error)
            call_stop(scheduler, call);
    }
    if (result->flags & RESULT_LAST)
        finish_task(scheduler, slot, result, now_ns);
    return call != NULL ? SCHED_ACCEPTED : SCHED_STALE;
}

enum sched_verdict scheduler_malformed(struct scheduler *scheduler, uint32_t number, uint64_t id, uint64_t now_ns,
                                       struct sched_accepted *accepted)
{
    struct slot *slot = &scheduler->slots[number];
    struct sched_task *task = slot->head;
    scheduler->run_ns = now_ns;
    if (slot->state == SLOT_EMPTY || slot->state == SLOT_STARTING || task == NULL || task->id != id)
        return SCHED_BREACH;
    struct sched_call *call = task->call;
    *accepted = (struct sched_accepted){call != NULL ? call->options.owner : NULL, task->first, task->attempts + 1};
    struct sched_result result = {.task = id, .flags = RESULT_LAST | RESULT_STOPPED};
    if (call != NULL)
        call_stop(scheduler, call);
    finish_task(scheduler, slot, &result, now_ns);
    return call != NULL ? SCHED_ACCEPTED : SCHED_STALE;
}
