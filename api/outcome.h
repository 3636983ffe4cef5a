/* outcome: what became of a call's items, and the answer that says so. Fragments of results come in any order and are
 * put in item order; failures are kept up to a limit; the answer is a few large blocks, so that results are written
 * once and copied at most once. Pure.
 *
 * A fragment is text as workers write it: before each result its separator, then the JSON value (null for a failed
 * item); consecutive fragments need nothing between them. */
#ifndef FORKMAP_API_OUTCOME_H
#define FORKMAP_API_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/request.h"
#include "workers/buf.h"
#include "workers/message.h"

struct outcome;

enum ended { ENDED_COMPLETE, ENDED_STOPPED, ENDED_DEADLINE, ENDED_CANCELLED };

struct outcome_death {
    uint32_t attempts;
    int signal, exit_code; /* of worker_died: one of them; exit_code -1 if none */
    uint64_t limit_ms;     /* of timeout: which limit it was */
    bool by_deadline;
    uint64_t limit_bytes; /* of memory_limit */
};

struct block {
    char *data; /* malloc()ed */
    size_t start, length;
};

struct outcome *outcome_new(enum aggregate aggregate, uint32_t errors_listed);
void outcome_free(struct outcome *outcome);
/* Results of items [first, first + count). With `block` the outcome takes that malloc()ed memory, which holds `output`;
 * else it copies. false: it is not text of `count` results (the aggregates read it; a lie of the worker). */
bool outcome_results(struct outcome *outcome, uint64_t first, uint32_t count, struct span output, char *block);
/* An item's failure as its worker told it; its `null` comes among the results. */
void outcome_failure(struct outcome *outcome, uint64_t item, enum item_error type, struct span members,
                     uint32_t attempts);
/* Items that failed without a result: their nulls are put in here. */
void outcome_lost(struct outcome *outcome, uint64_t first, uint64_t count, enum item_error type,
                  const struct outcome_death *death);
uint64_t outcome_failed(const struct outcome *outcome);
/* Bytes that the results take, in whatever form they are kept. */
size_t outcome_bytes(const struct outcome *outcome);
/* The JSON type of the first result that the aggregate cannot take, or NULL. */
const char *outcome_refused(const struct outcome *outcome);
/* The first listed failure by index as a JSON object (for apply, and on_error fail); NULL if none failed. *index and
 * *type say which. Valid until outcome_free(). */
const char *outcome_first_error(const struct outcome *outcome, uint64_t *index, enum item_error *type);

/* The whole answer of a map: {"results": [...], ...}; `items` is how many there were, `trace` JSON text to add or
 * empty. The blocks are the caller's: each data to be freed. Fewer than 1,000 for answers up to 1 GiB. */
struct block *outcome_answer(struct outcome *outcome, uint64_t items, enum ended ended, struct span trace,
                             size_t *count);
/* The only result, without its separator (apply). */
struct span outcome_only(const struct outcome *outcome);

#endif
