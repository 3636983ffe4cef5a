/* slots: the scheduler's half about workers: their states, refill, time limits, and who pays for a death.
 * Fixed slots, named states; slot_set() is the one place that changes them. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "server/scheduler_state.h"

#define START_TIMEOUT_NS 10000000000ull /* from fork to READY */
#define STUCK_NS 5000000000ull          /* a worker with tasks that begins none is no worker */
#define LONG_ITEM_NS 5000000ull         /* an item seen so long holds nobody else's */
#define ORPHAN_NS 50000000ull           /* how long a task may run on for a call that is over */
#define RESTARTS_MOST 8u                /* deaths without blame before the first item gets it */
#define BACKOFF_FIRST_NS 50000000ull
#define BACKOFF_MOST_NS 5000000000ull

static const char *const state_names[SLOT_STATES] = {"empty",   "starting", "ready", "busy",
                                                     "waiting", "leaving",  "dying"};

const char *slot_state_name(enum slot_state state)
{
    return (unsigned)state < SLOT_STATES ? state_names[state] : "?";
}

static bool is_live(enum slot_state state)
{
    return state == SLOT_READY || state == SLOT_BUSY;
}

void slot_set(struct scheduler *scheduler, struct slot *slot, enum slot_state state, uint64_t now_ns)
{
    if (!slot->dedicated) {
        scheduler->live += (uint32_t)is_live(state) - (uint32_t)is_live(slot->state);
        scheduler->starting += (uint32_t)(state == SLOT_STARTING) - (uint32_t)(slot->state == SLOT_STARTING);
    }
    slot->state = state;
    slot->state_ns = now_ns;
}

static struct sched_action *slot_action(struct scheduler *scheduler, enum sched_action_type type, struct slot *slot)
{
    struct sched_action *action = action_add(scheduler, type, NULL);
    action->slot = (uint32_t)(slot - scheduler->slots);
    action->generation = slot->generation;
    return action;
}

void slot_kill(struct scheduler *scheduler, struct slot *slot, enum kill_reason reason, uint64_t now_ns)
{
    if (slot->state == SLOT_EMPTY || slot->state == SLOT_DYING)
        return;
    slot->kill = reason;
    slot_set(scheduler, slot, SLOT_DYING, now_ns);
    slot_action(scheduler, SCHED_KILL, slot)->spare = reason == KILL_CANCEL;
}

void slot_retire(struct scheduler *scheduler, struct slot *slot, uint64_t now_ns)
{
    slot_set(scheduler, slot, SLOT_LEAVING, now_ns);
    slot_action(scheduler, SCHED_RETIRE, slot);
}

struct slot *slot_fork(struct scheduler *scheduler, struct sched_call *dedicated_to, bool spawn, uint64_t now_ns)
{
    struct slot *slot = scheduler->slots, *end = slot + scheduler->slot_count;
    while (slot < end && slot->state != SLOT_EMPTY)
        slot++;
    if (slot == end || !scheduler->link || now_ns < scheduler->retry_ns)
        return NULL;
    *slot = (struct slot){.generation = slot->generation + 1};
    slot->dedicated = dedicated_to != NULL;
    slot->call = dedicated_to;
    slot_set(scheduler, slot, SLOT_STARTING, now_ns);
    slot_action(scheduler, SCHED_FORK, slot)->spawn = spawn;
    if (dedicated_to != NULL)
        dedicated_to->dedicated++;
    return slot;
}

/* The first task leaves the slot's queue; the caller frees it. */
struct sched_task *slot_pop(struct scheduler *scheduler, struct slot *slot, uint64_t now_ns)
{
    struct sched_task *task = slot->head;
    slot->head = task->next;
    slot->load_ns -= task->guess_ns;
    if (slot->head == NULL) {
        slot->tail = NULL;
        slot->load_ns = 0;
        slot->alone = false;
        scheduler->busy--;
    }
    slot->seen_task = 0;
    slot->seen_ns = slot->head_ns = now_ns;
    slot->orphan_ns = slot->head != NULL && slot->head->call == NULL ? now_ns : 0;
    if (task->call != NULL)
        task->call->in_flight--;
    return task;
}

/* --- time limits -------------------------------------------------------------------------------------------------- */

/* Behind, or unwritten before, an item that takes long: what else this worker was given is given to others. It may do
 * it all the same, later; that is stale then. */
static void unload(struct scheduler *scheduler, struct slot *slot, const struct sched_task *long_one)
{
    for (struct sched_task *task = slot->head; task != NULL; task = task->next) {
        struct sched_call *call = task->call;
        if (task == long_one || call == NULL)
            continue;
        struct run rest = {.first = task->first + task->done,
                           .count = task->count - task->done,
                           .attempts = task->attempts,
                           .restarts = task->restarts,
                           .exit_code = -1};
        task->call = NULL;
        call->in_flight--;
        call_charge(call, -task->paid_ns); /* who computes it now is paid anew */
        call_redo(scheduler, call, &rest);
        call_check(scheduler, call);
    }
}

/* The task whose item the page shows; NULL: none of this slot's. Results of those before it may not be written yet. */
static struct sched_task *shown_task(const struct slot *slot, uint64_t page_task, uint32_t page_item)
{
    struct sched_task *task = slot->head;
    while (task != NULL && task->id != page_task)
        task = task->next;
    return task != NULL && page_item < task->count ? task : NULL;
}

void scheduler_sample(struct scheduler *scheduler, uint32_t number, uint64_t page_task, uint32_t page_item,
                      bool item_clock, uint64_t now_ns)
{
    struct slot *slot = &scheduler->slots[number];
    if (slot->head == NULL || slot->state == SLOT_STARTING || slot->state == SLOT_DYING)
        return;
    const struct sched_task *shown = shown_task(slot, page_task, page_item);
    if (shown != NULL && shown->call != NULL)
        slot->orphan_ns = 0; /* stale ones before it are computed already */
    else if (shown != NULL && slot->orphan_ns == 0)
        slot->orphan_ns = now_ns;
    if (slot->seen_task != page_task || slot->seen_item != page_item || !item_clock) {
        slot->seen_task = page_task;
        slot->seen_item = page_item;
        slot->seen_ns = now_ns;
        return;
    }
    uint64_t seen_ns = now_ns - slot->seen_ns;
    if (shown != NULL && seen_ns > LONG_ITEM_NS && !slot->dedicated)
        unload(scheduler, slot, shown);
    if (shown == NULL && seen_ns > STUCK_NS)
        slot_kill(scheduler, slot, KILL_STUCK, now_ns);
    else if (shown != NULL && shown->call != NULL && seen_ns > shown->call->options.item_timeout_ns)
        slot_kill(scheduler, slot, KILL_TIMEOUT, now_ns);
}

static void refill(struct scheduler *scheduler, uint64_t now_ns)
{
    uint32_t target = scheduler_target(scheduler);
    while (scheduler->live + scheduler->starting < target)
        if (slot_fork(scheduler, NULL, scheduler->limits.spawn, now_ns) == NULL)
            break;
    for (uint32_t i = scheduler->slot_count; i-- > 0 && scheduler->live > target;) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->state == SLOT_READY && !slot->dedicated)
            slot_retire(scheduler, slot, now_ns);
    }
}

void slots_tick(struct scheduler *scheduler, uint64_t now_ns)
{
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->orphan_ns != 0 && now_ns - slot->orphan_ns > ORPHAN_NS)
            slot_kill(scheduler, slot, KILL_CANCEL, now_ns);
        else if (slot->state == SLOT_STARTING && now_ns - slot->state_ns > START_TIMEOUT_NS)
            slot_kill(scheduler, slot, KILL_STUCK, now_ns);
        else if (slot->state == SLOT_LEAVING && now_ns - slot->state_ns > STUCK_NS)
            slot_kill(scheduler, slot, KILL_STUCK, now_ns);
    }
    if (scheduler->grown > scheduler->limits.workers &&
        now_ns - scheduler->grown_ns > scheduler->limits.idle_shrink_ns) {
        scheduler->grown = scheduler->limits.workers;
        for (struct sched_call *call = scheduler->calls; call != NULL; call = call->next)
            if (call_shared(scheduler, &call->options) > scheduler->grown)
                scheduler->grown = call_shared(scheduler, &call->options);
        scheduler->grown_ns = now_ns;
    }
    refill(scheduler, now_ns);
}

/* --- deaths ------------------------------------------------------------------------------------------------------- */

static bool is_crash_signal(int number)
{
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL || number == SIGABRT ||
           number == SIGTRAP || number == SIGSYS;
}

/* What the item that was being run when the worker died gets, unless it is tried again: ITEM_OK stands for that. */
static enum item_error classify(const struct scheduler *scheduler, const struct slot *slot,
                                const struct sched_death *death)
{
    if (slot->kill == KILL_TIMEOUT)
        return ITEM_TIMEOUT;
    if (slot->kill == KILL_MEMORY)
        return ITEM_MEMORY_LIMIT;
    if (death->lost)
        return ITEM_OK;
    int number = WIFSIGNALED(death->status) ? WTERMSIG(death->status) : 0;
    bool full = scheduler->limits.memory_bytes > 0 && death->peak_bytes > scheduler->limits.memory_bytes / 10 * 7;
    if (full && (number == SIGABRT || number == SIGILL || number == SIGTRAP || number == SIGSEGV))
        return ITEM_MEMORY_LIMIT;
    if (full && WIFEXITED(death->status) && WEXITSTATUS(death->status) == 70)
        return ITEM_MEMORY_LIMIT; /* its own allocation failed: die() */
    if (number == SIGSYS)
        return ITEM_SANDBOX_VIOLATION;
    return ITEM_OK;
}

static void blame(struct scheduler *scheduler, struct slot *slot, const struct sched_task *task, uint32_t item,
                  const struct sched_death *death, uint64_t now_ns)
{
    struct sched_call *call = task->call;
    struct run run = {.first = task->first + item, .count = 1, .attempts = task->attempts + 1, .exit_code = -1};
    if (!death->lost && WIFSIGNALED(death->status))
        run.signal = WTERMSIG(death->status);
    else if (!death->lost && WIFEXITED(death->status))
        run.exit_code = WEXITSTATUS(death->status);
    enum item_error error = classify(scheduler, slot, death);
    bool ours = slot->kill != KILL_NONE;
    uint32_t function = call->options.function;
    bool crash =
        error == ITEM_OK && (!ours || slot->kill == KILL_BREACH) && (is_crash_signal(run.signal) || run.exit_code > 0);
    if (error != ITEM_OK)
        call_fail(scheduler, call, run.first, 1, error, &run);
    else if (run.attempts > call->options.crash_retries)
        call_fail(scheduler, call, run.first, 1, ITEM_WORKER_DIED, &run);
    else
        call_redo(scheduler, call, &run);
    if (crash)
        function_crashed(scheduler, function, now_ns);
}

static bool on_page(const struct sched_task *task, const struct sched_death *death)
{
    return death->page_task == task->id && death->page_item < task->count && death->page_item >= task->done;
}

/* The items of a dead worker's task that have no result: the one it was at is blamed, the others run again. `unclear`:
 * nobody is, and this task was next. */
static void settle_task(struct scheduler *scheduler, struct slot *slot, const struct sched_task *task, bool unclear,
                        const struct sched_death *death, uint64_t now_ns)
{
    struct sched_call *call = task->call;
    bool seen = on_page(task, death);
    uint32_t restarts = task->restarts + (unclear ? 1 : 0);
    bool worn_out = unclear && restarts > RESTARTS_MOST;
    struct run rest = {.first = task->first + task->done,
                       .count = task->count - task->done,
                       .attempts = task->attempts,
                       .restarts = restarts,
                       .exit_code = -1};
    if (rest.count == 0)
        return;
    if (!seen && !worn_out) {
        call_redo(scheduler, call, &rest);
        return;
    }
    uint32_t guilty = seen ? death->page_item : task->done;
    struct run before = rest, after = rest;
    before.count = guilty - task->done;
    before.attempts = after.attempts = 0;
    after.first = task->first + guilty + 1;
    after.count = task->count - guilty - 1;
    if (before.count > 0)
        call_redo(scheduler, call, &before);
    if (after.count > 0)
        call_redo(scheduler, call, &after);
    blame(scheduler, slot, task, guilty, death, now_ns);
}

static void back_off(struct scheduler *scheduler, uint64_t now_ns)
{
    uint64_t wait_ns = BACKOFF_FIRST_NS << (scheduler->start_failures < 7 ? scheduler->start_failures : 7);
    if (wait_ns > BACKOFF_MOST_NS)
        wait_ns = BACKOFF_MOST_NS;
    scheduler->start_failures++;
    scheduler->jitter = scheduler->jitter * 6364136223846793005u + 1442695040888963407u;
    scheduler->retry_ns = now_ns + wait_ns - wait_ns / 4 * (scheduler->jitter >> 56) / 256;
}

void scheduler_ended(struct scheduler *scheduler, uint32_t number, const struct sched_death *death, uint64_t now_ns)
{
    struct slot *slot = &scheduler->slots[number];
    if (slot->state == SLOT_EMPTY)
        return;
    if (!slot->served && slot->kill != KILL_CANCEL && !death->lost)
        back_off(scheduler, now_ns); /* also one that was killed for how it began */
    struct sched_death end = *death;
    bool moved = end.page_task != slot->seen_task || end.page_item != slot->seen_item;
    bool limit = slot->kill == KILL_TIMEOUT || slot->kill == KILL_MEMORY;
    if (slot->kill == KILL_CANCEL || slot->kill == KILL_STUCK || (limit && moved))
        end.page_task = 0; /* whatever it came to while the kill was under way: not that item's fault */
    bool unclear = slot->state != SLOT_LEAVING && slot->kill != KILL_CANCEL;
    for (const struct sched_task *task = slot->head; task != NULL; task = task->next)
        unclear = unclear && !on_page(task, &end);
    if (slot->call != NULL)
        slot->call->dedicated--;
    slot->call = NULL;
    slot_set(scheduler, slot, SLOT_EMPTY, now_ns);
    while (slot->head != NULL) {
        struct sched_task *task = slot_pop(scheduler, slot, now_ns);
        struct sched_call *call = task->call;
        if (call != NULL) {
            settle_task(scheduler, slot, task, unclear, &end, now_ns);
            call_check(scheduler, call);
        }
        unclear = false;
        free(task);
    }
    *slot = (struct slot){.generation = slot->generation};
}

void scheduler_fork_failed(struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    struct sched_death death = {.lost = true};
    if (scheduler->slots[number].state == SLOT_STARTING)
        back_off(scheduler, now_ns);
    scheduler_ended(scheduler, number, &death, now_ns);
}

void scheduler_ready(struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    struct slot *slot = &scheduler->slots[number];
    if (slot->state != SLOT_STARTING)
        return;
    scheduler->start_failures = 0;
    slot->served = true;
    slot->seen_ns = now_ns;
    slot_set(scheduler, slot, slot->head != NULL ? SLOT_BUSY : SLOT_READY, now_ns);
}

void scheduler_bye(struct scheduler *scheduler, uint32_t number, uint64_t last_task, uint64_t now_ns)
{
    struct slot *slot = &scheduler->slots[number];
    if (slot->state == SLOT_DYING || slot->state == SLOT_EMPTY || slot->state == SLOT_LEAVING)
        return;
    (void)last_task; /* whatever is still queued here is unread: its end gives it back */
    slot_set(scheduler, slot, SLOT_LEAVING, now_ns);
    if (slot->call != NULL) {
        slot->call->dedicated--;
        slot->call = NULL;
    }
}

void scheduler_breach(struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    slot_kill(scheduler, &scheduler->slots[number], KILL_BREACH, now_ns);
}

void scheduler_over_memory(struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    slot_kill(scheduler, &scheduler->slots[number], KILL_MEMORY, now_ns);
}
