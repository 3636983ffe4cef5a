/* buf: growing, consuming, exact memory, printf and JSON strings. Bytes are compared with a plain array that does the
 * same, so that whatever way the content moves shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "workers/buf.h"
#include "workers/token.h"

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void assert_content(const struct buf *buf, const char *expected, size_t length)
{
    assert_int_equal(buf->length, length);
    assert_true(buf->head + buf->length <= buf->capacity);
    if (length > 0)
        assert_memory_equal(buf_start(buf), expected, length);
}

static void starts_empty(void **state)
{
    struct buf buf;
    buf_init(&buf);
    assert_content(&buf, "", 0);
    buf_append(&buf, NULL, 0); /* nothing of nowhere is nothing */
    buf_append_text(&buf, "");
    assert_content(&buf, "", 0);
    buf_clear(&buf);
    buf_append_text(&buf, "again");
    assert_content(&buf, "again", 5);
    buf_clear(&buf);
    assert_null(buf.data);
    buf_clear(&buf);
}

static void grows_and_keeps(void **state)
{
    struct buf buf = {0};
    char expected[5000];
    for (size_t i = 0; i < sizeof expected; i++) {
        expected[i] = (char)('a' + i % 26);
        buf_append_char(&buf, expected[i]);
        assert_content(&buf, expected, i + 1);
    }
    char *room = buf_room(&buf, 100000);
    memset(room, 'z', 100000);
    assert_ptr_equal(room, buf_end(&buf));
    assert_content(&buf, expected, sizeof expected); /* room is no content before it is said to be */
    buf_added(&buf, 100000);
    assert_int_equal(buf.length, 105000);
    assert_int_equal(buf_end(&buf)[-1], 'z');
    buf_truncate(&buf, 3);
    assert_content(&buf, "abc", 3);
    size_t capacity = buf.capacity;
    buf_reset(&buf);
    assert_content(&buf, "", 0);
    assert_int_equal(buf.capacity, capacity);
    buf_clear(&buf);
}

static void consumes(void **state)
{
    struct buf buf = {0};
    buf_append_text(&buf, "head and tail");
    buf_consume(&buf, 5);
    assert_content(&buf, "and tail", 8);
    buf_consume(&buf, 0);
    assert_content(&buf, "and tail", 8);
    buf_append_text(&buf, "s");
    assert_content(&buf, "and tails", 9);
    buf_consume(&buf, 9);
    assert_content(&buf, "", 0);
    assert_int_equal(buf.head, 0); /* an empty one begins at the start again */
    buf_clear(&buf);
}

/* A queue of bytes that is filled and emptied for long must not grow by what has passed through it. */
static void passes_through_in_bounded_memory(void **state)
{
    struct buf buf = {0};
    uint32_t random = 42;
    unsigned char in = 0, out = 0;
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t count = next_random(&random) % 100; count > 0 && buf.length < 400; count--)
            buf_append_char(&buf, (char)in++);
        size_t count = next_random(&random) % (buf.length + 1);
        for (size_t i = 0; i < count; i++)
            if ((unsigned char)buf_start(&buf)[i] != out++)
                fail_msg("round %u: byte %zu is not the one put in", round, i);
        buf_consume(&buf, count);
    }
    assert_true(buf.capacity < 4096);
    buf_clear(&buf);
}

static void any_steps_do_as_an_array_does(void **state)
{
    static char model[1 << 18];
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct buf buf = {0};
        uint32_t random = seed;
        size_t length = 0;
        for (unsigned step = 0; step < 300; step++) {
            size_t count = next_random(&random) % 700;
            char byte = (char)next_random(&random);
            switch (next_random(&random) % 6) {
            case 0:
                memset(buf_room(&buf, count), byte, count);
                buf_added(&buf, count);
                memset(model + length, byte, count);
                length += count;
                break;
            case 1:
                buf_append_char(&buf, byte);
                model[length++] = byte;
                break;
            case 2:
                count = count < length ? count : length;
                buf_consume(&buf, count);
                memmove(model, model + count, length -= count);
                break;
            case 3:
                length = count < length ? length - count / 4 : length;
                buf_truncate(&buf, length);
                break;
            case 4:
                buf_exact(&buf, length + count);
                assert_int_equal(buf.capacity, length + count);
                break;
            default:
                memset(buf_room(&buf, count + 1), 0, count + 1); /* taken, and not used */
            }
            assert_content(&buf, model, length);
        }
        buf_clear(&buf);
    }
}

/* Memory of exactly that size, so that a sanitizer sees the first byte too many. */
static void exact_memory(void **state)
{
    struct buf buf = {0};
    buf_exact(&buf, 64);
    assert_content(&buf, "", 0);
    assert_int_equal(buf.capacity, 64);
    char *data = buf.data;
    memset(buf_room(&buf, 64), 'x', 64);
    buf_added(&buf, 64);
    assert_ptr_equal(buf.data, data); /* it fits: it did not move */
    buf_consume(&buf, 60);
    buf_exact(&buf, 4);
    assert_content(&buf, "xxxx", 4);
    assert_int_equal(buf.head, 0);
    buf_append_text(&buf, "yz");
    assert_content(&buf, "xxxxyz", 6);
    buf_clear(&buf);
}

static void prints(void **state)
{
    struct buf buf = {0};
    buf_printf(&buf, "%d-%s", 42, "answer");
    buf_printf(&buf, "%s", "");
    assert_content(&buf, "42-answer", 9);
    buf_printf(&buf, "%*d", 1000, 7);
    assert_int_equal(buf.length, 1009);
    assert_int_equal(buf_end(&buf)[-1], '7');
    /* With room for the text alone, and none for the NUL that vsnprintf writes behind it. */
    buf_reset(&buf);
    buf_exact(&buf, 5);
    buf_printf(&buf, "%s", "12345");
    assert_content(&buf, "12345", 5);
    buf_clear(&buf);
}

static const struct {
    const char *text;
    size_t length; /* 0: a string's */
    const char *json;
} strings[] = {
    {"", 0, "\"\""},
    {"plain", 0, "\"plain\""},
    {"\"\\/", 0, "\"\\\"\\\\/\""},
    {"\b\f\n\r\t", 0, "\"\\b\\f\\n\\r\\t\""},
    {"\0", 1, "\"\\u0000\""},
    {"\x01\x1f\x0b", 0, "\"\\u0001\\u001f\\u000b\""},
    {"\x7f", 0, "\"\x7f\""},
    {"bfnrt", 0, "\"bfnrt\""}, /* what stands for a control character stands for itself, too */
    {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xb2", 0, "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\xb2\""},
    {"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80", 0, "\"\xf4\x8f\xbf\xbf\xed\x9f\xbf\xee\x80\x80\""},
    {"\xff", 0, "\"\xef\xbf\xbd\""},
    {"a\x80z", 0, "\"a\xef\xbf\xbdz\""},
    {"\xc3(", 0, "\"\xef\xbf\xbd(\""},
    {"\xc3", 0, "\"\xef\xbf\xbd\""},                                       /* cut short */
    {"\xc0\x80", 0, "\"\xef\xbf\xbd\xef\xbf\xbd\""},                       /* NUL, too long a form */
    {"\xe0\x9f\xbf", 0, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},       /* too long a form */
    {"\xed\xa0\x80", 0, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},       /* a surrogate */
    {"\xf4\x90\x80", 0, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},       /* beyond U+10FFFF */
    {"\xf0\x9f\x8e\"", 0, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\\"\""}, /* cut short by a quote */
};

static void writes_json_strings(void **state)
{
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        size_t length = strings[i].length > 0 ? strings[i].length : strlen(strings[i].text);
        char *exact = malloc(length > 0 ? length : 1);
        memcpy(exact, strings[i].text, length);
        struct buf buf = {0};
        buf_append_json(&buf, exact, length);
        buf_append_char(&buf, '\0');
        assert_string_equal(buf_start(&buf), strings[i].json);
        buf_clear(&buf);
        free(exact);
    }
}

/* Any bytes become a JSON string that the token's checker takes and that reads back the same, but for U+FFFD. */
static void any_bytes_become_a_json_string(void **state)
{
    uint32_t random = 7;
    for (unsigned round = 0; round < 5000; round++) {
        size_t length = next_random(&random) % 40;
        bool ascii = round % 2;
        char *bytes = malloc(length > 0 ? length : 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)(next_random(&random) & (ascii ? 0x7f : 0xff));
        struct buf json = {0}, back = {0};
        struct span value;
        const char *why;
        buf_append_json(&json, bytes, length);
        const char *cursor = buf_start(&json);
        assert_int_equal(token_read(&cursor, buf_end(&json), &value, &why), TOKEN_STRING);
        assert_ptr_equal(cursor, buf_end(&json));
        token_decode_string(value, &back);
        if (ascii)
            assert_content(&back, bytes, length);
        buf_clear(&json);
        buf_clear(&back);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(grows_and_keeps),
        cmocka_unit_test(consumes),
        cmocka_unit_test(passes_through_in_bounded_memory),
        cmocka_unit_test(any_steps_do_as_an_array_does),
        cmocka_unit_test(exact_memory),
        cmocka_unit_test(prints),
        cmocka_unit_test(writes_json_strings),
        cmocka_unit_test(any_bytes_become_a_json_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
