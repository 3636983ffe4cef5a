/* record: lines, texts and CSV records, good and bad, as the JSON that a worker gets to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/scan.h"
#include "workers/record.h"

/* All items, each ended by '|'; a bad one as !why. The text is a heap copy of its exact size, so that a sanitizer sees
 * a read past its end. */
static void reads_bytes(enum items_format format, const char *bytes, size_t length, const char *expected)
{
    char *text = malloc(length > 0 ? length : 1);
    memcpy(text, bytes, length);
    struct record_reader reader;
    struct buf out = {0}, all = {0};
    record_open(&reader, format, (struct span){text, length});
    for (;;) {
        struct span item;
        enum record record = record_next(&reader, &out, &item);
        if (record == RECORD_END)
            break;
        if (record == RECORD_BAD)
            buf_printf(&all, "!%s|", reader.why);
        else
            buf_printf(&all, "%.*s|", (int)item.length, item.at);
    }
    buf_append_char(&all, '\0');
    assert_string_equal(buf_start(&all), expected);
    record_close(&reader);
    buf_clear(&out);
    buf_clear(&all);
    free(text);
}

static void reads(enum items_format format, const char *text, const char *expected)
{
    reads_bytes(format, text, strlen(text), expected);
}

static void lines(void **state)
{
    reads(ITEMS_LINES, "", "");
    reads(ITEMS_LINES, "1", "1|");
    reads(ITEMS_LINES, "1\n", "1|");
    reads(ITEMS_LINES, "1\n{\"a\": 2}\r\n3", "1|{\"a\": 2}|3|");
    reads(ITEMS_LINES, "\n \t\n1\n\r\n\n", "1|");
    reads(ITEMS_LINES, "  1 \t \n\t[2, 3]\r", "  1 \t |\t[2, 3]|");
    reads(ITEMS_LINES, "nonsense} \n\"\\n\"", "nonsense} |\"\\n\"|"); /* the token's checker says what is wrong */
}

static void texts(void **state)
{
    reads(ITEMS_TEXT, "", "\"\"|");
    reads(ITEMS_TEXT, "\n", "\"\"|\"\"|");
    reads(ITEMS_TEXT, "a\nb", "\"a\"|\"b\"|");
    reads(ITEMS_TEXT, "a\r\n\r\n b \r", "\"a\"|\"\"|\" b \"|");
    reads(ITEMS_TEXT, "a\r\rb\r\r\nc", "\"a\\r\\rb\\r\"|\"c\"|");
    reads(ITEMS_TEXT, "say \"hi\" \\ \t\b\f\x01\x1f\x7f/", "\"say \\\"hi\\\" \\\\ \\t\\b\\f\\u0001\\u001f\x7f/\"|");
    reads_bytes(ITEMS_TEXT, "a\0b", 3, "\"a\\u0000b\"|");
    reads(ITEMS_TEXT, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"|");
    reads(ITEMS_TEXT,
          "ok\na\xff"
          "b\nok",
          "\"ok\"|!the line is not UTF-8 at its byte 2|\"ok\"|");
}

static void ill_formed_utf8(void **state)
{
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc3",
                                      "\xe0\x9f\xbf",
                                      "\xe2\x82",
                                      "\xed\xa0\x80",
                                      "\xef\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x9f\x98",
                                      "\xfe",
                                      "\xc3(",
                                      "\xe2\x82(",
                                      "\xf0\x9f\x98("};
    static const char *const good[] = {"\x7f",         "\xc2\x80",         "\xdf\xbf",
                                       "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
                                       "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    for (size_t before = 0; before < 20; before++) {
        char text[40];
        struct buf out = {0};
        size_t at;
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            int length = snprintf(text, sizeof text, "%.*s%s", (int)before, "abcdefghijklmnopqrst", bad[i]);
            struct span span = {text, (size_t)length};
            assert_int_equal(record_utf8(span), before);
            assert_false(record_string(span, &out, &at));
            assert_int_equal(at, before);
        }
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
            int length = snprintf(text, sizeof text, "%.*s%s.", (int)before, "abcdefghijklmnopqrst", good[i]);
            struct span span = {text, (size_t)length};
            assert_int_equal(record_utf8(span), length);
            buf_reset(&out);
            assert_true(record_string(span, &out, &at));
            assert_int_equal(out.length, length + 2);
            assert_memory_equal(buf_start(&out) + 1, text, (size_t)length);
        }
        buf_clear(&out);
    }
}

/* Every byte at every place of a word, so that the eight-at-once loop and the single steps agree. */
static void every_byte_at_every_place(void **state)
{
    for (unsigned byte = 0; byte < 0x80; byte++)
        for (size_t place = 0; place < 17; place++) {
            char text[17], expected[32], escape[8] = {(char)byte, '\0'};
            size_t bad, escape_length = 1;
            memset(text, 'x', sizeof text);
            text[place] = (char)byte;
            if (byte < 0x20 || byte == '"' || byte == '\\') {
                const char *named = byte != 0 ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", (int)byte) : NULL;
                escape_length = (size_t)(named != NULL ? snprintf(escape, sizeof escape, "\\%c", named[1])
                                                       : snprintf(escape, sizeof escape, "\\u%04x", byte));
            }
            memset(expected, 'x', sizeof expected);
            memcpy(expected + place, escape, escape_length);
            struct buf out = {0};
            assert_true(record_string((struct span){text, sizeof text}, &out, &bad));
            assert_int_equal(out.length, sizeof text - 1 + escape_length + 2);
            assert_memory_equal(buf_start(&out) + 1, expected, out.length - 2);
            buf_clear(&out);
        }
}

static void csv(void **state)
{
    reads(ITEMS_CSV, "", "");
    reads(ITEMS_CSV, "a", "[\"a\"]|");
    reads(ITEMS_CSV, "a,b\r\n1,2\n", "[\"a\",\"b\"]|[\"1\",\"2\"]|");
    reads(ITEMS_CSV, "\n\r\na,b\n\n", "[\"a\",\"b\"]|");
    reads(ITEMS_CSV, ",", "[\"\",\"\"]|");
    reads(ITEMS_CSV, "a,,\n ", "[\"a\",\"\",\"\"]|[\" \"]|");
    reads(ITEMS_CSV, "\"\"", "[\"\"]|");
    reads(ITEMS_CSV, "\"a,b\",c", "[\"a,b\",\"c\"]|");
    reads(ITEMS_CSV, "\"a\nb\",c\nd", "[\"a\\nb\",\"c\"]|[\"d\"]|");
    reads(ITEMS_CSV, "\"say \"\"hi\"\"\",\"\"\"\"", "[\"say \\\"hi\\\"\",\"\\\"\"]|");
    reads(ITEMS_CSV, "a b, c\\d ,\xc3\xa9", "[\"a b\",\" c\\\\d \",\"\xc3\xa9\"]|");
    reads(ITEMS_CSV, "\"a\"\r\n\"b\"\r", "[\"a\"]|[\"b\"]|");
}

static void bad_csv(void **state)
{
    reads(ITEMS_CSV, "\"a\"b,c\nd",
          "!field 1: text follows its closing quote (a quote inside is written twice)|[\"d\"]|");
    reads(ITEMS_CSV, "x,a\"b\"\nd", "!field 2: it holds a quote but does not begin with one|[\"d\"]|");
    reads(ITEMS_CSV, "d\nx,\"a\ny", "[\"d\"]|!field 2: its quote is not closed|");
    reads(ITEMS_CSV, "\"", "!field 1: its quote is not closed|");
    reads(ITEMS_CSV, "a,\xff\nb,\"\xff\"\nc", "!field 2: it is not UTF-8|!field 2: it is not UTF-8|[\"c\"]|");
}

static void csv_with_header(void **state)
{
    reads(ITEMS_CSV_HEADER, "a,b\n1,2\n3,4", "{\"a\":\"1\",\"b\":\"2\"}|{\"a\":\"3\",\"b\":\"4\"}|");
    reads(ITEMS_CSV_HEADER, "a,b", "");
    reads(ITEMS_CSV_HEADER, "", "");
    reads(ITEMS_CSV_HEADER, "\n\r\na\n\n1\n", "{\"a\":\"1\"}|");
    reads(ITEMS_CSV_HEADER, "\xef\xbb\xbf\"a \"\"x\"\"\",\"b\nc\"\n1,\"2\n\"",
          "{\"a \\\"x\\\"\":\"1\",\"b\\nc\":\"2\\n\"}|");
    reads(ITEMS_CSV_HEADER, "a,b,c,d\n1,2,3\n1,2,3,4,5\n1\n1,2,3,4",
          "!has 3 fields, the header 4|!has 5 fields, the header 4|!has 1 field, the header 4|"
          "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\",\"d\":\"4\"}|");
    reads(ITEMS_CSV_HEADER, "b,a,b\n1,2,3\n4",
          "!the header has the name \"b\" twice|!the header has the name \"b\" twice|");
    reads(ITEMS_CSV_HEADER, "a,ab,aa\n1,2,3", "{\"a\":\"1\",\"ab\":\"2\",\"aa\":\"3\"}|");
    reads(ITEMS_CSV_HEADER, "a\"b\"\n1", "!the header's field 1: it holds a quote but does not begin with one|");
    reads(ITEMS_CSV_HEADER, "a,\xff\n1,2", "!the header's field 2: it is not UTF-8|");
}

static void many_columns(void **state)
{
    struct buf text = {0}, expected = {0};
    for (int i = 0; i < 500; i++) {
        buf_printf(&text, "%scolumn%d", i > 0 ? "," : "", i);
        buf_printf(&expected, "%s\"column%d\":\"%d\"", i > 0 ? "," : "{", i, i * i);
    }
    for (int i = 0; i < 500; i++)
        buf_printf(&text, "%s%d", i > 0 ? "," : "\n", i * i);
    buf_append(&expected, "}|", 3);
    reads_bytes(ITEMS_CSV_HEADER, buf_start(&text), text.length, buf_start(&expected));
    buf_clear(&text);
    buf_clear(&expected);
}

/* All items of a payload, each ended by '|', and how many. */
static size_t read_all(enum items_format format, struct span payload, struct buf *all)
{
    struct record_reader reader;
    struct buf out = {0};
    struct span item;
    enum record record;
    size_t count = 0;
    record_open(&reader, format, payload);
    for (; (record = record_next(&reader, &out, &item)) != RECORD_END; count++) {
        if (record == RECORD_ITEM)
            buf_append(all, item.at, item.length);
        else
            buf_append_text(all, reader.why);
        buf_append_char(all, '|');
    }
    record_close(&reader);
    buf_clear(&out);
    return count;
}

/* The front counts and cuts items by their separators alone; here the same bytes become items. They must agree on how
 * many there are and where each one is, whatever the bytes. */
static void the_front_and_the_worker_see_the_same_items(void **state)
{
    static const enum scan_shape shapes[] = {SCAN_LINES, SCAN_TEXT, SCAN_CSV};
    static const char alphabet[] = "a\"\"\n\n\r\n, 1";
    const struct scan_limits limits = {.item_bytes = 1000, .items = 1000};
    uint64_t seed = 12345;
    for (int round = 0; round < 6000; round++) {
        char body[160];
        size_t length = 0;
        for (size_t most = (size_t)round % sizeof body; length < most; length++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
            body[length] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        struct scan scan;
        scan_init(&scan, shapes[round % 3], &limits);
        if (scan_feed(&scan, body, length, true) == SCAN_BAD) {
            assert_int_equal(scan.shape, SCAN_CSV); /* it ends inside quotes: no request gets that far */
            scan_clear(&scan);
            continue;
        }
        struct buf whole = {0}, single = {0};
        size_t start, end, count = scan.items.count;
        if (count > 0) {
            items_locate(&scan.items, body, 0, count, &start, &end);
            assert_int_equal(read_all(scan.items.format, (struct span){body + start, end - start}, &whole), count);
        }
        for (size_t i = 0; i < count; i++) {
            items_locate(&scan.items, body, i, 1, &start, &end);
            assert_int_equal(read_all(scan.items.format, (struct span){body + start, end - start}, &single), 1);
        }
        assert_int_equal(whole.length, single.length);
        if (whole.length > 0)
            assert_memory_equal(buf_start(&whole), buf_start(&single), whole.length);
        buf_clear(&whole);
        buf_clear(&single);
        scan_clear(&scan);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(texts),
        cmocka_unit_test(ill_formed_utf8),
        cmocka_unit_test(every_byte_at_every_place),
        cmocka_unit_test(csv),
        cmocka_unit_test(bad_csv),
        cmocka_unit_test(csv_with_header),
        cmocka_unit_test(many_columns),
        cmocka_unit_test(the_front_and_the_worker_see_the_same_items),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
