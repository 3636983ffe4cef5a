/* scheduler: who computes what next, and what becomes of each item. A pure state machine: events in, actions out; no
 * clock, no descriptor, no allocation but its own tables. The front feeds it and does what it says; a seeded simulator
 * (tests/sim_scheduler.c) feeds it storms.
 *
 * What it promises: every item of a call ends exactly once, as a result accepted or as a failure told, or is not run;
 * an item's attempts are bounded; nothing is handed out after its call ended or its deadline passed; the pool is
 * refilled while live < target (level-triggered). Order of work: deficit round robin by worker time over principals,
 * then over their calls. */
#ifndef FORKMAP_SERVER_SCHEDULER_H
#define FORKMAP_SERVER_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/message.h"

struct scheduler;
struct sched_call; /* a call as the scheduler sees it; valid until SCHED_END was taken for it */

struct scheduler_limits {
    uint32_t workers;        /* shared workers kept alive */
    uint32_t max_workers;    /* that a call may make the pool grow to */
    uint32_t functions;      /* function numbers are below this */
    uint64_t idle_shrink_ns; /* workers above `workers` leave after being idle this long */
    uint64_t memory_bytes;   /* a worker's limit, for telling deaths apart; 0: none */
    bool spawn;              /* shared workers are exec'd afresh */
    /* How many of the owner's items from `first` on go into one task at the most, 1 to `most`: what bytes allow. */
    uint32_t (*fit)(void *owner, uint64_t first, uint32_t most, bool chunksize_given);
};

enum slot_state {
    SLOT_EMPTY,    /* no process */
    SLOT_STARTING, /* forked, not READY */
    SLOT_READY,    /* idle */
    SLOT_BUSY,     /* has tasks */
    SLOT_WAITING,  /* its item waits for an answer of the front */
    SLOT_LEAVING,  /* said BYE or was let go */
    SLOT_DYING,    /* a kill is under way */
    SLOT_STATES,
};
const char *slot_state_name(enum slot_state state);

enum sched_ended { SCHED_COMPLETE, SCHED_STOPPED, SCHED_DEADLINE, SCHED_CANCELLED };

struct sched_options {
    void *owner; /* comes back in actions */
    uint32_t principal;
    uint32_t function;  /* number, for cost and breaker */
    uint64_t chunksize; /* 0: auto */
    uint32_t processes; /* workers at once; 0: all */
    uint32_t crash_retries;
    uint64_t item_timeout_ns;
    uint64_t deadline_ns; /* a time */
    bool stop_on_error;
    bool isolated;  /* a fresh process for each item */
    bool spawn;     /* workers of its own, exec'd afresh */
    double item_ns; /* a guess of the cost, used until measured; 0: none */
};

enum sched_action_type {
    SCHED_FORK,     /* slot, generation, spawn: a worker please */
    SCHED_DISPATCH, /* slot, task, owner, first, count, flags, budget_us: pack and send */
    SCHED_KILL,     /* slot, generation, spare: whether it is killed for being in the way, not for what it did */
    SCHED_RETIRE,   /* slot: close its task pipe */
    SCHED_FAIL,     /* owner, first, count, error and what is known of the death: these items ended */
    SCHED_END,      /* owner, ended: the call is over, its handle void */
};

struct sched_action {
    enum sched_action_type type;
    uint32_t slot, generation;
    void *owner;
    uint64_t task, first;
    uint32_t count;
    uint16_t flags; /* TASK_… */
    uint32_t budget_us;
    bool spawn, spare;
    enum item_error error;
    uint32_t attempts;
    int signal, exit_code; /* of WORKER_DIED: one of them; exit_code -1 if none */
    bool by_deadline;      /* TIMEOUT: the call's, not the item's */
    enum sched_ended ended;
};

/* How a worker ended, as the front knows it. */
struct sched_death {
    bool lost;  /* nothing is known: its zygote went, or it closed its pipe */
    int status; /* as waitpid() gives it */
    uint64_t peak_bytes;
    uint64_t page_task; /* the status page at the end */
    uint32_t page_item;
};

struct sched_result {
    uint64_t task, started_ns, ended_ns;
    uint32_t first, count, flags, failed;
};

struct sched_accepted {
    void *owner;
    uint64_t first;    /* in the call */
    uint32_t attempts; /* the how manieth run of these items it was */
};

enum sched_verdict {
    SCHED_ACCEPTED, /* *accepted says whose and which items these are */
    SCHED_STALE,    /* of a call that is over, or others compute it by now: drop it */
    SCHED_BREACH,   /* not what this worker may send: kill it (scheduler_breach) */
};

struct scheduler *scheduler_new(const struct scheduler_limits *limits);
void scheduler_free(struct scheduler *scheduler);

/* --- events ------------------------------------------------------------------------------------------------------- */
struct sched_call *scheduler_call(struct scheduler *scheduler, const struct sched_options *options, uint64_t now_ns);
/* Its first `known` items can be handed out; `complete`: there are no more. */
void scheduler_items(struct scheduler *scheduler, struct sched_call *call, uint64_t known, bool complete);
/* Ends it now: nothing more comes of it, SCHED_END included. Only once the actions of the last scheduler_run() have
 * been taken: a task that was handed out has to be sent. */
void scheduler_cancel(struct scheduler *scheduler, struct sched_call *call, uint64_t now_ns);
void scheduler_link(struct scheduler *scheduler, bool up); /* whether forking is possible */
void scheduler_ready(struct scheduler *scheduler, uint32_t slot, uint64_t now_ns);
void scheduler_fork_failed(struct scheduler *scheduler, uint32_t slot, uint64_t now_ns);
enum sched_verdict scheduler_result(struct scheduler *scheduler, uint32_t slot, const struct sched_result *result,
                                    uint64_t now_ns, struct sched_accepted *accepted);
/* The task under way cannot be read: its worker has dropped it. The owner is to cancel the call. */
enum sched_verdict scheduler_malformed(struct scheduler *scheduler, uint32_t slot, uint64_t task, uint64_t now_ns,
                                       struct sched_accepted *accepted);
void scheduler_bye(struct scheduler *scheduler, uint32_t slot, uint64_t last_task, uint64_t now_ns);
void scheduler_breach(struct scheduler *scheduler, uint32_t slot, uint64_t now_ns);
/* The worker is over its memory. */
void scheduler_over_memory(struct scheduler *scheduler, uint32_t slot, uint64_t now_ns);
/* What the status page shows now. */
void scheduler_sample(struct scheduler *scheduler, uint32_t slot, uint64_t page_task, uint32_t page_item,
                      bool item_clock, uint64_t now_ns);
void scheduler_ended(struct scheduler *scheduler, uint32_t slot, const struct sched_death *death, uint64_t now_ns);

/* Time passes and all events of this turn are in: deadlines, refill, hand out work. */
void scheduler_run(struct scheduler *scheduler, uint64_t now_ns);
/* Takes the next action; false: none left. */
bool scheduler_take(struct scheduler *scheduler, struct sched_action *action);
/* When scheduler_run() has something to do by itself; UINT64_MAX: only after an event. */
uint64_t scheduler_due_ns(const struct scheduler *scheduler);

/* --- what is known ------------------------------------------------------------------------------------------------ */
size_t scheduler_slots(const struct scheduler *scheduler); /* slot numbers are below this */
enum slot_state scheduler_slot_state(const struct scheduler *scheduler, uint32_t slot);
uint32_t scheduler_slot_generation(const struct scheduler *scheduler, uint32_t slot);
uint64_t scheduler_slot_items(const struct scheduler *scheduler, uint32_t slot); /* ended there, since its fork */
uint32_t scheduler_live(const struct scheduler *scheduler);                      /* shared workers READY or BUSY */
uint32_t scheduler_target(const struct scheduler *scheduler);                    /* that should be */
double scheduler_item_ns(const struct scheduler *scheduler, uint32_t function);  /* measured cost; 0: unknown */
/* How long a new call's first item would wait, by estimate: until each call there is had its turn, a quantum or an
 * item. */
uint64_t scheduler_backlog_ns(const struct scheduler *scheduler);
/* A function whose calls crash worker after worker: refuse new ones until then (0: it is well). */
uint64_t scheduler_breaker_ns(const struct scheduler *scheduler, uint32_t function, uint64_t now_ns);
size_t scheduler_calls(const struct scheduler *scheduler);

#endif
