/* failures: the items of a call that failed. All are counted; of those with the lowest indices, as many as may be
 * listed, a JSON object is kept that says how. Part of outcome; pure. */
#ifndef FORKMAP_API_FAILURES_H
#define FORKMAP_API_FAILURES_H

#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/message.h"

struct outcome_death; /* outcome.h */
struct failure;

/* Embedded in its owner. */
struct failures {
    uint64_t failed; /* items, listed or not */
    uint32_t listed_most;
    struct failure *listed; /* once they are as many as may be: a heap, the highest index on top */
    size_t count, capacity; /* of those listed */
};

void failures_init(struct failures *failures, uint32_t listed_most); /* of 0 one is kept, for failures_first() */
void failures_clear(struct failures *failures);
/* An item's failure as its worker told it: `members` is JSON text to go into its object, or empty. */
void failures_add(struct failures *failures, uint64_t item, enum item_error type, struct span members,
                  uint32_t attempts);
/* Items that failed without a word of their worker. */
void failures_add_lost(struct failures *failures, uint64_t first, uint64_t count, enum item_error type,
                       const struct outcome_death *death);
/* The listed failure of the lowest index as a JSON object, or NULL. Valid until failures_clear(). */
const char *failures_first(const struct failures *failures, uint64_t *index, enum item_error *type);
/* Appends "errors":[…],"errors_omitted":0, by index. The last thing done: nothing can be added any more. */
void failures_print(struct failures *failures, struct buf *to);

#endif
