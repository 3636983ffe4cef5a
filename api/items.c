/* items: see items.h. */
#include "api/items.h"

#include <stdlib.h>

#include "api/separators.h"
#include "workers/log.h"

void items_init(struct items *items, enum items_format format)
{
    /* All but `few`, which is written before it is read: an init is on the path of the smallest request. */
    items->format = format;
    items->count = 0;
    items->complete = false;
    items->marks = NULL;
    items->mark_count = 0;
    items->mark_capacity = ITEMS_FEW_MARKS;
    items->end = 0;
    items->cursor = (struct items_mark){0, 0};
    items->header_start = items->header_end = 0;
    items->start = items->step = 0;
    items->value_start = items->value_end = 0;
}

void items_clear(struct items *items)
{
    free(items->marks);
    items_init(items, items->format);
}

static struct items_mark *marks_of(struct items *items)
{
    return items->marks != NULL ? items->marks : items->few;
}

static void grow(struct items *items)
{
    size_t capacity = items->mark_capacity * 2;
    struct items_mark *marks = realloc(items->marks, capacity * sizeof *marks);
    if (marks == NULL)
        die("out of memory: %zu marks", capacity);
    if (items->marks == NULL)
        memcpy(marks, items->few, sizeof items->few);
    items->marks = marks;
    items->mark_capacity = capacity;
}

void items_mark(struct items *items, uint64_t item, uint64_t offset)
{
    if (items->mark_count > 0 && marks_of(items)[items->mark_count - 1].item == item)
        items->mark_count--;
    if (items->mark_count == items->mark_capacity)
        grow(items);
    marks_of(items)[items->mark_count++] = (struct items_mark){item, offset};
    if (item == 0)
        items->cursor = (struct items_mark){item, offset};
}

/* The last mark whose item is at most `item`. */
static struct items_mark mark_before(struct items *items, uint64_t item)
{
    const struct items_mark *marks = marks_of(items);
    size_t low = 0, high = items->mark_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (marks[middle].item <= item)
            low = middle;
        else
            high = middle;
    }
    return marks[low];
}

/* Where the item numbered `item` begins, by steps from `from`; it is known, and not the first that is not. */
static uint64_t step(const struct items *items, const char *body, struct items_mark from, uint64_t item)
{
    struct separators separators;
    char room[SEPARATORS_BLOCK];
    uint64_t skip = item - from.item, at = from.offset;
    separators_init(&separators, items->format);
    while (skip > 0 && at < items->end) {
        unsigned cut, size = items->end - at < SEPARATORS_BLOCK ? (unsigned)(items->end - at) : SEPARATORS_BLOCK;
        uint64_t ends = separators_take(&separators, separators_block(body + at, size, room), size, &cut);
        unsigned count = separators_count(ends);
        if (count >= skip)
            return at + separators_place(ends, (unsigned)skip - 1) + 1;
        skip -= count;
        at += size;
    }
    return at;
}

static uint64_t begin_of(struct items *items, const char *body, uint64_t item)
{
    struct items_mark from = items->cursor;
    if (item < from.item || item - from.item > ITEMS_PER_MARK / 4) {
        struct items_mark mark = mark_before(items, item);
        if (item < from.item || mark.item > from.item)
            from = mark;
    }
    items->cursor = (struct items_mark){item, step(items, body, from, item)};
    return items->cursor.offset;
}

void items_locate(struct items *items, const char *body, uint64_t first, uint64_t count, size_t *start, size_t *end)
{
    *start = begin_of(items, body, first);
    *end = first + count == items->count ? items->end : begin_of(items, body, first + count) - 1;
}

/* Items from `first` on, where `start` is, that end within `bytes`, but at most `most`: one by one. */
static uint64_t fitting_exactly(const struct items *items, const char *body, uint64_t start, uint64_t most,
                                uint64_t bytes)
{
    struct separators separators;
    char room[SEPARATORS_BLOCK];
    uint64_t found = 0;
    uint64_t stop = start + bytes + 1; /* the separator behind the last one that fits stands before it */
    separators_init(&separators, items->format);
    for (uint64_t at = start; at < stop && found < most; at += SEPARATORS_BLOCK) {
        unsigned cut, size = stop - at < SEPARATORS_BLOCK ? (unsigned)(stop - at) : SEPARATORS_BLOCK;
        found += separators_count(separators_take(&separators, separators_block(body + at, size, room), size, &cut));
    }
    return found < most ? found : most;
}

uint64_t items_fitting(struct items *items, const char *body, uint64_t first, uint64_t most, size_t bytes)
{
    if (first >= items->count || most == 0)
        return 0;
    if (most > items->count - first)
        most = items->count - first;
    uint64_t start = begin_of(items, body, first), fitting;
    if (items->end - start <= bytes)
        return most;
    const struct items_mark *marks = marks_of(items);
    size_t low = 0, high = items->mark_count; /* marks[low] begins at most one byte, a separator, behind what fits */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (marks[middle].offset <= start + bytes + 1)
            low = middle;
        else
            high = middle;
    }
    if (marks[low].item > first)
        fitting = marks[low].item - first < most ? marks[low].item - first : most;
    else
        fitting = fitting_exactly(items, body, start, most, bytes);
    return fitting > 0 ? fitting : 1;
}
