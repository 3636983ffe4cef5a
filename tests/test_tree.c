/* tree: any bytes become text, counts end where jansson's integers do, and what is printed is compact and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "api/tree.h"

static void prints(json_t *tree, const char *expected)
{
    struct buf out = {0};
    tree_print(tree, &out);
    buf_append_char(&out, '\0');
    assert_string_equal(buf_start(&out), expected);
    buf_clear(&out);
}

static void any_bytes_are_a_string(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        const char *printed;
    } rows[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"plain", 2, "\"pl\""},
        {"\"\\/\n\x01", 5, "\"\\\"\\\\/\\n\\u0001\""},
        {"a\0b", 3, "\"a\\u0000b\""},
        {"\xf0\x9f\x98\x80", 4, "\"\xf0\x9f\x98\x80\""},
        {"\xf0\x9f\x98\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"a\0\xff\"", 4, "\"a\\u0000\xef\xbf\xbd\\\"\""},
        {"\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* an overlong NUL */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        prints(tree_text(rows[i].text, rows[i].length), rows[i].printed);
}

static void counts_end_at_the_largest_integer(void **state)
{
    prints(tree_count(0), "0");
    prints(tree_count(INT64_MAX), "9223372036854775807");
    prints(tree_count(UINT64_MAX), "9223372036854775807");
}

static void json_stays_json_and_the_rest_is_a_string(void **state)
{
    prints(tree_parse(" { \"z\" : [ 1, null ], \"a\" : \"\\u0000\" } "), "{\"z\":[1,null],\"a\":\"\\u0000\"}");
    prints(tree_parse("true"), "true");
    prints(tree_parse("[1"), "\"[1\"");
    prints(tree_parse("18446744073709551616"), "\"18446744073709551616\"");
    prints(tree_parse("\xff"), "\"\xef\xbf\xbd\"");
}

static void members_keep_their_order_and_may_stand_beside_text(void **state)
{
    json_t *object = json_object(), *array = json_array();
    tree_append(array, json_real(0.1));
    tree_append(array, json_real(12.345));
    tree_set(object, "z", tree_count(1));
    tree_set(object, "a", array);
    struct buf out = {0};
    buf_append_text(&out, "{\"raw\":1e23,");
    json_incref(object);
    tree_print_members(object, &out);
    buf_append(&out, "}", 2);
    assert_string_equal(buf_start(&out), "{\"raw\":1e23,\"z\":1,\"a\":[0.1,12.345]}");
    buf_clear(&out);
    prints(object, "{\"z\":1,\"a\":[0.1,12.345]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_are_a_string),
        cmocka_unit_test(counts_end_at_the_largest_integer),
        cmocka_unit_test(json_stays_json_and_the_rest_is_a_string),
        cmocka_unit_test(members_keep_their_order_and_may_stand_beside_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
