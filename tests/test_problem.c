/* problem: every row, the rendered body member by member, and which names are near. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

#include "api/problem.h"

static void render(const struct problem *problem, const char *expected)
{
    struct buf out = {0};
    problem_render(problem, "r-1", &out);
    buf_append_char(&out, '\0');
    assert_string_equal(buf_start(&out), expected);
    buf_clear(&out);
}

static void every_type_has_a_row_of_its_own(void **state)
{
    static const unsigned statuses[PROBLEM_TYPES] = {200, 400, 400, 400, 401, 403, 404, 405, 406, 408, 413, 415, 421,
                                                     422, 422, 422, 422, 422, 422, 422, 429, 500, 501, 503, 503, 504};
    json_t *seen = json_object();
    for (int type = PROBLEM_NONE + 1; type < PROBLEM_TYPES; type++) {
        struct problem problem;
        struct buf out = {0};
        assert_false(problem_set(&problem, (enum problem_type)type, "x"));
        assert_int_equal(problem_status((enum problem_type)type), statuses[type]);
        problem_render(&problem, "", &out);
        json_t *body = json_loadb(buf_start(&out), out.length, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(body);
        const char *uri = json_string_value(json_object_get(body, "type"));
        assert_int_equal(strncmp(uri, "/problems/", 10), 0);
        assert_true(uri[10 + strspn(uri + 10, "abcdefghijklmnopqrstuvwxyz-")] == '\0' && uri[10] != '\0');
        assert_null(json_object_get(seen, uri));
        json_object_set_new(seen, uri, json_true());
        assert_true(json_string_length(json_object_get(body, "title")) > 0);
        assert_int_equal(json_integer_value(json_object_get(body, "status")), statuses[type]);
        json_decref(body);
        buf_clear(&out);
    }
    json_decref(seen);
}

static void only_what_is_set_is_rendered(void **state)
{
    struct problem problem;
    problem_set(&problem, PROBLEM_NOT_FOUND, "there is no %s", "/mpa");
    render(&problem, "{\"type\":\"/problems/not-found\",\"title\":\"Not found\",\"status\":404,"
                     "\"detail\":\"there is no /mpa\",\"instance\":\"r-1\"}");
}

static void all_members_are_rendered(void **state)
{
    struct problem problem;
    problem_set(&problem, PROBLEM_WRONG_VALUE, "say \"a\"\n");
    snprintf(problem.pointer, sizeof problem.pointer, "/a~1b");
    problem.has_position = true;
    problem.line = 3, problem.column = 4, problem.offset = INT64_MAX;
    problem.has_index = true;
    problem.index = 0;
    problem.has_limit = true;
    problem.limit = 8;
    snprintf(problem.allowed, sizeof problem.allowed, "a,b c,d");
    snprintf(problem.did_you_mean, sizeof problem.did_you_mean, "b");
    problem.error = "{\"index\":0}";
    render(&problem, "{\"type\":\"/problems/wrong-value\",\"title\":\"Wrong value\",\"status\":422,"
                     "\"detail\":\"say \\\"a\\\"\\n\",\"instance\":\"r-1\",\"pointer\":\"/a~1b\","
                     "\"position\":{\"line\":3,\"column\":4,\"offset\":9223372036854775807},\"index\":0,\"limit\":8,"
                     "\"allowed\":[\"a\",\"b c\",\"d\"],\"did_you_mean\":\"b\",\"error\":{\"index\":0}}");
}

/* A client's bytes stand in many a detail: the answer is JSON whatever they are. */
static void bytes_that_are_no_text_do_not_break_the_body(void **state)
{
    struct problem problem;
    problem_set(&problem, PROBLEM_NOT_FOUND, "there is no /%s", "\x80\x1f\x7f\xc3(\xed\xa0\x80\xc3\xa9");
    snprintf(problem.did_you_mean, sizeof problem.did_you_mean, "\xff");
    render(&problem,
           "{\"type\":\"/problems/not-found\",\"title\":\"Not found\",\"status\":404,\"detail\":\"there is no /"
           "\xef\xbf\xbd\\u001F\x7f\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9\","
           "\"instance\":\"r-1\",\"did_you_mean\":\"\xef\xbf\xbd\"}");
}

static void an_error_is_told_as_it_is(void **state)
{
    static const struct {
        const char *error, *told;
    } rows[] = {
        {"{\"index\":7,\"type\":\"crash\",\"detail\":\"a\\u0000b \xc3\xa9 /\",\"peak_bytes\":9223372036854775807}",
         NULL},
        {"{\"z\":1,\"a\":null}", NULL},
        {"{\"index\":7", "\"{\\\"index\\\":7\""}, /* no JSON: as a string */
        {"", "\"\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct problem problem;
        struct buf expected = {0};
        problem_set(&problem, PROBLEM_ITEM_FAILED, "x");
        problem.error = rows[i].error;
        buf_printf(&expected,
                   "{\"type\":\"/problems/item-failed\",\"title\":\"An item failed\",\"status\":422,\"detail\":\"x\","
                   "\"instance\":\"r-1\",\"error\":%s}",
                   rows[i].told != NULL ? rows[i].told : rows[i].error);
        buf_append_char(&expected, '\0');
        render(&problem, buf_start(&expected));
        buf_clear(&expected);
    }
}

static void setting_again_forgets_and_may_quote_the_old(void **state)
{
    struct problem problem;
    problem_set(&problem, PROBLEM_WRONG_VALUE, "old");
    problem.has_limit = true;
    snprintf(problem.pointer, sizeof problem.pointer, "/x");
    problem_set(&problem, PROBLEM_NOT_FOUND, "new, not %s", problem.detail);
    assert_string_equal(problem.detail, "new, not old");
    assert_string_equal(problem.pointer, "");
    assert_false(problem.has_limit);
}

static void a_long_detail_is_cut_between_characters(void **state)
{
    static const char *const characters[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < 3; i++)
        for (int shift = 0; shift < 4; shift++) {
            char text[1024];
            size_t length = 0, size = strlen(characters[i]);
            for (; (int)length < shift; length++)
                text[length] = 'x';
            for (; length + size < sizeof text; length += size)
                memcpy(text + length, characters[i], size);
            text[length] = '\0';
            struct problem problem;
            problem_set(&problem, PROBLEM_INTERNAL, "%s", text);
            size_t kept = strlen(problem.detail), most = sizeof problem.detail - 1;
            assert_int_equal(kept, (most - (size_t)shift) / size * size + (size_t)shift);
        }
}

static void near_names(void **state)
{
    static const char *const names[] = {"function", "items", "chunksize", "item_timeout_ms", "f", "squared"};
    static const struct {
        const char *given, *nearest;
    } rows[] = {
        {"functoin", "function"}, /* swapped */
        {"funtion", "function"},  /* dropped */
        {"functiona", "function"},
        {"Function", "function"},
        {"CHUNK_SIZE", "chunksize"},
        {"item", "items"},
        {"itmes", "items"},
        {"ites", "items"},
        {"sqaured", "squared"},
        {"item_timeout", "item_timeout_ms"},
        {"x", NULL}, /* one change away from f, of which nothing is left */
        {"fx", "f"},
        {"tiem", NULL},         /* two from items, and one is the bound */
        {"chunk", "chunksize"}, /* half of it is meant too */
        {"squar", "squared"},
        {"sq", NULL},
        {"banana", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *nearest = problem_nearest(rows[i].given, strlen(rows[i].given), names, 6);
        if (rows[i].nearest == NULL)
            assert_null(nearest);
        else
            assert_string_equal(nearest != NULL ? nearest : rows[i].given, rows[i].nearest);
    }
}

static void the_nearest_wins_and_length_is_no_trap(void **state)
{
    static const char *const names[] = {"abcdefghi", "abcdefgh"};
    static char name[100];
    memset(name, 'a', sizeof name);
    assert_string_equal(problem_nearest("abcdefgx", 8, names, 2), "abcdefgh");
    assert_string_equal(problem_nearest("abcdefghi and more", 9, names, 2), "abcdefghi");
    assert_null(problem_nearest(name, sizeof name, names, 2));
    assert_null(problem_nearest(name, 64, names, 2));
    assert_null(problem_nearest("abcdefgh", 8, names, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_a_row_of_its_own),
        cmocka_unit_test(only_what_is_set_is_rendered),
        cmocka_unit_test(all_members_are_rendered),
        cmocka_unit_test(bytes_that_are_no_text_do_not_break_the_body),
        cmocka_unit_test(an_error_is_told_as_it_is),
        cmocka_unit_test(setting_again_forgets_and_may_quote_the_old),
        cmocka_unit_test(a_long_detail_is_cut_between_characters),
        cmocka_unit_test(near_names),
        cmocka_unit_test(the_nearest_wins_and_length_is_no_trap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
