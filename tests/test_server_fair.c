/* The real server: small calls beside large ones. What is asserted is an order: every small call is answered while the
 * large one, begun before, is still under way. */
#include "tests/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/serve_http.h"
#include "tests/serve_raw.h"

#define SMALL_CALLS 100

/* Large calls that nobody waits for: they end when their connection does. */
static const char *const large[] = {
    "{\"function\":\"collatz_steps\",\"items\":{\"repeat\":93571393692802302,\"count\":10000000}}",
    "{\"function\":\"sleep_ms\",\"items\":{\"repeat\":1,\"count\":1000000}}",
    "{\"function\":\"spin\",\"items\":{\"repeat\":0.2,\"count\":1000000},\"chunksize\":10}",
};

static void post_raw(struct raw *raw, const struct server *server, const char *body)
{
    char request[400];
    snprintf(request, sizeof request, "POST /map HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    raw_open(raw, server);
    raw_text(raw, request);
}

static void small_calls_overtake_large_ones(void **state)
{
    static struct raw raw;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        struct server *server = server_start((const char *const[]){NULL});
        post_raw(&raw, server, large[i]);
        WAIT_UNTIL(server_view(server).busy > 0);
        for (unsigned call = 0; call < SMALL_CALLS; call++) {
            char body[100], answer[100];
            snprintf(body, sizeof body, "{'function':'squared','items':[%u]}", call);
            snprintf(answer, sizeof answer, "{'results':[%u]}", call * call);
            json_t *json = post_json(server, "/map", body, 200);
            assert_json(json, answer);
            json_decref(json);
            raw_wait(&raw, "never", 1, 1);
            if (raw.closed || raw.length > 0)
                fail_msg("%s ended before small call %u: %s", large[i], call, raw.got);
        }
        assert_true(server_view(server).calls >= 1);
        raw_close(&raw);
        WAIT_UNTIL(server_is_quiet(server)); /* it is cancelled: its millions of items are not run */
        server_stop(server);
    }
}

/* Large and large share: neither waits for the other's end. */
static void large_calls_share(void **state)
{
    static struct raw raws[2];
    struct server *server = server_start((const char *const[]){NULL});
    for (unsigned i = 0; i < 2; i++)
        post_raw(&raws[i], server, large[1]);
    json_t *json = post_json(server, "/map", "{'function':'sleep_ms','items':{'repeat':1,'count':300}}", 200);
    assert_int_equal(json_array_size(json_at(json, "results")), 300);
    json_decref(json);
    for (unsigned i = 0; i < 2; i++) {
        raw_wait(&raws[i], "never", 1, 1);
        assert_false(raws[i].closed);
        assert_int_equal(raws[i].length, 0);
        raw_close(&raws[i]);
    }
    server_stop(server);
}

/* Health answers whatever runs. */
static void health_answers_under_load(void **state)
{
    static struct raw raws[20];
    struct server *server = server_start((const char *const[]){NULL});
    for (unsigned i = 0; i < 20; i++)
        post_raw(&raws[i], server, large[1]);
    WAIT_UNTIL(server_view(server).calls >= 20);
    static const char *const paths[] = {"/livez", "/readyz", "/healthz", "/", "/functions", "/workers"};
    for (unsigned i = 0; i < 60; i++) {
        struct reply reply = http_get(server, paths[i % 6]);
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
    }
    for (unsigned i = 0; i < 20; i++)
        raw_close(&raws[i]);
    server_stop(server);
}

/* Beyond the queue that may be: refused at once, with when to come again; afterwards all is as before. */
static void overload_is_refused(void **state)
{
    static struct raw raws[200];
    struct server *server = server_start((const char *const[]){"--max-queue-ms", "50", NULL});
    json_decref(
        post_json(server, "/map", "{'function':'sleep_ms','items':[20,20,20,20]}", 200)); /* its cost is known */
    for (unsigned i = 0; i < 200; i++)
        post_raw(&raws[i], server, "{\"function\":\"sleep_ms\",\"items\":[20]}");
    struct reply reply = {0};
    WAIT_UNTIL((reply_clear(&reply),
                reply = http_post(server, "/map", "{'function':'sleep_ms','items':[50],'deadline_ms':50}"))
                   .status == 503);
    assert_non_null(reply_header(&reply, "Retry-After"));
    json_t *json = reply_json(&reply, 503);
    assert_json(json, "{'type':'/problems/unavailable','detail':'~max-queue-ms'}");
    json_decref(json);
    reply = http_get(server, "/readyz"); /* never 503 because of load */
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    unsigned served = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_true(raw_wait(&raws[i], "}", 1, 0)); /* every one of them has its answer */
        unsigned status = raw_status(&raws[i]);
        assert_true(status == 200 || status == 503);
        served += status == 200;
        raw_close(&raws[i]);
    }
    assert_true(served > 0);
    WAIT_UNTIL(server_is_quiet(server));
    json_decref(post_json(server, "/map", "{'function':'squared','items':[2]}", 200));
    server_stop(server);
}

/* What a call may make of few bytes is bounded, and what it cost is given back. */
static void answers_have_a_limit(void **state)
{
    struct server *server = server_start((const char *const[]){"--max-answer", "1M", "--max-bodies", "4M", NULL});
    static const char *const greedy[] = {
        "{'function':'squared','items':{'range':[1000000]}}",
        "{'function':'echo','items':{'repeat':'0123456789abcdef','count':1000000}}",
        "{'function':'squared','items':{'range':[100000]},'chunksize':1,'trace':true}",
        "{'function':'echo','items':{'range':[1000000]},'aggregate':'counts'}",
    };
    for (size_t round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
            json_t *json = post_json(server, "/map", greedy[i], 413);
            assert_json(json, "{'type':'/problems/too-large','limit':1048576,'detail':'~max-answer'}");
            json_decref(json);
        }
    json_decref(post_json(server, "/map", "{'function':'squared','items':{'range':[1000000]},'aggregate':'sum'}", 200));
    json_decref(post_json(server, "/map", "{'function':'squared','items':{'range':[50000]}}", 200));
    server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_calls_overtake_large_ones),
        cmocka_unit_test(large_calls_share),
        cmocka_unit_test(health_answers_under_load),
        cmocka_unit_test(overload_is_refused),
        cmocka_unit_test(answers_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
