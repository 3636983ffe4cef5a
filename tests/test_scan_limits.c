/* test_scan_limits: members, depth, item sizes and item numbers up to their limits, and one beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/scan.h"
#include "tests/scan_feeds.h"
#include "workers/buf.h"

static void append_members(struct buf *body, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(body, "%c\"m%zu\":%zu", i == 0 ? '{' : ',', i, i);
    buf_append_char(body, '}');
}

static void members_have_a_limit(void **state)
{
    for (size_t count = SCAN_MEMBERS_MAX; count <= SCAN_MEMBERS_MAX + 1; count++) {
        struct buf body;
        buf_init(&body);
        append_members(&body, count);
        struct outcome outcome = scan_every_way(SCAN_OBJECT, &ample_limits, buf_start(&body), body.length);
        assert_int_equal(outcome.fault, count > SCAN_MEMBERS_MAX ? SCAN_TOO_MANY_MEMBERS : SCAN_OK);
        assert_int_equal(outcome.member_count, SCAN_MEMBERS_MAX);
        buf_clear(&body);
        outcome_clear(&outcome);
    }
}

/* `depth` brackets opened and closed, of one kind or of both by turns. */
static void append_nest(struct buf *body, size_t depth, const char *opens, const char *closes)
{
    size_t kinds = strlen(closes);
    for (size_t i = 0; i < depth; i++)
        buf_append_text(body, opens[i % kinds] == '{' ? "{\"a\":" : "[");
    buf_append_char(body, '0');
    for (size_t i = depth; i-- > 0;)
        buf_append_char(body, closes[i % kinds]);
}

static void depth_has_a_limit(void **state)
{
    static const char *const kinds[][2] = {{"[", "]"}, {"{", "}"}, {"[{{", "]}}"}};
    static const size_t depths[] = {1, 64, 65, TOKEN_DEPTH_MAX, TOKEN_DEPTH_MAX + 1, 100000};
    for (size_t k = 0; k < 2 * sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
            bool in_items = k % 2;
            struct buf body;
            buf_init(&body);
            buf_append_text(&body, in_items ? "{\"items\":[1," : "{\"common\":");
            append_nest(&body, depths[i], kinds[k / 2][0], kinds[k / 2][1]);
            buf_append_text(&body, in_items ? ",2]}" : "}");
            struct outcome outcome = scan_every_way(SCAN_OBJECT, &ample_limits, buf_start(&body), body.length);
            assert_int_equal(outcome.fault, depths[i] > TOKEN_DEPTH_MAX ? SCAN_TOO_DEEP : SCAN_OK);
            assert_int_equal(outcome.count, !in_items ? 0 : depths[i] > TOKEN_DEPTH_MAX ? 1 : 3);
            if (outcome.fault == SCAN_TOO_DEEP)
                assert_non_null(strchr("[{", buf_start(&body)[outcome.offset]));
            buf_clear(&body);
            outcome_clear(&outcome);
        }
}

/* Of two faults of one value the first is told. */
static void depth_is_not_all_that_is_wrong(void **state)
{
    struct buf body;
    buf_init(&body);
    buf_append_text(&body, "{\"common\":[x,");
    append_nest(&body, 1000, "[", "]");
    buf_append_text(&body, "]}");
    struct outcome outcome = scan_every_way(SCAN_OBJECT, &ample_limits, buf_start(&body), body.length);
    assert_int_equal(outcome.fault, SCAN_MALFORMED);
    assert_int_equal(outcome.offset, 11);
    buf_clear(&body);
    outcome_clear(&outcome);
}

static void wrong_kinds_are_found_at_any_depth(void **state)
{
    for (size_t depth = 1; depth <= 200; depth++) {
        struct buf body;
        buf_init(&body);
        buf_append_text(&body, "[");
        append_nest(&body, depth, "[{", "]}");
        buf_append_text(&body, ",1]");
        size_t wrong = body.length - 3 - (depth + 1) / 2; /* one of those that close */
        buf_start(&body)[wrong] ^= ']' ^ '}';
        uint64_t random = depth;
        struct outcome outcome =
            scan_pieces(SCAN_ARRAY, &ample_limits, buf_start(&body), body.length, 0, 1 + depth % 150, &random);
        assert_int_equal(outcome.fault, SCAN_MALFORMED);
        assert_int_equal(outcome.offset, wrong);
        buf_clear(&body);
        outcome_clear(&outcome);
    }
}

static void limits_are_exact(void **state)
{
    static const struct {
        enum scan_shape shape;
        const char *body;
        uint64_t item_bytes, items;
        enum scan_fault fault;
        size_t offset;
        uint64_t count;
    } rows[] = {
        {SCAN_ARRAY, "[1,22,333]", 3, 3, SCAN_OK, 0, 3},
        {SCAN_ARRAY, "[1,22,333]", 2, 3, SCAN_ITEM_TOO_LARGE, 8, 2},
        {SCAN_ARRAY, "[1,22,333]", 1, 3, SCAN_ITEM_TOO_LARGE, 4, 1},
        {SCAN_ARRAY, "[1]", 0, 3, SCAN_ITEM_TOO_LARGE, 1, 0},
        {SCAN_ARRAY, "[]", 0, 0, SCAN_OK, 0, 0},
        {SCAN_ARRAY, "[1,22,333]", 3, 2, SCAN_TOO_MANY_ITEMS, 6, 2},
        {SCAN_ARRAY, "[1,22,333]", 3, 1, SCAN_TOO_MANY_ITEMS, 3, 1},
        {SCAN_ARRAY, "[1,22,333]", 3, 0, SCAN_TOO_MANY_ITEMS, 1, 0},
        {SCAN_ARRAY, "[\"a,b\",1]", 4, 9, SCAN_ITEM_TOO_LARGE, 5, 0},
        {SCAN_ARRAY, "[\"a,b\",1]", UINT64_MAX, UINT64_MAX, SCAN_OK, 0, 2},
        {SCAN_LINES, "1\n22\n333", 3, 3, SCAN_OK, 0, 3},
        {SCAN_LINES, "1\n22\n333", 2, 3, SCAN_ITEM_TOO_LARGE, 7, 2},
        {SCAN_LINES, "1\n22\n333", 3, 2, SCAN_TOO_MANY_ITEMS, 5, 2},
        {SCAN_LINES, "1\n22\n\n", 3, 2, SCAN_OK, 0, 2},
        {SCAN_TEXT, "1\n22\n\n", 3, 2, SCAN_TOO_MANY_ITEMS, 5, 2},
        {SCAN_CSV_HEADER, "aaa\n1\n22", 3, 2, SCAN_OK, 0, 2},
        {SCAN_CSV_HEADER, "aaaa\n1\n22", 3, 2, SCAN_ITEM_TOO_LARGE, 3, 0},
        {SCAN_CSV_HEADER, "a\n1\n22\n", 3, 1, SCAN_TOO_MANY_ITEMS, 4, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct scan_limits limits = {rows[i].item_bytes, rows[i].items};
        struct outcome outcome = scan_every_way(rows[i].shape, &limits, rows[i].body, strlen(rows[i].body));
        if (outcome.fault != rows[i].fault)
            print_error("%s, %d bytes, %d items\n", rows[i].body, (int)rows[i].item_bytes, (int)rows[i].items);
        assert_int_equal(outcome.fault, rows[i].fault);
        assert_int_equal(outcome.offset, rows[i].offset);
        assert_int_equal(outcome.count, rows[i].count);
        outcome_clear(&outcome);
    }
}

/* The limits of bodies of many blocks, where the fast path has to see them. */
static void limits_hold_in_long_bodies(void **state)
{
    for (size_t large = 60; large < 330; large += 9) {
        struct buf body;
        buf_init(&body);
        buf_append_char(&body, '[');
        for (int i = 0; i < 500; i++)
            buf_printf(&body, "%d,", i);
        size_t start = body.length;
        buf_printf(&body, "%0*d,1,2,3]", (int)large, 7);
        for (int over = 0; over < 2; over++) {
            const struct scan_limits limits = {large - (size_t)over, 504}, fewer = {large, 503 - (size_t)over};
            struct outcome outcome = scan_every_way(SCAN_ARRAY, &limits, buf_start(&body), body.length);
            assert_int_equal(outcome.fault, over ? SCAN_ITEM_TOO_LARGE : SCAN_OK);
            assert_int_equal(outcome.offset, over ? start + large - 1 : 0);
            assert_int_equal(outcome.count, over ? 500 : 504);
            outcome_clear(&outcome);
            outcome = scan_every_way(SCAN_ARRAY, &fewer, buf_start(&body), body.length);
            assert_int_equal(outcome.fault, SCAN_TOO_MANY_ITEMS);
            assert_int_equal(outcome.offset, body.length - 2 - 2 * (size_t)over);
            assert_int_equal(outcome.count, 503 - over);
            outcome_clear(&outcome);
        }
        buf_clear(&body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_have_a_limit),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(depth_is_not_all_that_is_wrong),
        cmocka_unit_test(wrong_kinds_are_found_at_any_depth),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(limits_hold_in_long_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
