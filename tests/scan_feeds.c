/* scan_feeds: see scan_feeds.h. */
#include "tests/scan_feeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct scan_limits ample_limits = {1 << 20, 10000000};

uint64_t random_next(uint64_t *random)
{
    uint64_t z = *random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t random_below(uint64_t *random, size_t n)
{
    return (size_t)(random_next(random) % n);
}

/* The items that became known with a feed can be located at once. */
static void locate_new(struct outcome *outcome, struct items *items, const char *body)
{
    assert_true(items->count >= outcome->count);
    if (items->count == outcome->count)
        return;
    outcome->places = realloc(outcome->places, items->count * sizeof *outcome->places);
    assert_non_null(outcome->places);
    for (; outcome->count < items->count; outcome->count++) {
        struct place *place = &outcome->places[outcome->count];
        items_locate(items, body, outcome->count, 1, &place->start, &place->end);
    }
}

static void feed(struct outcome *outcome, struct scan *scan, const char *body, size_t length, bool last)
{
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, body, length);
    outcome->status = scan_feed(scan, copy, length, last);
    assert_int_equal(outcome->status == SCAN_BAD, scan->fault != SCAN_OK);
    if (outcome->status != SCAN_BAD)
        assert_int_equal(outcome->status, last ? SCAN_DONE : SCAN_MORE);
    locate_new(outcome, &scan->items, copy);
    free(copy);
}

static void conclude(struct outcome *outcome, struct scan *scan)
{
    outcome->fault = scan->fault;
    outcome->offset = scan->offset;
    outcome->why = scan->why;
    outcome->member_count = scan->member_count;
    memcpy(outcome->members, scan->members, scan->member_count * sizeof *scan->members);
    outcome->items_member = scan->items_member;
    outcome->items_begun = scan->items_begun;
    outcome->complete = scan->items.complete;
    outcome->header = (struct place){scan->items.header_start, scan->items.header_end};
    scan_clear(scan);
}

struct outcome scan_pieces(enum scan_shape shape, const struct scan_limits *limits, const char *body, size_t length,
                           size_t first, size_t most, uint64_t *random)
{
    struct outcome outcome = {.status = SCAN_MORE};
    struct scan scan;
    memset(&scan, 0xa5, sizeof scan); /* whatever was there before */
    scan_init(&scan, shape, limits);
    size_t at = first;
    for (; at < length && outcome.status == SCAN_MORE; at += 1 + random_below(random, most))
        feed(&outcome, &scan, body, at, false);
    /* Now and then the end comes by itself, without a byte. */
    if (outcome.status == SCAN_MORE && random_below(random, 2) == 0)
        feed(&outcome, &scan, body, length, false);
    if (outcome.status == SCAN_MORE)
        feed(&outcome, &scan, body, length, true);
    conclude(&outcome, &scan);
    return outcome;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->fault, b->fault);
    assert_int_equal(a->offset, b->offset);
    if (a->fault != SCAN_OK)
        assert_string_equal(a->why, b->why);
    assert_int_equal(a->member_count, b->member_count);
    assert_memory_equal(a->members, b->members, a->member_count * sizeof *a->members);
    assert_int_equal(a->items_member, b->items_member);
    assert_int_equal(a->items_begun, b->items_begun);
    assert_int_equal(a->complete, b->complete);
    assert_int_equal(a->header.start, b->header.start);
    assert_int_equal(a->header.end, b->header.end);
    assert_int_equal(a->count, b->count);
    if (a->count > 0)
        assert_memory_equal(a->places, b->places, a->count * sizeof *a->places);
}

struct outcome scan_every_way(enum scan_shape shape, const struct scan_limits *limits, const char *body, size_t length)
{
    static const size_t mosts[] = {1, 3, 70, 200, 3000};
    uint64_t random = length;
    struct outcome whole = scan_pieces(shape, limits, body, length, length, 1, &random);
    for (size_t i = 0; i < sizeof mosts / sizeof *mosts; i++) {
        if (length / mosts[i] > 2000)
            continue;
        struct outcome pieces = scan_pieces(shape, limits, body, length, 0, mosts[i], &random);
        assert_same(&whole, &pieces);
        outcome_clear(&pieces);
    }
    for (size_t split = 0; split < length && length < 300; split++) {
        struct outcome halves = scan_pieces(shape, limits, body, length, split, 2 * length, &random);
        assert_same(&whole, &halves);
        outcome_clear(&halves);
    }
    return whole;
}

void outcome_clear(struct outcome *outcome)
{
    free(outcome->places);
    outcome->places = NULL;
}
