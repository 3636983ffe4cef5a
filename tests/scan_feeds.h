/* scan_feeds: a body scanned in every way it can arrive, for the tests of scan and items. Each feed sees a fresh copy
 * of exactly its size, so that a byte too far or a place remembered by address is found by the sanitizers. */
#ifndef FORKMAP_TESTS_SCAN_FEEDS_H
#define FORKMAP_TESTS_SCAN_FEEDS_H

#include "api/scan.h"

struct place {
    size_t start, end;
};

/* All that a scan says. */
struct outcome {
    enum scan_status status;
    enum scan_fault fault;
    size_t offset;
    const char *why;
    size_t member_count;
    struct scan_member members[SCAN_MEMBERS_MAX];
    int items_member;
    bool items_begun, complete;
    uint64_t count;
    struct place header;
    struct place *places; /* of the items, one by one */
};

extern const struct scan_limits ample_limits;

/* Scans a body of which each feed adds `first` bytes, then pieces of 1 to `most` (drawn from *random). */
struct outcome scan_pieces(enum scan_shape shape, const struct scan_limits *limits, const char *body, size_t length,
                           size_t first, size_t most, uint64_t *random);
/* Scans it whole, then asserts that it is the same byte by byte, in random pieces, and (below 300 bytes) cut in two at
 * every place. */
struct outcome scan_every_way(enum scan_shape shape, const struct scan_limits *limits, const char *body, size_t length);
void outcome_clear(struct outcome *outcome);

/* A generator with a seed, so that a failure repeats; random_below(…, n) is 0 to n - 1. */
uint64_t random_next(uint64_t *random);
size_t random_below(uint64_t *random, size_t n);

#endif
