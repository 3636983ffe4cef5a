/* Tests of token_read() for what nests and what repeats: the limit of depth, member names that come twice. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/token_check.h"
#include "workers/names.h"

static void depth_has_a_limit(void **state)
{
    static const char *const opens[] = {"[", "{\"a\":", "[{\"a\":"};
    static const char *const closes[] = {"]", "}", "}]"};
    static const size_t levels[] = {1, 1, 2};
    for (size_t i = 0; i < 3; i++)
        for (size_t depth = TOKEN_DEPTH_MAX - 2; depth <= TOKEN_DEPTH_MAX + 4; depth += 2) {
            struct buf text = {0};
            for (size_t k = 0; k < depth; k += levels[i])
                buf_append_text(&text, opens[i]);
            buf_append_text(&text, "1");
            for (size_t k = 0; k < depth; k += levels[i])
                buf_append_text(&text, closes[i]);
            struct outcome outcome = token_check(buf_start(&text), text.length);
            assert_int_equal(outcome.kind != TOKEN_BAD, depth <= TOKEN_DEPTH_MAX);
            if (depth > TOKEN_DEPTH_MAX) {
                assert_int_equal(outcome.offset, TOKEN_DEPTH_MAX / levels[i] * strlen(opens[i]));
                assert_non_null(strstr(outcome.why, "deeper than 512"));
            }
            buf_clear(&text);
        }
    struct outcome outcome = token_check("[[[[[[[[", 8);
    assert_int_equal(outcome.offset, 8);
}

/* An object of many members, each with an object of its own inside; one more at the end, `last`. */
static struct outcome check_many(size_t members, const char *prefix, const char *inside, const char *last, size_t *at)
{
    struct buf text = {0};
    buf_append_char(&text, '{');
    for (size_t i = 0; i < members; i++) {
        buf_printf(&text, "\"%s%zu\":%s,", prefix, i, inside);
    }
    *at = text.length;
    buf_printf(&text, "%s:0}", last);
    struct outcome outcome = token_check(buf_start(&text), text.length);
    if (outcome.kind != TOKEN_BAD)
        assert_int_equal(outcome.offset, text.length);
    buf_clear(&text);
    return outcome;
}

static void finds_the_second_of_a_name_among_many(void **state)
{
    static const char inside[] = "{\"m0\":[{\"m0\":1,\"m1\":2}],\"m1\":{\"m1\":3}}";
    size_t at;
    for (size_t members = 1; members < 300; members++) {
        char last[32];
        assert_int_equal(check_many(members, "m", inside, "\"other\"", &at).kind, TOKEN_OBJECT);
        for (size_t twice = 0; twice < members; twice += 1 + members / 5) {
            snprintf(last, sizeof last, twice % 2 ? "\"\\u006d%zu\"" : "\"m%zu\"", twice);
            struct outcome outcome = check_many(members, "m", inside, last, &at);
            assert_int_equal(outcome.kind, TOKEN_BAD);
            assert_int_equal(outcome.offset, at);
        }
    }
    assert_int_equal(check_many(100000, "", "0", "\"\"", &at).kind, TOKEN_OBJECT);
    assert_int_equal(check_many(100000, "\\n", "{\"a\":0}", "\"0\"", &at).kind, TOKEN_OBJECT);
    assert_int_equal(check_many(100000, "a rather long name: ", "0", "\"a rather long name: 99999\"", &at).kind,
                     TOKEN_BAD);
}

/* Names of all lengths that differ in one byte only. */
static void tells_names_of_every_length_apart(void **state)
{
    char first[48], second[48];
    for (size_t length = 1; length < 40; length++)
        for (size_t place = 0; place < length; place++) {
            struct buf text = {0};
            memset(first, 'n', sizeof first);
            memset(second, 'n', sizeof second);
            second[place] = 'm';
            buf_printf(&text, "{\"%.*s\":1,\"%.*s\":2,\"%.*s\":3}", (int)length, first, (int)length, second,
                       (int)length - 1, first);
            assert_int_equal(token_check(buf_start(&text), text.length).kind, TOKEN_OBJECT);
            buf_clear(&text);
        }
}

/* The room by itself: what is dropped leaves nothing behind, neither a name nor a need for memory. */
static void forgets_what_is_dropped(void **state)
{
    static const char text[] = "\"a\"\"b\"\"c\"\"\\u0061\"";
    struct span a = {text, 3}, b = {text + 3, 3}, c = {text + 6, 3}, escaped = {text + 9, 8};
    struct names names;
    names_init(&names);
    assert_true(names_add(&names, 0, a, false));
    for (int i = 0; i < 1000; i++) {
        assert_true(names_add(&names, 1, a, false));
        assert_true(names_add(&names, 1, b, false));
        assert_false(names_add(&names, 1, escaped, true));
        assert_true(names_add(&names, 3, b, false));
        assert_true(names_add(&names, 3, escaped, true));
        names_drop(&names, 3);
        assert_true(names_add(&names, 1, c, false));
        names_drop(&names, 1);
    }
    assert_int_equal(names.count, 1);
    assert_int_equal(names.capacity, NAMES_INLINE);
    assert_false(names_add(&names, 0, a, false));
    names_drop(&names, 0);
    for (size_t i = 0; i < 2 * NAMES_INLINE; i++)
        assert_int_equal(names.slots[i], 0);
    names_clear(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(finds_the_second_of_a_name_among_many),
        cmocka_unit_test(tells_names_of_every_length_apart),
        cmocka_unit_test(forgets_what_is_dropped),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
