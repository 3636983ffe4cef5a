/* scheduler: see scheduler.h. This file has the calls and the handing out of work; slots.c has the workers. */
#include "server/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "api/plan.h"
#include "server/scheduler_state.h"
#include "workers/log.h"

#define QUANTUM_NS 2000000.0     /* of deficit round robin */
#define DEBT_NS 16000000.0       /* at most: a long item is not paid for over thousands of rounds */
#define FULL_MOST 64u            /* calls that find no room before the rest need not try */
#define UNREAD_NS 500000.0       /* work that may lie unread in a worker's pipe */
#define PACK_TASK_NS 20000.0     /* tasks below this join a worker that is awake already, */
#define PACK_LOAD_NS 100000.0    /* while it has less than this to do */
#define OVERDUE_NS 1000000.0     /* a worker this late with a task gets none behind that */
#define UNKNOWN_NS 1000000.0     /* guess for an item nobody has measured */
#define FAIL_COUNT_MOST UINT32_MAX
#define CRASH_WINDOW_NS 30000000000ull
#define BREAKER_OPEN_NS 10000000000ull

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

static void ring_leave(struct scheduler *scheduler, struct sched_call *call)
{
    struct principal *principal = call->principal;
    if (call->ring_next == NULL)
        return;
    if (call->ring_next == call) {
        principal->ring = NULL;
        if (principal->next == principal) {
            scheduler->ring = NULL;
        } else {
            principal->prev->next = principal->next;
            principal->next->prev = principal->prev;
            if (scheduler->ring == principal)
                scheduler->ring = principal->next;
        }
        principal->next = principal->prev = NULL;
    } else {
        call->ring_prev->ring_next = call->ring_next;
        call->ring_next->ring_prev = call->ring_prev;
        if (principal->ring == call)
            principal->ring = call->ring_next;
    }
    call->ring_next = call->ring_prev = NULL;
}

/* Into the ring, last in turn. */
static void ring_join(struct scheduler *scheduler, struct sched_call *call)
{
    struct principal *principal = call->principal;
    if (call->ring_next != NULL)
        return;
    if (principal->ring == NULL) {
        principal->ring = call->ring_next = call->ring_prev = call;
        if (scheduler->ring == NULL) {
            scheduler->ring = principal->next = principal->prev = principal;
        } else {
            principal->next = scheduler->ring;
            principal->prev = scheduler->ring->prev;
            principal->prev->next = principal->next->prev = principal;
        }
    } else {
        call->ring_next = principal->ring;
        call->ring_prev = principal->ring->ring_prev;
        call->ring_prev->ring_next = call->ring_next->ring_prev = call;
    }
}

static void ring_update(struct scheduler *scheduler, struct sched_call *call)
{
    if (!call->over && call_has_work(call))
        ring_join(scheduler, call);
    else
        ring_leave(scheduler, call);
}

static struct principal *principal_get(struct scheduler *scheduler, uint32_t id)
{
    struct principal *principal = scheduler->principals;
    while (principal != NULL && principal->id != id)
        principal = principal->all_next;
    if (principal == NULL) {
        principal = calloc(1, sizeof *principal);
        if (principal == NULL)
            die("out of memory");
        principal->id = id;
        principal->credit_ns = QUANTUM_NS;
        principal->all_next = scheduler->principals;
        scheduler->principals = principal;
    }
    principal->calls++;
    return principal;
}

static void principal_put(struct scheduler *scheduler, struct principal *principal)
{
    if (--principal->calls > 0)
        return;
    struct principal **link = &scheduler->principals;
    while (*link != principal)
        link = &(*link)->all_next;
    *link = principal->all_next;
    free(principal);
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

/* What has not been handed out fails, all of it: the function's breaker is open. */
static void call_unavailable(struct scheduler *scheduler, struct sched_call *call)
{
    while (call->redo_count > 0) {
        struct run run = call->redo[--call->redo_count];
        call_fail(scheduler, call, run.first, run.count, run.attempts > 0 ? ITEM_WORKER_DIED : ITEM_UNAVAILABLE, &run);
    }
    if (call->handed < call->known)
        call_fail(scheduler, call, call->handed, call->known - call->handed, ITEM_UNAVAILABLE, NULL);
    call->handed = call->known;
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

/* --- breakers ----------------------------------------------------------------------------------------------------- */

void function_crashed(struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    struct function_state *function = &scheduler->functions[number];
    function->crash_ns[function->crashes++ % CRASHES_TO_OPEN] = now_ns;
    uint64_t oldest_ns = function->crash_ns[function->crashes % CRASHES_TO_OPEN]; /* of the last five */
    bool many = function->crashes >= CRASHES_TO_OPEN && now_ns - oldest_ns < CRASH_WINDOW_NS;
    if (!many && function->open_ns == 0)
        return;
    function->open_ns = now_ns;
    for (struct sched_call *call = scheduler->calls, *next; call != NULL; call = next) {
        next = call->next;
        if (call->options.function != number)
            continue;
        call_unavailable(scheduler, call);
        call_check(scheduler, call);
    }
}

uint64_t scheduler_breaker_ns(const struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    const struct function_state *function = &scheduler->functions[number];
    if (function->open_ns == 0 || now_ns - function->open_ns >= BREAKER_OPEN_NS)
        return 0;
    return function->open_ns + BREAKER_OPEN_NS;
}

/* --- handing out work --------------------------------------------------------------------------------------------- */

static uint32_t slots_used(const struct scheduler *scheduler, const struct sched_call *call)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < scheduler->slot_count; i++)
        for (struct sched_task *task = scheduler->slots[i].head; task != NULL; task = task->next)
            if (task->call == call) {
                used++;
                break;
            }
    return used;
}

static bool call_capped(const struct scheduler *scheduler, const struct sched_call *call)
{
    uint32_t most = call->options.processes;
    return most > 0 && call->in_flight >= most && slots_used(scheduler, call) >= most;
}

static bool slot_serves(const struct slot *slot, const struct sched_call *call)
{
    for (struct sched_task *task = slot->head; task != NULL; task = task->next)
        if (task->call == call)
            return true;
    return false;
}

static uint32_t call_workers(const struct scheduler *scheduler, const struct sched_call *call)
{
    if (call->options.processes > 0)
        return call->options.processes;
    return scheduler_target(scheduler);
}

/* A worker of the call's own: one that has room, or a new one. */
static struct slot *choose_dedicated(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns)
{
    if (!call->options.isolated)
        for (uint32_t i = 0; i < scheduler->slot_count; i++) {
            struct slot *slot = &scheduler->slots[i];
            if (slot->call == call && slot->state == SLOT_READY && slot->head == NULL)
                return slot;
        }
    if (call->dedicated >= call_workers(scheduler, call))
        return NULL;
    return slot_fork(scheduler, call, call->options.spawn, now_ns);
}

/* The shared worker that should get a task of about `guess_ns`, or NULL: all have enough to do. */
static struct slot *choose_shared(struct scheduler *scheduler, const struct sched_call *call, double guess_ns,
                                  bool alone, uint64_t now_ns)
{
    bool capped = call_capped(scheduler, call);
    bool pack = guess_ns <= PACK_TASK_NS && call->options.processes == 0 && !alone;
    struct slot *idle = NULL, *least = NULL;
    for (uint32_t i = 0; i < scheduler->slot_count; i++) {
        struct slot *slot = &scheduler->slots[i];
        if ((slot->state != SLOT_READY && slot->state != SLOT_BUSY) || slot->dedicated || slot->alone)
            continue;
        if (capped && !slot_serves(slot, call))
            continue;
        if (slot->head == NULL) {
            idle = idle == NULL ? slot : idle;
            continue;
        }
        if ((double)(now_ns - slot->head_ns) > slot->head->guess_ns + OVERDUE_NS)
            continue; /* its item is a long one: who queues behind it waits for nobody knows how long */
        if (pack && slot->load_ns + guess_ns <= PACK_LOAD_NS)
            return slot;
        if (slot->load_ns - slot->head->guess_ns + guess_ns <= UNREAD_NS &&
            (least == NULL || slot->load_ns < least->load_ns))
            least = slot;
    }
    /* Whoever asked for more processes than there are waits for those that start, not behind those that are busy. */
    bool growing = call->options.processes > 0 && !capped && scheduler->starting > 0;
    return idle != NULL || alone || growing ? idle : least;
}

static struct sched_task *task_new(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns,
                                   struct run *run, uint32_t count)
{
    struct sched_task *task = malloc(sizeof *task);
    if (task == NULL)
        die("out of memory");
    *task = (struct sched_task){.id = ++scheduler->last_task,
                                .given_ns = now_ns,
                                .first = run->first,
                                .count = count,
                                .attempts = run->attempts,
                                .restarts = run->restarts,
                                .guess_ns = (call->item_ns > 0 ? call->item_ns : UNKNOWN_NS) * count,
                                .call = call};
    return task;
}

/* Worker time, taken from a call's and its principal's credit; below 0 it is given back. */
static void charge(struct sched_call *call, double ns)
{
    double *const credits_ns[] = {&call->credit_ns, &call->principal->credit_ns};
    for (size_t i = 0; i < 2; i++) {
        double left_ns = *credits_ns[i] - ns;
        *credits_ns[i] = left_ns < -DEBT_NS ? -DEBT_NS : left_ns > QUANTUM_NS ? QUANTUM_NS : left_ns;
    }
}

static void assign(struct scheduler *scheduler, struct slot *slot, struct sched_task *task, uint64_t now_ns)
{
    struct sched_call *call = task->call;
    struct sched_action *action = action_add(scheduler, SCHED_DISPATCH, call->options.owner);
    action->slot = (uint32_t)(slot - scheduler->slots);
    action->generation = slot->generation;
    action->task = task->id;
    action->first = task->first;
    action->count = task->count;
    action->flags = (uint16_t)((call->options.stop_on_error ? TASK_STOP_ON_ERROR : 0) |
                               (call->options.isolated ? TASK_LEAVE : 0) |
                               (call->item_ns > 0 && task->guess_ns < PACK_LOAD_NS ? TASK_QUICK : 0));
    if (call->options.chunksize == 0 && task->attempts == 0 && !call->options.isolated)
        action->budget_us = PLAN_BUDGET_NS / 1000;
    if (slot->head == NULL) {
        slot->head = task;
        slot->seen_ns = slot->head_ns = now_ns;
        slot->seen_task = 0;
        scheduler->busy++;
    } else {
        slot->tail->next = task;
    }
    slot->tail = task;
    slot->load_ns += task->guess_ns;
    slot->alone = task->attempts > 0;
    if (slot->state == SLOT_READY)
        slot_set(scheduler, slot, SLOT_BUSY, now_ns);
    call->in_flight++;
    task->paid_ns = task->guess_ns < DEBT_NS ? task->guess_ns : DEBT_NS;
    charge(call, task->paid_ns);
}

/* The next items of a call: from those to be run again, else fresh ones. */
static struct run next_run(const struct sched_call *call)
{
    if (call->redo_count > 0)
        return call->redo[call->redo_count - 1];
    return (struct run){.first = call->handed, .count = call->known - call->handed, .exit_code = -1};
}

static void take_run(struct sched_call *call, uint32_t count)
{
    if (call->redo_count == 0) {
        call->handed += count;
        return;
    }
    struct run *run = &call->redo[call->redo_count - 1];
    run->first += count;
    run->count -= count;
    if (run->count == 0)
        call->redo_count--;
}

enum handed {
    HANDED_OUT,
    HANDED_FULL, /* the workers have enough to do */
    HANDED_NONE, /* it has the workers that it may have */
};

/* One task of this call to some worker. */
static enum handed hand_out(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns)
{
    struct run run = next_run(call);
    struct plan plan = {.item_ns = call->item_ns,
                        .chunksize = call->options.chunksize,
                        .available = run.count,
                        .workers = call_workers(scheduler, call)};
    uint64_t chunk = call->options.isolated || run.attempts > 0 ? 1 : plan_chunk(&plan);
    uint32_t most = chunk < UINT32_MAX ? (uint32_t)chunk : UINT32_MAX;
    bool dedicated = call->options.isolated || call->options.spawn;
    double guess_ns = (call->item_ns > 0 ? call->item_ns : UNKNOWN_NS) * most;
    struct slot *slot = dedicated ? choose_dedicated(scheduler, call, now_ns)
                                  : choose_shared(scheduler, call, guess_ns, run.attempts > 0, now_ns);
    if (slot == NULL)
        return dedicated || call_capped(scheduler, call) ? HANDED_NONE : HANDED_FULL;
    uint32_t count = most > 1 ? scheduler->limits.fit(call->options.owner, run.first, most, call->options.chunksize > 0)
                              : 1;
    take_run(call, count);
    assign(scheduler, slot, task_new(scheduler, call, now_ns, &run, count), now_ns);
    return HANDED_OUT;
}

/* One task of some call of this principal: of those that have credit, or, once none of these can use its own, of any
 * after a new round. Whoever has credit and finds no room holds that round back: so no stream of small tasks keeps a
 * larger one, or one that must run alone, waiting for ever. */
static enum handed hand_out_call(struct scheduler *scheduler, struct principal *principal, uint64_t now_ns)
{
    for (;;) {
        uint32_t full = 0;
        bool debts = false;
        struct sched_call *call = principal->ring;
        do {
            debts |= call->credit_ns <= 0;
            enum handed handed = call->credit_ns > 0 ? hand_out(scheduler, call, now_ns) : HANDED_NONE;
            full += handed == HANDED_FULL;
            if (handed == HANDED_OUT) {
                if (call == principal->ring && call->credit_ns <= 0)
                    principal->ring = call->ring_next;
                ring_update(scheduler, call);
                return HANDED_OUT;
            }
            call = call->ring_next;
        } while (call != principal->ring && full < FULL_MOST);
        if (full > 0 || !debts)
            return full > 0 ? HANDED_FULL : HANDED_NONE;
        do {
            call->credit_ns += call->credit_ns <= 0 ? QUANTUM_NS : 0;
            call = call->ring_next;
        } while (call != principal->ring);
    }
}

/* Deficit round robin over principals, as above over the calls of one; false: nothing more can be handed out now. */
static bool hand_out_one(struct scheduler *scheduler, uint64_t now_ns)
{
    uint32_t full = 0;
    bool debts = false;
    struct principal *principal = scheduler->ring;
    do {
        debts |= principal->credit_ns <= 0;
        enum handed handed = principal->credit_ns > 0 ? hand_out_call(scheduler, principal, now_ns) : HANDED_NONE;
        full += handed == HANDED_FULL;
        if (handed == HANDED_OUT) {
            if (principal == scheduler->ring && principal->credit_ns <= 0)
                scheduler->ring = principal->next;
            return true;
        }
        principal = principal->next;
    } while (principal != scheduler->ring && full < FULL_MOST);
    if (full > 0 || !debts)
        return false;
    do {
        principal->credit_ns += principal->credit_ns <= 0 ? QUANTUM_NS : 0;
        principal = principal->next;
    } while (principal != scheduler->ring);
    return true;
}

static void hand_out_all(struct scheduler *scheduler, uint64_t now_ns)
{
    while (scheduler->ring != NULL && hand_out_one(scheduler, now_ns))
        ;
}

/* --- results ------------------------------------------------------------------------------------------------------ */

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
    charge(call, due_ns);
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
        charge(call, -task->paid_ns); /* it guessed too high */
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
    if (scheduler->grown > scheduler->limits.workers &&
        scheduler->grown_ns + scheduler->limits.idle_shrink_ns < due_ns)
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
    for (const struct sched_call *call = scheduler->calls; call != NULL; call = call->next)
        backlog_ns += (double)(call->known - call->ended) * (call->item_ns > 0 ? call->item_ns : 0);
    return (uint64_t)(backlog_ns / (scheduler->limits.workers > 0 ? scheduler->limits.workers : 1));
}

size_t scheduler_calls(const struct scheduler *scheduler)
{
    return scheduler->call_count;
}
