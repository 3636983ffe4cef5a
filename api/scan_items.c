/* scan_items: see scan_items.h. The hot loop of an upload: 64 bytes at a time, one mask of separators for each. */
#include "api/scan_items.h"

void scan_fail(struct scan *scan, enum scan_fault fault, size_t offset, const char *why)
{
    scan->fault = fault;
    scan->offset = offset;
    scan->why = why;
}

static void mark(struct scan *scan, uint64_t item, size_t offset)
{
    scan->last_mark = (struct items_mark){item, offset};
    items_mark(&scan->items, item, offset);
}

void scan_items_open(struct scan *scan, size_t offset)
{
    scan->items_begun = true;
    scan->item_start = offset;
    scan->items.header_start = scan->items.header_end = offset;
    scan->in_header = scan->shape == SCAN_CSV_HEADER;
    separators_init(&scan->separators, scan->items.format);
    mark(scan, 0, offset);
}

/* An item ended before `end`; false: it is one too many. */
static bool add_last(struct scan *scan, size_t end)
{
    struct items *items = &scan->items;
    if (items->count >= scan->limits.items) {
        scan_fail(scan, SCAN_TOO_MANY_ITEMS, scan->item_start, "more items than are allowed");
        return false;
    }
    if (items->count + 1 - scan->last_mark.item > ITEMS_PER_MARK)
        mark(scan, items->count, scan->item_start);
    items->count++;
    items->end = end;
    return true;
}

/* Items end at the set bits of `ends`, bit 0 being the byte at `at`. */
static inline void add(struct scan *scan, size_t at, uint64_t ends)
{
    struct items *items = &scan->items;
    unsigned count = separators_count(ends);
    if (items->count + count > scan->limits.items) {
        count = (unsigned)(scan->limits.items - items->count);
        size_t start = count == 0 ? scan->item_start : at + separators_place(ends, count - 1) + 1;
        scan_fail(scan, SCAN_TOO_MANY_ITEMS, start, "more items than are allowed");
        ends &= ~(~UINT64_C(0) << separators_place(ends, count));
    }
    if (ends == 0)
        return;
    if (items->count + count - scan->last_mark.item > ITEMS_PER_MARK ||
        scan->item_start - scan->last_mark.offset >= ITEMS_BYTES_PER_MARK)
        mark(scan, items->count, scan->item_start);
    items->count += count;
    items->end = at + 63 - (unsigned)__builtin_clzll(ends);
    scan->item_start = items->end + 1;
}

/* The CSV header record ended at the first of `ends`; the others end items. */
static uint64_t take_header(struct scan *scan, size_t at, uint64_t ends)
{
    scan->items.header_end = at + separators_place(ends, 0);
    scan->item_start = scan->items.header_end + 1;
    scan->in_header = false;
    mark(scan, 0, scan->item_start);
    return ends & (ends - 1);
}

/* The byte at scan->position ended or broke the array; true: ended. */
static bool stopped(struct scan *scan, const char *body)
{
    size_t at = scan->position;
    const struct separators *separators = &scan->separators;
    if (body[at] == ',' || (body[at] == ']' && separators->depth == 0 && separators->fresh)) {
        const char *value = token_skip_blanks(body + scan->item_start, body + at);
        if (body[at] == ',' || scan->items.count > 0 || value < body + at) {
            scan_fail(scan, SCAN_MALFORMED, (size_t)(value - body), "expected a value");
            return false;
        }
    } else if (body[at] == '\\') {
        scan_fail(scan, SCAN_MALFORMED, at, "a backslash outside of a string");
        return false;
    } else if (body[at] == '[' || body[at] == '{') {
        scan_fail(scan, SCAN_TOO_DEEP, at, "arrays and objects are nested too deep");
        return false;
    } else if (separators->depth > 0 || body[at] == '}') {
        uint32_t level = separators->depth - 1;
        bool object = separators->depth > 0 && (separators->kinds[level / 64] >> level % 64 & 1);
        scan_fail(scan, SCAN_MALFORMED, at, object ? "expected ',' or '}'" : "expected ',' or ']'");
        return false;
    } else if (!add_last(scan, at)) {
        return false;
    }
    scan->items.complete = true;
    scan->position++;
    return true;
}

bool scan_items_feed(struct scan *scan, const char *body, size_t length)
{
    char room[SEPARATORS_BLOCK];
    const size_t item_bytes = scan->limits.item_bytes;
    while (scan->position < length) {
        size_t at = scan->position, size = SEPARATORS_BLOCK, left = scan->item_start + item_bytes - at;
        if (length - at < SEPARATORS_BLOCK)
            size = length - at;
        /* No item that is under way or begins in this block can grow beyond its limit in it. The byte at the limit
         * itself is looked at alone: it must end the item. */
        bool must_end = left == 0;
        if (left < size)
            size = must_end ? 1 : left;
        unsigned cut;
        const char *block = separators_block(body + at, (unsigned)size, room);
        uint64_t ends = separators_take(&scan->separators, block, (unsigned)size, &cut);
        if (scan->in_header && ends != 0)
            ends = take_header(scan, at, ends);
        else if (must_end && ends == 0 && cut == size) {
            scan_fail(scan, SCAN_ITEM_TOO_LARGE, at, "an item is larger than is allowed");
            return false;
        }
        if (ends != 0)
            add(scan, at, ends);
        scan->position = at + cut;
        if (scan->fault != SCAN_OK)
            return false;
        if (cut < size)
            return stopped(scan, body);
    }
    return false;
}

void scan_items_end(struct scan *scan, size_t length)
{
    const struct separators *separators = &scan->separators;
    if (scan->items.format >= ITEMS_CSV && separators->in_string) {
        scan_fail(scan, SCAN_MALFORMED, length, "the body ends inside a quoted field");
        return;
    }
    if (!separators->fresh && !separators->after_return) {
        if (scan->in_header)
            scan->items.header_end = length;
        else if (!add_last(scan, length))
            return;
    }
    scan->items.complete = true;
}
