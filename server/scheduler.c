/* scheduler: see scheduler.h. This file has the calls, from their beginning to their end, and time; share.c hands
 * out their work, verdict.c takes results, breaker.c knows whom to refuse, slots.c has the workers. */
#include "server/scheduler.h"

#include <stdlib.h>

#include "api/plan.h"
#include "server/scheduler_state.h"
#include "workers/log.h"

#define FAIL_COUNT_MOST UINT32_MAX

struct scheduler *scheduler_new(const struct scheduler_limits *limits)
{
    struct scheduler *scheduler = calloc(1, sizeof *scheduler);
    if (scheduler == NULL)
        die("out of memory");
    scheduler->limits = *limits;
    scheduler->grown = limits->workers;
    scheduler->deadline_ns = UINT64_MAX;
    scheduler->jitter = 88172645463325252u;
    scheduler->slot_count = limits->max_workers * 2 + 8;
    scheduler->slots = calloc(scheduler->slot_count, sizeof *scheduler->slots);
    scheduler->functions = calloc(limits->functions, sizeof *scheduler->functions);
    if (scheduler->slots == NULL || scheduler->functions == NULL)
        die("out of memory");
    return scheduler;
}

static void call_free(struct scheduler *scheduler, struct sched_call *call);

void scheduler_free(struct scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    while (scheduler->calls != NULL)
        scheduler_cancel(scheduler, scheduler->calls, scheduler->run_ns);
    for (uint32_t i = 0; i < scheduler->slot_count; i++)
        while (scheduler->slots[i].head != NULL)
            free(slot_pop(scheduler, &scheduler->slots[i], scheduler->run_ns));
    free(scheduler->slots);
    free(scheduler->functions);
    free(scheduler->actions);
    free(scheduler);
}

/* --- actions ------------------------------------------------------------------------------------------------------ */

struct sched_action *action_add(struct scheduler *scheduler, enum sched_action_type type, void *owner)
{
    if (scheduler->action_head == scheduler->action_count)
        scheduler->action_head = scheduler->action_count = 0;
    if (scheduler->action_count == scheduler->action_capacity) {
        scheduler->action_capacity = scheduler->action_capacity ? scheduler->action_capacity * 2 : 64;
        scheduler->actions = realloc(scheduler->actions, scheduler->action_capacity * sizeof *scheduler->actions);
        if (scheduler->actions == NULL)
            die("out of memory: %zu actions", scheduler->action_capacity);
    }
    struct sched_action *action = &scheduler->actions[scheduler->action_count++];
    *action = (struct sched_action){.type = type, .owner = owner};
    return action;
}

bool scheduler_take(struct scheduler *scheduler, struct sched_action *action)
{
    while (scheduler->action_head < scheduler->action_count) {
        *action = scheduler->actions[scheduler->action_head++];
        if (action->type == SCHED_END) {
            struct sched_call *call = action->owner;
            action->owner = call->options.owner;
            call_free(scheduler, call);
            return true;
        }
        bool owned = action->type == SCHED_DISPATCH || action->type == SCHED_FAIL;
        if (!owned || action->owner != NULL)
            return true;
    }
    return false;
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

bool call_has_work(const struct sched_call *call)
{
    return !call->stopping && (call->redo_count > 0 || call->handed < call->known);
}

static void call_free(struct scheduler *scheduler, struct sched_call *call)
{
    ring_leave(scheduler, call);
    principal_put(scheduler, call->principal);
    free(call->redo);
    free(call);
}

uint32_t call_shared(const struct scheduler *scheduler, const struct sched_options *options)
{
    uint32_t most = scheduler->limits.max_workers;
    if (options->isolated || options->spawn)
        return 0;
    return options->processes < most ? options->processes : most;
}

struct sched_call *scheduler_call(struct scheduler *scheduler, const struct sched_options *options, uint64_t now_ns)
{
    struct sched_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        die("out of memory");
    call->options = *options;
    call->credit_ns = QUANTUM_NS;
    call->principal = principal_get(scheduler, options->principal);
    call->item_ns = scheduler->functions[options->function].item_ns;
    if (call->item_ns <= 0)
        call->item_ns = options->item_ns;
    call->next = scheduler->calls;
    if (call->next != NULL)
        call->next->prev = call;
    scheduler->calls = call;
    scheduler->call_count++;
    if (options->deadline_ns < scheduler->deadline_ns)
        scheduler->deadline_ns = options->deadline_ns;
    uint32_t shared = call_shared(scheduler, options);
    scheduler->grown = shared > scheduler->grown ? shared : scheduler->grown;
    if (shared > scheduler->limits.workers)
        scheduler->grown_ns = now_ns;
    return call;
}

/* Off the list of calls; what is in flight becomes stale. */
static void call_detach(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns)
{
    ring_leave(scheduler, call);
    if (call->prev != NULL)
        call->prev->next = call->next;
    else
        scheduler->calls = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    scheduler->call_count--;
    for (uint32_t i = 0; i < scheduler->slot_count && (call->in_flight > 0 || call->dedicated > 0); i++) {
        struct slot *slot = &scheduler->slots[i];
        for (struct sched_task *task = slot->head; task != NULL; task = task->next)
            if (task->call == call) {
                task->call = NULL;
                call->in_flight--;
                if (task == slot->head)
                    slot->orphan_ns = now_ns;
            }
        if (slot->call != call)
            continue;
        slot->call = NULL;
        call->dedicated--;
        if (slot->state == SLOT_READY)
            slot_retire(scheduler, slot, now_ns);
        else if (slot->state == SLOT_STARTING || slot->state == SLOT_BUSY)
            slot_kill(scheduler, slot, KILL_CANCEL, now_ns);
    }
}

static void call_end(struct scheduler *scheduler, struct sched_call *call, enum sched_ended ended, uint64_t now_ns)
{
    call_detach(scheduler, call, now_ns);
    call->over = true;
    action_add(scheduler, SCHED_END, call)->ended = ended;
}

void call_check(struct scheduler *scheduler, struct sched_call *call)
{
    if (call->over)
        return;
    ring_update(scheduler, call);
    if (call->in_flight == 0 && call->complete && !call_has_work(call))
        call_end(scheduler, call, call->ended == call->known ? SCHED_COMPLETE : SCHED_STOPPED, scheduler->run_ns);
}

void scheduler_cancel(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns)
{
    for (size_t i = scheduler->action_head; i < scheduler->action_count; i++) {
        struct sched_action *action = &scheduler->actions[i];
        if (action->type == SCHED_END ? action->owner == call
                                      : action->owner != NULL && action->owner == call->options.owner) {
            action->type = action->type == SCHED_END ? SCHED_FAIL : action->type;
            action->owner = NULL; /* scheduler_take() passes it over */
        }
    }
    if (!call->over)
        call_detach(scheduler, call, now_ns);
    call_free(scheduler, call);
}

void call_stop(struct scheduler *scheduler, struct sched_call *call)
{
    call->stopping = true;
    ring_leave(scheduler, call);
}

void call_fail(struct scheduler *scheduler, struct sched_call *call, uint64_t first, uint64_t count,
               enum item_error error, const struct run *run)
{
    call->ended += count;
    while (count > 0) {
        uint32_t now = count < FAIL_COUNT_MOST ? (uint32_t)count : FAIL_COUNT_MOST;
        struct sched_action *action = action_add(scheduler, SCHED_FAIL, call->options.owner);
        action->first = first;
        action->count = now;
        action->error = error;
        action->attempts = run != NULL ? run->attempts : 0;
        action->signal = run != NULL ? run->signal : 0;
        action->exit_code = run != NULL ? run->exit_code : -1;
        first += now;
        count -= now;
    }
    if (call->options.stop_on_error)
        call_stop(scheduler, call);
}

void call_redo(struct scheduler *scheduler, struct sched_call *call, const struct run *run)
{
    if (call->redo_count == call->redo_capacity) {
        call->redo_capacity = call->redo_capacity ? call->redo_capacity * 2 : 8;
        call->redo = realloc(call->redo, call->redo_capacity * sizeof *call->redo);
        if (call->redo == NULL)
            die("out of memory: %zu runs", call->redo_capacity);
    }
    size_t at = call->redo_count++;
    for (; at > 0 && call->redo[at - 1].first < run->first; at--)
        call->redo[at] = call->redo[at - 1];
    call->redo[at] = *run;
    ring_update(scheduler, call);
}

void scheduler_items(struct scheduler *scheduler, struct sched_call *call, uint64_t known, bool complete)
{
    if (call->over)
        return;
    call->known = known;
    call->complete = complete;
    if (scheduler->functions[call->options.function].open_ns != 0 && call->ended > 0 && call->handed < known &&
        scheduler_breaker_ns(scheduler, call->options.function, scheduler->run_ns) != 0)
        call_unavailable(scheduler, call);
    call_check(scheduler, call);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* The call's time is up: what runs is told as timed out, the rest is not run. */
static void call_deadline(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns)
{
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        struct slot *slot = &scheduler->slots[i];
        struct sched_task *task = slot->head;
        if (task == NULL || task->call != call || slot->seen_task != task->id || slot->seen_item < task->done ||
            slot->seen_item >= task->count)
            continue;
        struct run run = {.attempts = task->attempts + 1, .exit_code = -1};
        call_fail(scheduler, call, task->first + slot->seen_item, 1, ITEM_TIMEOUT, &run);
        scheduler->actions[scheduler->action_count - 1].by_deadline = true;
    }
    call_end(scheduler, call, SCHED_DEADLINE, now_ns);
}

static void deadlines(struct scheduler *scheduler, uint64_t now_ns)
{
    scheduler->deadline_ns = UINT64_MAX;
    for (struct sched_call *call = scheduler->calls, *next; call != NULL; call = next) {
        next = call->next;
        if (now_ns >= call->options.deadline_ns)
            call_deadline(scheduler, call, now_ns);
        else if (call->options.deadline_ns < scheduler->deadline_ns)
            scheduler->deadline_ns = call->options.deadline_ns;
    }
}

void scheduler_run(struct scheduler *scheduler, uint64_t now_ns)
{
    scheduler->run_ns = now_ns;
    if (now_ns >= scheduler->deadline_ns)
        deadlines(scheduler, now_ns);
    slots_tick(scheduler, now_ns);
    hand_out_all(scheduler, now_ns);
}

uint64_t scheduler_due_ns(const struct scheduler *scheduler)
{
    uint64_t due_ns = scheduler->deadline_ns;
    bool wants = scheduler->live + scheduler->starting < scheduler_target(scheduler) || scheduler->ring != NULL;
    if (scheduler->link && wants && scheduler->retry_ns > scheduler->run_ns && scheduler->retry_ns < due_ns)
        due_ns = scheduler->retry_ns;
    if (scheduler->grown > scheduler->limits.workers && scheduler->grown_ns + scheduler->limits.idle_shrink_ns < due_ns)
        due_ns = scheduler->grown_ns + scheduler->limits.idle_shrink_ns;
    return due_ns;
}

/* --- what is known ------------------------------------------------------------------------------------------------ */

void scheduler_link(struct scheduler *scheduler, bool up)
{
    scheduler->link = up;
}

size_t scheduler_slots(const struct scheduler *scheduler)
{
    return scheduler->slot_count;
}

enum slot_state scheduler_slot_state(const struct scheduler *scheduler, uint32_t slot)
{
    return scheduler->slots[slot].state;
}

uint32_t scheduler_slot_generation(const struct scheduler *scheduler, uint32_t slot)
{
    return scheduler->slots[slot].generation;
}

uint64_t scheduler_slot_items(const struct scheduler *scheduler, uint32_t slot)
{
    return scheduler->slots[slot].items;
}

uint32_t scheduler_live(const struct scheduler *scheduler)
{
    return scheduler->live;
}

uint32_t scheduler_target(const struct scheduler *scheduler)
{
    return scheduler->grown;
}

double scheduler_item_ns(const struct scheduler *scheduler, uint32_t function)
{
    return scheduler->functions[function].item_ns;
}

uint64_t scheduler_backlog_ns(const struct scheduler *scheduler)
{
    double backlog_ns = 0;
    for (const struct sched_call *call = scheduler->calls; call != NULL; call = call->next) {
        double rest_ns = (double)(call->known - call->ended) * call->item_ns;
        double turn_ns = call->item_ns > PLAN_TARGET_NS ? call->item_ns : PLAN_TARGET_NS;
        backlog_ns += rest_ns < turn_ns ? rest_ns : turn_ns;
    }
    return (uint64_t)(backlog_ns / (scheduler->limits.workers > 0 ? scheduler->limits.workers : 1));
}

size_t scheduler_calls(const struct scheduler *scheduler)
{
    return scheduler->call_count;
}
