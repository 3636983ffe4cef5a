/* answer: a problem's status, type and headers; who owns the body; what a header's room holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/answer.h"

static const char *header(const struct answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++)
        if (strcmp(answer->headers[i].name, name) == 0)
            return answer->headers[i].value;
    return NULL;
}

static void is_header(const struct answer *answer, const char *name, const char *expected)
{
    const char *value = header(answer, name);
    if (expected == NULL)
        assert_null(value);
    else
        assert_string_equal(value != NULL ? value : "none", expected);
}

static void a_body_is_taken_from_its_buf(void **state)
{
    struct answer answer = {0};
    struct buf body = {0};
    buf_append_text(&body, "consumed{\"a\":1}");
    buf_consume(&body, 8);
    const char *data = body.data;
    answer_json(&answer, 201, &body);
    assert_null(body.data);
    assert_int_equal(body.length, 0);
    assert_int_equal(answer.status, 201);
    assert_string_equal(answer.content_type, "application/json");
    assert_int_equal(answer.block_count, 1);
    assert_ptr_equal(answer.blocks[0].data, data);
    assert_int_equal(answer.blocks[0].length, 7);
    assert_memory_equal(answer.blocks[0].data + answer.blocks[0].start, "{\"a\":1}", 7);
    answer_clear(&answer);
    assert_int_equal(answer.status, 0);
    assert_null(answer.blocks);
    answer_clear(&answer); /* an empty one may be cleared, too */
}

static void blocks_are_taken_as_they_are(void **state)
{
    struct answer answer = {0};
    struct block *blocks = calloc(2, sizeof *blocks);
    blocks[0] = (struct block){strdup("ab"), 0, 2};
    blocks[1] = (struct block){strdup("xcd"), 1, 2};
    answer_blocks(&answer, 200, blocks, 2);
    assert_ptr_equal(answer.blocks, blocks);
    assert_int_equal(answer.block_count, 2);
    assert_string_equal(answer.content_type, "application/json");
    assert_int_equal(answer.header_count, 0);
    answer_clear(&answer);
}

static void a_header_is_cut_at_its_room(void **state)
{
    struct answer answer = {0};
    char longer[ANSWER_VALUE_BYTES + 50];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    answer_header(&answer, "A", "%s-%d", "one", 1);
    answer_header(&answer, "B", "%s", longer);
    memcpy(answer_header_room(&answer, "C"), "three", 6);
    for (size_t i = 3; i < ANSWER_HEADERS_MAX; i++)
        answer_header(&answer, "D", "%zu", i);
    assert_int_equal(answer.header_count, ANSWER_HEADERS_MAX);
    is_header(&answer, "A", "one-1");
    is_header(&answer, "C", "three");
    is_header(&answer, "D", "3");
    assert_int_equal(strlen(header(&answer, "B")), ANSWER_VALUE_BYTES - 1);
    answer_clear(&answer);
}

#define POSTED "application/json, application/x-ndjson, text/plain, text/csv"

static void problems_bring_their_headers(void **state)
{
    static const struct {
        enum problem_type type;
        const char *allow;
        unsigned retry_after_s, status;
        const char *retry_after, *authenticate, *accept_post;
        size_t headers;
    } rows[] = {
        {PROBLEM_NOT_FOUND, "", 0, 404, NULL, NULL, NULL, 0},
        {PROBLEM_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS", 0, 405, NULL, NULL, NULL, 1},
        {PROBLEM_UNAUTHORIZED, "", 0, 401, NULL, "Bearer", NULL, 1},
        {PROBLEM_UNSUPPORTED_MEDIA, "", 0, 415, NULL, NULL, POSTED, 1},
        {PROBLEM_UNAVAILABLE, "", 3, 503, "3", NULL, NULL, 1},
        {PROBLEM_TOO_MANY_REQUESTS, "", 60, 429, "60", NULL, NULL, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct answer answer = {0};
        struct problem problem;
        problem_set(&problem, rows[i].type, "why");
        snprintf(problem.allow, sizeof problem.allow, "%s", rows[i].allow);
        problem.retry_after_s = rows[i].retry_after_s;
        answer_problem(&answer, &problem, "r-9");
        assert_int_equal(answer.status, rows[i].status);
        assert_string_equal(answer.content_type, "application/problem+json");
        assert_int_equal(answer.header_count, rows[i].headers);
        is_header(&answer, "Allow", rows[i].allow[0] != '\0' ? rows[i].allow : NULL);
        is_header(&answer, "Retry-After", rows[i].retry_after);
        is_header(&answer, "WWW-Authenticate", rows[i].authenticate);
        is_header(&answer, "Accept-Post", rows[i].accept_post);
        json_t *body = json_loadb(answer.blocks[0].data + answer.blocks[0].start, answer.blocks[0].length, 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(body, "status")), rows[i].status);
        assert_string_equal(json_string_value(json_object_get(body, "instance")), "r-9");
        assert_string_equal(json_string_value(json_object_get(body, "detail")), "why");
        json_decref(body);
        answer_clear(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_taken_from_its_buf),
        cmocka_unit_test(blocks_are_taken_as_they_are),
        cmocka_unit_test(a_header_is_cut_at_its_room),
        cmocka_unit_test(problems_bring_their_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
