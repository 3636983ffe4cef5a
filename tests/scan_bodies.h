/* scan_bodies: random bodies, and a scanner that looks at the whole of a body byte by byte and remembers every item:
 * slow, and too simple to be wrong. For the tests of scan and items. */
#ifndef FORKMAP_TESTS_SCAN_BODIES_H
#define FORKMAP_TESTS_SCAN_BODIES_H

#include "api/scan.h"
#include "tests/scan_feeds.h"
#include "workers/buf.h"

/* What the obvious scanner found last. */
struct reference {
    enum scan_fault fault;
    size_t offset, count;
    struct place places[60000];
};
extern struct reference reference;

/* All shapes but SCAN_OBJECT and SCAN_CSV_HEADER, which are these with more around. No limits. */
void reference_scan(enum scan_shape shape, const char *body, size_t length);

/* Few or many blanks, mostly none. */
void append_blanks(struct buf *body, uint64_t *random);
void append_string(struct buf *body, uint64_t *random);
void append_value(struct buf *body, uint64_t *random, unsigned depth);
/* A body that is the items. */
void append_body(struct buf *body, enum scan_shape shape, uint64_t *random);
/* Changes up to three bytes behind the first, or cuts the body short. */
void wreck(struct buf *body, uint64_t *random);

#endif
