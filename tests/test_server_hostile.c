/* The real server: what no well-meaning client sends. Each kind of it gets a refusal that says where, or the end of the
 * connection; nothing of a body is ever read as a request, and whoever else is there is served. */
#include "tests/serve.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/serve_http.h"
#include "tests/serve_raw.h"

#define BODY "{\"function\":\"squared\",\"items\":[1,22,{\"a\":\"\\u00e9\\\"\"}],\"trace\":false}"

static int start(void **state)
{
    struct server *server = server_start((const char *const[]){"--header-timeout-ms", "400", NULL});
    server_expect(server, "http: "); /* the library says what it thinks of some of this */
    *state = server;
    return 0;
}

static int stop(void **state)
{
    server_stop(*state);
    return 0;
}

static void still_serves(struct server *server)
{
    json_t *json = post_json(server, "/map", "{'function':'squared','items':[5]}", 200);
    assert_json(json, "{'results':[25]}");
    json_decref(json);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

/* Posts it; asserts that it is malformed, and the offset where if that is not -1. */
static void assert_malformed(struct server *server, const char *body, size_t length, long offset)
{
    struct reply reply =
        http_ask(server, &(struct ask){.path = "/map", .body = body, .length = length, .method = "POST"});
    if (reply.status != 400)
        fail_msg("status %u for %.200s: %s", reply.status, body, reply.body);
    json_t *json = reply_json(&reply, 400);
    assert_json(json, "{'type':'/problems/malformed-json','position':{'line':'*','column':'*','offset':'*'}}");
    json_int_t at = json_integer_value(json_at(json, "position/offset"));
    if (at > (json_int_t)length || (offset >= 0 && at != offset))
        fail_msg("offset %lld, not %ld, in %.200s", (long long)at, offset, body);
    json_decref(json);
}

static void cut_at_every_byte(void **state)
{
    size_t whole = strlen(BODY);
    for (size_t length = 1; length < whole; length++) {
        char *cut = strndup(BODY, length);
        assert_malformed(*state, cut, length, -1);
        free(cut);
    }
    still_serves(*state);
}

static void malformed_bodies(void **state)
{
#define ITEMS(text) "{\"function\":\"echo\",\"items\":[" text "]}"
#define CASE(text, at)             \
    {                              \
        text, sizeof(text) - 1, at \
    }
    static const struct {
        const char *body;
        size_t length;
        long offset;
    } cases[] = {
        CASE("[", -1),
        CASE("{\"function\":\"echo\",\"items\":[1]} x", 32),
        CASE("{\"function\":\"echo\",\"items\":[1]}}", 31),
        CASE("{\"items\":[1],\"items\":[2],\"function\":\"echo\"}", -1),
        CASE("{\"items\":[1],\"\\u0069tems\":[2],\"function\":\"echo\"}", -1),
        CASE("\xef\xbb\xbf{\"function\":\"echo\",\"items\":[1]}", 0),
        CASE("{\"function\":\"echo\",\"items\":[1]}\0", 31),
        CASE("{'function':'echo','items':[1]}", 1),
        CASE("{\"function\":\"echo\",\"items\":[1],}", -1),
        CASE("{function:\"echo\"}", 1),
        CASE("// a comment\n{}", 0),
        CASE("nul", -1),
        CASE(ITEMS("1,"), -1),
        CASE(ITEMS("1 2"), -1),
        CASE(ITEMS("01"), -1),
        CASE(ITEMS("-"), -1),
        CASE(ITEMS("1."), -1),
        CASE(ITEMS(".5"), -1),
        CASE(ITEMS("+1"), -1),
        CASE(ITEMS("1e"), -1),
        CASE(ITEMS("NaN"), -1),
        CASE(ITEMS("Infinity"), -1),
        CASE(ITEMS("0x10"), -1),
        CASE(ITEMS("tru"), -1),
        CASE(ITEMS("True"), -1),
        CASE(ITEMS("1,2,nulL"), -1),
        CASE(ITEMS("\"\t\""), -1),
        CASE(ITEMS("\"\n\""), -1),
        CASE(ITEMS("\"\\x\""), -1),
        CASE(ITEMS("\"\\u12g4\""), -1),
        CASE(ITEMS("\"\\ud800\""), -1),
        CASE(ITEMS("\"\\udc00\\ud800\""), -1),
        CASE(ITEMS("\"\xff\""), -1),
        CASE(ITEMS("\"\xc0\xaf\""), -1),
        CASE(ITEMS("\"\xed\xa0\x80\""), -1),
        CASE(ITEMS("\"\xf4\x90\x80\x80\""), -1),
        CASE(ITEMS("\"\xe2\x82\""), -1),
        CASE(ITEMS("{\"a\":1,\"a\":2}"), -1),
        CASE(ITEMS("{\"a\" 1}"), -1),
        CASE(ITEMS("{\"a\":}"), -1),
        CASE(ITEMS("{1:2}"), -1),
        CASE(ITEMS("[1}"), -1),
        CASE(ITEMS("]"), -1),
        CASE(ITEMS("\f1"), -1),
        CASE(ITEMS("1,\x00 2"), -1),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_malformed(*state, cases[i].body, cases[i].length, cases[i].offset);
    still_serves(*state);
}

/* A bad token late in a large body: other items ran long before, their results are dropped. */
static void malformed_at_the_end(void **state)
{
    size_t capacity = 400000, length;
    char *body = malloc(capacity);
    assert_non_null(body);
    length = (size_t)snprintf(body, capacity, "{\"function\":\"squared\",\"items\":[1");
    while (length < capacity - 100)
        length += (size_t)snprintf(body + length, capacity - length, ",%zu", length);
    size_t bad = length + 1;
    length += (size_t)snprintf(body + length, capacity - length, ",1x,3]}");
    assert_malformed(*state, body, length, -1);
    assert_true(body[bad] == '1');
    free(body);
    still_serves(*state);
}

static void nested_without_end(void **state)
{
    enum { DEPTH = 100000 };
    static char body[DEPTH * 6 + 100];
    static const char *const openings[] = {"[", "{\"a\":"};
    for (size_t i = 0; i < 2; i++) {
        size_t length = (size_t)snprintf(body, sizeof body, "{\"function\":\"echo\",\"items\":[");
        for (unsigned depth = 0; depth < DEPTH; depth++)
            length += (size_t)snprintf(body + length, sizeof body - length, "%s", openings[i]);
        assert_malformed(*state, body, length, -1);
    }
    still_serves(*state);
}

static void wrong_types(void **state)
{
    static const char *const bodies[] = {"[1,2]", "null", "3", "\"text\"", "true", "[]", "[[[]]]"};
    static const char *const paths[] = {"/map", "/starmap", "/apply", "/dice"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (size_t j = 0; j < sizeof paths / sizeof *paths; j++) {
            struct reply reply = http_post(*state, paths[j], bodies[i]);
            if (reply.status != 400 && reply.status != 422)
                fail_msg("status %u for %s to %s", reply.status, bodies[i], paths[j]);
            reply_clear(&reply);
        }
}

/* --- framing ------------------------------------------------------------------------------------------------------ */

#define HOST "Host: localhost\r\n"
#define POST "POST /map HTTP/1.1\r\n" HOST
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define SMUGGLED "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"

static void ambiguous_framing(void **state)
{
    /* To each, a request for /smuggled is appended, which is a part of the body, or of nothing: an answer to it would
     * name it. (The library's own refusals come with their head twice: so answers are not counted.) */
    static const struct {
        const char *head;
        unsigned least, most; /* the status; 0: it may end without any */
    } cases[] = {
        {POST "Content-Length: 5\r\n" CHUNKED "\r\n0\r\n\r\n", 400, 400},
        {POST CHUNKED "Content-Length: 5\r\n\r\n0\r\n\r\n", 400, 400},
        {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, 400},
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400, 400},
        {POST "Content-Length : 5\r\n\r\nhello", 400, 400},
        {POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, 400},
        {POST "Content-Length: 5\r\n 0\r\n\r\nhello", 400, 400},
        {POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, 501},
        {POST "X: a\rContent-Length: 5\r\n\r\nhello", 400, 400},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, 501},
        {POST "Transfer-Encoding: identity\r\n\r\n", 400, 501},
        {POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, 501},
        {POST "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", 400, 501},
        {POST "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n0\r\n\r\n",
         400, 501},
        {POST CHUNKED CHUNKED "\r\n0\r\n\r\n", 400, 400},
        {POST CHUNKED "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400, 400},
        {POST "Content-Length: +5\r\n\r\nhello", 400, 400},
        {POST "Content-Length: -5\r\n\r\nhello", 400, 400},
        {POST "Content-Length: 0x5\r\n\r\nhello", 400, 400},
        {POST "Content-Length: 5, 5\r\n\r\nhello", 400, 400},
        {POST "Content-Length:\r\n\r\nhello", 400, 400},
        {POST "Content-Length: 5 5\r\n\r\nhello", 400, 400},
        {POST "Content-Length: 9223372036854775808\r\n\r\n", 413, 413},
        {POST "Content-Length: 18446744073709551615\r\n\r\n", 413, 413},
        {POST "Content-Length: 18446744073709551621\r\n\r\nhello", 400, 413},
        {POST CHUNKED "\r\nzz\r\nhello\r\n0\r\n\r\n", 0, 400},
        {POST CHUNKED "\r\n-1\r\nhello\r\n0\r\n\r\n", 0, 400},
        {POST CHUNKED "\r\nffffffffffffffff1\r\nhello\r\n0\r\n\r\n", 0, 413},
        {POST CHUNKED "\r\n5\r\nhelloXX0\r\n\r\n", 0, 400},
        {"POST /map HTTP/1.1\r\n\r\n", 400, 400},
        {"POST /map HTTP/1.1\r\n" HOST HOST "\r\n", 400, 400},
        {"POST /map HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, 421},
        {"POST /map HTTP/1.1\r\nHost: user@localhost\r\n\r\n", 400, 421},
        {"POST /map HTTP/1.0\r\n" HOST CHUNKED "\r\n0\r\n\r\n", 400, 400},
        {"POST /map HTTP/1.2\r\n" HOST "\r\n", 0, 505},
        {"POST /map HTTP/2.0\r\n" HOST "\r\n", 0, 505},
        {"GET /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 400, 400},
        {"HEAD /livez HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello", 400, 400},
        {"GET /livez HTTP/1.1\r\n" HOST CHUNKED "\r\n0\r\n\r\n", 400, 400},
        {"GET /livez%00x HTTP/1.1\r\n" HOST "\r\n", 400, 404},
        {"GET http://localhost/livez HTTP/1.1\r\n" HOST "\r\n", 400, 404},
        {"GET livez HTTP/1.1\r\n" HOST "\r\n", 400, 404},
        {"GET /livez HTTP/1.1\r\n" HOST "X: a\x01z\r\n\r\n", 400, 400},
        {"GET /livez HTTP/1.1\r\n" HOST "X y: a\r\n\r\n", 400, 400},
        {"GET /livez HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 400, 400},
    };
    static struct raw raw;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[1024];
        snprintf(bytes, sizeof bytes, "%s%s", cases[i].head, SMUGGLED);
        raw_open(&raw, *state);
        raw_text(&raw, bytes);
        bool ended = raw_wait_end(&raw, 0);
        unsigned status = raw_status(&raw);
        if (!ended || raw_count(&raw, "smuggled") > 0 || raw_count(&raw, "HTTP/1.1 2") > 0 || status < cases[i].least ||
            status > cases[i].most || raw_count(&raw, "HTTP/1.1 404") > (unsigned)(cases[i].most == 404))
            fail_msg("%s\nwas answered by (%s)\n%s", cases[i].head, ended ? "ended" : "still open", raw.got);
        raw_close(&raw);
    }
    still_serves(*state);
}

/* A chunked request is answered and then ends its connection, since not all of its framing can be seen. */
static void nothing_follows_a_chunked_request(void **state)
{
    static struct raw raw;
    raw_open(&raw, *state);
    raw_text(&raw, POST CHUNKED "\r\n22\r\n{\"function\":\"squared\",\"items\":[2]}\r\n0\r\n\r\n" SMUGGLED);
    assert_true(raw_wait_end(&raw, 0));
    assert_int_equal(raw_status(&raw), 200);
    assert_non_null(strstr(raw.got, "{\"results\":[4]}"));
    assert_int_equal(raw_count(&raw, "HTTP/1.1 "), 1);
    raw_close(&raw);
}

static void whole_requests_in_every_piece(void **state)
{
    static struct raw raw;
    static const char body[] = "{\"function\":\"squared\",\"items\":[3]}";
    char request[300];
    size_t length = (size_t)snprintf(request, sizeof request, POST "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
    raw_open(&raw, *state);
    for (size_t cut = 1; cut < length; cut++) { /* all over one connection */
        raw_send(&raw, request, cut);
        raw_wait(&raw, "never", 1, 1);
        raw_send(&raw, request + cut, length - cut);
        raw.length = raw.closed ? raw.length : 0;
        assert_true(raw_wait(&raw, "{\"results\":[9]}", 1, 0));
        assert_int_equal(raw_count(&raw, "HTTP/1.1 200"), 1);
    }
    raw_close(&raw);
    raw_open(&raw, *state);
    for (size_t i = 0; i < 40; i++) /* and many without waiting for answers */
        raw_send(&raw, request, length);
    assert_true(raw_wait(&raw, "{\"results\":[9]}", 40, 0));
    assert_int_equal(raw_count(&raw, "HTTP/1.1 "), 40);
    raw_close(&raw);
}

/* --- slowness and rubbish ----------------------------------------------------------------------------------------- */

static void slow_clients_are_cut_off(void **state)
{
    static const char *const starts[] = {
        "",                                           /* says nothing */
        "POST /map HT",                               /* stops in its first line */
        POST "X-Sl",                                  /* in its head */
        POST "Content-Length: 100000\r\n\r\n{\"func", /* in its body */
        POST CHUNKED "\r\n10\r\n{",                   /* in a chunk */
    };
    static struct raw raws[sizeof starts / sizeof *starts];
    size_t count = sizeof starts / sizeof *starts;
    for (size_t i = 0; i < count; i++) {
        raw_open(&raws[i], *state);
        raw_text(&raws[i], starts[i]);
    }
    still_serves(*state);
    for (size_t i = 0; i < count; i++) {
        if (!raw_wait_end(&raws[i], 0))
            fail_msg("still open: %s", starts[i]);
        assert_int_equal(raw_count(&raws[i], "HTTP/1.1 2"), 0);
        raw_close(&raws[i]);
    }
    /* A byte now and then does not help. */
    raw_open(&raws[0], *state);
    raw_text(&raws[0], POST);
    uint64_t until_ms = clock_ms() + wait_bound_ms();
    while (!raws[0].closed && clock_ms() < until_ms) {
        raw_text(&raws[0], "X");
        raw_wait(&raws[0], "never", 1, 30);
    }
    assert_true(raws[0].closed);
    raw_close(&raws[0]);
}

static void rubbish(void **state)
{
    static struct raw raw;
    unsigned seed = 7;
    for (unsigned round = 0; round < 60; round++) {
        char bytes[600];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1103515245u + 12345u;
            bytes[i] = (char)(seed >> 16);
        }
        memcpy(bytes + sizeof bytes - 4, "\r\n\r\n", 4);
        if (round % 2) /* rubbish behind a good beginning */
            memcpy(bytes, "GET / HTTP/1.1\r\n", 16);
        raw_open(&raw, *state);
        raw_send(&raw, bytes, sizeof bytes);
        shutdown(raw.fd, SHUT_WR);
        assert_true(raw_wait_end(&raw, 0));
        assert_int_equal(raw_count(&raw, "HTTP/1.1 2"), 0);
        raw_close(&raw);
    }
    still_serves(*state);
}

static void heads_without_end(void **state)
{
    static struct raw raw;
    static char bytes[60000];
    for (unsigned kind = 0; kind < 3; kind++) {
        size_t length = (size_t)snprintf(bytes, sizeof bytes, kind == 0 ? "GET /" : "GET / HTTP/1.1\r\n" HOST "X: ");
        while (length < sizeof bytes - 100)
            length += (size_t)snprintf(bytes + length, sizeof bytes - length, kind == 2 ? "a\r\nX: " : "aaaa");
        raw_open(&raw, *state);
        raw_send(&raw, bytes, length);
        assert_true(raw_wait_end(&raw, 0));
        assert_int_equal(raw_count(&raw, "HTTP/1.1 2"), 0);
        raw_close(&raw);
    }
    still_serves(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(malformed_bodies),
        cmocka_unit_test(malformed_at_the_end),
        cmocka_unit_test(nested_without_end),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(ambiguous_framing),
        cmocka_unit_test(nothing_follows_a_chunked_request),
        cmocka_unit_test(whole_requests_in_every_piece),
        cmocka_unit_test(slow_clients_are_cut_off),
        cmocka_unit_test(rubbish),
        cmocka_unit_test(heads_without_end),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
