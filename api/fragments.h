/* fragments: results that come in any order, put in item order. What is next goes behind what is there, into a few
 * large blocks; what is early waits in a heap. It knows nothing of why an item has no result. Part of outcome; pure.
 *
 * A fragment is text as outcome.h has it: each result with its separator before it. */
#ifndef FORKMAP_API_FRAGMENTS_H
#define FORKMAP_API_FRAGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/token.h"

#define FRAGMENTS_HEAD_ROOM 16 /* bytes kept free before the first block's content */

struct block; /* outcome.h */
struct early;

/* Embedded in its owner; begins as zeros. */
struct fragments {
    uint64_t next; /* the first item whose result is not in the blocks */
    struct block *blocks;
    size_t block_count, block_capacity;
    size_t tail_capacity; /* of the last block's memory; 0: it is closed */
    size_t bytes;         /* in the blocks */
    size_t early_bytes;   /* in the heap */
    struct early *early;  /* a heap, least first on top */
    size_t early_count, early_capacity;
};

void fragments_clear(struct fragments *fragments);
/* Results of items [first, first + count). With `block` that malloc()ed memory, which holds `output`, is taken; else
 * `output` is copied. */
void fragments_add(struct fragments *fragments, uint64_t first, uint64_t count, struct span output, char *block);
/* Items that have no result: nulls. */
void fragments_add_nulls(struct fragments *fragments, uint64_t first, uint64_t count);
/* The first range of items below `items` that nothing came for; it is filled with nulls. false: there is none. */
bool fragments_fill(struct fragments *fragments, uint64_t items, uint64_t *first, uint64_t *end);
/* Puts `head`, at most FRAGMENTS_HEAD_ROOM bytes, in the place of the first result's separator; once. */
void fragments_begin(struct fragments *fragments, struct span head);
/* Appends `foot` and hands over the blocks: the caller's, each data to be freed. */
struct block *fragments_end(struct fragments *fragments, struct span foot, size_t *count);
/* The only result, without its separator; null if there is none. */
struct span fragments_only(const struct fragments *fragments);

#endif
