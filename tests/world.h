/* world: a virtual front with virtual workers and clients, in virtual time, all drawn from one seed: what the scheduler
 * is driven by in sim_scheduler. It does what the scheduler says and tells it what comes of that; whatever the
 * scheduler promises is checked on the way (world_oracle.c), and a broken promise ends the test with the seed and the
 * last events. No clock, no process, no descriptor. */
#ifndef FORKMAP_TESTS_WORLD_H
#define FORKMAP_TESTS_WORLD_H

#include "server/scheduler_state.h"

#define US 1000ull
#define MS 1000000ull
#define SECOND 1000000000ull
#define NEVER UINT64_MAX
#define NOTES 30

/* What an item does; drawn from its call's seed and its index, so that it is the same each time it runs. */
enum kind {
    KIND_PLAIN,
    KIND_FAILS,     /* its result is an error */
    KIND_POISON,    /* kills its worker, by a crash */
    KIND_QUITS,     /* ends its worker, in good order or as if from outside */
    KIND_LOOPS,     /* never ends */
    KIND_HOGS,      /* grows until somebody kills it */
    KIND_FORBIDDEN, /* makes a forbidden system call */
    KIND_MALFORMED, /* is no JSON */
    KINDS,
};

/* A row of the table of functions; costs vary by half around cost_ns, and one in a hundred by `tail`. */
struct world_function {
    const char *name;
    uint64_t cost_ns;
    uint32_t tail;
    uint32_t per_million[KINDS];
};
extern const struct world_function world_functions[];
/* Their numbers. */
enum {
    F_QUICK,
    F_SMALL,
    F_MEDIUM,
    F_SLOW,
    F_LONG,
    F_FAILING,
    F_POISON,
    F_QUITS,
    F_SNARE,
    F_LOOPS,
    F_HOGS,
    F_FORBIDDEN,
    F_GARBLED,
    F_LAST
};

struct world_settings {
    uint64_t seed;
    uint32_t workers, max_workers;
    uint32_t recycle_items; /* a worker leaves after so many; 0: never */
    bool arrivals;          /* clients come by themselves */
    bool chaos;             /* kills from outside, stopped and lying workers, failing forks, a zygote that goes */
};

struct item {
    uint64_t ran_ns;  /* how long it had run when a worker last died of it */
    uint8_t over;     /* it has its result or its failure */
    uint8_t slot;     /* + 1: handed out to; 0: nobody */
    uint8_t deaths;   /* workers that died with this item on their page */
    uint8_t restarts; /* workers that died with nothing on their page, and this item next */
    int16_t status;   /* of the last of those deaths: signal, or -1 - exit code */
};

struct client {
    struct client *next;
    uint64_t number, seed;
    struct sched_options options;
    struct sched_call *work; /* NULL: over */
    struct item *ledger;
    uint64_t items, known, ended, failed, handed;
    bool complete, deaf; /* no more items come; its owner may not be named any more */
    bool pieces;         /* its items become known little by little */
    uint32_t tasks;      /* in workers' pipes */
    uint64_t feed_ns, cancel_ns, arrived_ns, over_ns;
    uint64_t busy_ns; /* worker time that its results took */
    uint32_t fit;     /* at most so many items fit a task; 0: any */
};

/* A task in a worker's pipe, or in its hands. */
struct sent {
    struct client *client;
    uint64_t id, first, begun_ns, ended_ns;
    uint32_t count, computed, reported, failed, budget_us;
    bool stale;    /* others compute it by now: it lay here with an item that takes long */
    uint32_t last; /* RESULT_ flags, once it is over for the worker */
    uint16_t flags;
};

enum life { LIFE_NONE, LIFE_STARTING, LIFE_SERVING, LIFE_LEAVING };
enum next {
    NEXT_NOTHING,
    NEXT_READY,
    NEXT_PART,
    NEXT_YIELD,
    NEXT_DONE,
    NEXT_STOP,
    NEXT_MALFORMED,
    NEXT_DIE,
    NEXT_EXIT
};

struct worker {
    enum life life;
    uint32_t generation, items, page_item;
    bool frozen, muted, dedicated, retired;
    struct sent *queue;          /* queue[0] is the first whose end was not written */
    size_t queued, capacity, at; /* at: the one under way */
    uint64_t clock_ns;           /* when the item `computed` of that one was begun */
    uint64_t sent_ns, task_ns;
    enum next next;
    uint64_t next_ns;
    uint32_t next_computed, next_failed;
    int next_status;
    uint64_t kill_ns; /* when SIGKILL reaches it */
    uint64_t frozen_ns;
    uint64_t shown_task, shown_ns; /* what samples of its page have told, and since when; task 0: nothing */
    uint32_t shown_item;
};

struct note {
    uint64_t event, now_ns, number[4];
    const char *what;
    uint32_t slot;
};

struct world {
    struct world_settings settings;
    struct scheduler *scheduler;
    uint64_t now_ns, event, random;
    uint64_t arrival_ns, sample_ns, kill_ns, freeze_ns, link_ns;
    bool link;
    struct worker *workers;
    size_t slots;
    struct client *clients;
    size_t client_count;
    uint64_t client_numbers, calls_over, items_over, deaths, results, tasks, breaches, staled;
    uint64_t crashes[F_LAST];
    uint64_t failures[ITEM_ERRORS], ends[SCHED_CANCELLED + 1];
    void (*on_over)(struct world *world, struct client *client); /* may be NULL; the client is freed after it */
    void *user;
    struct note notes[NOTES];
    uint64_t note_count;
};

/* --- world.c: time, clients -----------------------------------------------------------------------------------------
 */
void world_init(struct world *world, const struct world_settings *settings);
void world_clear(struct world *world);
/* A new call, whose items come with the next step; owner, an hour's deadline and half a minute for an item are filled
 * in. It is the world's, and is gone some time after on_over(). */
struct client *world_call(struct world *world, struct sched_options options, uint64_t items);
/* The next instant at which anything happens. */
void world_step(struct world *world);
void world_until(struct world *world, uint64_t now_ns);
/* No more arrivals and no more chaos; until all calls are over. Fails the test if that takes longer than it may. */
void world_settle(struct world *world, uint64_t most_ns);
uint64_t world_random(struct world *world, uint64_t below);
bool world_chance(struct world *world, uint32_t per_million);
void world_note(struct world *world, const char *what, uint32_t slot, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
_Noreturn void world_violated(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- world_client.c -------------------------------------------------------------------------------------------------
 */
enum kind item_kind(const struct client *client, uint64_t index);
uint64_t item_cost(const struct client *client, uint64_t index);
uint32_t world_fit(void *owner, uint64_t first, uint32_t most, bool chunksize_given);
void client_arrives(struct world *world);
void client_feed(struct world *world, struct client *client);
void client_cancel(struct world *world, struct client *client);
void client_release(struct client *client); /* one task less */
void clients_forget(struct world *world);   /* frees those that are over and in no pipe */

/* --- world_worker.c: what a worker does
 * -------------------------------------------------------------------------------- */
void worker_fork(struct world *world, uint32_t slot, const struct sched_action *action);
void worker_take(struct world *world, uint32_t slot, const struct sched_action *action);
void worker_retire(struct world *world, uint32_t slot);
void worker_step(struct world *world, uint32_t slot); /* its next event is due */
void worker_freeze(struct world *world, uint32_t slot);
void worker_die(struct world *world, uint32_t slot, uint64_t at_ns, bool lost, int status);
/* What its status page shows: the task (NULL: none) and the item, and since when. */
struct sent *worker_page(const struct worker *worker, uint64_t at_ns, uint32_t *item, uint64_t *since_ns);

/* --- world_oracle.c: what is promised ------------------------------------------------------------------------------
 */
void oracle_dispatch(struct world *world, const struct sched_action *action);
void oracle_accepted(struct world *world, uint32_t slot, const struct sent *sent, uint32_t first, uint32_t count,
                     const struct sched_accepted *accepted);
void oracle_released(struct world *world, const struct sent *sent); /* what is not computed may run elsewhere */
/* This is what the scheduler is told now of a page: what lies with a long item is stale from then on. */
void oracle_sampled(struct world *world, uint32_t slot, const struct sent *page, uint32_t item);
void oracle_death(struct world *world, uint32_t slot, const struct sent *page, uint32_t item, uint64_t ran_ns,
                  bool lost, int status);
void oracle_fail(struct world *world, const struct sched_action *action);
void oracle_end(struct world *world, struct client *client, enum sched_ended ended);
void oracle_turn(struct world *world); /* after each scheduler_run() and its actions */

#endif
