/* gate: each thing that libmicrohttpd lets through and must not, each name, origin and token, as one row; and what a
 * request that is let in means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "server/gate.h"

#define HEADERS 12
#define LIMIT 1000

/* Headers are written "name|value"; a row without Host gets none. */
struct row {
    unsigned status; /* 0: let in */
    const char *line;
    const char *told; /* part of the detail, or NULL */
    const char *headers[HEADERS];
};

static char *const hosts[] = {"forkmap.example", "*.wild.example"};
static char *const origins[] = {"https://app.example", "http://localhost:3000"};
static const struct gate_rules plain = {LIMIT, hosts, 2, origins, 2, NULL};

struct parsed {
    char method[16], target[256], version[16];
    struct gate_header headers[HEADERS];
    struct gate_request request;
};

static void parse(struct parsed *parsed, const char *line, const char *const headers[HEADERS])
{
    memset(parsed, 0xa5, sizeof *parsed); /* what gate_check() leaves alone shows */
    assert_int_equal(sscanf(line, "%15s %255s %15[^\n]", parsed->method, parsed->target, parsed->version), 3);
    size_t count = 0;
    for (; count < HEADERS && headers[count] != NULL; count++) {
        const char *bar = strchr(headers[count], '|');
        assert_non_null(bar);
        parsed->headers[count] =
            (struct gate_header){headers[count], (size_t)(bar - headers[count]), bar + 1, strlen(bar + 1)};
    }
    parsed->request.method = parsed->method;
    parsed->request.target = parsed->target;
    parsed->request.version = parsed->version;
    parsed->request.headers = parsed->headers;
    parsed->request.header_count = count;
}

static void run(const struct row *rows, size_t count, const struct gate_rules *rules)
{
    for (size_t i = 0; i < count; i++) {
        struct parsed parsed;
        struct problem problem = {0};
        parse(&parsed, rows[i].line, rows[i].headers);
        bool in = gate_check(&parsed.request, rules, &problem);
        unsigned status = in ? 0 : problem_status(problem.type);
        if (status != rows[i].status || (rows[i].told != NULL && strstr(problem.detail, rows[i].told) == NULL))
            fail_msg("row %zu, %s: %u, expected %u: %s", i, rows[i].line, status, rows[i].status, problem.detail);
    }
}

#define RUN(rows, rules) run((rows), sizeof(rows) / sizeof *(rows), (rules))
#define POST "POST /map HTTP/1.1"
#define GET "GET / HTTP/1.1"
#define H "Host|localhost:8080"

static void framing_is_unambiguous_or_refused(void **state)
{
    static const struct row rows[] = {
        {0, POST, NULL, {H}},
        {0, POST, NULL, {H, "Content-Length|5"}},
        {0, POST, NULL, {H, "Content-Length|0"}},
        {0, POST, NULL, {H, "content-LENGTH|1000"}},
        {0, POST, NULL, {H, "Transfer-Encoding|chunked"}},
        {0, POST, NULL, {H, "transfer-encoding|Chunked"}},
        {400, POST, "exclude each other", {H, "Content-Length|5", "Transfer-Encoding|chunked"}},
        {400, POST, "exclude each other", {H, "Transfer-Encoding|chunked", "Content-Length|0"}},
        {400, POST, "content-length is given twice", {H, "Content-Length|5", "Content-Length|6"}},
        {400, POST, "content-length is given twice", {H, "Content-Length|5", "Content-Length|5"}},
        {400, POST, "given twice", {H, "Transfer-Encoding|chunked", "Transfer-Encoding|chunked"}},
        {400, POST, "name of header field 2", {H, "Content-Length |5"}},
        {400, POST, "name of header field 2", {H, "Transfer-Encoding |chunked"}},
        {400, POST, "was it folded?", {H, "Content-Length0|5"}},
        {400, POST, "was it folded?", {H, "Content-Lengthlength|5"}},
        {400, POST, "was it folded?", {H, "CONTENT-LENGTH-X|5"}},
        {400, POST, "was it folded?", {H, "Transfer-Encodingchunked|"}},
        {400, POST, "only be chunked", {H, "Transfer-Encoding|"}},
        {400, POST, "only be chunked", {H, "Transfer-Encoding|chunked\t"}},
        {400,
         POST,
         "control character",
         {H, "Transfer-Encoding|\x0b"
             "chunked"}},
        {400, POST, "only be chunked", {H, "Transfer-Encoding|chunked "}},
        {501, POST, NULL, {H, "Transfer-Encoding|xchunked"}},
        {501, POST, NULL, {H, "Transfer-Encoding|identity"}},
        {501, POST, NULL, {H, "Transfer-Encoding|gzip, chunked"}},
        {501, POST, NULL, {H, "Transfer-Encoding|chunked, chunked"}},
        {400, "POST /map HTTP/1.0", "HTTP/1.0", {H, "Transfer-Encoding|chunked"}},
        {0, "POST /map HTTP/1.0", NULL, {H, "Content-Length|5"}},
        {400, POST, "not a number", {H, "Content-Length|"}},
        {400, POST, "not a number", {H, "Content-Length|+5"}},
        {400, POST, "not a number", {H, "Content-Length|-5"}},
        {400, POST, "not a number", {H, "Content-Length|0x5"}},
        {400, POST, "not a number", {H, "Content-Length|5, 5"}},
        {400, POST, "not a number", {H, "Content-Length|5 "}},
        {413, POST, "1001 bytes; --max-body allows 1000", {H, "Content-Length|1001"}},
        {413, POST, NULL, {H, "Content-Length|9223372036854775808"}},
        {413, POST, NULL, {H, "Content-Length|18446744073709551615"}},
        {413, POST, NULL, {H, "Content-Length|18446744073709551616"}},
        {413, POST, NULL, {H, "Content-Length|18446744073709551621"}},
        {413, POST, NULL, {H, "Content-Length|99999999999999999999999999999999999999999"}},
        {0, POST, NULL, {H, "Content-Length|00000000000000000000000000000000000000005"}},
        {400, GET, "no body here", {H, "Content-Length|5"}},
        {400, GET, "no body here", {H, "Transfer-Encoding|chunked"}},
        {0, GET, NULL, {H, "Content-Length|0"}},
        {400, "HEAD / HTTP/1.1", NULL, {H, "Content-Length|1"}},
        {400, "DELETE / HTTP/1.1", NULL, {H, "Content-Length|1"}},
        {400, "OPTIONS / HTTP/1.1", NULL, {H, "Content-Length|1"}},
        {400, "get / HTTP/1.1", NULL, {H, "Content-Length|1"}},
        {0, "PUT / HTTP/1.1", NULL, {H, "Content-Length|1"}},
        {0, "PATCH / HTTP/1.1", NULL, {H, "Content-Length|1"}},
        {0, "G@T / HTTP/1.1", NULL, {H}}, /* 405 is the routes' to say */
        {415, POST, NULL, {H, "Content-Encoding|gzip", "Content-Length|5"}},
        {0, POST, NULL, {H, "Content-Encoding|identity", "Content-Length|5"}},
        {413, POST, NULL, {H, "Expect|100-continue", "Content-Length|1001"}},
    };
    RUN(rows, &plain);
}

static void names_are_tokens_and_values_hold_no_control(void **state)
{
    static const struct row rows[] = {
        {0, GET, NULL, {H, "X-Any_thing!#$%&'*+.^`~0|v"}},
        {400, GET, "name of header field 2", {H, "|v"}},
        {400, GET, "name of header field 2", {H, "a b|v"}},
        {400, GET, NULL, {H, " a|v"}},
        {400, GET, NULL, {H, "a\t|v"}},
        {400, GET, NULL, {H, "a(b)|v"}},
        {400, GET, NULL, {H, "a:b|v"}},
        {400, GET, NULL, {H, "\xc3\xa9|v"}},
        {400, GET, NULL, {H, "a\x7f|v"}},
        {400, GET, NULL, {H, "a\rContent-Length|5"}},
        {0, GET, NULL, {H, "a|"}},
        {0, GET, NULL, {H, "a|tab\tin a value that is longer"}},
        {0, GET, NULL, {H, "a|\xc3\xa9\xff bytes above 127 \x80"}},
        {400, GET, "the value of a holds a control character", {H, "a|bare\rcarriage return"}},
        {400, GET, NULL, {H, "a|end\r"}},
        {400, GET, NULL, {H, "a|12345678\n"}},
        {400, GET, NULL, {H, "a|1234567\x01"}},
        {400,
         GET,
         NULL,
         {H, "a|\tab\x1f"
             "12345678"}},
        {400, GET, NULL, {H, "a|12345678\x7f"}},
        {400,
         GET,
         NULL,
         {H, "a|123\x7f"
             "45678"}},
    };
    RUN(rows, &plain);
    for (size_t at = 0; at < 20; at++)
        for (unsigned c = 0; c < 256; c++) {
            char value[20];
            memset(value, 'v', sizeof value);
            value[at] = (char)c;
            const struct gate_header headers[] = {{"Host", 4, "localhost", 9}, {"x", 1, value, sizeof value}};
            struct gate_request request = {
                .method = "GET", .target = "/", .version = "HTTP/1.1", .headers = headers, .header_count = 2};
            struct problem problem = {0};
            assert_int_equal(gate_check(&request, &plain, &problem), (c >= 0x20 && c != 0x7f) || c == '\t');
        }
}

static void the_line_is_a_path_and_a_version(void **state)
{
    static const struct row rows[] = {
        {0, "GET /map?js=x=>x+1&a=%20 HTTP/1.1", NULL, {H}},
        {0, "GET /map?js=\xc3\xa9 HTTP/1.1", NULL, {H}},
        {0, "OPTIONS * HTTP/1.1", NULL, {H}},
        {400, "GET * HTTP/1.1", "not a path", {H}},
        {400, "OPTIONS ** HTTP/1.1", "not a path", {H}},
        {400, "GET http://localhost/ HTTP/1.1", "not a path", {H}},
        {400, "GET map HTTP/1.1", "not a path", {H}},
        {400, "GET /map%00x HTTP/1.1", "%00", {H}},
        {400, "GET /?a=%00 HTTP/1.1", "%00", {H}},
        {0, "GET /?a=%01%0 HTTP/1.1", NULL, {H}},
        {400, "GET /\x01 HTTP/1.1", "control character", {H}},
        {400, "GET /\x7f HTTP/1.1", "control character", {H}},
        {400, "GET / HTTP/1.2", "version", {H}},
        {400, "GET / HTTP/2.0", "version", {H}},
        {400, "GET / http/1.1", "version", {H}},
        {400, "GET / HTTP/1.1 ", "version", {H}},
    };
    RUN(rows, &plain);
    struct gate_request request = {
        .method = "GET", .target = "/", .version = "HTTP/1.1", .header_count = GATE_HEADERS_MAX + 1};
    struct problem problem = {0};
    assert_false(gate_check(&request, &plain, &problem));
    assert_string_equal(problem.detail, "more than 100 header fields");
}

static void only_names_that_are_ours_are_served(void **state)
{
    static const struct row rows[] = {
        {400, GET, "asks for a Host", {0}},
        {0, "GET / HTTP/1.0", NULL, {0}},
        {400, GET, "host is given twice", {H, H}},
        {400, GET, "Host is not", {"Host|"}},
        {400, GET, NULL, {"Host|:80"}},
        {400, GET, NULL, {"Host|a@localhost"}},
        {400, GET, NULL, {"Host|localhost/x"}},
        {400, GET, NULL, {"Host|localhost,localhost"}},
        {400, GET, NULL, {"Host|a b"}},
        {400, GET, NULL, {"Host|localhost:x"}},
        {400, GET, NULL, {"Host|localhost:65536"}},
        {400, GET, NULL, {"Host|localhost:99999999999999999999"}},
        {400, GET, NULL, {"Host|localhost:80:80"}},
        {400, GET, NULL, {"Host|[::1"}},
        {400, GET, NULL, {"Host|[]"}},
        {400, GET, NULL, {"Host|[::1]x"}},
        {400, GET, NULL, {"Host|[evil.example]"}},
        {400, GET, NULL, {"Host|::1"}},
        {0, GET, NULL, {"Host|localhost"}},
        {0, GET, NULL, {"Host|LocalHost:65535"}},
        {0, GET, NULL, {"Host|localhost:"}},
        {0, GET, NULL, {"Host|localhost."}},
        {0, GET, NULL, {"Host|127.0.0.1:8080"}},
        {0, GET, NULL, {"Host|8.8.8.8"}},
        {0, GET, NULL, {"Host|[::1]:8080"}},
        {0, GET, NULL, {"Host|[::ffff:10.0.0.1]"}},
        {0, GET, NULL, {"Host|app.localhost"}},
        {0, GET, NULL, {"Host|printer.LOCAL:80"}},
        {0, GET, NULL, {"Host|forkmap"}},
        {0, GET, NULL, {"Host|under_score-1"}},
        {0, GET, NULL, {"Host|Forkmap.Example:80"}},
        {0, GET, NULL, {"Host|forkmap.example."}},
        {0, GET, NULL, {"Host|a.wild.example"}},
        {0, GET, NULL, {"Host|a.b.wild.example"}},
        {421, GET, NULL, {"Host|wild.example"}},
        {421, GET, NULL, {"Host|awild.example"}},
        {421, GET, NULL, {"Host|forkmap.example.evil.example"}},
        {421, GET, "start it with --allowed-host evil.example", {"Host|evil.example:8080"}},
        {421, GET, NULL, {"Host|127.0.0.1.evil.example"}},
        {421, GET, NULL, {"Host|1.2.3.256"}},
        {421, GET, NULL, {"Host|1.2.3"}},
        {421, GET, NULL, {"Host|1.2.3.4.5"}},
        {421, GET, NULL, {"Host|1..2.3"}},
        {421, GET, NULL, {"Host|.localhost"}},
        {421, GET, NULL, {"Host|localhost.evil"}},
        {421, "GET / HTTP/1.0", NULL, {"Host|evil.example"}},
    };
    RUN(rows, &plain);
    static char *const any[] = {"*"};
    static const struct gate_rules open = {LIMIT, any, 1, NULL, 0, NULL};
    static const struct row anything[] = {{0, GET, NULL, {"Host|evil.example"}},
                                          {400, GET, NULL, {"Host|evil/example"}}};
    RUN(anything, &open);
}

static void pages_of_other_sites_are_refused(void **state)
{
    static const struct row rows[] = {
        {0, POST, NULL, {H, "Origin|http://localhost:8080"}},
        {0, POST, NULL, {H, "Origin|HTTP://LOCALHOST:8080", "Sec-Fetch-Site|same-origin"}},
        {0, POST, NULL, {"Host|forkmap.example", "Origin|https://forkmap.example"}},
        {0, POST, NULL, {H, "Sec-Fetch-Site|same-origin"}},
        {0, GET, NULL, {H, "Sec-Fetch-Site|none"}},
        {403, POST, NULL, {H, "Origin|http://localhost:8081"}},
        {403, POST, NULL, {H, "Origin|http://localhost"}},
        {403, POST, "--cors-origin http://evil.example", {H, "Origin|http://evil.example"}},
        {403, POST, NULL, {H, "Origin|null"}},
        {403, POST, NULL, {H, "Origin|"}},
        {403, POST, NULL, {H, "Origin|http://"}},
        {403, POST, NULL, {H, "Origin|ftp://localhost:8080"}},
        {403, POST, NULL, {H, "Origin|localhost:8080"}},
        {403, POST, NULL, {H, "Origin|http://localhost:8080/"}},
        {403, POST, NULL, {H, "Origin|http://app.example"}},
        {403, POST, "--cors-origin", {H, "Sec-Fetch-Site|cross-site"}},
        {403, GET, NULL, {H, "Sec-Fetch-Site|same-site"}},
        {403, GET, NULL, {H, "Sec-Fetch-Site|anything"}},
        {403, POST, NULL, {H, "Origin|http://localhost:8080", "Sec-Fetch-Site|same-site"}},
        {400, POST, NULL, {H, "Origin|http://localhost:8080", "Origin|http://evil.example"}},
        {400, POST, NULL, {H, "Sec-Fetch-Site|none", "Sec-Fetch-Site|cross-site"}},
        {0, POST, NULL, {H, "Origin|https://app.example", "Sec-Fetch-Site|cross-site"}},
        {0, POST, NULL, {H, "Origin|http://localhost:3000", "Sec-Fetch-Site|same-site"}},
        {403, "POST /map HTTP/1.0", NULL, {"Origin|http://localhost:8080"}},
    };
    RUN(rows, &plain);
    static char *const any[] = {"*"};
    static const struct gate_rules open = {LIMIT, NULL, 0, any, 1, NULL};
    static const struct row anything[] = {{0, POST, NULL, {H, "Origin|http://evil.example"}},
                                          {0, POST, NULL, {H, "Origin|null"}}};
    RUN(anything, &open);
}

static void a_token_is_asked_for_where_there_is_one(void **state)
{
    static const struct gate_rules guarded = {LIMIT, hosts, 2, origins, 2, "s3cret"};
    static const struct row rows[] = {
        {0, POST, NULL, {H, "Authorization|Bearer s3cret"}},
        {0, POST, NULL, {H, "authorization|bearer s3cret"}},
        {401, POST, "Authorization: Bearer TOKEN", {H}},
        {401, POST, "not the right one", {H, "Authorization|Bearer s3cre"}},
        {401, POST, NULL, {H, "Authorization|Bearer s3crett"}},
        {401, POST, NULL, {H, "Authorization|Bearer s3crets3cret"}},
        {401, POST, NULL, {H, "Authorization|Bearer S3cret"}},
        {401, POST, NULL, {H, "Authorization|Bearer "}},
        {401, POST, NULL, {H, "Authorization|Bearer"}},
        {401, POST, NULL, {H, "Authorization|Basic s3cret"}},
        {401, POST, NULL, {H, "Authorization|s3cret"}},
        {400, POST, NULL, {H, "Authorization|Bearer s3cret", "Authorization|Bearer s3cret"}},
        {401, POST, NULL, {H, "Content-Length|100000"}}, /* not 413: strangers learn no limits */
        {0, "GET /livez HTTP/1.1", NULL, {H}},
        {0, "GET /readyz HTTP/1.1", NULL, {H}},
        {0, "GET /healthz HTTP/1.1", NULL, {H}},
        {401, "GET /livezz HTTP/1.1", NULL, {H}},
        {401, "GET / HTTP/1.1", NULL, {H}},
        {401, "OPTIONS /map HTTP/1.1", NULL, {H}},
        {0, "OPTIONS /map HTTP/1.1", NULL, {H, "Origin|https://app.example"}},
        {401, POST, NULL, {H, "Origin|https://app.example"}},
        {401, POST, NULL, {H, "Origin|http://localhost:8080"}},
        {403, POST, NULL, {H, "Origin|http://evil.example", "Authorization|Bearer s3cret"}},
    };
    RUN(rows, &guarded);
    static const struct gate_rules empty = {LIMIT, NULL, 0, NULL, 0, ""};
    static const struct row none[] = {{0, POST, NULL, {H}}, {0, POST, NULL, {H, "Authorization|Basic eDp5"}}};
    RUN(none, &empty);
}

static void what_is_let_in_is_told(void **state)
{
    static const struct {
        const char *headers[HEADERS];
        int64_t content_length;
        bool chunked, expect_continue, close_after;
        int cors; /* index of the header, or -1 */
    } cases[] = {
        {{H}, -1, false, false, false, -1},
        {{H, "Content-Length|7"}, 7, false, false, false, -1},
        {{H, "Content-Length|1000", "Expect|100-Continue"}, 1000, false, true, false, -1},
        {{H, "Expect|something"}, -1, false, false, false, -1},
        {{H, "Transfer-Encoding|chunked"}, -1, true, false, true, -1},
        {{H, "Origin|https://app.example", "Content-Length|0"}, 0, false, false, false, 1},
        {{H, "Origin|http://localhost:8080"}, -1, false, false, false, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed parsed;
        struct problem problem = {0};
        parse(&parsed, POST, cases[i].headers);
        assert_true(gate_check(&parsed.request, &plain, &problem));
        assert_int_equal(problem.type, PROBLEM_NONE);
        assert_int_equal(parsed.request.content_length, cases[i].content_length);
        assert_int_equal(parsed.request.chunked, cases[i].chunked);
        assert_int_equal(parsed.request.expect_continue, cases[i].expect_continue);
        assert_int_equal(parsed.request.close_after, cases[i].close_after);
        assert_ptr_equal(parsed.request.cors_origin, cases[i].cors < 0 ? NULL : &parsed.headers[cases[i].cors]);
    }
    struct parsed parsed;
    struct problem problem = {0};
    parse(&parsed, POST, (const char *const[HEADERS]){H, "Content-Length|1001"});
    assert_false(gate_check(&parsed.request, &plain, &problem));
    assert_true(problem.has_limit);
    assert_int_equal(problem.limit, LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(framing_is_unambiguous_or_refused),
        cmocka_unit_test(names_are_tokens_and_values_hold_no_control),
        cmocka_unit_test(the_line_is_a_path_and_a_version),
        cmocka_unit_test(only_names_that_are_ours_are_served),
        cmocka_unit_test(pages_of_other_sites_are_refused),
        cmocka_unit_test(a_token_is_asked_for_where_there_is_one),
        cmocka_unit_test(what_is_let_in_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
