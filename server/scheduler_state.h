/* scheduler_state: the scheduler's tables, shared by scheduler.c (calls, time), share.c (handing out), verdict.c
 * (results), breaker.c (who is refused) and slots.c (workers, deaths) alone. */
#ifndef FORKMAP_SERVER_SCHEDULER_STATE_H
#define FORKMAP_SERVER_SCHEDULER_STATE_H

#include "server/scheduler.h"

#define CRASHES_TO_OPEN 5
#define QUANTUM_NS 2000000.0 /* of deficit round robin: a new call has it at once */

/* A run of items to be handed out again. */
struct run {
    uint64_t first, count;
    uint32_t attempts; /* deaths that the item is blamed for; then count is 1 and it runs alone */
    uint32_t restarts; /* deaths in this run that nobody could be blamed for */
    int signal, exit_code;
};

struct sched_task {
    struct sched_task *next;
    uint64_t id, first;
    uint32_t count, done;
    uint32_t attempts, restarts;
    double guess_ns;
    double paid_ns;          /* worker time taken from its call's credit and not yet used up */
    uint64_t given_ns;       /* when it was handed out */
    struct sched_call *call; /* NULL: its call is over, or others compute it: results are stale */
};

struct sched_call {
    struct sched_options options;
    struct principal *principal;
    struct sched_call *prev, *next;           /* all calls */
    struct sched_call *ring_prev, *ring_next; /* those of its principal that have work to hand out; NULL: not in it */
    uint64_t known, handed;                   /* items that exist, fresh items handed out */
    bool complete;                            /* known is final */
    bool stopping;                            /* nothing new is handed out */
    bool over;                                /* SCHED_END is queued */
    struct run *redo;                         /* descending by first: the last is next */
    size_t redo_count, redo_capacity;
    uint64_t ended;     /* items, in whatever way */
    uint32_t in_flight; /* tasks */
    uint32_t dedicated; /* workers of its own */
    double item_ns;
    double credit_ns; /* of worker time; at 0 and below it waits for the next round */
};

struct principal {
    struct principal *prev, *next; /* ring of those with ringed calls */
    struct principal *all_next;
    uint32_t id;
    uint32_t calls;
    struct sched_call *ring;
    double credit_ns;
};

enum kill_reason { KILL_NONE, KILL_TIMEOUT, KILL_MEMORY, KILL_CANCEL, KILL_BREACH, KILL_STUCK };

struct slot {
    enum slot_state state;
    uint32_t generation;
    struct sched_task *head, *tail;
    double load_ns; /* guesses of all its tasks */
    bool dedicated, alone;
    bool served;             /* it has said READY */
    struct sched_call *call; /* of a dedicated one; NULL once that is over */
    uint64_t seen_task, seen_ns;
    uint32_t seen_item;
    uint64_t head_ns;   /* when its first task became that */
    uint64_t state_ns;  /* when it took this state */
    uint64_t orphan_ns; /* since when it computes what nobody waits for; 0: it does not, or nobody knows yet */
    enum kill_reason kill;
    uint64_t items;
};

struct function_state {
    double item_ns;
    uint64_t crash_ns[CRASHES_TO_OPEN]; /* ring */
    uint32_t crashes;                   /* written to the ring */
    uint64_t open_ns;                   /* when its breaker opened; 0: closed */
};

struct scheduler {
    struct scheduler_limits limits;
    struct slot *slots;
    uint32_t slot_count;
    struct function_state *functions;
    struct sched_call *calls;
    size_t call_count;
    struct principal *principals; /* all */
    struct principal *ring;       /* whose turn it is */
    struct sched_action *actions;
    size_t action_head, action_count, action_capacity;
    uint64_t last_task;
    bool link;
    uint32_t live, starting; /* shared slots */
    uint32_t busy;           /* slots with tasks */
    uint32_t grown;          /* target above limits.workers */
    uint64_t grown_ns;       /* when it was last needed */
    uint32_t start_failures;
    uint64_t retry_ns; /* no fork before */
    uint64_t jitter;
    uint64_t deadline_ns; /* no call's deadline is earlier */
    uint64_t run_ns;      /* of the last scheduler_run() */
};

/* scheduler.c */
struct sched_action *action_add(struct scheduler *scheduler, enum sched_action_type type, void *owner);
void call_fail(struct scheduler *scheduler, struct sched_call *call, uint64_t first, uint64_t count,
               enum item_error error, const struct run *run);
void call_redo(struct scheduler *scheduler, struct sched_call *call, const struct run *run);
void call_stop(struct scheduler *scheduler, struct sched_call *call);
void call_check(struct scheduler *scheduler, struct sched_call *call);
bool call_has_work(const struct sched_call *call);
/* Shared workers that such a call may make the pool grow to. */
uint32_t call_shared(const struct scheduler *scheduler, const struct sched_options *options);

/* share.c */
struct principal *principal_get(struct scheduler *scheduler, uint32_t id);
void principal_put(struct scheduler *scheduler, struct principal *principal);
void ring_leave(struct scheduler *scheduler, struct sched_call *call);
void ring_update(struct scheduler *scheduler, struct sched_call *call); /* in it if there is work to hand out */
/* Worker time, taken from a call's and its principal's credit; below 0 it is given back. */
void call_charge(struct sched_call *call, double ns);
void hand_out_all(struct scheduler *scheduler, uint64_t now_ns);

/* breaker.c */
/* What has not been handed out fails, all of it: the function's breaker is open. */
void call_unavailable(struct scheduler *scheduler, struct sched_call *call);
/* Whether the death of an item of this function opens its breaker. */
void function_crashed(struct scheduler *scheduler, uint32_t function, uint64_t now_ns);

/* slots.c */
void slot_set(struct scheduler *scheduler, struct slot *slot, enum slot_state state, uint64_t now_ns);
void slot_kill(struct scheduler *scheduler, struct slot *slot, enum kill_reason reason, uint64_t now_ns);
struct slot *slot_fork(struct scheduler *scheduler, struct sched_call *dedicated_to, bool spawn, uint64_t now_ns);
struct sched_task *slot_pop(struct scheduler *scheduler, struct slot *slot, uint64_t now_ns);
void slot_retire(struct scheduler *scheduler, struct slot *slot, uint64_t now_ns);
void slots_tick(struct scheduler *scheduler, uint64_t now_ns);

#endif
