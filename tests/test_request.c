/* request: each member with values right and wrong, on each endpoint. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "tests/asking.h"

static void defaults(void **state)
{
    static const enum endpoint endpoints[] = {ENDPOINT_MAP, ENDPOINT_STARMAP, ENDPOINT_APPLY, ENDPOINT_DICE};
    for (size_t i = 0; i < 4; i++) {
        memset(&request, 0xff, sizeof request);
        request_init(&request, endpoints[i], &limits);
        assert_int_equal(request.endpoint, endpoints[i]);
        assert_int_equal(request.chunksize, 0);
        assert_int_equal(request.processes, 0);
        assert_int_equal(request.item_timeout_ms, 30000);
        assert_int_equal(request.deadline_ms, 300000);
        assert_int_equal(request.crash_retries, 1);
        assert_int_equal(request.on_error, ON_ERROR_COLLECT);
        assert_int_equal(request.isolation, ISOLATION_POOL);
        assert_int_equal(request.context, CONTEXT_DEFAULT);
        assert_int_equal(request.aggregate, AGGREGATE_NONE);
        assert_false(request.trace || request.has_seed || request.has_items || request.header);
        assert_int_equal(request.args_length, 0);
        assert_int_equal(request.rolls, 100);
        assert_int_equal(request.dice, 2);
        assert_int_equal(request.sides, 6);
        assert_int_equal(request.method, DICE_SIMULATE);
        assert_int_equal(request.changed, 0);
        if (endpoints[i] == ENDPOINT_DICE)
            assert_string_equal(request.function->name, "dice");
        else
            assert_null(request.function);
    }
    assert_true(request_finish(&request, NULL, &problem)); /* the last one was dice: all may be left out */
}

static void functions(void **state)
{
    accepted(ENDPOINT_MAP, MAP(""));
    assert_string_equal(request.function->name, "squared");
    assert_true(request.has_items);
    accepted(ENDPOINT_MAP, "{\"items\": [], \"f\\u0075nction\": \"squ\\u0061red\"}");
    assert_string_equal(request.function->name, "squared");
    refused(ENDPOINT_MAP, "{\"function\": \"sqaured\", \"items\": []}", PROBLEM_UNKNOWN_FUNCTION, "/function",
            "there is no function sqaured, did you mean squared; GET /functions lists them");
    assert_string_equal(problem.did_you_mean, "squared");
    refused(ENDPOINT_MAP, "{\"function\": \"zzzzzzz\", \"items\": []}", PROBLEM_UNKNOWN_FUNCTION, "/function",
            "there is no function zzzzzzz; GET /functions lists them");
    assert_string_equal(problem.did_you_mean, "");
    refused(ENDPOINT_MAP, "{\"function\": \"\", \"items\": []}", PROBLEM_UNKNOWN_FUNCTION, "/function",
            "there is no function ; GET /functions lists them");
    refused(ENDPOINT_MAP, "{\"function\": \"hang\", \"items\": []}", PROBLEM_UNKNOWN_FUNCTION, "/function",
            "hang is a demonstration function: the server offers it when started with --demo-functions");
    refused(ENDPOINT_MAP, "{\"function\": \"hagn\", \"items\": []}", PROBLEM_UNKNOWN_FUNCTION, "/function",
            "there is no function hagn; GET /functions lists them"); /* what is not offered is not suggested */
    refused(ENDPOINT_MAP, "{\"function\": \"dice\", \"items\": []}", PROBLEM_UNKNOWN_FUNCTION, "/function",
            "dice is not called by name: POST /dice");
    refused(ENDPOINT_MAP, "{\"function\": [1], \"items\": []}", PROBLEM_WRONG_TYPE, "/function",
            "function is a string, the name of a function (GET /functions lists them); got an array");
}

static void demo_functions(void **state)
{
    static const char body[] = "{\"function\": \"hang\", \"items\": []}";
    struct request_limits demo = limits;
    demo.demo_functions = true;
    request_init(&request, ENDPOINT_MAP, &demo);
    find_members(body);
    assert_true(request_members(&request, &scan, body, 0, 2, &demo, &problem));
    assert_string_equal(request.function->name, "hang");
}

static void missing(void **state)
{
    refused(ENDPOINT_MAP, "{}", PROBLEM_MISSING_MEMBER, "/function",
            "function is missing: {\"function\": \"squared\", \"items\": [1, 2, 3]}");
    refused(ENDPOINT_STARMAP, "{\"items\": []}", PROBLEM_MISSING_MEMBER, "/function",
            "function is missing: {\"function\": \"times\", \"items\": [[1, 2, 3], [4, 5, 6]]}");
    refused(ENDPOINT_APPLY, "{\"args\": []}", PROBLEM_MISSING_MEMBER, "/function",
            "function is missing: {\"function\": \"times\", \"args\": [1, 2, 3]}");
    refused(ENDPOINT_MAP, "{\"function\": \"squared\"}", PROBLEM_MISSING_MEMBER, "/items",
            "items is missing: {\"function\": \"squared\", \"items\": [1, 2, 3]}");
}

static void integers(void **state)
{
    map_accepted(
        "\"chunksize\": 1, \"processes\": 8, \"item_timeout_ms\": 1, \"deadline_ms\": 300000, \"crash_retries\": 0");
    assert_int_equal(request.chunksize, 1);
    assert_int_equal(request.processes, 8);
    assert_int_equal(request.item_timeout_ms, 1);
    assert_int_equal(request.deadline_ms, 300000);
    assert_int_equal(request.crash_retries, 0);
    map_accepted("\"chunksize\": 9223372036854775807, \"crash_retries\": 10, \"seed\": 9223372036854775807");
    assert_true(request.chunksize == INT64_MAX && request.seed == INT64_MAX && request.has_seed);
    map_accepted("\"chunksize\": \"auto\", \"seed\": 0");
    assert_int_equal(request.chunksize, 0);
    assert_true(request.has_seed);
    map_accepted("\"chunksize\": 1e3, \"processes\": 2.0");
    assert_int_equal(request.chunksize, 1000);
    assert_int_equal(request.processes, 2);
}

static void bad_integers(void **state)
{
    map_refused("\"chunksize\": 0", PROBLEM_OUT_OF_RANGE, "/chunksize",
                "chunksize is an integer from 1, or \"auto\"; got 0");
    assert_false(problem.has_limit);
    map_refused("\"chunksize\": -1", PROBLEM_OUT_OF_RANGE, "/chunksize",
                "chunksize is an integer from 1, or \"auto\"; got -1");
    map_refused("\"chunksize\": 1.5", PROBLEM_WRONG_TYPE, "/chunksize",
                "chunksize is an integer from 1, or \"auto\"; got 1.5");
    map_refused("\"chunksize\": \"Auto\"", PROBLEM_WRONG_VALUE, "/chunksize",
                "chunksize is an integer from 1, or \"auto\"; got \"Auto\"");
    assert_string_equal(problem.did_you_mean, "auto");
    map_refused("\"chunksize\": {\"a\": 1}", PROBLEM_WRONG_TYPE, "/chunksize",
                "chunksize is an integer from 1, or \"auto\"; got an object");
    map_refused("\"chunksize\": null", PROBLEM_WRONG_TYPE, "/chunksize",
                "chunksize is an integer from 1, or \"auto\"; got null");
    map_refused("\"processes\": 9", PROBLEM_OUT_OF_RANGE, "/processes",
                "processes is an integer from 1 to 8 (--max-workers); got 9");
    assert_true(problem.has_limit && problem.limit == 8);
    map_refused("\"processes\": 1e400", PROBLEM_OUT_OF_RANGE, "/processes",
                "processes is an integer from 1 to 8 (--max-workers); got 1e400");
    assert_true(problem.has_limit && problem.limit == 8);
    map_refused("\"processes\": \"2\"", PROBLEM_WRONG_TYPE, "/processes",
                "processes is an integer from 1 to 8 (--max-workers); got \"2\"");
    map_refused("\"item_timeout_ms\": 30001", PROBLEM_OUT_OF_RANGE, "/item_timeout_ms",
                "item_timeout_ms is an integer from 1 to 30000; got 30001");
    assert_true(problem.has_limit && problem.limit == 30000);
    map_refused("\"deadline_ms\": 0", PROBLEM_OUT_OF_RANGE, "/deadline_ms",
                "deadline_ms is an integer from 1 to 300000; got 0");
    assert_false(problem.has_limit);
    map_refused("\"crash_retries\": 11", PROBLEM_OUT_OF_RANGE, "/crash_retries",
                "crash_retries is an integer from 0 to 10; got 11");
    map_refused("\"seed\": 9223372036854775808", PROBLEM_OUT_OF_RANGE, "/seed",
                "seed is an integer from 0 to 9223372036854775807; got 9223372036854775808");
    assert_true(problem.has_limit && problem.limit == INT64_MAX);
    map_refused("\"seed\": -99999999999999999999", PROBLEM_OUT_OF_RANGE, "/seed",
                "seed is an integer from 0 to 9223372036854775807; got -99999999999999999999");
    assert_false(problem.has_limit);
    assert_false(request.has_seed);
}

static void words(void **state)
{
    map_accepted("\"on_error\": \"stop\", \"isolation\": \"process\", \"context\": \"spawn\", \"aggregate\": \"mean\", "
                 "\"trace\": true");
    assert_int_equal(request.on_error, ON_ERROR_STOP);
    assert_int_equal(request.isolation, ISOLATION_PROCESS);
    assert_int_equal(request.context, CONTEXT_SPAWN);
    assert_int_equal(request.aggregate, AGGREGATE_MEAN);
    assert_true(request.trace);
    map_accepted("\"on_error\": \"fail\", \"isolation\": \"pool\", \"context\": \"fork\", \"aggregate\": \"counts\", "
                 "\"trace\": false");
    assert_int_equal(request.on_error, ON_ERROR_FAIL);
    assert_int_equal(request.isolation, ISOLATION_POOL);
    assert_int_equal(request.context, CONTEXT_FORK);
    assert_int_equal(request.aggregate, AGGREGATE_COUNTS);
    assert_false(request.trace);
    map_accepted("\"on_error\": \"coll\\u0065ct\", \"context\": \"forkserver\"");
    assert_int_equal(request.context, CONTEXT_FORKSERVER);
    static const char *const names[] = {"sum", "min", "max"};
    static const enum aggregate aggregates[] = {AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX};
    for (size_t i = 0; i < 3; i++) {
        char body[100];
        snprintf(body, sizeof body, MAP(", \"aggregate\": \"%s\""), names[i]);
        accepted(ENDPOINT_MAP, body);
        assert_int_equal(request.aggregate, aggregates[i]);
    }
}

static void bad_words(void **state)
{
    map_refused("\"on_error\": \"stpo\"", PROBLEM_WRONG_VALUE, "/on_error",
                "on_error is one of \"collect\", \"stop\", \"fail\"; got \"stpo\"");
    assert_string_equal(problem.allowed, "collect,stop,fail");
    assert_string_equal(problem.did_you_mean, "stop");
    map_refused("\"on_error\": 1", PROBLEM_WRONG_TYPE, "/on_error",
                "on_error is one of \"collect\", \"stop\", \"fail\"; got 1");
    map_refused("\"isolation\": \"thread\"", PROBLEM_WRONG_VALUE, "/isolation",
                "isolation is one of \"pool\", \"process\"; got \"thread\"");
    map_refused("\"context\": \"vfork\"", PROBLEM_WRONG_VALUE, "/context",
                "context is one of \"fork\", \"forkserver\", \"spawn\"; got \"vfork\"");
    assert_string_equal(problem.allowed, "fork,forkserver,spawn");
    map_refused("\"context\": {\"rate\": 2}", PROBLEM_WRONG_TYPE, "/context",
                "context is how workers start; data for the function goes in common");
    map_refused("\"context\": [1]", PROBLEM_WRONG_TYPE, "/context",
                "context is how workers start; data for the function goes in common");
    map_refused("\"context\": 3", PROBLEM_WRONG_TYPE, "/context",
                "context is one of \"fork\", \"forkserver\", \"spawn\"; got 3");
    map_refused("\"aggregate\": \"median\"", PROBLEM_WRONG_VALUE, "/aggregate",
                "aggregate is one of \"counts\", \"sum\", \"mean\", \"min\", \"max\"; got \"median\"");
    map_refused("\"trace\": \"true\"", PROBLEM_WRONG_TYPE, "/trace", "trace is true or false; got \"true\"");
    map_refused("\"trace\": 1", PROBLEM_WRONG_TYPE, "/trace", "trace is true or false; got 1");
    map_refused("\"trace\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xe2\x82\xac and so on\"", PROBLEM_WRONG_TYPE,
                "/trace", "trace is true or false; got \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xe2\x80\xa6");
}

static void arguments(void **state)
{
    static const char body[] = "{\"args\": [1, [2]], \"function\": \"times\", \"item_timeout_ms\": 5}";
    accepted(ENDPOINT_APPLY, body);
    assert_int_equal(request.args_length, 8);
    assert_memory_equal(body + request.args_start, "[1, [2]]", 8);
    assert_int_equal(request.item_timeout_ms, 5);
    accepted(ENDPOINT_APPLY, "{\"function\": \"roll\"}");
    assert_int_equal(request.args_length, 0);
    refused(ENDPOINT_APPLY, "{\"function\": \"times\", \"args\": 1}", PROBLEM_WRONG_TYPE, "/args",
            "args is an array, the function's arguments; got 1");
}

static void dice(void **state)
{
    accepted(ENDPOINT_DICE, "{}");
    accepted(ENDPOINT_DICE,
             "{\"rolls\": 1000000000000, \"dice\": 100, \"sides\": 1000, \"seed\": 42, \"processes\": 3, "
             "\"chunksize\": 10, \"isolation\": \"process\", \"context\": \"spawn\", \"trace\": true, "
             "\"deadline_ms\": 7}");
    assert_true(request.rolls == 1000000000000 && request.dice == 100 && request.sides == 1000);
    assert_true(request.has_seed && request.seed == 42 && request.processes == 3 && request.chunksize == 10);
    assert_int_equal(request.deadline_ms, 7);
    accepted(ENDPOINT_DICE, "{\"rolls\": 9007199254740992, \"method\": \"multinomial\"}");
    assert_int_equal(request.method, DICE_MULTINOMIAL);
    assert_true(request.rolls == UINT64_C(1) << 53);
    refused(ENDPOINT_DICE, "{\"rolls\": 1000000000001}", PROBLEM_OUT_OF_RANGE, "/rolls",
            "rolls is an integer from 1 to 1000000000000 for \"simulate\"; the method \"multinomial\" takes more");
    assert_true(problem.has_limit && problem.limit == 1000000000000);
    refused(ENDPOINT_DICE, "{\"method\": \"multinomial\", \"rolls\": 9007199254740993}", PROBLEM_OUT_OF_RANGE, "/rolls",
            "rolls is an integer from 1 to 9007199254740992; got 9007199254740993");
    refused(ENDPOINT_DICE, "{\"rolls\": 0}", PROBLEM_OUT_OF_RANGE, "/rolls",
            "rolls is an integer from 1 to 9007199254740992; got 0");
    refused(ENDPOINT_DICE, "{\"dice\": 101}", PROBLEM_OUT_OF_RANGE, "/dice",
            "dice is an integer from 1 to 100; got 101");
    refused(ENDPOINT_DICE, "{\"dice\": 0}", PROBLEM_OUT_OF_RANGE, "/dice", "dice is an integer from 1 to 100; got 0");
    refused(ENDPOINT_DICE, "{\"sides\": 1}", PROBLEM_OUT_OF_RANGE, "/sides",
            "sides is an integer from 2 to 1000; got 1");
    refused(ENDPOINT_DICE, "{\"method\": \"guess\"}", PROBLEM_WRONG_VALUE, "/method",
            "method is one of \"simulate\", \"multinomial\"; got \"guess\"");
}

static void restarts(void **state)
{
    static const struct {
        const char *body;
        bool restarts;
    } rows[] = {
        {MAP(""), false},
        {MAP(", \"deadline_ms\": 5"), false},
        {MAP(", \"aggregate\": \"sum\""), false},
        {MAP(", \"chunksize\": 5"), true},
        {MAP(", \"processes\": 5"), true},
        {MAP(", \"item_timeout_ms\": 5"), true},
        {MAP(", \"crash_retries\": 5"), true},
        {MAP(", \"on_error\": \"stop\""), true},
        {MAP(", \"isolation\": \"process\""), true},
        {MAP(", \"context\": \"spawn\""), true},
        {MAP(", \"seed\": 5"), true},
        {MAP(", \"trace\": true"), true},
        {"{\"items\": [1], \"function\": \"squared\"}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        request_init(&request, ENDPOINT_MAP, &limits);
        find_members(rows[i].body);
        assert_true(request_members(&request, &scan, rows[i].body, 0, 2, &limits, &problem));
        uint64_t before = request.changed;
        assert_true(request_restarts(&request, 0)); /* a function came */
        assert_true(request_members(&request, &scan, rows[i].body, 2, scan.member_count, &limits, &problem));
        assert_int_equal(request_restarts(&request, before), rows[i].restarts);
        assert_false(request_restarts(&request, request.changed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults), cmocka_unit_test(functions), cmocka_unit_test(demo_functions),
        cmocka_unit_test(missing),  cmocka_unit_test(integers),  cmocka_unit_test(bad_integers),
        cmocka_unit_test(words),    cmocka_unit_test(bad_words), cmocka_unit_test(arguments),
        cmocka_unit_test(dice),     cmocka_unit_test(restarts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
