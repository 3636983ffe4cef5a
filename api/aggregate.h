/* aggregate: folds a call's results as they come, in any order, into what `aggregate` asks for. Exact: integers at any
 * size, doubles correctly rounded as Python's math.fsum, so the answer depends on no order of arrival. Pure.
 *
 *   counts   {"counts": [{"value": 4, "count": 2}, …], "unique": 3}, most frequent first, then by value
 *   sum, mean, min, max   {"aggregate": …}; null (for sum 0) where there is no number, or where no double holds it
 * A failed item's result is null, so nulls count for nothing. Values are counted by their text: 1 and 1.0 are two. The
 * sum of integers is an integer with all its digits, with a double among them the nearest double; the mean always is
 * that. The least and the greatest are printed as they came; of equal ones (1 and 1.0, -0.0 and 0.0) the least or
 * greatest text. */
#ifndef FORKMAP_API_AGGREGATE_H
#define FORKMAP_API_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/request.h"
#include "workers/buf.h"
#include "workers/token.h"

struct aggregation;

struct aggregation *aggregation_new(enum aggregate aggregate);
void aggregation_free(struct aggregation *aggregation); /* free(NULL) is fine */
/* `count` results, each with its separator before it; false: the text is not that. */
bool aggregation_add(struct aggregation *aggregation, struct span output, uint32_t count);
/* Appends the members, without braces: "counts":[…],"unique":3 or "aggregate":… */
void aggregation_print(struct aggregation *aggregation, struct buf *out);
/* Whether a result was no number where one is needed (sum, mean, min, max): the first such value's JSON type. */
const char *aggregation_refused(const struct aggregation *aggregation);
/* Bytes that it holds: grows with the distinct values of counts, else with the longest integer. */
size_t aggregation_bytes(const struct aggregation *aggregation);

#endif
