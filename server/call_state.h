/* call_state: a call's own members, shared by the call's files alone. */
#ifndef FORKMAP_SERVER_CALL_STATE_H
#define FORKMAP_SERVER_CALL_STATE_H

#include "api/dice.h"
#include "api/outcome.h"
#include "api/scan.h"
#include "server/call.h"
#include "workers/roll.h"

enum call_state {
    CALL_READING, /* the body arrives; work may have begun */
    CALL_RUNNING, /* the body is whole */
    CALL_ENDED,   /* the answer is there */
};

/* One task of a call that is traced. */
struct trace {
    uint64_t task, first, queued_ns, started_ns, ended_ns;
    uint32_t count, slot;
    int pid;
};

struct call {
    struct calls *calls;
    struct call *next_kept;
    struct call_start start;
    enum call_state state;
    char *body;
    size_t body_length, body_capacity;
    size_t answer_bytes; /* of results, as counted in calls->kept_bytes */
    size_t fed;          /* bytes that the scan has seen */
    size_t members_taken;
    struct scan scan;
    struct request request;
    uint64_t changed; /* request.changed when work began, and what else it began with */
    enum aggregate begun_aggregate;
    uint64_t begun_deadline_ms;
    struct sched_call *work;
    uint64_t items;
    struct outcome *outcome;
    uint8_t function_hash[32];
    struct roll_args roll;
    struct roll_tally tally;
    int64_t range[2];
    struct buf payload;
    struct trace *trace;
    size_t trace_count, trace_capacity;
    bool lied; /* a worker's results were not what they said they were */
    bool ended_early;
    enum ended early_ended;
    enum item_error lost_error; /* of the last item that ended without a result */
    uint64_t read_ns, started_ns, ended_ns;
    struct answer answer;
};

/* call.c */
void call_refuse(struct call *call, const struct problem *problem);
void call_cancel_work(struct call *call);
/* Memory for a body of `capacity` bytes; false: there is none. */
bool call_keep_room(struct call *call, size_t capacity);
/* Fills in a 503: there is no memory for more. Returns false. */
bool call_over_budget(struct call *call, struct problem *problem);
bool call_is_type(const char *content_type, const char *wanted);
/* call_answer.c: makes the answer of what became of the items. */
void call_conclude(struct call *call, enum ended ended);
void trace_dispatch(struct call *call, const struct sched_action *action);
void trace_result(struct call *call, const struct pool_result *result);

#endif
