/* The real server: the forms that items come in, aggregates, dice and traces, over HTTP. */
#include "tests/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/serve_http.h"

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

static void items_by_query(void **state)
{
    static const char *const lines = "Content-Type: application/x-ndjson",
                             *const json = "Content-Type: application/json",
                             *const text = "Content-Type: text/plain; charset=utf-8",
                             *const csv = "Content-Type: text/csv";
    static const char *const form = "Content-Type: application/x-www-form-urlencoded"; /* what curl says */
    const struct {
        const char *path, *type, *body, *answer;
    } cases[] = {
        {"/map?function=squared", form, "1\n2\n3\n", "{'results':[1,4,9]}"},
        {"/map?function=squared", lines, "1\r\n2\r\n\r\n3", "{'results':[1,4,9]}"},
        {"/map?function=squared", lines, "1\nfoo\n3\n",
         "{'results':[1,null,9],'failed':1,'errors':[{'index':1,'type':'bad_item'}]}"},
        {"/map?function=squared", lines, "1\n2 3\n{\n4\n",
         "{'results':[1,null,null,16],'errors':[{'index':1,'type':'bad_item'},{'index':2,'type':'bad_item'}]}"},
        {"/starmap?function=times", lines, "[1,2,3]\n[4,5,6]\n", "{'results':[6,120]}"},
        {"/map?function=squared&chunksize=1&trace=true", lines, "1\n2\n", "{'results':[1,4],'trace':{'chunks':'*'}}"},
        {"/map?function=squared&aggregate=sum", json, "[1,2,3]", "{'aggregate':14,'results':'-'}"},
        {"/map?function=squared", json, " [ ] ", "{'results':[]}"},
        {"/map?function=length", text, "a\nb\xc3\xa9\n\n\"q\"", "{'results':[1,2,0,3]}"},
        {"/map?function=upper", text,
         "stra\xc3\x9f"
         "e\n",
         "{'results':['STRASSE']}"},
        {"/map?function=echo", csv, "a,b\n1,\"x, \"\"y\"\"\"\n", "{'results':[['a','b'],['1','~x, ']]}"},
        {"/map?function=echo&header=absent", csv, "a,b\n", "{'results':[['a','b']]}"},
        {"/map?function=echo&header=present", csv, "a,b\r\n1,\"two\nlines\"\r\n",
         "{'results':[{'a':'1','b':'two\\nlines'}]}"},
        {"/map?function=squared&on_error=stop", lines, "3\n", "{'results':[9]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const headers[] = {cases[i].type, NULL};
        struct reply reply =
            http_ask(*state, &(struct ask){.path = cases[i].path, .body = cases[i].body, .headers = headers});
        if (reply.status != 200)
            fail_msg("%s %s: %s", cases[i].path, cases[i].body, reply.body);
        json_t *got = reply_json(&reply, 200);
        assert_json(got, cases[i].answer);
        json_decref(got);
    }
}

/* curl -d takes line breaks away: the error says so. */
static void lost_line_breaks(void **state)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded", NULL};
    struct reply reply = http_ask(
        *state, &(struct ask){.path = "/map?function=echo", .body = "{\"a\":1}{\"a\":2}{\"a\":3}", .headers = headers});
    assert_non_null(strstr(reply.body, "--data-binary"));
    reply_clear(&reply);
}

static void aggregates(void **state)
{
    static const struct {
        const char *body, *answer;
    } cases[] = {
        {"{'function':'echo','items':[1,2,3,4],'aggregate':'sum'}", "{'aggregate':10}"},
        {"{'function':'echo','items':[1,2,3,4],'aggregate':'mean'}", "{'aggregate':2.5}"},
        {"{'function':'echo','items':[3,1,2],'aggregate':'min'}", "{'aggregate':1}"},
        {"{'function':'echo','items':[3,1,2],'aggregate':'max'}", "{'aggregate':3}"},
        {"{'function':'echo','items':[],'aggregate':'sum'}", "{'aggregate':0}"},
        {"{'function':'echo','items':[],'aggregate':'counts'}", "{'counts':[],'unique':0}"},
        {"{'function':'echo','items':['a','b','a'],'aggregate':'counts'}",
         "{'counts':[{'value':'a','count':2},{'value':'b','count':1}],'unique':2}"},
        {"{'function':'is_prime','items':{'range':[0,1000000]},'aggregate':'counts'}",
         "{'counts':[{'value':false,'count':921502},{'value':true,'count':78498}],'unique':2}"},
        {"{'function':'squared','items':[1,'x',3],'aggregate':'sum'}",
         "{'aggregate':10,'failed':1,'errors':[{'index':1,'type':'bad_arguments'}]}"},
        {"{'function':'squared','items':{'range':[100000]},'aggregate':'sum'}", "{'aggregate':333328333350000}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = post_json(*state, "/map", cases[i].body, 200);
        if (!json_holds(json, cases[i].answer))
            print_error("%s\n", cases[i].body);
        assert_json(json, cases[i].answer);
        json_decref(json);
    }
    /* Correctly rounded, whatever the order: as math.fsum. */
    struct reply reply =
        http_post(*state, "/map", "{'function':'echo','items':[1e100,1.0,-1e100,0.1,0.1,0.1],'aggregate':'sum'}");
    assert_string_equal(reply.body, "{\"aggregate\":1.3}");
    reply_clear(&reply);
    reply = http_post(*state, "/map", "{'function':'echo','items':{'repeat':0.1,'count':10},'aggregate':'sum'}");
    assert_string_equal(reply.body, "{\"aggregate\":1.0}");
    reply_clear(&reply);
}

static json_int_t sum_of_counts(json_t *json)
{
    const char *name;
    json_t *count;
    json_int_t sum = 0;
    json_object_foreach(json_at(json, "counts"), name, count) sum += json_integer_value(count);
    return sum;
}

static void the_same_seed_the_same_dice(void **state)
{
    static const char *const same[] = {"",
                                       ",'processes':1",
                                       ",'processes':4",
                                       ",'chunksize':1000",
                                       ",'chunksize':777,'processes':3",
                                       ",'context':'spawn','processes':2",
                                       ",'isolation':'process','chunksize':20000"};
    json_t *first = NULL;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char body[200];
        snprintf(body, sizeof body, "{'rolls':100000,'dice':3,'sides':8,'seed':7%s}", same[i]);
        json_t *json = post_json(*state, "/dice", body, 200);
        assert_json(json, "{'rolls':100000,'dice':3,'sides':8,'seed':7,'mean':'*','chi_square':{'df':'*'}}");
        assert_int_equal(sum_of_counts(json), 100000);
        if (first != NULL && !json_equal(json_at(first, "counts"), json_at(json, "counts")))
            fail_msg("other counts with %s", same[i]);
        if (first == NULL)
            first = json;
        else
            json_decref(json);
    }
    json_decref(first);
}

static void dice(void **state)
{
    static const struct {
        const char *body, *answer;
        json_int_t rolls;
    } cases[] = {
        {"", "{'rolls':100,'dice':2,'sides':6,'seed':'*','unique':'*'}", 100},
        {"{}", "{'rolls':100,'dice':2,'sides':6,'seed':'*'}", 100},
        {"{'rolls':100,'dice':2,'sides':6,'seed':42}",
         "{'unique':11,'counts':{'2':3,'3':4,'4':7,'5':11,'6':24,'7':20,'8':16,'9':8,'10':5,'11':1,'12':1}}", 100},
        {"{'rolls':1,'dice':1,'sides':2}", "{'unique':1,'chi_square':{'p_value':null}}", 1},
        {"{'rolls':1000000000000000,'method':'multinomial','seed':5}", "{'unique':11}", 1000000000000000},
        {"{'rolls':50000,'trace':true}", "{'trace':{'chunks':'*'}}", 50000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = post_json(*state, "/dice", cases[i].body, 200);
        assert_json(json, cases[i].answer);
        assert_int_equal(sum_of_counts(json), cases[i].rolls);
        json_decref(json);
    }
}

/* A seed that the service chose is a new one each time, is told, and is the one that was used. */
static void the_seed_told_is_the_seed_used(void **state)
{
    static const char *const methods[] = {"simulate", "multinomial"};
    for (size_t i = 0; i < 2; i++) {
        char body[120];
        snprintf(body, sizeof body, "{'rolls':1000000,'method':'%s'}", methods[i]);
        json_t *one = post_json(*state, "/dice", body, 200), *other = post_json(*state, "/dice", body, 200);
        assert_false(json_equal(json_at(one, "seed"), json_at(other, "seed")));
        assert_false(json_equal(json_at(one, "counts"), json_at(other, "counts")));
        json_decref(other);
        snprintf(body, sizeof body, "{'rolls':1000000,'method':'%s','seed':%lld}", methods[i],
                 (long long)json_integer_value(json_at(one, "seed")));
        other = post_json(*state, "/dice", body, 200);
        assert_true(json_equal(one, other));
        json_decref(one);
        json_decref(other);
    }
}

/* Random functions depend on the seed and an item's index alone. */
static void the_same_seed_the_same_rolls(void **state)
{
    json_t *first = post_json(*state, "/map", "{'function':'roll','items':{'range':[500]},'seed':9}", 200);
    for (unsigned chunk = 1; chunk < 500; chunk = chunk * 3 + 1) {
        char body[120];
        snprintf(body, sizeof body, "{'items':{'range':[500]},'function':'roll','chunksize':%u,'seed':9}", chunk);
        json_t *json = post_json(*state, "/map", body, 200);
        assert_true(json_equal(json, first));
        json_decref(json);
    }
    json_decref(first);
}

/* Every item is in one chunk of the trace, in a process that has the zygote as its parent. */
static void a_trace_has_every_item(void **state)
{
    struct server *server = *state;
    json_t *json =
               post_json(server, "/map",
                         "{'function':'squared','items':{'range':[1000]},'chunksize':70,'trace':true,'seed':3}", 200),
           *chunk;
    char seen[1000] = {0};
    size_t i;
    assert_json(json, "{'trace':{'context':'forkserver','isolation':'pool','seed':3}}");
    json_array_foreach(json_at(json, "trace/chunks"), i, chunk)
    {
        json_int_t first = json_integer_value(json_at(chunk, "first")),
                   count = json_integer_value(json_at(chunk, "count"));
        assert_int_equal(json_integer_value(json_at(chunk, "parent")), server_zygote(server));
        assert_true(json_integer_value(json_at(chunk, "worker")) > 0);
        assert_true(json_number_value(json_at(chunk, "queued_ms")) <= json_number_value(json_at(chunk, "started_ms")));
        assert_true(json_number_value(json_at(chunk, "started_ms")) <= json_number_value(json_at(chunk, "ended_ms")));
        for (json_int_t item = first; item < first + count; item++)
            assert_int_equal(seen[item]++, 0);
    }
    assert_null(memchr(seen, 0, sizeof seen));
    json_decref(json);
}

/* A body larger than any buffer on the way, both ways; and one where the function comes after its items. */
static void large_bodies(void **state)
{
    enum { COUNT = 300000 };
    size_t capacity = COUNT * 8 + 200;
    char *body = malloc(capacity);
    assert_non_null(body);
    for (unsigned last = 0; last < 2; last++) {
        size_t length =
            (size_t)snprintf(body, capacity, last ? "{\"items\":[0" : "{\"function\":\"squared\",\"items\":[0");
        for (unsigned i = 1; i < COUNT; i++)
            length += (size_t)snprintf(body + length, capacity - length, ",%u", i);
        length += (size_t)snprintf(body + length, capacity - length, last ? "],\"function\":\"squared\"}" : "]}");
        struct reply reply = http_ask(*state, &(struct ask){.path = "/map", .body = body, .length = length});
        json_t *json = reply_json(&reply, 200), *value;
        size_t i;
        assert_int_equal(json_array_size(json_at(json, "results")), COUNT);
        json_array_foreach(json_at(json, "results"), i, value)
            assert_true(json_integer_value(value) == (json_int_t)(i * i));
        json_decref(json);
    }
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_by_query),
        cmocka_unit_test(lost_line_breaks),
        cmocka_unit_test(aggregates),
        cmocka_unit_test(the_same_seed_the_same_dice),
        cmocka_unit_test(the_seed_told_is_the_seed_used),
        cmocka_unit_test(dice),
        cmocka_unit_test(the_same_seed_the_same_rolls),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(a_trace_has_every_item),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
