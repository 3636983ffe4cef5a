/* share: whose items which worker gets next: the rings of those that have work, their credit, a task's size and place.
 * Deficit round robin by worker time, over principals, then over the calls of one. What becomes of a task is not known
 * here. */
#include <stdlib.h>

#include "api/plan.h"
#include "server/scheduler_state.h"
#include "workers/log.h"

#define DEBT_NS 16000000.0    /* at most: a long item is not paid for over thousands of rounds */
#define FULL_MOST 64u         /* calls that find no room before the rest need not try */
#define UNREAD_NS 500000.0    /* work that may lie unread in a worker's pipe */
#define PACK_TASK_NS 20000.0  /* tasks below this join a worker that is awake already, */
#define PACK_LOAD_NS 100000.0 /* while it has less than this to do */
#define OVERDUE_NS 1000000.0  /* a worker this late with a task gets none behind that */
#define UNKNOWN_NS 1000000.0  /* guess for an item nobody has measured */
/* --- turns -------------------------------------------------------------------------------------------------------- */

void ring_leave(struct scheduler *scheduler, struct sched_call *call)
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

void ring_update(struct scheduler *scheduler, struct sched_call *call)
{
    if (!call->over && call_has_work(call))
        ring_join(scheduler, call);
    else
        ring_leave(scheduler, call);
}

struct principal *principal_get(struct scheduler *scheduler, uint32_t id)
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

void principal_put(struct scheduler *scheduler, struct principal *principal)
{
    if (--principal->calls > 0)
        return;
    struct principal **link = &scheduler->principals;
    while (*link != principal)
        link = &(*link)->all_next;
    *link = principal->all_next;
    free(principal);
}

/* --- workers ------------------------------------------------------------------------------------------------------ */

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

void call_charge(struct sched_call *call, double ns)
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
    action->flags =
        (uint16_t)((call->options.stop_on_error ? TASK_STOP_ON_ERROR : 0) | (call->options.isolated ? TASK_LEAVE : 0) |
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
    call_charge(call, task->paid_ns);
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
    uint32_t count =
        most > 1 ? scheduler->limits.fit(call->options.owner, run.first, most, call->options.chunksize > 0) : 1;
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

void hand_out_all(struct scheduler *scheduler, uint64_t now_ns)
{
    while (scheduler->ring != NULL && hand_out_one(scheduler, now_ns))
        ;
}
