/* items: where a call's items are. Spans of the kept body for items that came as text; for range and repeat nothing but
 * numbers. Not one offset per item: a mark every so many items, and a step from the mark to the item asked for. Pure.
 *
 * Offsets are into the body, which may move in memory while it grows: callers pass its present address. */
#ifndef FORKMAP_API_ITEMS_H
#define FORKMAP_API_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/message.h"

#define ITEMS_PER_MARK 128
#define ITEMS_BYTES_PER_MARK 4096 /* large items are marked sooner */
#define ITEMS_FEW_MARKS 8

struct items_mark {
    uint64_t item;   /* number of the item that begins here */
    uint64_t offset; /* of its first byte (or of blanks before it) in the body */
};

struct items {
    enum items_format format;
    uint64_t count; /* items known so far */
    bool complete;  /* no more will come */
    /* text formats */
    struct items_mark *marks; /* ascending; the first is item 0. NULL while they find room in `few` */
    size_t mark_count, mark_capacity;
    struct items_mark few[ITEMS_FEW_MARKS]; /* a small body needs no memory of its own */
    uint64_t end;                           /* offset behind the last known item, of its comma or LF if it has one */
    struct items_mark cursor;               /* where the last locate ended: in-order callers pay no step from a mark */
    size_t header_start, header_end;        /* ITEMS_CSV_HEADER: the header record */
    /* range */
    int64_t start, step;
    /* repeat: the value's place in the body */
    size_t value_start, value_end;
};

/* May be copied and moved freely; whoever has the last copy clears it. */
void items_init(struct items *items, enum items_format format);
void items_clear(struct items *items);
/* A mark: the item numbered `item` begins at `offset`. At most ITEMS_PER_MARK items after the one before; the same item
 * again moves that mark. */
void items_mark(struct items *items, uint64_t item, uint64_t offset);
/* Where items [first, first + count) stand in the body: from the first one's first byte to behind the last one's last
 * (blanks around them may be included, the comma or LF behind the last is not, the CR of a CR LF is). 1 <= count, first
 * + count <= items->count. Only for text formats. */
void items_locate(struct items *items, const char *body, uint64_t first, uint64_t count, size_t *start, size_t *end);
/* Items from `first` on, at most `most`, that fit in `bytes` of text (at least 1 where there is one). Counts by whole
 * marks where one fits: it may say fewer than would fit, and is over only where a single item is. */
uint64_t items_fitting(struct items *items, const char *body, uint64_t first, uint64_t most, size_t bytes);

#endif
