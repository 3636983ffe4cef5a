/* Tests of what reads checked tokens, and of random texts against another JSON library. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/token_check.h"

static void every_code_point_reads_decodes_and_counts_as_one(void **state)
{
    struct buf out = {0};
    for (uint32_t code = 0x20; code < 0x110000; code += code < 0x3000 ? 1 : 7) {
        char plain[8] = "\"", escaped[20];
        size_t bytes = token_encode(code, plain + 1);
        plain[1 + bytes] = '"';
        bool surrogate = code >= 0xd800 && code < 0xe000;
        if (code != '"' && code != '\\')
            assert_int_equal(token_check(plain, bytes + 2).kind, surrogate ? TOKEN_BAD : TOKEN_STRING);
        if (code < 0x10000)
            snprintf(escaped, sizeof escaped, "\"\\u%04x\"", code);
        else
            snprintf(escaped, sizeof escaped, "\"\\u%04X\\u%04x\"", 0xd800 + ((code - 0x10000) >> 10),
                     0xdc00 + (code & 0x3ff));
        assert_int_equal(token_check(escaped, strlen(escaped)).kind, surrogate ? TOKEN_BAD : TOKEN_STRING);
        if (surrogate)
            continue;
        buf_reset(&out);
        token_decode_string((struct span){escaped, strlen(escaped)}, &out);
        assert_int_equal(out.length, bytes);
        assert_memory_equal(buf_start(&out), plain + 1, bytes);
        assert_int_equal(token_string_length((struct span){plain, bytes + 2}), 1);
        assert_int_equal(token_string_length((struct span){escaped, strlen(escaped)}), 1);
    }
    buf_clear(&out);
}

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void append_value(struct buf *text, uint64_t *seed, unsigned depth)
{
    static const char *const scalars[] = {"null",
                                          "true",
                                          "false",
                                          "0",
                                          "-12",
                                          "1.5e-3",
                                          "\"\"",
                                          "\"abc\"",
                                          "\"\\u00e9\"",
                                          "\"\xe2\x82\xac\"",
                                          "\"\\ud83d\\ude39\"",
                                          "9"};
    static const char *const blanks[] = {"", "", "", " ", "\n\t"};
    uint64_t what = draw(seed) % (depth > 4 ? 4 : 8);
    if (what < 5) {
        buf_append_text(text, scalars[draw(seed) % (sizeof scalars / sizeof *scalars)]);
        return;
    }
    bool object = what == 5;
    buf_append_char(text, object ? '{' : '[');
    for (uint64_t i = 0, count = draw(seed) % 5; i < count; i++) {
        buf_append_text(text, i > 0 ? "," : "");
        buf_append_text(text, blanks[draw(seed) % 5]);
        if (object)
            buf_printf(text, "\"%c%s\":", (char)('a' + draw(seed) % 20), draw(seed) % 5 ? "" : "\\u0062");
        append_value(text, seed, depth + 1);
        buf_append_text(text, blanks[draw(seed) % 5]);
    }
    buf_append_char(text, object ? '}' : ']');
}

/* jansson is strict too, but for what is not syntax to it: numbers out of its range, NUL in names. */
static bool jansson_takes(const struct buf *text, bool *known)
{
    json_error_t error;
    json_t *value =
        json_loadb(buf_start(text), text->length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool taken = value != NULL;
    enum json_error_code code = taken ? json_error_unknown : json_error_code(&error);
    *known = taken || (code != json_error_numeric_overflow && code != json_error_null_byte_in_key);
    json_decref(value);
    return taken;
}

static void agrees_with_another_reader_on_damaged_texts(void **state)
{
    static const char bytes[] = "\"\\,:[]{}0123456789.eE+-ntfu \n\x01\x80\xc3\xe2\xed\xa0";
    uint64_t seed = 7;
    size_t taken = 0, refused = 0;
    struct buf text = {0};
    for (int i = 0; i < 60000; i++) {
        buf_reset(&text);
        append_value(&text, &seed, 0);
        for (uint64_t damage = draw(&seed) % 3; damage > 0; damage--) {
            char *place = buf_start(&text) + draw(&seed) % text.length;
            *place = bytes[draw(&seed) % (sizeof bytes - 1)];
        }
        bool known, wanted = jansson_takes(&text, &known);
        if (!known)
            continue;
        struct outcome outcome = token_check(buf_start(&text), text.length);
        const char *behind = buf_start(&text) + outcome.offset;
        bool whole = outcome.kind != TOKEN_BAD && token_skip_blanks(behind, buf_end(&text)) == buf_end(&text);
        if (whole != wanted)
            fail_msg("%.*s: %s", (int)text.length, buf_start(&text), wanted ? outcome.why : "taken");
        taken += whole;
        refused += !whole;
    }
    assert_true(taken > 10000 && refused > 10000);
    buf_clear(&text);
}

/* Checks a value again by walking it, element by element; returns how many values it saw. */
static size_t walk(struct span value, enum token kind)
{
    struct span name, inner, again;
    enum token inner_kind;
    const char *cursor = value.at, *why;
    size_t values = 1;
    while (kind == TOKEN_ARRAY
               ? token_next_element(value, &cursor, &inner, &inner_kind)
               : kind == TOKEN_OBJECT && token_next_member(value, &cursor, &name, &inner, &inner_kind)) {
        const char *place = inner.at;
        assert_int_equal(token_read(&place, value.at + value.length, &again, &why), inner_kind);
        assert_ptr_equal(again.at, inner.at);
        assert_int_equal(again.length, inner.length);
        if (kind == TOKEN_OBJECT) {
            place = name.at;
            assert_int_equal(token_read(&place, value.at + value.length, &again, &why), TOKEN_STRING);
            assert_int_equal(again.length, name.length);
        }
        values += walk(inner, inner_kind);
    }
    return values;
}

static size_t count_values(const json_t *value)
{
    size_t count = 1, i;
    const json_t *element;
    const char *name;
    if (json_is_array(value))
        json_array_foreach(value, i, element) count += count_values(element);
    if (json_is_object(value)) {
        for (void *at = json_object_iter((json_t *)(uintptr_t)value); at != NULL;
             at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
            name = json_object_iter_key(at);
            assert_non_null(name);
            count += count_values(json_object_iter_value(at));
        }
    }
    return count;
}

static void walks_what_it_checked(void **state)
{
    uint64_t seed = 11;
    size_t walked = 0;
    for (int i = 0; i < 5000; i++) {
        struct buf text = {0};
        append_value(&text, &seed, 0);
        json_t *other = json_loadb(buf_start(&text), text.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
        char *copy = malloc(text.length);
        assert_non_null(copy);
        memcpy(copy, buf_start(&text), text.length);
        const char *cursor = copy, *why;
        struct span value;
        enum token kind = token_read(&cursor, copy + text.length, &value, &why);
        assert_int_equal(kind != TOKEN_BAD, other != NULL);
        if (kind != TOKEN_BAD) {
            size_t values = walk(value, kind);
            assert_int_equal(values, count_values(other));
            walked += values;
        }
        json_decref(other);
        free(copy);
        buf_clear(&text);
    }
    assert_true(walked > 10000);
}

static void walks_in_order_and_stays_at_the_end(void **state)
{
    static const char text[] = "{ \"a]}\" : [1, \"x,]\\\"\" ,{\"b\":[]}] , \"c\":-2.5 }";
    struct span object = {text, sizeof text - 1}, name, value, element;
    enum token kind;
    const char *cursor = text;
    assert_true(token_next_member(object, &cursor, &name, &value, &kind));
    assert_memory_equal(name.at, "\"a]}\"", name.length);
    assert_int_equal(kind, TOKEN_ARRAY);
    static const char *const elements[] = {"1", "\"x,]\\\"\"", "{\"b\":[]}"};
    const char *inner = value.at;
    for (size_t i = 0; i < 3; i++) {
        assert_true(token_next_element(value, &inner, &element, &kind));
        assert_int_equal(element.length, strlen(elements[i]));
        assert_memory_equal(element.at, elements[i], element.length);
    }
    assert_false(token_next_element(value, &inner, &element, &kind));
    assert_false(token_next_element(value, &inner, &element, &kind));
    assert_true(token_next_member(object, &cursor, &name, &value, &kind));
    assert_int_equal(kind, TOKEN_NUMBER);
    assert_int_equal(value.length, 4);
    assert_false(token_next_member(object, &cursor, &name, &value, &kind));
    cursor = "[ ]";
    assert_false(token_next_element((struct span){cursor, 3}, &cursor, &element, &kind));
}

static void decodes_counts_and_knows_plain_strings(void **state)
{
    static const struct {
        const char *string, *text;
        size_t bytes, length;
        bool plain;
    } rows[] = {
        {"\"\"", "", 0, 0, true},
        {"\"abc\"", "abc", 3, 3, true},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8, 8, false},
        {"\"a\\u0000b\"", "a\0b", 3, 3, false},
        {"\"\\u00e9\xc3\xa9\"", "\xc3\xa9\xc3\xa9", 4, 2, false},
        {"\"x\\ud83d\\uDE39y\"", "x\xf0\x9f\x98\xb9y", 6, 3, false},
        {"\"\xf0\x9f\x98\xb9\xe2\x82\xac\xc3\xa9!\"", "\xf0\x9f\x98\xb9\xe2\x82\xac\xc3\xa9!", 10, 4, true},
        {"\"0123456789\xc3\xa9\xc3\xa9 0123456789\"", "0123456789\xc3\xa9\xc3\xa9 0123456789", 25, 23, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span string = {rows[i].string, strlen(rows[i].string)}, text;
        struct buf out = {0};
        buf_append_text(&out, "before");
        token_decode_string(string, &out);
        assert_int_equal(out.length, 6 + rows[i].bytes);
        assert_memory_equal(buf_start(&out) + 6, rows[i].text, rows[i].bytes);
        assert_int_equal(token_string_length(string), rows[i].length);
        assert_int_equal(token_plain_string(string, &text), rows[i].plain);
        if (rows[i].plain) {
            assert_int_equal(text.length, rows[i].bytes);
            assert_memory_equal(text.at, rows[i].text, text.length);
        }
        buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_reads_decodes_and_counts_as_one),
        cmocka_unit_test(agrees_with_another_reader_on_damaged_texts),
        cmocka_unit_test(walks_what_it_checked),
        cmocka_unit_test(walks_in_order_and_stays_at_the_end),
        cmocka_unit_test(decodes_counts_and_knows_plain_strings),
    };
    return cmocka_run_group_tests_name("token_text", tests, NULL, NULL);
}
