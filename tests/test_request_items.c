/* request: items given as numbers, the range and the repeated value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "tests/asking.h"

static void ranges(void **state)
{
    static const struct {
        const char *body;
        int64_t start, step;
        uint64_t count;
    } rows[] = {
        {ITEMS("{\"range\": [5]}"), 0, 1, 5},
        {ITEMS("{\"range\": [0]}"), 0, 1, 0},
        {ITEMS("{\"range\": [-5]}"), 0, 1, 0},
        {ITEMS("{\"range\": [3, 7]}"), 3, 1, 4},
        {ITEMS("{\"range\": [7, 3]}"), 7, 1, 0},
        {ITEMS("{\"range\": [0, 10, 3]}"), 0, 3, 4},
        {ITEMS("{\"range\": [0, 9, 3]}"), 0, 3, 3},
        {ITEMS("{\"range\": [10, 0, -3]}"), 10, -3, 4},
        {ITEMS("{\"range\": [9, 0, -3]}"), 9, -3, 3},
        {ITEMS("{\"range\": [0, 10, -1]}"), 0, -1, 0},
        {ITEMS("{\"range\": [0, 1e3]}"), 0, 1, 1000},
        {ITEMS("{ \"r\\u0061nge\" : [ -2 , 2 ] }"), -2, 1, 4},
        {ITEMS("{\"range\": [-9223372036854775808, 9223372036854775807, 9223372036854775807]}"), INT64_MIN, INT64_MAX,
         3},
        {ITEMS("{\"range\": [9223372036854775807, -9223372036854775808, -9223372036854775808]}"), INT64_MAX, INT64_MIN,
         2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        accepted(ENDPOINT_MAP, rows[i].body);
        assert_true(request.has_items && scan.items.complete);
        assert_int_equal(scan.items.format, ITEMS_RANGE);
        assert_true(scan.items.start == rows[i].start && scan.items.step == rows[i].step);
        assert_int_equal(scan.items.count, rows[i].count);
    }
}

static void repeats(void **state)
{
    static const char body[] = ITEMS("{\"count\": 1000, \"repeat\": [6, 7]}");
    accepted(ENDPOINT_STARMAP, body);
    assert_int_equal(scan.items.format, ITEMS_REPEAT);
    assert_int_equal(scan.items.count, 1000);
    assert_true(scan.items.complete && request.has_items);
    assert_int_equal(scan.items.value_end - scan.items.value_start, 6);
    assert_memory_equal(body + scan.items.value_start, "[6, 7]", 6);
    accepted(ENDPOINT_MAP, ITEMS("{\"repeat\": null, \"count\": 0}"));
    assert_int_equal(scan.items.count, 0);
}

static void bad_items(void **state)
{
    static const struct {
        const char *body;
        enum problem_type type;
        const char *pointer, *detail;
    } rows[] = {
        {ITEMS("5"), PROBLEM_WRONG_TYPE, "/items",
         "items is an array, {\"range\": [start, stop, step]} or {\"repeat\": value, \"count\": n}; got 5"},
        {ITEMS("{}"), PROBLEM_MISSING_MEMBER, "/items",
         "items is an object without range or repeat: {\"range\": [start, stop, step]} or "
         "{\"repeat\": value, \"count\": n}"},
        {ITEMS("{\"rnage\": [1]}"), PROBLEM_UNKNOWN_MEMBER, "/items/rnage",
         "rnage is no member of items; did you mean range?"},
        {ITEMS("{\"a/b~\": [1]}"), PROBLEM_UNKNOWN_MEMBER, "/items/a~1b~0", "a/b~ is no member of items"},
        {ITEMS("{\"range\": 5}"), PROBLEM_WRONG_TYPE, "/items/range",
         "range is [stop], [start, stop] or [start, stop, step], as in Python; got 5"},
        {ITEMS("{\"range\": []}"), PROBLEM_WRONG_VALUE, "/items/range",
         "range is [stop], [start, stop] or [start, stop, step], as in Python; got []"},
        {ITEMS("{\"range\": [1, 2, 3, 4]}"), PROBLEM_WRONG_VALUE, "/items/range",
         "range is [stop], [start, stop] or [start, stop, step], as in Python; got more than three numbers"},
        {ITEMS("{\"range\": [1, 2, 0]}"), PROBLEM_OUT_OF_RANGE, "/items/range/2", "the step of a range is not 0"},
        {ITEMS("{\"range\": [1, \"2\"]}"), PROBLEM_WRONG_TYPE, "/items/range/1",
         "items/range/1 is an integer of 64 bits; got \"2\""},
        {ITEMS("{\"range\": [0.5]}"), PROBLEM_WRONG_TYPE, "/items/range/0",
         "items/range/0 is an integer of 64 bits; got 0.5"},
        {ITEMS("{\"range\": [9223372036854775808]}"), PROBLEM_OUT_OF_RANGE, "/items/range/0",
         "items/range/0 is an integer of 64 bits; got 9223372036854775808"},
        {ITEMS("{\"range\": [1001]}"), PROBLEM_TOO_LARGE, "/items/range",
         "1001 items are more than the 1000 that a call may have"},
        {ITEMS("{\"range\": [-9223372036854775808, 9223372036854775807]}"), PROBLEM_TOO_LARGE, "/items/range",
         "18446744073709551615 items are more than the 1000 that a call may have"},
        {ITEMS("{\"range\": [1], \"count\": 1}"), PROBLEM_WRONG_VALUE, "/items",
         "range and count exclude each other in items"},
        {ITEMS("{\"range\": [1], \"repeat\": 1, \"count\": 1}"), PROBLEM_WRONG_VALUE, "/items",
         "range and repeat exclude each other in items"},
        {ITEMS("{\"repeat\": 1}"), PROBLEM_MISSING_MEMBER, "/items/count",
         "items has repeat but no count: {\"repeat\": value, \"count\": n}"},
        {ITEMS("{\"repeat\": 1, \"count\": true}"), PROBLEM_WRONG_TYPE, "/items/count",
         "items/count is an integer of 64 bits; got true"},
        {ITEMS("{\"repeat\": 1, \"count\": -1}"), PROBLEM_OUT_OF_RANGE, "/items/count",
         "count is an integer from 0; got -1"},
        {ITEMS("{\"repeat\": 1, \"count\": 1001}"), PROBLEM_TOO_LARGE, "/items/count",
         "1001 items are more than the 1000 that a call may have"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(ENDPOINT_MAP, rows[i].body, rows[i].type, rows[i].pointer, rows[i].detail);
        assert_int_equal(problem.has_limit, rows[i].type == PROBLEM_TOO_LARGE);
        assert_false(scan.items.complete);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges),
        cmocka_unit_test(repeats),
        cmocka_unit_test(bad_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
