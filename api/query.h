/* query: the raw query string of a request's target, as pairs of name and value. Parsed here and not by the HTTP
 * library, which turns '+' into a blank: here '+' is itself, only %XX is decoded. Pure; knows no names. */
#ifndef FORKMAP_API_QUERY_H
#define FORKMAP_API_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "api/problem.h"
#include "workers/buf.h"
#include "workers/token.h"

#define QUERY_PAIRS_MAX 48

struct query_pair {
    struct span name;  /* decoded, UTF-8, never empty, no two the same */
    struct span value; /* decoded, UTF-8 */
    bool bare;         /* there was no '=' */
};

struct query {
    struct query_pair pairs[QUERY_PAIRS_MAX]; /* as they stand in the string */
    size_t count;
    struct buf text; /* what the spans point into */
};

/* `raw` has no '?' and may be NULL. query_clear() is due after false too. */
bool query_parse(struct query *query, const char *raw, struct problem *problem);
void query_clear(struct query *query);
const struct query_pair *query_find(const struct query *query, const char *name);

#endif
