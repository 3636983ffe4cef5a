/* call: one compute request in flight, from its first body byte to its answer: reading → running → ended, and it ends
 * exactly once. It owns the body, the scan of it and the outcome, and stands between http (bytes, answers) and the pool
 * (tasks, results). It knows nothing of sockets.
 *
 * Chunks are handed to the scheduler while the body still arrives, where that cannot change the answer: the function is
 * known and each item goes to the pool. If a member behind the items changes what they compute or how, the work starts
 * again from the kept body. */
#ifndef FORKMAP_SERVER_CALL_H
#define FORKMAP_SERVER_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/request.h"
#include "server/answer.h"
#include "server/options.h"
#include "server/pool.h"
#include "server/scheduler.h"

struct call;

/* Without a live worker for so long, calls are refused and /readyz says so. */
#define CALLS_NO_WORKER_NS 2000000000ull

/* What all calls share; lives as long as the front. */
struct calls {
    const struct options *options;
    struct request_limits limits;
    struct scheduler *scheduler;
    struct pool *pool;
    struct loop *loop;
    uint64_t kept_bytes; /* of all bodies and results now */
    uint64_t *made;      /* calls by function number */
    uint64_t live_ns;    /* when a worker was last alive */
    bool draining;
    uint64_t backlog_ns, backlog_at_ns; /* the last estimate of work queued, and when it was made */
    struct call *kept;                  /* of requests that are over, to be used again */
    size_t kept_count;
    uint64_t seed;          /* what seeds are drawn from where none is given */
    struct problem problem; /* scratch of the call that is being read */
    /* An answer is there; called at most once a call, never from within call_new(), call_body() or call_finish(). */
    void (*answered)(void *request);
};

struct call_start {
    enum endpoint endpoint;
    const char *query;        /* raw, NULL: none */
    const char *content_type; /* NULL: none */
    int64_t content_length;   /* -1: not told */
    uint32_t principal;
    const char *id; /* of the request: for problems; must outlive the call */
    void *request;
    uint64_t now_ns;
};

/* scheduler, pool and loop are set by the caller, who makes them with calls_pool_owner and call_fit(). */
void calls_init(struct calls *calls, const struct options *options);
void calls_clear(struct calls *calls);
extern const struct pool_owner calls_pool_owner;
uint32_t call_fit(void *owner, uint64_t first, uint32_t most, bool chunksize_given);
/* The number by which the scheduler knows a function; functions_count() is how many there are. */
uint32_t function_number(const struct native *native);
uint32_t functions_count(void);

/* Never NULL; a refusal is an answer that is there at once. */
struct call *call_new(struct calls *calls, const struct call_start *start);
/* The next bytes of the body; false: it is longer than may be, close the connection. */
bool call_body(struct call *call, const char *bytes, size_t length, uint64_t now_ns)
    __attribute__((warn_unused_result));
/* The body is whole. */
void call_finish(struct call *call, uint64_t now_ns);
/* Its answer, or NULL while it runs. */
struct answer *call_answer(struct call *call);
/* The client has its answer, or has left: cancels what still runs. */
void call_free(struct call *call);

#endif
