/* request: what a compute request asks for: the typed members of its envelope (or query), with bounds, and nearest
 * names for what is misspelt. One table of members serves /map, /starmap, /apply and /dice. Pure. */
#ifndef FORKMAP_API_REQUEST_H
#define FORKMAP_API_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/problem.h"
#include "api/scan.h"
#include "workers/catalog.h"

enum endpoint {
    ENDPOINT_MAP = 1,
    ENDPOINT_STARMAP = 2,
    ENDPOINT_APPLY = 4,
    ENDPOINT_DICE = 8,
};

enum on_error { ON_ERROR_COLLECT, ON_ERROR_STOP, ON_ERROR_FAIL };
enum isolation { ISOLATION_POOL, ISOLATION_PROCESS };
enum context { CONTEXT_DEFAULT, CONTEXT_FORKSERVER, CONTEXT_SPAWN, CONTEXT_FORK };
enum aggregate { AGGREGATE_NONE, AGGREGATE_COUNTS, AGGREGATE_SUM, AGGREGATE_MEAN, AGGREGATE_MIN, AGGREGATE_MAX };
enum dice_method { DICE_SIMULATE, DICE_MULTINOMIAL };

struct request_limits {
    uint32_t max_workers;     /* processes */
    uint64_t items;           /* range, repeat */
    uint64_t item_timeout_ms; /* the largest that a call may ask for, and the default */
    uint64_t deadline_ms;     /* likewise */
    bool demo_functions;
};

struct request {
    enum endpoint endpoint;
    const struct native *function; /* NULL until known; for dice its hidden row */
    uint64_t chunksize;            /* 0: auto */
    uint32_t processes;            /* 0: all live */
    uint64_t item_timeout_ms, deadline_ms;
    uint32_t crash_retries;
    enum on_error on_error;
    enum isolation isolation;
    enum context context;
    enum aggregate aggregate;
    bool trace;
    bool has_seed;
    uint64_t seed;
    bool has_items; /* in whatever form */
    bool header;    /* query: header=present, for text/csv */
    /* apply: the args array's place in the body; length 0: none given */
    size_t args_start, args_length;
    /* dice */
    uint64_t rolls;
    uint32_t dice, sides;
    enum dice_method method;
    uint64_t changed; /* bit per member row that was set: what a restart of early work is decided by */
};

/* Defaults for an endpoint. */
void request_init(struct request *request, enum endpoint endpoint, const struct request_limits *limits);
/* The raw query (no '?', may be NULL): percent-decoded, '+' is literal. Sets members as if they stood in the envelope;
 * *named is whether it names a function, so that the body is the items. */
bool request_query(struct request *request, const char *query, const struct request_limits *limits, bool *named,
                   struct problem *problem);
/* Takes scan->members[from, to) (those whose value is whole; "items" as an array is skipped, as range or repeat it
 * fills scan->items). A name known to another endpoint, misspelt or belonging to another place is told so. */
bool request_members(struct request *request, struct scan *scan, const char *body, size_t from, size_t to,
                     const struct request_limits *limits, struct problem *problem);
/* All is read: what is missing, what excludes what. */
bool request_finish(struct request *request, const struct scan *scan, struct problem *problem);
/* Whether members set since `changed_before` (a copy of request->changed when work was begun) can change what an item
 * computes or how it runs, so that results so far are void. */
bool request_restarts(const struct request *request, uint64_t changed_before);

#endif
