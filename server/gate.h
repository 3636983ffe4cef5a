/* gate: what a request's head must be before a byte of its body is looked at. libmicrohttpd accepts framing that it
 * must not (two lengths, folded lengths, other codings), so no byte of a body may be read as a request for want of this
 * check. Then whom it is for (Host), who sends it (Origin, Sec-Fetch-Site) and whether it may (bearer token). Pure.
 *
 * After any refusal the connection must be closed. Which paths and methods there are is not the gate's business. */
#ifndef FORKMAP_SERVER_GATE_H
#define FORKMAP_SERVER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/problem.h"

#define GATE_HEADERS_MAX 100 /* more are refused */

struct gate_header {
    const char *name;
    size_t name_length;
    const char *value; /* may be NULL when value_length is 0 */
    size_t value_length;
};

struct gate_request {
    /* what came: set by the caller */
    const char *method;
    const char *target;  /* raw, with its query */
    const char *version; /* "HTTP/1.1" */
    const struct gate_header *headers;
    size_t header_count; /* the true number; beyond GATE_HEADERS_MAX the headers are not looked at */
    /* what it means: set by gate_check() where it returns true */
    int64_t content_length; /* -1: not told. Without it and `chunked` there is no body */
    bool chunked;
    bool expect_continue;
    bool close_after;                      /* answer, then close: its framing could not be checked to the byte */
    const struct gate_header *cors_origin; /* an Origin of another site that is listed; else NULL */
};

struct gate_rules {
    uint64_t max_body_bytes;
    char *const *allowed_hosts; /* "name", "*.name" (names below it) or "*" */
    size_t allowed_host_count;
    char *const *cors_origins; /* "https://name", "null" or "*" */
    size_t cors_origin_count;
    const char *token; /* NULL or "": none is asked for */
};

/* true: let it in. false: `problem` says why not (400, 401, 403, 413, 415, 421, 501). */
bool gate_check(struct gate_request *request, const struct gate_rules *rules, struct problem *problem);

#endif
