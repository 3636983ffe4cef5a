/* The real server: items that crash, exit, hang and leak; limits on items, calls and workers. Each test has a server of
 * its own, since five deaths open a function's breaker. */
#include "tests/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/serve_http.h"

/* One call each, to a server of its own. */
static const struct {
    const char *path, *body;
    unsigned status;
    const char *answer, *failed; /* X-Failed-Items, NULL: no such header */
} faults[] = {
    {"/map", "{'function':'crash','items':[1,true,3]}", 200,
     "{'results':[1,null,3],'ended':'complete','ok':2,'failed':1,"
     "'errors':[{'index':1,'type':'worker_died','signal':'SIGSEGV','attempts':2}]}",
     "1"},
    /* The neighbours of a crash in the middle of one large chunk are all right. */
    {"/map", "{'function':'crash','items':[0,1,2,3,4,'SIGABRT',6,7,8,9],'chunksize':10,'crash_retries':0}", 200,
     "{'results':[0,1,2,3,4,null,6,7,8,9],'errors':[{'index':5,'type':'worker_died','signal':'SIGABRT','attempts':1}]}",
     "1"},
    {"/map", "{'function':'crash','items':['SIGKILL'],'crash_retries':3}", 200,
     "{'results':[null],'errors':[{'type':'worker_died','signal':'SIGKILL','attempts':4}]}", "1"},
    {"/map", "{'function':'exit_code','items':[null,3,'x'],'crash_retries':0}", 200,
     "{'results':[null,null,'x'],'errors':[{'index':1,'type':'worker_died','exit_code':3,'attempts':1}]}", "1"},
    {"/map", "{'function':'exit_code','items':[null,0]}", 200,
     "{'errors':[{'index':1,'type':'worker_died','exit_code':0,'attempts':2}]}", "1"},
    {"/apply", "{'function':'exit_code','args':[255]}", 422,
     "{'error':{'type':'worker_died','exit_code':255,'attempts':2}}", NULL},
    {"/apply", "{'function':'crash','args':['SIGBUS'],'crash_retries':0}", 422,
     "{'error':{'type':'worker_died','signal':'SIGBUS','attempts':1}}", NULL},
    {"/map", "{'function':'crash','items':[1,true,3],'on_error':'fail'}", 422,
     "{'index':1,'error':{'type':'worker_died'}}", NULL},
    {"/map", "{'function':'hang','items':[1,true,3],'item_timeout_ms':60}", 200,
     "{'results':[1,null,3],'errors':[{'index':1,'type':'timeout','limit_ms':60,'attempts':1}]}", "1"},
    {"/map", "{'function':'spin','items':[true,1],'item_timeout_ms':60,'chunksize':2}", 200,
     "{'results':[null,1],'errors':[{'index':0,'type':'timeout','attempts':1}]}", "1"},
    {"/apply", "{'function':'hang','args':[true],'item_timeout_ms':60}", 504, "{'error':{'type':'timeout'}}", NULL},
    {"/map", "{'function':'hang','items':[1,true],'item_timeout_ms':60,'on_error':'fail'}", 504,
     "{'index':1,'error':{'type':'timeout'}}", NULL},
    {"/apply", "{'function':'hang','args':[true],'deadline_ms':80}", 504, "{'status':504}", NULL},
    {"/map", "{'function':'hang','items':[true,true,true,true],'deadline_ms':80,'chunksize':1,'processes':2}", 200,
     "{'results':[null,null,null,null],'ended':'deadline','ok':0,'failed':2,'not_run':[[2,3]],"
     "'errors':[{'index':0,'type':'timeout'},{'index':1,'type':'timeout'}]}",
     "2"},
    {"/map", "{'function':'hang','items':[true],'deadline_ms':80,'on_error':'fail'}", 504, "{'status':504}", NULL},
    {"/map", "{'function':'leak','items':[1,true,3]}", 200,
     "{'results':[1,null,3],'errors':[{'index':1,'type':'memory_limit','limit_bytes':67108864,'attempts':1}]}", "1"},
    {"/apply", "{'function':'leak','args':[100]}", 422, "{'error':{'type':'memory_limit'}}", NULL},
    /* A process for each item: the same. */
    {"/map", "{'function':'crash','items':[1,'SIGABRT',3],'isolation':'process'}", 200,
     "{'results':[1,null,3],'errors':[{'index':1,'type':'worker_died','signal':'SIGABRT'}]}", "1"},
    {"/map", "{'function':'crash','items':[1,true,3],'context':'spawn','processes':2}", 200,
     "{'results':[1,null,3],'errors':[{'index':1,'type':'worker_died','signal':'SIGSEGV','attempts':2}]}", "1"},
};

static void faults_cost_their_item(void **state)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct server *server = server_start((const char *const[]){"--worker-memory", "64M", NULL});
        if (strstr(faults[i].body, "'leak'") != NULL)
            server_expect(server, "memory"); /* the worker says what it was refused */
        struct reply reply = http_post(server, faults[i].path, faults[i].body);
        const char *failed = reply_header(&reply, "X-Failed-Items");
        if (faults[i].failed == NULL ? failed != NULL : failed == NULL || strcmp(failed, faults[i].failed) != 0)
            fail_msg("%s: X-Failed-Items is %s", faults[i].body, failed);
        if (reply.status != faults[i].status)
            print_error("%s\n", faults[i].body);
        json_t *json = reply_json(&reply, faults[i].status);
        if (!json_holds(json, faults[i].answer))
            print_error("%s\n", faults[i].body);
        assert_json(json, faults[i].answer);
        json_decref(json);
        json = post_json(server, "/map", "{'function':'squared','items':[1,2,3]}", 200);
        assert_json(json, "{'results':[1,4,9]}");
        json_decref(json);
        server_stop(server);
    }
}

/* Five crashes open the breaker of that function alone. */
static void a_function_that_always_crashes(void **state)
{
    struct server *server = server_start(NULL);
    json_t *json = post_json(server, "/map", "{'function':'crash','items':{'repeat':true,'count':50}}", 200);
    assert_json(json, "{'ok':0,'failed':50}");
    unsigned unavailable = 0, died = 0;
    json_t *error;
    size_t i;
    json_array_foreach(json_at(json, "errors"), i, error)
    {
        unavailable += json_holds(error, "{'type':'unavailable'}");
        died += json_holds(error, "{'type':'worker_died'}");
    }
    assert_int_equal(unavailable + died, 50);
    assert_true(died >= 2 && unavailable >= 40);
    json_decref(json);
    struct reply reply = http_post(server, "/map", "{'function':'crash','items':[1]}");
    assert_int_equal(reply.status, 503);
    assert_non_null(reply_header(&reply, "Retry-After"));
    reply_clear(&reply);
    json_decref(post_json(server, "/map", "{'function':'squared','items':[1]}", 200));
    struct view view = server_view(server);
    assert_true(view.deaths <= 12);
    reply = http_get(server, "/readyz");
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
    server_stop(server);
}

/* Replacing a worker after its items is no crash: nothing is retried, nothing dies, nothing is late. */
static void workers_are_recycled_by_items(void **state)
{
    struct server *server = server_start((const char *const[]){"--recycle-items", "10", NULL});
    for (unsigned round = 0; round < 5; round++) {
        json_t *json = post_json(server, "/map",
                                 "{'function':'squared','items':{'range':[200]},'chunksize':7,'trace':true,"
                                 "'crash_retries':0}",
                                 200);
        assert_json(json, "{'failed':'-','errors':'-'}");
        json_t *value, *other;
        size_t i, j;
        json_array_foreach(json_at(json, "results"), i, value)
            assert_int_equal(json_integer_value(value), (json_int_t)(i * i));
        json_array_foreach(json_at(json, "trace/chunks"), i, value)
        {
            json_int_t items = 0; /* counted are items, not chunks: at most the chunk that passed the limit more */
            json_array_foreach(json_at(json, "trace/chunks"), j,
                               other) if (json_equal(json_at(other, "worker"), json_at(value, "worker"))) items +=
                json_integer_value(json_at(other, "count"));
            assert_true(items <= 10 + 6);
        }
        json_decref(json);
    }
    assert_int_equal(server_view(server).deaths, 0);
    server_stop(server);
}

/* A worker that is stopped neither answers nor dies: its item's limit replaces it. */
static void a_stopped_worker_is_replaced(void **state)
{
    struct server *server = server_start((const char *const[]){"--workers", "1", "--max-workers", "1", NULL});
    struct view before = server_view(server);
    assert_int_equal(before.count, 1);
    kill(before.pids[0], SIGSTOP);
    json_t *json =
        post_json(server, "/map", "{'function':'squared','items':[2,3],'chunksize':1,'item_timeout_ms':150}", 200);
    /* It stopped before it had begun anything: whoever is blamed, nothing hangs and no result is wrong. */
    if (!json_holds(json, "{'results':[4,9]}") && !json_holds(json, "{'results':[null,9]}"))
        assert_json(json, "{'results':[4,9]}");
    json_decref(json);
    WAIT_UNTIL(server_is_quiet(server));
    assert_int_not_equal(server_view(server).pids[0], before.pids[0]);
    server_stop(server);
}

/* Workers killed while nothing runs are replaced, and a call right after is served. */
static void killed_while_idle(void **state)
{
    struct server *server = server_start(NULL);
    for (unsigned round = 0; round < 10; round++) {
        struct view view = server_view(server);
        for (unsigned i = 0; i < view.count; i++)
            kill(view.pids[i], SIGKILL);
        json_t *json = post_json(server, "/map", "{'function':'squared','items':[1,2,3]}", 200);
        assert_json(json, "{'results':[1,4,9]}");
        json_decref(json);
        WAIT_UNTIL(server_is_quiet(server));
    }
    server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_cost_their_item),
        cmocka_unit_test(a_function_that_always_crashes),
        cmocka_unit_test(workers_are_recycled_by_items),
        cmocka_unit_test(a_stopped_worker_is_replaced),
        cmocka_unit_test(killed_while_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
