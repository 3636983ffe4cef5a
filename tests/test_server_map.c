/* The real server: map, starmap and apply as the table of their semantics says, over HTTP. */
#include "tests/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/serve_http.h"
#include "tests/serve_raw.h"

struct exchange {
    const char *path, *body;
    unsigned status;
    const char *answer; /* what it holds, see json_holds() */
};

static int start(void **state)
{
    *state = server_start(NULL);
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    return 0;
}

static void ask_all(struct server *server, const struct exchange *exchanges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct reply reply = http_post(server, exchanges[i].path, exchanges[i].body);
        if (reply.status != exchanges[i].status)
            print_error("%s %s\n", exchanges[i].path, exchanges[i].body);
        json_t *json = reply_json(&reply, exchanges[i].status);
        if (!json_holds(json, exchanges[i].answer))
            print_error("%s %s\n", exchanges[i].path, exchanges[i].body);
        assert_json(json, exchanges[i].answer);
        json_decref(json);
    }
}
#define ASK_ALL(server, table) ask_all(server, table, sizeof table / sizeof *table)

/* --- what they answer --------------------------------------------------------------------------------------------- */

static void right_and_wrong_items(void **state)
{
    static const struct exchange exchanges[] = {
        {"/map", "{'function':'squared','items':[]}", 200, "{'results':[],'ended':'-','errors':'-','failed':'-'}"},
        {"/starmap", "{'function':'times','items':[]}", 200, "{'results':[]}"},
        {"/map", "{'function':'squared','items':[1,2,3]}", 200, "{'results':[1,4,9],'ended':'-'}"},
        {"/map", "{'items':[1,2,3],'function':'squared'}", 200, "{'results':[1,4,9]}"},
        {"/map", "{'items':{'range':[5]},'function':'squared'}", 200, "{'results':[0,1,4,9,16]}"},
        {"/map", "{'items':{'range':[5,0,-2]},'function':'squared'}", 200, "{'results':[25,9,1]}"},
        {"/map", "{'items':{'repeat':{'a':[7]},'count':3},'function':'length'}", 200, "{'results':[1,1,1]}"},
        {"/map", "{'items':{'repeat':7,'count':0},'function':'squared'}", 200, "{'results':[]}"},
        {"/starmap", "{'function':'times','items':[[1,2,3],[4,5,6]]}", 200, "{'results':[6,120]}"},
        {"/starmap", "{'function':'times','items':[[2],[3,4,5,6]]}", 200, "{'results':[2,360]}"},
        {"/apply", "{'function':'times','args':[1,2,3]}", 200, "{'result':6}"},
        {"/apply", "{'function':'echo','args':[null]}", 200, "{'result':null}"},
        /* Every error, with its index; the rest of its chunk runs. */
        {"/map", "{'function':'squared','items':[1,'x',3,null,5],'chunksize':5}", 200,
         "{'results':[1,null,9,null,25],'ended':'complete','ok':3,'failed':2,'errors_omitted':0,'not_run':[],"
         "'errors':[{'index':1,'type':'bad_arguments','attempts':1},{'index':3,'type':'bad_arguments'}]}"},
        /* An array is required, of the right length. */
        {"/starmap", "{'function':'levenshtein','items':[['a','b'],3,['a'],['a','b','c'],{'a':1}]}", 200,
         "{'results':[1,null,null,null,null],'failed':4,'errors':[{'index':1,'type':'bad_arguments'},"
         "{'index':2,'type':'bad_arguments'},{'index':3,'type':'bad_arguments'},"
         "{'index':4,'type':'bad_arguments'}]}"},
        {"/map", "{'function':'levenshtein','items':['a']}", 200, "{'failed':1,'errors':[{'type':'bad_arguments'}]}"},
        {"/apply", "{'function':'squared','args':['x']}", 422,
         "{'status':422,'error':{'type':'bad_arguments'},'index':'-'}"},
        {"/apply", "{'function':'squared','args':[1,2]}", 422, "{'error':{'type':'bad_arguments'}}"},
        {"/map", "{'function':'squared','items':[1e200]}", 200,
         "{'results':[null],'errors':[{'type':'encode_error'}]}"},
        {"/map", "{'function':'squared','items':[1,'x',3],'on_error':'fail'}", 422,
         "{'status':422,'index':1,'error':{'type':'bad_arguments','index':'*'}}"},
        {"/map", "{'function':'squared','items':[1,2,3],'on_error':'fail'}", 200, "{'results':[1,4,9]}"},
        {"/map", "{'function':'squared','items':[1,2,3],'on_error':'stop'}", 200, "{'results':[1,4,9],'ended':'-'}"},
        {"/map", "{'function':'squared','items':[1,2],'chunksize':0}", 422, "{'pointer':'/chunksize'}"},
        {"/map", "{'function':'squared','items':[1,2],'chunksize':-1}", 422, "{'pointer':'/chunksize'}"},
        {"/map", "{'function':'squared','items':[1,2],'chunksize':'auto'}", 200, "{'results':[1,4]}"},
        {"/map", "{'function':'squared','items':[1,2],'chunksize':1000000}", 200, "{'results':[1,4]}"},
    };
    ASK_ALL(*state, exchanges);
}

static void stop_starts_nothing_new(void **state)
{
    json_t *json = post_json(*state, "/map",
                             "{'function':'sleep_ms','items':['x',20,20,20,20,20,20,20],'chunksize':1,'processes':1,"
                             "'on_error':'stop'}",
                             200);
    assert_json(json, "{'ended':'stopped','errors':[{'index':0,'type':'bad_arguments'}]}");
    json_t *run;
    size_t i;
    json_int_t not_run = 0;
    json_array_foreach(json_at(json, "not_run"), i, run) not_run +=
        json_integer_value(json_at(run, "1")) - json_integer_value(json_at(run, "0")) + 1;
    json_int_t ok = json_integer_value(json_at(json, "ok"));
    assert_true(not_run > 0); /* what was in the pipe may still run */
    assert_int_equal(ok + 1 + not_run, 8);
    json_decref(json);
}

/* Numbers are text until a function needs them. */
static void numbers_come_back_as_written(void **state)
{
    static const struct {
        const char *path, *body, *answer;
    } cases[] = {
        {"/map", "{'function':'echo','items':[0.1,1e23,9007199254740993,12345678901234567890,1.0,-0.0,1e400,1E+2]}",
         "{'results':[0.1,1e23,9007199254740993,12345678901234567890,1.0,-0.0,1e400,1E+2]}"},
        {"/map", "{'function':'squared','items':[0.1,9007199254740993,12345678901234567890,1.0,-0.0,-3,1e2]}",
         "{'results':[0.010000000000000002,81129638414606699710187514626049,152415787532388367501905199875019052100,"
         "1.0,0.0,9,10000.0]}"},
        {"/apply", "{'function':'times','args':[99999999999999999999,100000000000000000000,-1]}",
         "{'result':-9999999999999999999900000000000000000000}"},
        {"/apply", "{'function':'times','args':[3,1.5]}", "{'result':4.5}"},
        {"/apply", "{'function':'times','args':[100000.0,1]}", "{'result':100000.0}"},
        {"/map", "{'function':'echo','items':['\\u00e9\\n','\xc3\xa9',{'b':1,'a':[ ]},true,null,[[]]]}",
         "{'results':['\\u00e9\\n','\xc3\xa9',{'b':1,'a':[ ]},true,null,[[]]]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reply reply = http_post(*state, cases[i].path, cases[i].body);
        char *answer = json_quoted(cases[i].answer);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.body, answer);
        free(answer);
        reply_clear(&reply);
    }
}

/* 7 * 10^199 to the tenth power and further: results larger than a frame's first buffers. */
static void big_integers_are_exact(void **state)
{
    char body[1200];
    size_t length = (size_t)snprintf(body, sizeof body, "{'function':'squared','items':[1");
    memset(body + length, '0', 1000);
    snprintf(body + length + 1000, sizeof body - length - 1000, "]}");
    struct reply reply = http_post(*state, "/map", body);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.length, strlen("{\"results\":[1]}") + 2000);
    assert_memory_equal(reply.body, "{\"results\":[10000", 17);
    reply_clear(&reply);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16 & 0x7fff;
}

/* Order and completeness do not depend on how the items were cut up. */
static void order_for_any_chunk_size(void **state)
{
    unsigned seed = 20240607;
    for (unsigned round = 0; round < 40; round++) {
        unsigned count = next_random(&seed) % 3000, chunk = 1 + next_random(&seed) % 700;
        unsigned processes = 1 + next_random(&seed) % 4, first = next_random(&seed);
        char body[200];
        snprintf(body, sizeof body,
                 "{'function':'squared','items':{'range':[%u,%u]},'chunksize':%u,'processes':%u,'trace':%s}", first,
                 first + count, chunk, processes, round % 2 ? "true" : "false");
        json_t *json = post_json(*state, "/map", body, 200), *value;
        size_t i;
        assert_int_equal(json_array_size(json_at(json, "results")), count);
        json_array_foreach(json_at(json, "results"), i, value)
            assert_true(json_integer_value(value) == (json_int_t)(first + i) * (json_int_t)(first + i));
        json_decref(json);
    }
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

/* How many different workers are in a trace. */
static size_t distinct_workers(json_t *json)
{
    json_int_t seen[1200];
    size_t count = 0, i, j;
    json_t *chunk;
    json_array_foreach(json_at(json, "trace/chunks"), i, chunk)
    {
        json_int_t worker = json_integer_value(json_at(chunk, "worker"));
        for (j = 0; j < count && seen[j] != worker; j++)
            ;
        if (j == count)
            seen[count++] = worker;
    }
    return count;
}

static void processes_grow_the_pool(void **state)
{
    json_t *json = post_json(*state, "/map",
                             "{'function':'sleep_ms','items':[100,100,100,100,100],'processes':5,'chunksize':1,"
                             "'trace':true}",
                             200);
    assert_int_equal(distinct_workers(json), 5);
    json_decref(json);
    json = post_json(*state, "/map", "{'function':'squared','items':[1],'processes':9}", 422);
    assert_json(json, "{'pointer':'/processes','limit':8,'detail':'~--max-workers'}");
    json_decref(json);
    json = post_json(*state, "/map", "{'function':'squared','items':{'range':[64]},'processes':1,'trace':true}", 200);
    assert_int_equal(distinct_workers(json), 1);
    json_decref(json);
    struct server *server = *state;
    WAIT_UNTIL(server_view(server).target == 2); /* it shrinks when idle */
}

static void a_process_for_each_item(void **state)
{
    json_t *json = post_json(*state, "/map",
                             "{'function':'squared','items':{'range':[60]},'isolation':'process','trace':true}", 200);
    json_t *chunk;
    size_t i;
    assert_int_equal(json_array_size(json_at(json, "trace/chunks")), 60);
    assert_int_equal(distinct_workers(json), 60);
    json_array_foreach(json_at(json, "trace/chunks"), i, chunk)
        assert_int_equal(json_integer_value(json_at(chunk, "count")), 1);
    assert_int_equal(json_integer_value(json_at(json, "results/59")), 59 * 59);
    assert_string_equal(json_string_value(json_at(json, "trace/isolation")), "process");
    json_decref(json);
}

static void start_methods(void **state)
{
    static const struct exchange exchanges[] = {
        {"/map", "{'function':'squared','items':[1,2,3],'context':'forkserver','trace':true}", 200,
         "{'results':[1,4,9],'trace':{'context':'forkserver'}}"},
        {"/map", "{'function':'squared','items':[1,2,3],'context':'fork','trace':true}", 200,
         "{'results':[1,4,9],'trace':{'context':'forkserver'}}"},
        {"/map", "{'function':'squared','items':[1,2,3],'context':'spawn','trace':true}", 200,
         "{'results':[1,4,9],'trace':{'context':'spawn'}}"},
        {"/map", "{'function':'squared','items':[1],'context':'thread'}", 422,
         "{'pointer':'/context','allowed':['fork','forkserver','spawn']}"},
        {"/map", "{'function':'squared','items':[1],'context':'spwan'}", 422, "{'did_you_mean':'spawn'}"},
        {"/map", "{'function':'squared','items':[1],'context':{'rate':2}}", 422, "{'detail':'~data for the function'}"},
    };
    ASK_ALL(*state, exchanges);
    struct view before = server_view(*state);
    json_t *json =
               post_json(*state, "/map",
                         "{'function':'squared','items':{'range':[40]},'context':'spawn','processes':2,'chunksize':5,"
                         "'trace':true}",
                         200),
           *chunk;
    size_t i;
    assert_true(distinct_workers(json) <= 2);
    json_array_foreach(json_at(json, "trace/chunks"), i, chunk) for (unsigned j = 0; j < before.count; j++)
        assert_int_not_equal(json_integer_value(json_at(chunk, "worker")), before.pids[j]); /* fresh ones */
    json_decref(json);
    struct server *server = *state;
    WAIT_UNTIL(server_is_quiet(server)); /* and they leave after it */
    struct view after = server_view(server);
    assert_int_equal(after.deaths, before.deaths);
}

/* A client that leaves cancels its call. */
static void a_client_that_leaves(void **state)
{
    struct server *server = *state;
    struct raw raw;
    static const char body[] = "{\"function\":\"sleep_ms\",\"items\":{\"repeat\":600000,\"count\":50}}";
    char head[200];
    snprintf(head, sizeof head, "POST /map HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    for (unsigned half = 0; half < 2; half++) {
        raw_open(&raw, server);
        raw_text(&raw, head);
        WAIT_UNTIL(server_view(server).busy > 0);
        if (half) /* half-closing is leaving */
            shutdown(raw.fd, SHUT_WR);
        else
            raw_close(&raw);
        uint64_t left_ms = clock_ms();
        WAIT_UNTIL(server_is_quiet(server));
        assert_true(clock_ms() - left_ms < (is_sanitized() ? 10000 : 2000));
        raw_close(&raw);
    }
    json_t *json = post_json(server, "/map", "{'function':'squared','items':[3]}", 200);
    assert_json(json, "{'results':[9]}");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_and_wrong_items),        cmocka_unit_test(stop_starts_nothing_new),
        cmocka_unit_test(numbers_come_back_as_written), cmocka_unit_test(big_integers_are_exact),
        cmocka_unit_test(order_for_any_chunk_size),     cmocka_unit_test(processes_grow_the_pool),
        cmocka_unit_test(a_process_for_each_item),      cmocka_unit_test(start_methods),
        cmocka_unit_test(a_client_that_leaves),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
