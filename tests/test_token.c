/* Tests of token_read(): what is JSON and what is not, byte by byte. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/token_check.h"

#define TEXT(literal) (literal), sizeof(literal) - 1

static const struct {
    const char *text;
    size_t length;
    enum token kind;
} good[] = {
    {TEXT("null"), TOKEN_NULL},
    {TEXT("true"), TOKEN_TRUE},
    {TEXT("false"), TOKEN_FALSE},
    {TEXT(" \t\r\n null"), TOKEN_NULL},
    {TEXT("0"), TOKEN_NUMBER},
    {TEXT("-0"), TOKEN_NUMBER},
    {TEXT("-0.0"), TOKEN_NUMBER},
    {TEXT("42"), TOKEN_NUMBER},
    {TEXT("-1"), TOKEN_NUMBER},
    {TEXT("123.456789"), TOKEN_NUMBER},
    {TEXT("0.5"), TOKEN_NUMBER},
    {TEXT("0e1"), TOKEN_NUMBER},
    {TEXT("0e+1"), TOKEN_NUMBER},
    {TEXT("20e1"), TOKEN_NUMBER},
    {TEXT("1E22"), TOKEN_NUMBER},
    {TEXT("1E-2"), TOKEN_NUMBER},
    {TEXT("1E+2"), TOKEN_NUMBER},
    {TEXT("123e45"), TOKEN_NUMBER},
    {TEXT("123.456e78"), TOKEN_NUMBER},
    {TEXT("1e00"), TOKEN_NUMBER},
    {TEXT("1e-00012"), TOKEN_NUMBER},
    {TEXT("1e400"), TOKEN_NUMBER},
    {TEXT("123456789012345678901234567890"), TOKEN_NUMBER},
    {TEXT("-0.00000000000000000000000000000000000000000000000000000000000000000000000001"), TOKEN_NUMBER},
    {TEXT("\"\""), TOKEN_STRING},
    {TEXT("\" \""), TOKEN_STRING},
    {TEXT("\"abc\""), TOKEN_STRING},
    {TEXT("\"0123456789abcde\""), TOKEN_STRING},
    {TEXT("\"0123456789abcdef\""), TOKEN_STRING},
    {TEXT("\"0123456789abcdef0\""), TOKEN_STRING},
    {TEXT("\"a/*b*/c//d\""), TOKEN_STRING},
    {TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), TOKEN_STRING},
    {TEXT("\"\\u0060\\u012a\\u12AB\""), TOKEN_STRING},
    {TEXT("\"\\u0000\""), TOKEN_STRING},
    {TEXT("\"\\uD801\\udc37\""), TOKEN_STRING},
    {TEXT("\"\\ud83d\\ude39\\ud83d\\udc8d\""), TOKEN_STRING},
    {TEXT("\"\\uDBFF\\uDFFF\""), TOKEN_STRING},
    {TEXT("\"\\uFFFF\\uFDD0\\u2028\\u2029\\uFEFF\""), TOKEN_STRING},
    {TEXT("\"\\\\u0000\""), TOKEN_STRING},
    {TEXT("\"\x7f\""), TOKEN_STRING},
    {TEXT("\"\xc3\xa9 \xe2\x82\xac \xf0\x9d\x84\x9e\""), TOKEN_STRING},
    {TEXT("\"\xf4\x8f\xbf\xbf\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80\""), TOKEN_STRING},
    {TEXT("[]"), TOKEN_ARRAY},
    {TEXT("[ ]"), TOKEN_ARRAY},
    {TEXT("[[]   ]"), TOKEN_ARRAY},
    {TEXT("[\"\"]"), TOKEN_ARRAY},
    {TEXT("[null, 1, \"1\", {}]"), TOKEN_ARRAY},
    {TEXT("[1,null,null,null,2]"), TOKEN_ARRAY},
    {TEXT("\n[1\n]"), TOKEN_ARRAY},
    {TEXT("[[[[1]],[]],[{}]]"), TOKEN_ARRAY},
    {TEXT("[1 , -2.5e3\t,\r\ntrue,false ]"), TOKEN_ARRAY},
    {TEXT("{}"), TOKEN_OBJECT},
    {TEXT("{ }"), TOKEN_OBJECT},
    {TEXT("{\"\":0}"), TOKEN_OBJECT},
    {TEXT("{\"asd\":\"sdf\", \"dfg\":\"fgh\"}"), TOKEN_OBJECT},
    {TEXT("{\"a\":[]}"), TOKEN_OBJECT},
    {TEXT("{\n\"a\" : \"b\"\n}"), TOKEN_OBJECT},
    {TEXT("{\"min\":-1.0e+28,\"max\":1.0e+28}"), TOKEN_OBJECT},
    {TEXT("{\"a\":{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]}},\"b\":{\"a\":1}}"), TOKEN_OBJECT},
    {TEXT("{\"a\":1,\"A\":2,\"a \":3,\"\":4,\" \":5}"), TOKEN_OBJECT},
    {TEXT("{\"foo\\u0000bar\":42,\"foo\":1,\"foo\\u0000\":2}"), TOKEN_OBJECT},
    {TEXT("{\"\\u0430\":1,\"\\u043e\":\"\\u0435\"}"), TOKEN_OBJECT},
};

static void accepts_what_is_json(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct outcome outcome = token_check(good[i].text, good[i].length);
        if (outcome.kind != good[i].kind || outcome.offset != good[i].length)
            fail_msg("%s: kind %d at %zu (%s)", good[i].text, outcome.kind, outcome.offset, outcome.why);
        assert_int_equal(outcome.start, strspn(good[i].text, " \t\r\n"));
    }
}

#define CUT SIZE_MAX /* the fault is the text's end */

static const struct {
    const char *text;
    size_t length;
    size_t offset;
    const char *why; /* a part of what is said */
} bad[] = {
    {TEXT(""), CUT, "expected a value"},
    {TEXT(" \n"), CUT, "expected a value"},
    {TEXT("n"), CUT, "ends"},
    {TEXT("nul"), CUT, "ends"},
    {TEXT("nulx"), 3, "null"},
    {TEXT("nUll"), 1, "null"},
    {TEXT("tru "), 3, "true"},
    {TEXT("fals3"), 4, "false"},
    {TEXT("True"), 0, "small letters"},
    {TEXT("NULL"), 0, "NaN"},
    {TEXT("NaN"), 0, "NaN"},
    {TEXT("Infinity"), 0, "Infinity"},
    {TEXT("-Infinity"), 1, "digit"},
    {TEXT("-NaN"), 1, "digit"},
    {TEXT("undefined"), 0, "expected a value"},
    {TEXT("\0"), 0, "expected a value"},
    {TEXT("\f1"), 0, "expected a value"},
    {TEXT("\v1"), 0, "expected a value"},
    {TEXT("\xc2\xa0 1"), 0, "expected a value"},
    {TEXT("\xef\xbb\xbf{}"), 0, "expected a value"},
    {TEXT("\xe2\x81\xa0[]"), 0, "expected a value"},
    {TEXT("-"), CUT, "ends"},
    {TEXT("+1"), 0, "number"},
    {TEXT(".5"), 0, "number"},
    {TEXT("-.5"), 1, "digit"},
    {TEXT("--1"), 1, "digit"},
    {TEXT("- 1"), 1, "digit"},
    {TEXT("-a"), 1, "digit"},
    {TEXT("01"), 1, "leading zeros"},
    {TEXT("-012"), 2, "leading zeros"},
    {TEXT("00"), 1, "leading zeros"},
    {TEXT("00.5"), 1, "leading zeros"},
    {TEXT("1."), CUT, "ends"},
    {TEXT("1.e3"), 2, "digit"},
    {TEXT("0.e1"), 2, "digit"},
    {TEXT("1e"), CUT, "ends"},
    {TEXT("1e+"), CUT, "ends"},
    {TEXT("1E-"), CUT, "ends"},
    {TEXT("[1.]"), 3, "digit"},
    {TEXT("[1e]"), 3, "digit"},
    {TEXT("[1e+]"), 4, "digit"},
    {TEXT("[1e+-2]"), 4, "digit"},
    {TEXT("1ea"), 2, "digit"},
    {TEXT("[0x42]"), 2, "',' or ']'"},
    {TEXT("[1_000]"), 2, "',' or ']'"},
    {TEXT("[1 000]"), 3, "',' or ']'"},
    {TEXT("[1+2]"), 2, "',' or ']'"},
    {TEXT("[1.2.3]"), 4, "',' or ']'"},
    {TEXT("[1e1.5]"), 4, "',' or ']'"},
    {TEXT("[\xef\xbc\x91]"), 1, "expected a value"},
    {TEXT("\""), CUT, "ends"},
    {TEXT("\"abc"), CUT, "ends"},
    {TEXT("\"0123456789abcdef"), CUT, "ends"},
    {TEXT("'abc'"), 0, "double quotes"},
    {TEXT("abc"), 0, "expected a value"},
    {TEXT("\"a\nb\""), 2, "control"},
    {TEXT("\"a\tb\""), 2, "control"},
    {TEXT("\"a\0b\""), 2, "control"},
    {TEXT("\"\x1f\""), 1, "control"},
    {TEXT("\"0123456789abcdef\x01\""), 17, "control"},
    {TEXT("\"\\"), CUT, "ends"},
    {TEXT("\"\\\""), CUT, "ends"},
    {TEXT("\"\\a\""), 2, "escape"},
    {TEXT("\"\\x00\""), 2, "escape"},
    {TEXT("\"\\'\""), 2, "escape"},
    {TEXT("\"\\U0041\""), 2, "escape"},
    {TEXT("\"\\\0\""), 2, "escape"},
    {TEXT("\"\\\n\""), 2, "escape"},
    {TEXT("\"\\\xe2\x82\xac\""), 2, "escape"},
    {TEXT("\"\\u"), CUT, "ends"},
    {TEXT("\"\\u00A\""), 6, "hexadecimal"},
    {TEXT("\"\\u00GG\""), 5, "hexadecimal"},
    {TEXT("\"\\u-001\""), 3, "hexadecimal"},
    {TEXT("\"\\u 123\""), 3, "hexadecimal"},
    {TEXT("\"\\ud800\""), 1, "surrogate"},
    {TEXT("\"\\udc00\""), 1, "surrogate"},
    {TEXT("\"x\\uDFFFy\""), 2, "surrogate"},
    {TEXT("\"\\ud800abc\""), 1, "surrogate"},
    {TEXT("\"\\ud800\\n\""), 1, "surrogate"},
    {TEXT("\"\\ud800\\u0041\""), 1, "surrogate"},
    {TEXT("\"\\ud800\\ud800\\udc00\""), 1, "surrogate"},
    {TEXT("\"\\udc00\\ud800\""), 1, "surrogate"},
    {TEXT("\"\\ud800\\u1x\""), 10, "hexadecimal"},
    {TEXT("\"\\ud800\\"), CUT, "ends"},
    {TEXT("\"\\ud800\\u"), CUT, "ends"},
    {TEXT("\"\\ud800\\udc0"), CUT, "ends"},
    {TEXT("\"\x80\""), 1, "UTF-8"},
    {TEXT("\"\xc0\x80\""), 1, "UTF-8"},
    {TEXT("\"\xc1\xbf\""), 1, "UTF-8"},
    {TEXT("\"\xc3\""), 1, "UTF-8"},
    {TEXT("\"\xc3"), CUT, "ends"},
    {TEXT("\"\xe0\x80\x80\""), 1, "UTF-8"},
    {TEXT("\"\xe0\x9f\xbf\""), 1, "UTF-8"},
    {TEXT("\"\xe2\x82\""), 1, "UTF-8"},
    {TEXT("\"\xe2\x82"), CUT, "ends"},
    {TEXT("\"\xed\xa0\x80\""), 1, "UTF-8"},
    {TEXT("\"\xed\xbf\xbf\""), 1, "UTF-8"},
    {TEXT("\"\xf0\x80\x80\x80\""), 1, "UTF-8"},
    {TEXT("\"\xf0\x8f\xbf\xbf\""), 1, "UTF-8"},
    {TEXT("\"\xf0\x9d\x84"), CUT, "ends"},
    {TEXT("\"\xf4\x90\x80\x80\""), 1, "UTF-8"},
    {TEXT("\"\xf5\x80\x80\x80\""), 1, "UTF-8"},
    {TEXT("\"\xff\""), 1, "UTF-8"},
    {TEXT("\"\xfc\x80\x80\x80\x80\x80\""), 1, "UTF-8"},
    {TEXT("\"\xc3\xa9\xe9\""), 3, "UTF-8"},
    {TEXT("["), CUT, "ends"},
    {TEXT("[1"), CUT, "ends"},
    {TEXT("[1,"), CUT, "ends"},
    {TEXT("[[]"), CUT, "ends"},
    {TEXT("[,1]"), 1, "before this comma"},
    {TEXT("[1,,2]"), 3, "before this comma"},
    {TEXT("[1,]"), 3, "before this bracket"},
    {TEXT("[,]"), 1, "before this comma"},
    {TEXT("[1}"), 2, "',' or ']'"},
    {TEXT("[}"), 1, "before this bracket"},
    {TEXT("[1:2]"), 2, "',' or ']'"},
    {TEXT("[1 true]"), 3, "',' or ']'"},
    {TEXT("[\"a\" \"b\"]"), 5, "',' or ']'"},
    {TEXT("[3[4]]"), 2, "',' or ']'"},
    {TEXT("[nully]"), 5, "',' or ']'"},
    {TEXT("[1/*x*/]"), 2, "',' or ']'"},
    {TEXT("[/*x*/1]"), 1, "comments"},
    {TEXT("# x"), 0, "comments"},
    {TEXT("]"), 0, "before this bracket"},
    {TEXT("<null>"), 0, "expected a value"},
    {TEXT("[<null>]"), 1, "expected a value"},
    {TEXT("[1,\n1\n,1"), CUT, "ends"},
    {TEXT("[1\0]"), 2, "',' or ']'"},
    {TEXT("{"), CUT, "ends"},
    {TEXT("{\"a\""), CUT, "ends"},
    {TEXT("{\"a\":"), CUT, "ends"},
    {TEXT("{\"a\":1"), CUT, "ends"},
    {TEXT("{\"a\":1,"), CUT, "ends"},
    {TEXT("{1:1}"), 1, "name"},
    {TEXT("{a:1}"), 1, "name"},
    {TEXT("{'a':1}"), 1, "name"},
    {TEXT("{null:1}"), 1, "name"},
    {TEXT("{[:1}"), 1, "name"},
    {TEXT("{,}"), 1, "name"},
    {TEXT("{]"), 1, "name"},
    {TEXT("{\"a\":1,}"), 7, "name"},
    {TEXT("{\"a\":1,,\"b\":2}"), 7, "name"},
    {TEXT("{\"a\"}"), 4, "':'"},
    {TEXT("{\"a\",1}"), 4, "':'"},
    {TEXT("{\"a\"::1}"), 5, "expected a value"},
    {TEXT("{\"a\":}"), 5, "before this bracket"},
    {TEXT("{\"a\" 1}"), 5, "':'"},
    {TEXT("{\"a\":1 \"b\":2}"), 7, "',' or '}'"},
    {TEXT("{\"a\":1]"), 6, "',' or '}'"},
    {TEXT("{\"a\":\"b\"/**/}"), 8, "',' or '}'"},
    {TEXT("{\"\\ud800\":1}"), 2, "surrogate"},
    {TEXT("{\"\xff\":1}"), 2, "UTF-8"},
    {TEXT("{\"a\":1,\"a\":1}"), 7, "already"},
    {TEXT("{\"\":1,\"\":1}"), 6, "already"},
    {TEXT("{\"a\":1,\"\\u0061\":2}"), 7, "already"},
    {TEXT("{\"\\u0061\":1,\"a\":2}"), 12, "already"},
    {TEXT("{\"\\u0061\":1,\"\\u0061\":2}"), 12, "already"},
    {TEXT("{\"\\/\":1,\"/\":2}"), 8, "already"},
    {TEXT("{\"\\ud83d\\ude39\":1,\"\xf0\x9f\x98\xb9\":2}"), 18, "already"},
    {TEXT("{\"a\":{\"a\":1,\"b\":2},\"b\":[{\"b\":1}],\"a\":3}"), 33, "already"},
    {TEXT("[{\"a\":1},{\"a\":2,\"b\":{},\"a\":3}]"), 23, "already"},
};

static void refuses_the_rest_and_says_where_and_why(void **state)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct outcome outcome = token_check(bad[i].text, bad[i].length);
        size_t offset = bad[i].offset == CUT ? bad[i].length : bad[i].offset;
        if (outcome.kind != TOKEN_BAD || outcome.offset != offset || strstr(outcome.why, bad[i].why) == NULL)
            fail_msg("%s: kind %d at %zu, not %zu (%s)", bad[i].text, outcome.kind, outcome.offset, offset,
                     outcome.why);
    }
}

/* A number may end wherever a shorter number ends; everything else that is cut short says so, at its end. */
static void knows_a_text_that_is_cut_short(void **state)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t length = 0; length < good[i].length; length++) {
            struct outcome outcome = token_check(good[i].text, length);
            if (good[i].kind == TOKEN_NUMBER && outcome.kind == TOKEN_NUMBER)
                continue;
            if (outcome.kind != TOKEN_BAD || outcome.offset != length)
                fail_msg("%.*s: kind %d at %zu", (int)length, good[i].text, outcome.kind, outcome.offset);
        }
}

static void leaves_the_cursor_behind_one_value(void **state)
{
    static const char text[] = " 1 ,\"a\",[2] {\"b\":3}null";
    static const size_t ends[] = {2, 7, 11, 19, 23};
    const char *cursor = text, *why;
    struct span value;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        assert_int_not_equal(token_read(&cursor, text + sizeof text - 1, &value, &why), TOKEN_BAD);
        assert_int_equal(cursor - text, ends[i]);
        cursor = token_skip_blanks(cursor, text + sizeof text - 1);
        cursor += *cursor == ',';
    }
    assert_int_equal(token_read(&cursor, text + sizeof text - 1, &value, &why), TOKEN_BAD);
}

/* A string of `length` plain bytes with one other byte at `place`: wherever it falls, the 16-byte steps must see it. */
static void sees_a_special_byte_at_every_place(void **state)
{
    static const char specials[] = {'"', '\\', '\x01', '\x00', '\x1f', '\x80', '\xff', '\xc3'};
    char text[72];
    for (size_t length = 1; length < 40; length++)
        for (size_t place = 0; place < length; place++)
            for (size_t i = 0; i < sizeof specials; i++) {
                memset(text, 'x', sizeof text);
                text[0] = text[length + 1] = '"';
                text[1 + place] = specials[i];
                struct outcome outcome = token_check(text, length + 2);
                bool cut = specials[i] == '\\' && place == length - 1; /* it escapes the closing quote */
                size_t offset = cut ? length + 2 : 1 + place + (specials[i] == '\\' || specials[i] == '"');
                assert_int_equal(outcome.kind, specials[i] == '"' ? TOKEN_STRING : TOKEN_BAD);
                assert_int_equal(outcome.offset, offset);
            }
}

static bool is_utf8(const char *at, size_t bytes)
{
    static const unsigned masks[] = {0, 0, 0x1f, 0x0f, 0x07};
    char back[4];
    uint32_t code = (unsigned char)at[0] & masks[bytes];
    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3f);
    return code < 0x110000 && (code < 0xd800 || code > 0xdfff) && token_encode(code, back) == bytes &&
           memcmp(back, at, bytes) == 0;
}

/* All beginnings of two bytes, followed by as many more as a sequence may have, at the text's end and before it: only
 * what token_encode() can give is right. */
static void takes_no_other_utf8(void **state)
{
    for (unsigned first = 0x80; first < 0x100; first++)
        for (unsigned second = 0x80; second < 0x100; second++)
            for (size_t bytes = 2; bytes <= 4; bytes++) {
                char text[12] = {'"', (char)first, (char)second, '\x80', '\xbf'};
                memset(text + 1 + bytes, ' ', sizeof text - 1 - bytes);
                text[1 + bytes] = '"';
                for (size_t blanks = 0; blanks <= 4; blanks += 4) {
                    struct outcome outcome = token_check(text, bytes + 2 + blanks);
                    if ((outcome.kind == TOKEN_STRING) != is_utf8(text + 1, bytes))
                        fail_msg("%02x %02x and %zu more: %s", first, second, bytes - 2, outcome.why);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_is_json),
        cmocka_unit_test(refuses_the_rest_and_says_where_and_why),
        cmocka_unit_test(knows_a_text_that_is_cut_short),
        cmocka_unit_test(leaves_the_cursor_behind_one_value),
        cmocka_unit_test(sees_a_special_byte_at_every_place),
        cmocka_unit_test(takes_no_other_utf8),
    };
    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
