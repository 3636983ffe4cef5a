/* test_items: items are counted and found as an obvious scanner counts and finds them: in random bodies and wrecked
 * ones, in order and at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/scan.h"
#include "tests/scan_bodies.h"
#include "tests/scan_feeds.h"
#include "workers/buf.h"

static void assert_as_reference(enum scan_shape shape, const struct buf *body)
{
    reference_scan(shape, buf_start(body), body->length);
    struct outcome outcome = scan_every_way(shape, &ample_limits, buf_start(body), body->length);
    if (outcome.fault != reference.fault || outcome.offset != reference.offset || outcome.count != reference.count)
        print_error("%.*s\n%s at %zu, expected %zu\n", (int)body->length, buf_start(body), outcome.why, outcome.offset,
                    reference.offset);
    assert_int_equal(outcome.fault, reference.fault);
    assert_int_equal(outcome.offset, reference.offset);
    assert_int_equal(outcome.count, reference.count);
    for (size_t i = 0; i < reference.count; i++) {
        assert_int_equal(outcome.places[i].start, reference.places[i].start);
        assert_int_equal(outcome.places[i].end, reference.places[i].end);
    }
    outcome_clear(&outcome);
}

static const enum scan_shape shapes[] = {SCAN_ARRAY, SCAN_ARRAY, SCAN_ARRAY, SCAN_LINES, SCAN_TEXT, SCAN_CSV};

static void random_bodies_are_as_the_reference_says(void **state)
{
    for (uint64_t seed = 0; seed < 600; seed++) {
        uint64_t random = seed;
        enum scan_shape shape = shapes[seed % (sizeof shapes / sizeof *shapes)];
        struct buf body;
        buf_init(&body);
        append_body(&body, shape, &random);
        if (seed % 2)
            wreck(&body, &random);
        if (shape == SCAN_ARRAY || body.length > 0)
            assert_as_reference(shape, &body);
        buf_clear(&body);
    }
}

/* --- places in a body that is there ------------------------------------------------------------------------------- */

/* Scans into *scan, which is left to be asked, and the reference. */
static void scan_both(struct scan *scan, enum scan_shape shape, const struct buf *body)
{
    reference_scan(shape, buf_start(body), body->length);
    scan_init(scan, shape, &ample_limits);
    for (size_t at = 0; at < body->length; at += 4099)
        assert_int_equal(scan_feed(scan, buf_start(body), at, false), SCAN_MORE);
    assert_int_equal(scan_feed(scan, buf_start(body), body->length, true), SCAN_DONE);
    assert_int_equal(scan->items.count, reference.count);
}

static void assert_located(struct items *items, const char *body, uint64_t first, uint64_t count)
{
    size_t start, end;
    items_locate(items, body, first, count, &start, &end);
    assert_int_equal(start, reference.places[first].start);
    assert_int_equal(end, reference.places[first + count - 1].end);
}

static void assert_fitting(struct items *items, const char *body, uint64_t first, uint64_t most, size_t bytes)
{
    uint64_t fitting = items_fitting(items, body, first, most, bytes), left = items->count - first;
    assert_in_range(fitting, 1, most < left ? most : left);
    size_t start = reference.places[first].start, end = reference.places[first + fitting - 1].end;
    assert_true(fitting == 1 || end - start <= bytes);
    /* What it leaves out is less than the items up to the next mark. */
    uint64_t behind = first + fitting + ITEMS_PER_MARK;
    if (fitting < most && behind < items->count)
        assert_true(reference.places[behind].end - start > bytes ||
                    reference.places[behind].end - end > ITEMS_BYTES_PER_MARK);
}

/* The item numbered `i` of a body of 30,000 with sizes of all kinds: runs of small ones, now and then a large one. */
static void append_item(struct buf *body, enum scan_shape shape, size_t i, uint64_t *random)
{
    if (i > 0)
        buf_append_char(body, shape == SCAN_ARRAY ? ',' : '\n');
    if (random_below(random, 1000) == 0)
        buf_printf(body, "\"%0*d\"", (int)random_below(random, 9000), 7);
    else if (i / 5000 % 2)
        append_string(body, random);
    else
        buf_printf(body, "%zu", random_below(random, 100));
}

static void items_are_found_in_any_order(void **state)
{
    for (size_t s = 2; s < sizeof shapes / sizeof *shapes; s++) {
        uint64_t random = s;
        struct buf body;
        struct scan scan;
        buf_init(&body);
        if (shapes[s] == SCAN_ARRAY)
            buf_append_char(&body, '[');
        for (size_t i = 0; i < 30000; i++)
            append_item(&body, shapes[s] == SCAN_CSV ? SCAN_TEXT : shapes[s], i, &random);
        buf_append_text(&body, shapes[s] == SCAN_ARRAY ? "]" : "");
        if (shapes[s] == SCAN_CSV) /* \" is no escape there */
            for (char *at = buf_start(&body); at < buf_end(&body); at++)
                *at = *at == '\\' ? '"' : *at;
        if (shapes[s] == SCAN_CSV)
            for (size_t quotes = 0, i = 0; i <= body.length; quotes += buf_start(&body)[i++] == '"')
                if (i == body.length && quotes % 2)
                    buf_append_char(&body, '"');
        scan_both(&scan, shapes[s], &body);
        struct items items = scan.items; /* may be copied */
        const char *text = buf_start(&body);
        for (uint64_t first = 0, count; first < items.count; first += count) {
            count = 1 + random_below(&random, random_below(&random, 2) ? 300 : 3);
            count = first + count > items.count ? items.count - first : count;
            assert_located(&items, text, first, count);
        }
        for (int i = 0; i < 3000; i++) {
            uint64_t first = random_below(&random, items.count);
            assert_located(&items, text, first, 1 + random_below(&random, items.count - first));
            first = random_below(&random, items.count);
            assert_fitting(&items, text, first, 1 + random_below(&random, 4000),
                           random_below(&random, i % 2 ? 1000 : 100000));
        }
        assert_int_equal(items_fitting(&items, text, 0, UINT64_MAX, SIZE_MAX), items.count);
        assert_int_equal(items_fitting(&items, text, items.count, 1, 1), 0);
        assert_int_equal(items_fitting(&items, text, 0, 0, 1), 0);
        items_clear(&items);
        buf_clear(&body);
    }
}

static void large_items_are_marked_one_by_one(void **state)
{
    struct buf body;
    struct scan scan;
    buf_init(&body);
    for (int i = 0; i < 50; i++)
        buf_printf(&body, "%c%05000d", i == 0 ? '[' : ',', i);
    buf_append_char(&body, ']');
    scan_both(&scan, SCAN_ARRAY, &body);
    assert_true(scan.items.mark_count >= 49);
    assert_int_equal(items_fitting(&scan.items, buf_start(&body), 3, 50, 20000), 3);
    assert_int_equal(items_fitting(&scan.items, buf_start(&body), 3, 50, 20003), 4);
    assert_int_equal(items_fitting(&scan.items, buf_start(&body), 3, 2, 20003), 2);
    assert_int_equal(items_fitting(&scan.items, buf_start(&body), 3, 50, 10), 1);
    scan_clear(&scan);
    buf_clear(&body);
}

static void few_items_fit_exactly(void **state)
{
    static const char text[] = "[1,22,333,4444]";
    static const uint64_t fitting[] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4};
    struct buf body;
    struct scan scan;
    buf_init(&body);
    buf_append_text(&body, text);
    scan_both(&scan, SCAN_ARRAY, &body);
    for (size_t bytes = 0; bytes < sizeof fitting / sizeof *fitting; bytes++)
        assert_int_equal(items_fitting(&scan.items, text, 0, 9, bytes), fitting[bytes]);
    assert_int_equal(items_fitting(&scan.items, text, 1, 9, 6), 2);
    assert_int_equal(items_fitting(&scan.items, text, 1, 1, 6), 1);
    scan_clear(&scan);
    buf_clear(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bodies_are_as_the_reference_says),
        cmocka_unit_test(items_are_found_in_any_order),
        cmocka_unit_test(few_items_fit_exactly),
        cmocka_unit_test(large_items_are_marked_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
