/* request: names that an endpoint does not have, and members in the query. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "tests/asking.h"

static void misnamed_members(void **state)
{
    static const struct {
        enum endpoint endpoint;
        const char *body, *pointer, *detail, *did_you_mean;
    } rows[] = {
        {ENDPOINT_MAP, "{\"chunk_size\": 1}", "/chunk_size", "chunk_size is no member of /map; did you mean chunksize?",
         "chunksize"},
        {ENDPOINT_MAP, "{\"timeout_ms\": 1}", "/timeout_ms",
         "timeout_ms is no member of /map; did you mean item_timeout_ms or deadline_ms?", "item_timeout_ms"},
        {ENDPOINT_DICE, "{\"timeout_ms\": 1}", "/timeout_ms",
         "timeout_ms is no member of /dice; did you mean deadline_ms?", "deadline_ms"},
        {ENDPOINT_STARMAP, "{\"func\": 1}", "/func", "func is no member of /starmap; did you mean function?",
         "function"},
        {ENDPOINT_MAP, "{\"fn\": 1}", "/fn", "fn is no member of /map; did you mean function?", "function"},
        {ENDPOINT_MAP, "{\"data\": 1}", "/data", "data is no member of /map; did you mean items?", "items"},
        {ENDPOINT_APPLY, "{\"data\": 1}", "/data", "data is no member of /apply; did you mean args?", "args"},
        {ENDPOINT_MAP, "{\"input\": 1}", "/input", "input is no member of /map; did you mean items?", "items"},
        {ENDPOINT_MAP, "{\"list\": 1}", "/list", "list is no member of /map; did you mean items?", "items"},
        {ENDPOINT_MAP, "{\"range\": [1]}", "/range",
         "range is no member of /map; did you mean \"items\": {\"range\": [start, stop, step]}?", "items"},
        {ENDPOINT_DICE, "{\"n\": 1}", "/n", "n is no member of /dice; did you mean rolls?", "rolls"},
        {ENDPOINT_MAP, "{\"banana/~\": 1}", "/banana~1~0", "banana/~ is no member of /map", ""},
        {ENDPOINT_MAP, "{\"\": 1}", "/", " is no member of /map", ""},
        {ENDPOINT_MAP, "{\"args\": [1]}", "/args", "args is for /apply; /map takes items", ""},
        {ENDPOINT_APPLY, "{\"items\": [1]}", "/items", "items is for /map and /starmap; /apply takes args", ""},
        {ENDPOINT_DICE, "{\"items\": [1]}", "/items",
         "items is for /map and /starmap; /dice takes rolls, dice and sides", ""},
        {ENDPOINT_MAP, "{\"rolls\": 1}", "/rolls", "rolls is for /dice; /map takes items", ""},
        {ENDPOINT_DICE, "{\"function\": 1}", "/function", "function is for /map, /starmap and /apply, not for /dice",
         ""},
        {ENDPOINT_APPLY, "{\"chunksize\": 1}", "/chunksize",
         "chunksize is for /map, /starmap and /dice, not for /apply", ""},
        {ENDPOINT_APPLY, "{\"on_error\": 1}", "/on_error", "on_error is for /map and /starmap, not for /apply", ""},
        {ENDPOINT_DICE, "{\"crash_retries\": 1}", "/crash_retries",
         "crash_retries is for /map, /starmap and /apply, not for /dice", ""},
        {ENDPOINT_MAP, "{\"header\": \"present\"}", "/header", "header goes into the query: ?header=present", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        refused(rows[i].endpoint, rows[i].body, PROBLEM_UNKNOWN_MEMBER, rows[i].pointer, rows[i].detail);
        assert_string_equal(problem.did_you_mean, rows[i].did_you_mean);
    }
    read_body(ENDPOINT_MAP, "{\"banana\": 1}");
    assert_string_equal(problem.allowed, "function,items,chunksize,processes,item_timeout_ms,deadline_ms,crash_retries,"
                                         "on_error,isolation,context,aggregate,trace,seed");
}

static void a_name_too_long_to_point_at(void **state)
{
    char body[2000];
    int length = snprintf(body, sizeof body, "{\"%0*d\": 1}", 1500, 0);
    for (int i = 2; i < length - 5; i++)
        body[i] = i % 2 ? '~' : '/';
    assert_false(read_body(ENDPOINT_MAP, body));
    assert_int_equal(problem.type, PROBLEM_UNKNOWN_MEMBER);
    size_t pointer = strlen(problem.pointer);
    assert_true(pointer > 100 && pointer < sizeof problem.pointer);
    assert_true(problem.pointer[pointer - 1] == '0' || problem.pointer[pointer - 1] == '1'); /* no half escape */
}

static void absent_members(void **state)
{
    map_refused("\"common\": {\"a\": 1}", PROBLEM_WRONG_VALUE, "/common", "native functions take no common");
    map_refused("\"queue\": {\"maxsize\": 1}", PROBLEM_WRONG_VALUE, "/queue",
                "native functions put nothing into a queue");
    map_refused("\"locks\": [\"print\"]", PROBLEM_WRONG_VALUE, "/locks", "native functions take no locks");
    map_refused("\"js\": \"x => x\"", PROBLEM_WRONG_VALUE, "/js", "function and js exclude each other");
    refused(ENDPOINT_MAP, "{\"js\": \"x => x\", \"items\": []}", PROBLEM_WRONG_VALUE, "/js",
            "js needs the script worker, which this server does not have; name a native function with function");
    static const char *const names[] = {"js_export", "reduce", "big_integers", "order", "errors"};
    for (size_t i = 0; i < 5; i++) {
        char body[100], pointer[32];
        snprintf(body, sizeof body, MAP(", \"%s\": \"x\""), names[i]);
        snprintf(pointer, sizeof pointer, "/%s", names[i]);
        assert_false(read_body(ENDPOINT_MAP, body));
        assert_int_equal(problem.type, PROBLEM_WRONG_VALUE);
        assert_string_equal(problem.pointer, pointer);
        assert_int_equal(strncmp(problem.detail, names[i], strlen(names[i])), 0);
    }
}

static void queries(void **state)
{
    bool named = true;
    request_init(&request, ENDPOINT_MAP, &limits);
    assert_true(request_query(&request, NULL, &limits, &named, &problem));
    assert_false(named);
    assert_true(request_query(&request, "chunksize=5&trace=false", &limits, &named, &problem));
    assert_false(named || request.trace);
    request_init(&request, ENDPOINT_MAP, &limits);
    assert_true(request_query(&request,
                              "function=squ%61red&chunksize=5&processes=1e0&trace&header=present&seed=7"
                              "&on_error=stop",
                              &limits, &named, &problem));
    assert_true(named && request.trace && request.header && request.has_seed);
    assert_string_equal(request.function->name, "squared");
    assert_int_equal(request.chunksize, 5);
    assert_int_equal(request.processes, 1);
    assert_int_equal(request.seed, 7);
    assert_int_equal(request.on_error, ON_ERROR_STOP);
    memset(&scan, 0, sizeof scan);
    scan.shape = SCAN_LINES;
    assert_true(request_finish(&request, &scan, &problem));
    assert_true(request.has_items);
    assert_true(read_query(ENDPOINT_MAP, "chunksize=auto&trace=1&header=absent"));
    assert_true(request.chunksize == 0 && request.trace && !request.header);
    assert_true(read_query(ENDPOINT_DICE, "rolls=10&dice=3&sides=20&method=multinomial&trace=0"));
    assert_true(request.rolls == 10 && request.dice == 3 && request.sides == 20 && !request.trace);
    assert_true(request_query(&request, "", &limits, &named, &problem));
    assert_false(named); /* dice has a function without being told one */
}

static void bad_queries(void **state)
{
    static const struct {
        enum endpoint endpoint;
        const char *query;
        enum problem_type type;
        const char *detail;
    } rows[] = {
        {ENDPOINT_MAP, "chunksize=%zz", PROBLEM_BAD_QUERY,
         "\"%zz\" in the query is no %XX: a percent sign itself is written %25"},
        {ENDPOINT_MAP, "seed=1&seed=2", PROBLEM_BAD_QUERY, "seed is in the query twice"},
        {ENDPOINT_MAP, "chunksize=0", PROBLEM_OUT_OF_RANGE, "chunksize is an integer from 1, or \"auto\"; got 0"},
        {ENDPOINT_MAP, "chunksize=+5", PROBLEM_WRONG_VALUE, "chunksize is an integer from 1, or \"auto\"; got +5"},
        {ENDPOINT_MAP, "seed=", PROBLEM_WRONG_TYPE, "seed is an integer from 0 to 9223372036854775807; got "},
        {ENDPOINT_MAP, "seed=%205", PROBLEM_WRONG_TYPE, "seed is an integer from 0 to 9223372036854775807; got  5"},
        {ENDPOINT_MAP, "trace=yes", PROBLEM_WRONG_TYPE, "trace is true or false; got yes"},
        {ENDPOINT_MAP, "header=yes", PROBLEM_WRONG_VALUE, "header is one of \"present\", \"absent\"; got yes"},
        {ENDPOINT_MAP, "function=sqared", PROBLEM_UNKNOWN_FUNCTION,
         "there is no function sqared, did you mean squared; GET /functions lists them"},
        {ENDPOINT_MAP, "items=[1]", PROBLEM_UNKNOWN_MEMBER, "items goes into the body, not the query"},
        {ENDPOINT_APPLY, "args=[1]", PROBLEM_UNKNOWN_MEMBER, "args goes into the body, not the query"},
        {ENDPOINT_MAP, "sed=1", PROBLEM_UNKNOWN_MEMBER, "sed is no query parameter of /map; did you mean seed?"},
        {ENDPOINT_MAP, "timeout=1", PROBLEM_UNKNOWN_MEMBER,
         "timeout is no query parameter of /map; did you mean item_timeout_ms or deadline_ms?"},
        {ENDPOINT_DICE, "function=squared", PROBLEM_UNKNOWN_MEMBER,
         "function is for /map, /starmap and /apply, not for /dice"},
        {ENDPOINT_MAP, "js=x=>x", PROBLEM_WRONG_VALUE,
         "js needs the script worker, which this server does not have; name a native function with function"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(read_query(rows[i].endpoint, rows[i].query));
        assert_string_equal(problem.detail, rows[i].detail);
        assert_int_equal(problem.type, rows[i].type);
        assert_string_equal(problem.pointer, ""); /* a JSON Pointer points into the body */
    }
}

static void a_member_in_both_places(void **state)
{
    static const char body[] = MAP(", \"chunksize\": 2");
    assert_true(read_query(ENDPOINT_MAP, "chunksize=5"));
    find_members(body);
    assert_false(request_members(&request, &scan, body, 0, scan.member_count, &limits, &problem));
    assert_int_equal(problem.type, PROBLEM_WRONG_VALUE);
    assert_string_equal(problem.pointer, "/chunksize");
    assert_string_equal(problem.detail, "chunksize stands in the query and in the body: give it once");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(misnamed_members), cmocka_unit_test(a_name_too_long_to_point_at),
        cmocka_unit_test(absent_members),   cmocka_unit_test(queries),
        cmocka_unit_test(bad_queries),      cmocka_unit_test(a_member_in_both_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
