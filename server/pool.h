/* pool: the worker processes behind the scheduler's slots. It does what the scheduler says (fork, send, kill, let go)
 * and tells it what happens (ready, results, deaths); payloads go by to the owners of the calls.
 *
 * It owns the pipes and status pages, and the control socket to the zygote; it decides nothing. */
#ifndef FORKMAP_SERVER_POOL_H
#define FORKMAP_SERVER_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "server/loop.h"
#include "server/scheduler.h"
#include "workers/buf.h"
#include "workers/message.h"

struct pool;

struct pool_result {
    const struct result_message *message;
    uint64_t first; /* in the call */
    uint32_t attempts;
    uint32_t slot;
    char *block; /* malloc()ed memory that holds message->output, for the owner to take; or NULL: copy it */
};

/* What the owners of calls are told; `owner` is the one of sched_options. */
struct pool_owner {
    /* Pack the task: message comes with task, first, count, flags, budget_us set; fill the rest. The payload's span
     * must stay where it is until this returns to the pool. */
    void (*dispatch)(void *owner, const struct sched_action *action, struct task_message *message);
    void (*result)(void *owner, struct pool_result *result);
    void (*malformed)(void *owner, uint64_t first, const struct malformed_message *malformed);
    void (*failed)(void *owner, const struct sched_action *action);
    void (*ended)(void *owner, enum sched_ended ended); /* the scheduler's handle is void now */
};

struct pool_limits {
    uint64_t memory_bytes; /* of a worker; 0: none */
    uint32_t recycle_items;
    uint32_t slots;
};

struct pool *pool_new(struct loop *loop, struct scheduler *scheduler, const struct pool_owner *owner,
                      const struct pool_limits *limits);
void pool_free(struct pool *pool);
/* A zygote is there: its control socket, now the pool's. */
void pool_link(struct pool *pool, int fd, uint64_t now_ns);
/* All events of the turn are in: hand out work, write what is gathered, act. */
void pool_turn(struct pool *pool, uint64_t now_ns);
/* When pool_turn() is due though nothing happens. */
uint64_t pool_due_ns(const struct pool *pool, uint64_t now_ns);

/* A slot as GET /workers shows it. */
struct pool_worker {
    enum slot_state state;
    int pid; /* 0: none */
    uint32_t generation;
    uint64_t items;
    uint64_t memory_bytes; /* resident when last looked at */
    uint64_t deaths;       /* of this slot so far, and how the last one ended */
    int last_status;
    bool has_died;
};
struct pool_worker pool_worker(const struct pool *pool, uint32_t slot);
int pool_pid(const struct pool *pool, uint32_t slot);
int pool_zygote_pid(const struct pool *pool); /* the workers' parent; 0 before the first fork */

#endif
