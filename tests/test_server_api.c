/* The real server: the rules of its HTTP API, refusals first. Bodies and answers are test_server_bodies'. */
#include "tests/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/serve_http.h"
#include "tests/serve_raw.h"

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int start(void **state)
{
    *state = server_start((const char *const[]){"--max-body", "1M", "--allowed-host", "calc.example", "--cors-origin",
                                                "https://friend.example", NULL});
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    return 0;
}

/* A request, and what its answer must be: status, a header (a value that begins with ~ need only be in it; NULL: the
 * header is not there), and JSON. */
struct exchange {
    const char *method, *path, *body;
    const char *const *headers;
    unsigned status;
    const char *header, *value, *json;
};

static void ask_one(struct server *server, const struct exchange *exchange)
{
    char *body = exchange->body != NULL ? json_quoted(exchange->body) : NULL;
    struct reply reply = http_ask(
        server,
        &(struct ask){.method = exchange->method, .path = exchange->path, .body = body, .headers = exchange->headers});
    free(body);
    const char *value = exchange->header != NULL ? reply_header(&reply, exchange->header) : NULL;
    const char *wanted = exchange->value;
    bool right = reply.status == exchange->status;
    if (wanted == NULL || value == NULL)
        right &= wanted == value;
    else
        right &= *wanted == '~' ? strstr(value, wanted + 1) != NULL : strcmp(value, wanted) == 0;
    if (!right)
        fail_msg("%s: status %u, not %u; %s: %s\n%.1000s", exchange->path, reply.status, exchange->status,
                 exchange->header, value, reply.body);
    const char *type = reply_header(&reply, "Content-Type");
    if (reply.length > 0)
        assert_string_equal(type, reply.status < 400 ? "application/json" : "application/problem+json");
    if (exchange->json == NULL) {
        reply_clear(&reply);
        return;
    }
    const char *id = reply_header(&reply, "X-Request-Id");
    assert_non_null(id);
    json_t *json = reply_json(&reply, exchange->status);
    assert_json(json, exchange->json);
    if (exchange->status >= 400) {
        assert_json(json, "{'type':'~/problems/','title':'*','detail':'*'}");
        assert_int_equal(json_integer_value(json_at(json, "status")), exchange->status);
        assert_string_equal(json_string_value(json_at(json, "instance")), id);
    }
    json_decref(json);
}

#define ASK_ALL(server, table)                                   \
    for (size_t i_ = 0; i_ < sizeof table / sizeof *table; i_++) \
    ask_one(server, &table[i_])

#define SQUARE "{'function':'squared','items':[2]}"

static void refusals_say_what_to_do(void **state)
{
    const struct exchange exchanges[] = {
        {NULL, "/mapp", "x", NULL, 404, NULL, NULL, "{'did_you_mean':'/map'}"},
        {NULL, "/quite-another", NULL, NULL, 404, NULL, NULL, "{'did_you_mean':'-'}"},
        {NULL, "/map/", "x", NULL, 404, NULL, NULL, "{}"},
        {NULL, "/map", NULL, NULL, 405, "Allow", "POST, OPTIONS", "{'detail':'~curl '}"},
        {"DELETE", "/functions", NULL, NULL, 405, "Allow", "GET, HEAD, OPTIONS", "{'detail':'~curl '}"},
        {"PUT", "/map", SQUARE, NULL, 405, "Allow", "POST, OPTIONS", "{}"},
        {"BREW", "/", NULL, NULL, 405, "Allow", "GET, HEAD, OPTIONS", "{}"},
        {NULL, "/map", SQUARE, HEADERS("Accept: text/html"), 406, NULL, NULL, "{'allowed':['application/json']}"},
        {NULL, "/map", SQUARE, HEADERS("Accept: text/html, */*;q=0.1"), 200, NULL, NULL, "{'results':[4]}"},
        {NULL, "/map", SQUARE, HEADERS("Content-Encoding: gzip"), 415, "Accept-Post", "~application/json", "{}"},
        {NULL, "/map?function=squared", "1", HEADERS("Content-Type: image/png"), 415, "Accept-Post", "~text/csv", "{}"},
        {NULL, "/map", SQUARE, HEADERS("Content-Type: multipart/form-data; boundary=x"), 415, NULL, NULL, "{}"},
        {NULL, "/map", SQUARE, HEADERS("Content-Type: text/plain"), 200, NULL, NULL, "{'results':[4]}"},
        {NULL, "/", NULL, HEADERS("Host: evil.example"), 421, NULL, NULL, "{'detail':'~--allowed-host evil.example'}"},
        {NULL, "/livez", NULL, HEADERS("Host: calc.example:99"), 200, NULL, NULL, "{}"},
        {NULL, "/livez", NULL, HEADERS("Host: anything.localhost"), 200, NULL, NULL, "{}"},
        {NULL, "/livez", NULL, HEADERS("Host: [::1]:80"), 200, NULL, NULL, "{}"},
        {NULL, "/livez", NULL, HEADERS("Host: service"), 200, NULL, NULL, "{}"},
        {NULL, "/map", SQUARE, HEADERS("Origin: https://evil.example"), 403, NULL, NULL,
         "{'detail':'~--cors-origin https://evil.example'}"},
        {NULL, "/livez", NULL, HEADERS("Sec-Fetch-Site: cross-site"), 403, NULL, NULL, "{}"},
        {NULL, "/livez", NULL, HEADERS("Sec-Fetch-Site: same-origin"), 200, NULL, NULL, "{}"},
        {NULL, "/map", SQUARE, HEADERS("Origin: https://friend.example", "Sec-Fetch-Site: cross-site"), 200,
         "Access-Control-Allow-Origin", "https://friend.example", "{'results':[4]}"},
        {NULL, "/map?function=%zz", "1", NULL, 400, NULL, NULL, "{'type':'/problems/bad-query'}"},
        {NULL, "/map?function=squared&function=echo", "1", NULL, 400, NULL, NULL, "{}"},
        {NULL, "/apply?function=squared", "[1]", NULL, 422, NULL, NULL, "{}"},
    };
    ASK_ALL(*state, exchanges);
}

static void wrong_members_are_named(void **state)
{
    static const struct {
        const char *path, *body, *json;
    } cases[] = {
        {"/map", "{'function':'squard','items':[1]}", "{'pointer':'/function','did_you_mean':'squared'}"},
        {"/map", "{'function':'dice','items':[1]}", "{'pointer':'/function','detail':'~POST /dice'}"},
        {"/map", "{'function':'squared','item':[1]}", "{'pointer':'/item','did_you_mean':'items','allowed':'*'}"},
        {"/map", "{'function':'squared','items':[1],'timeout_ms':5}",
         "{'detail':'~item_timeout_ms or deadline_ms','pointer':'/timeout_ms'}"},
        {"/map", "{'function':'squared'}", "{'pointer':'/items'}"},
        {"/map", "{'items':[1]}", "{'pointer':'/function'}"},
        {"/map", "{}", "{'pointer':'/function'}"},
        {"/apply", "{'function':'squared','args':3}", "{'pointer':'/args'}"},
        {"/map", "{'function':1,'items':[]}", "{'pointer':'/function','type':'/problems/wrong-type'}"},
        {"/map", "{'function':'squared','items':7}", "{'pointer':'/items'}"},
        {"/map", "{'function':'squared','items':{'range':[0,9,0]}}", "{'pointer':'/items/range/2'}"},
        {"/map", "{'function':'squared','items':{'range':[1,'x']}}", "{'pointer':'/items/range/1'}"},
        {"/map", "{'function':'squared','items':{'repeat':1}}", "{'pointer':'/items/count'}"},
        {"/map", "{'function':'squared','items':{'ragne':[3]}}", "{'pointer':'/items/ragne','did_you_mean':'range'}"},
        {"/map", "{'function':'squared','items':[1],'item_timeout_ms':99999999}", "{'limit':30000}"},
        {"/map", "{'function':'squared','items':[1],'deadline_ms':0}", "{'pointer':'/deadline_ms'}"},
        {"/map", "{'function':'squared','items':[1],'crash_retries':11}", "{'limit':10}"},
        {"/map", "{'function':'squared','items':[1],'chunksize':1.5}", "{'pointer':'/chunksize'}"},
        {"/map", "{'function':'squared','items':[1],'on_error':'colect'}", "{'did_you_mean':'collect','allowed':'*'}"},
        {"/map", "{'function':'squared','items':[1],'trace':'yes'}", "{'pointer':'/trace'}"},
        {"/map", "{'function':'squared','items':[1],'aggregate':'median'}", "{'pointer':'/aggregate','allowed':'*'}"},
        {"/map", "{'function':'squared','items':[1],'common':{}}", "{'pointer':'/common'}"},
        {"/map", "{'js':'x => x','items':[1]}", "{'pointer':'/js'}"},
        {"/map", "{'function':'length','items':['a','bb'],'aggregate':'max','rolls':3}", "{'pointer':'/rolls'}"},
        {"/map", "{'function':'upper','items':['a'],'aggregate':'sum'}", "{'pointer':'/aggregate'}"},
        {"/dice", "{'sides':1}", "{'pointer':'/sides'}"},
        {"/dice", "{'rolls':1000000000001}", "{'pointer':'/rolls','limit':1000000000000}"},
        {"/dice", "{'seed':-1}", "{'pointer':'/seed'}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ask_one(*state, &(struct exchange){NULL, cases[i].path, cases[i].body, NULL, 422, NULL, NULL, cases[i].json});
}

static void what_is_around_it(void **state)
{
    const struct exchange exchanges[] = {
        {NULL, "/livez", NULL, NULL, 200, "Cache-Control", "no-store", "{'status':'live'}"},
        {NULL, "/readyz", NULL, NULL, 200, NULL, NULL, "{'status':'ready','workers':2}"},
        {NULL, "/healthz", NULL, NULL, 200, NULL, NULL, "{'status':'ready'}"},
        {NULL, "/", NULL, NULL, 200, "ETag", "~\"", "{'service':'forkmap','version':'*','limits':'*','links':'*'}"},
        {"HEAD", "/", NULL, NULL, 200, "ETag", "~\"", NULL},
        {"HEAD", "/functions", NULL, NULL, 200, NULL, NULL, NULL},
        {"OPTIONS", "/map", NULL, NULL, 204, "Allow", "POST, OPTIONS", NULL},
        {"OPTIONS", "/map", NULL, HEADERS("Origin: https://friend.example"), 204, "Access-Control-Allow-Methods",
         "POST, OPTIONS", NULL},
        {NULL, "/workers", NULL, NULL, 200, NULL, NULL, "{'live':2,'target':2,'max':8,'sized_by':'*','workers':'*'}"},
        {NULL, "/map", SQUARE, NULL, 200, "Server-Timing", "~compute;dur=", "{'results':[4]}"},
        {NULL, "/map", SQUARE, HEADERS("X-Request-Id: abc.D-1"), 200, "X-Request-Id", "abc.D-1", "{'results':[4]}"},
        {NULL, "/map", SQUARE, HEADERS("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), 200,
         "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "{'results':[4]}"},
        {NULL, "/map", "{'function':'squared','items':[1,'x']}", NULL, 200, "X-Failed-Items", "1", "{'failed':1}"},
        {NULL, "/map", SQUARE, NULL, 200, "X-Failed-Items", NULL, "{'failed':'-'}"},
    };
    ASK_ALL(*state, exchanges);
}

static void an_id_that_is_no_token_is_not_echoed(void **state)
{
    struct reply reply =
        http_ask(*state, &(struct ask){.path = "/livez", .headers = HEADERS("X-Request-Id: a b\"<script>")});
    assert_int_equal(reply.status, 200);
    assert_int_equal(strlen(reply_header(&reply, "X-Request-Id")), 16);
    reply_clear(&reply);
}

static void what_does_not_change_is_not_sent_again(void **state)
{
    struct reply reply = http_get(*state, "/");
    char header[100];
    snprintf(header, sizeof header, "If-None-Match: %s", reply_header(&reply, "ETag"));
    reply_clear(&reply);
    reply = http_ask(*state, &(struct ask){.path = "/", .headers = HEADERS(header)});
    assert_int_equal(reply.status, 304);
    assert_int_equal(reply.length, 0);
    reply_clear(&reply);
    reply = http_ask(*state, &(struct ask){.path = "/", .headers = HEADERS("If-None-Match: \"other\"")});
    assert_int_equal(reply.status, 200);
    reply_clear(&reply);
}

/* Refused by its head alone: no 100 Continue, and nothing of the body is asked for. */
static void too_large_is_said_before_the_upload(void **state)
{
    static char body[2 << 20];
    memset(body, ' ', sizeof body);
    struct reply reply =
        http_ask(*state, &(struct ask){.path = "/map", .body = body, .length = sizeof body, .announce = true});
    assert_int_equal(reply.status, 413);
    assert_false(reply.continued);
    json_t *json = reply_json(&reply, 413);
    assert_json(json, "{'limit':1048576}");
    json_decref(json);
    struct raw raw;
    raw_open(&raw, *state);
    raw_text(&raw, "POST /map HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999999\r\n\r\n");
    assert_true(raw_wait_end(&raw, 0));
    assert_int_equal(raw_status(&raw), 413);
    assert_int_equal(raw_count(&raw, "HTTP/1.1 "), 1);
    raw_close(&raw);
    /* One that may come is asked for. */
    char *quoted = json_quoted(SQUARE);
    static const char *const headers[] = {"Expect: 100-continue", NULL};
    reply = http_ask(*state, &(struct ask){.path = "/map", .body = quoted, .headers = headers, .announce = true});
    free(quoted);
    assert_true(reply.continued);
    json_decref(reply_json(&reply, 200));
}

/* A chunked body grows beyond the limit: the connection ends, and nothing answers 200. */
static void too_large_by_chunks(void **state)
{
    struct raw raw;
    static char piece[65536 + 16];
    raw_open(&raw, *state);
    raw_text(&raw, "POST /map HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    size_t length = (size_t)snprintf(piece, sizeof piece, "10000\r\n");
    memset(piece + length, ' ', 65536);
    memcpy(piece + length + 65536, "\r\n", 2);
    for (unsigned i = 0; i < 40; i++)
        raw_send(&raw, piece, length + 65536 + 2);
    raw_text(&raw, "0\r\n\r\n");
    assert_true(raw_wait_end(&raw, 0));
    assert_int_equal(raw_count(&raw, "HTTP/1.1 2"), 0);
    raw_close(&raw);
}

/* What stands between two texts, the search going on behind it; to be freed. */
static char *between(const char **at, const char *before, const char *behind)
{
    const char *start = strstr(*at, before), *end = start != NULL ? strstr(start + strlen(before), behind) : NULL;
    if (end == NULL)
        return NULL;
    *at = end;
    return strndup(start + strlen(before), (size_t)(end - start) - strlen(before));
}

/* As text: the examples hold integers that few JSON readers take. */
static void every_example_is_true(void **state)
{
    struct reply reply = http_get(*state, "/functions");
    assert_int_equal(reply.status, 200);
    const char *at = reply.body;
    unsigned count = 0;
    for (char *path; (path = between(&at, "\"example\":{\"path\":\"", "\",\"body\":")) != NULL; count++) {
        char *body = between(&at, "\"body\":", ",\"answer\":");
        char *answer = between(&at, "\"answer\":", "},\"calls\":");
        assert_true(body != NULL && answer != NULL);
        struct reply got = http_ask(*state, &(struct ask){.path = path, .body = body});
        assert_int_equal(got.status, 200);
        if (strcmp(answer, "null") != 0)
            assert_string_equal(got.body, answer);
        else /* only what fails has none */
            assert_non_null(reply_header(&got, "X-Failed-Items"));
        reply_clear(&got);
        free(path);
        free(body);
        free(answer);
    }
    assert_true(count >= 18);
    reply_clear(&reply);
}

static void tokens(void **state)
{
    char path[] = "/tmp/forkmap-token-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "open-sesame\n", 12), 12);
    close(fd);
    struct server *server =
        server_start_guarded((const char *const[]){"--token-file", path, NULL}, "Authorization: Bearer open-sesame");
    unlink(path);
    const struct exchange exchanges[] = {
        {NULL, "/map", SQUARE, NULL, 401, "WWW-Authenticate", "~Bearer", "{}"},
        {NULL, "/map", SQUARE, HEADERS("Authorization: Bearer open-sesam"), 401, NULL, NULL, "{}"},
        {NULL, "/map", SQUARE, HEADERS("Authorization: Bearer open-sesames"), 401, NULL, NULL, "{}"},
        {NULL, "/map", SQUARE, HEADERS("Authorization: Basic b3Blbg=="), 401, NULL, NULL, "{}"},
        {NULL, "/map", SQUARE, HEADERS("Authorization: Bearer open-sesame"), 200, NULL, NULL, "{'results':[4]}"},
        {NULL, "/map", SQUARE, HEADERS("Authorization: bearer open-sesame"), 200, NULL, NULL, "{'results':[4]}"},
        {NULL, "/workers", NULL, NULL, 401, NULL, NULL, "{}"},
        {NULL, "/livez", NULL, NULL, 200, NULL, NULL, "{}"},
    };
    ASK_ALL(server, exchanges);
    server_stop(server);
}

static void a_unix_socket(void **state)
{
    char path[] = "/tmp/forkmap-socket-XXXXXX", option[64];
    assert_non_null(mkdtemp(path));
    snprintf(option, sizeof option, "unix:%s/s", path);
    struct server *server = server_start((const char *const[]){"--listen", option, NULL});
    assert_int_equal(server->port, 0);
    json_t *json = post_json(server, "/map", SQUARE, 200);
    assert_json(json, "{'results':[4]}");
    json_decref(json);
    server_stop(server);
    assert_int_not_equal(access(option + 5, F_OK), 0); /* it took its file along */
    assert_int_equal(rmdir(path), 0);
}

static void beside_tcp(void **state)
{
    char path[] = "/tmp/forkmap-socket-XXXXXX", option[64];
    assert_non_null(mkdtemp(path));
    snprintf(option, sizeof option, "unix:%s/s", path);
    struct server *server = server_start((const char *const[]){"--listen", "127.0.0.1:0", "--listen", option, NULL});
    assert_true(server->port > 0);
    for (unsigned local = 0; local < 2; local++) {
        struct http_client *client = client_new(server->port, local ? option + 5 : NULL);
        struct reply reply = client_ask(client, &(struct ask){.path = "/livez"});
        assert_int_equal(reply.status, 200);
        reply_clear(&reply);
        client_free(client);
    }
    server_stop(server);
    rmdir(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(wrong_members_are_named),
        cmocka_unit_test(what_is_around_it),
        cmocka_unit_test(an_id_that_is_no_token_is_not_echoed),
        cmocka_unit_test(what_does_not_change_is_not_sent_again),
        cmocka_unit_test(too_large_is_said_before_the_upload),
        cmocka_unit_test(too_large_by_chunks),
        cmocka_unit_test(every_example_is_true),
    };
    const struct CMUnitTest own[] = {
        cmocka_unit_test(tokens),
        cmocka_unit_test(a_unix_socket),
        cmocka_unit_test(beside_tcp),
    };
    int failed = cmocka_run_group_tests(tests, start, stop);
    return failed + cmocka_run_group_tests(own, NULL, NULL);
}
