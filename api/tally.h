/* tally: how often each text came. A hash table over texts that stand in one buffer; its hash is keyed per process, so
 * that nobody can choose results that all fall into one place. Pure. */
#ifndef FORKMAP_API_TALLY_H
#define FORKMAP_API_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/token.h"

struct tally_entry {
    uint64_t count;
    size_t text; /* offset in `texts` */
    uint32_t length;
    uint32_t hash;
};

struct tally {
    struct tally_entry *entries; /* in the order of their first coming */
    size_t count, capacity;
    uint32_t *slots; /* 1 + index in entries; 0: free. Twice as many as entries find room, a power of two */
    struct buf texts;
};

/* All zero bytes is an empty tally. */
void tally_clear(struct tally *tally);
void tally_add(struct tally *tally, struct span text);
size_t tally_bytes(const struct tally *tally);
/* Appends [{"value":4,"count":2},…], the texts being checked JSON tokens: most frequent first; of those as frequent,
 * numbers by value, then all else by its text. */
void tally_print(const struct tally *tally, struct buf *out);

#endif
