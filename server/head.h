/* head: what a request's head asks for, before a byte of its body: the gate, the route, the method, what the client
 * accepts; and the answers that need no body. It knows neither sockets nor the library that reads them. */
#ifndef FORKMAP_SERVER_HEAD_H
#define FORKMAP_SERVER_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/answer.h"
#include "server/call.h"
#include "server/gate.h"
#include "server/routes.h"

/* What of the head is needed again when the answer is sent. */
struct echo {
    char id[72]; /* X-Request-Id: the client's if it is a plain one, else ours; set by head_decide() */
    char traceparent[64];
    char cors_origin[128];
    bool gzip; /* the client takes it */
};

struct head {
    struct gate_header headers[GATE_HEADERS_MAX];
    size_t count;
    const char *content_type, *accept, *if_none_match; /* the library's memory */
    struct echo *echo;
    /* once decided */
    const char *query;      /* raw; NULL: none */
    int64_t content_length; /* -1: not told */
    bool has_body;
    bool close_after; /* the connection, behind the answer */
};

struct head_rules {
    const struct gate_rules *gate;
    struct calls *calls;
    uint64_t id; /* a number never used before */
    bool full;   /* there are more connections than max-connections */
};

void head_init(struct head *head, struct echo *echo);
/* One header field, in the order of arrival; the memory must last until the head is decided. */
void head_take(struct head *head, const char *name, size_t name_length, const char *value, size_t value_length);
/* A compute route to go on with; or NULL with the whole answer. `target` is raw, and cut at its '?'. An answer with
 * `close` must be sent at once, before the body; others belong to requests without one. */
const struct route *head_decide(struct head *head, const struct head_rules *rules, const char *method, char *target,
                                const char *version, struct answer *answer);

#endif
