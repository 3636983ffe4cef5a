/* problem: every way to be wrong, one row each {type, status, title}, and the RFC 9457 body that says so. Pure.
 *
 * Whoever finds a fault fills a struct problem and hands it up; http sends it. A zeroed struct is no problem. */
#ifndef FORKMAP_API_PROBLEM_H
#define FORKMAP_API_PROBLEM_H

#include <stdbool.h>
#include <stdint.h>

#include "workers/buf.h"

enum problem_type {
    PROBLEM_NONE = 0,
    PROBLEM_MALFORMED_JSON,       /* 400 */
    PROBLEM_BAD_FRAMING,          /* 400 headers, framing, a body where none may be */
    PROBLEM_BAD_QUERY,            /* 400 the query string itself is malformed (%zz) */
    PROBLEM_UNAUTHORIZED,         /* 401 */
    PROBLEM_FORBIDDEN_ORIGIN,     /* 403 */
    PROBLEM_NOT_FOUND,            /* 404 path */
    PROBLEM_METHOD_NOT_ALLOWED,   /* 405 */
    PROBLEM_NOT_ACCEPTABLE,       /* 406 */
    PROBLEM_REQUEST_TIMEOUT,      /* 408 */
    PROBLEM_TOO_LARGE,            /* 413 */
    PROBLEM_UNSUPPORTED_MEDIA,    /* 415 */
    PROBLEM_MISDIRECTED,          /* 421 */
    PROBLEM_UNKNOWN_FUNCTION,     /* 422 */
    PROBLEM_UNKNOWN_MEMBER,       /* 422 */
    PROBLEM_MISSING_MEMBER,       /* 422 */
    PROBLEM_WRONG_TYPE,           /* 422 */
    PROBLEM_OUT_OF_RANGE,         /* 422 */
    PROBLEM_WRONG_VALUE,          /* 422 not one of `allowed`, or members that exclude each other */
    PROBLEM_ITEM_FAILED,          /* 422 on_error fail, or apply: the item's error is told in `error` */
    PROBLEM_TOO_MANY_REQUESTS,    /* 429 */
    PROBLEM_INTERNAL,             /* 500 */
    PROBLEM_NOT_IMPLEMENTED,      /* 501 transfer codings other than chunked */
    PROBLEM_UNAVAILABLE,          /* 503 draining, full, no live worker, not enough memory */
    PROBLEM_FUNCTION_UNAVAILABLE, /* 503 its breaker is open */
    PROBLEM_DEADLINE,             /* 504 on_error fail or apply, past the deadline or item timeout */
    PROBLEM_TYPES,
};

struct problem {
    enum problem_type type;
    char detail[512];  /* what is wrong and what to do about it */
    char pointer[128]; /* JSON Pointer to the member, "" if none */
    bool has_position;
    uint64_t line, column, offset;
    bool has_index;
    uint64_t index; /* of the item */
    bool has_limit;
    uint64_t limit;
    char allowed[256]; /* comma separated: becomes an array */
    char did_you_mean[64];
    char allow[64];         /* 405: the Allow header */
    unsigned retry_after_s; /* 503, 429: the header */
    const char *error;      /* an item's error as a JSON object, or NULL; the caller's memory */
};

unsigned problem_status(enum problem_type type);
/* Sets type and detail; the other members are the caller's to set afterwards. Returns false, to be returned. */
bool problem_set(struct problem *problem, enum problem_type type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The application/problem+json body; `instance` is the request's id. */
void problem_render(const struct problem *problem, const char *instance, struct buf *out);
/* The nearest of `count` names to `name` by edit distance, if near enough to be meant; else NULL. */
const char *problem_nearest(const char *name, size_t length, const char *const *names, size_t count);

#endif
