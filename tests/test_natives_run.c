/* The fast loops against the functions, item by item: same results, same stop, cursor and progress to the contract. The
 * text lies in memory of exactly its size, so that a look past its end is seen by the sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/native_call.h"

static uint32_t random_state;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)random_state * below) >> 32);
}

static void append_blanks(struct buf *text)
{
    static const char *const blanks[] = {"", "", "", "", " ", "  ", "\n", "\r\n\t ", "        "};
    buf_append_text(text, blanks[draw(sizeof blanks / sizeof *blanks)]);
}

static void append_integer(struct buf *text, uint32_t digits)
{
    if (draw(4) == 0)
        buf_append_char(text, '-');
    buf_append_char(text, (char)('0' + draw(10)));
    if (*(buf_end(text) - 1) == '0')
        return;
    while (--digits > 0)
        buf_append_char(text, (char)('0' + draw(10)));
}

/* A valid item, mostly plain. */
static void append_squared_item(struct buf *text)
{
    static const char *const odd[] = {"1.5",
                                      "-0.0",
                                      "1e3",
                                      "0.1",
                                      "1e400",
                                      "1e200",
                                      "-0",
                                      "999999",
                                      "1000000",
                                      "null",
                                      "\"7\"",
                                      "[1]",
                                      "{\"a\":1}",
                                      "true",
                                      "1E+2",
                                      "-7e-3",
                                      "3037000499",
                                      "-3037000500",
                                      "4294967295",
                                      "4294967296",
                                      "9223372036854775807",
                                      "12345678901234567890123"};
    if (draw(8) == 0)
        buf_append_text(text, odd[draw(sizeof odd / sizeof *odd)]);
    else
        append_integer(text, 1 + draw(draw(4) == 0 ? 22 : 7));
}

/* What the function itself makes of one item. */
static void append_wanted(const char *function, struct span value, char separator, struct buf *out)
{
    struct buf args;
    buf_init(&args);
    buf_append_char(&args, '[');
    buf_append(&args, value.at, value.length);
    buf_append_char(&args, ']');
    buf_append_char(out, separator);
    native_call(function, (struct span){buf_start(&args), args.length}, 0, out);
    buf_clear(&args);
}

/* Steps over the next item by the book; returns its text, the cursor at the next item. */
static struct span read_item(const char **cursor, const char *end)
{
    struct span value;
    const char *why;
    assert_true(token_read(cursor, end, &value, &why) != TOKEN_BAD);
    *cursor = token_skip_blanks(*cursor, end);
    if (*cursor < end) {
        assert_int_equal(**cursor, ',');
        *cursor = token_skip_blanks(*cursor + 1, end);
    }
    return value;
}

/* Runs `count` items of [at, end) as a worker does, with the function wherever the loop stops. */
static void check_run(const char *function, const char *at, const char *end, size_t count)
{
    const struct native_code *code = catalog_code(catalog_find(function, strlen(function)));
    const char separator = draw(2) ? ',' : '\n', *book = token_skip_blanks(at, end);
    struct buf out, wanted;
    buf_init(&out);
    buf_init(&wanted);
    for (size_t done = 0; done < count;) {
        size_t most = 1 + draw((uint32_t)(count - done));
        volatile uint32_t progress = (uint32_t)done + 100;
        size_t ran = code->run(&at, end, most, separator, &out, &progress);
        assert_in_range(ran, 0, most);
        for (size_t i = 0; i < ran; i++)
            append_wanted(function, read_item(&book, end), separator, &wanted);
        assert_ptr_equal(at, book);
        /* The last item begun: one that it would not do may count as begun. */
        assert_in_range(progress, 100 + done + (ran > 0 ? ran - 1 : 0), 100 + done + ran - (ran == most));
        done += ran;
        if (ran < most) { /* the loop would not do this one */
            struct span value = read_item(&book, end);
            append_wanted(function, value, separator, &wanted);
            append_wanted(function, value, separator, &out);
            at = book;
            done++;
        }
    }
    assert_int_equal(out.length, wanted.length);
    assert_memory_equal(buf_start(&out), buf_start(&wanted), wanted.length);
    buf_clear(&out);
    buf_clear(&wanted);
}

static void check_items(const char *function, void (*append_item)(struct buf *), uint32_t rounds)
{
    random_state = 20240229;
    for (uint32_t round = 0; round < rounds; round++) {
        size_t count = 1 + draw(round % 8 == 0 ? 200 : 12);
        struct buf text;
        buf_init(&text);
        for (size_t i = 0; i < count; i++) {
            if (i > 0)
                buf_append_char(&text, ',');
            append_blanks(&text);
            append_item(&text);
            append_blanks(&text);
        }
        char *exact = malloc(text.length);
        assert_non_null(exact);
        memcpy(exact, buf_start(&text), text.length);
        check_run(function, exact, exact + text.length, count);
        free(exact);
        buf_clear(&text);
    }
}

static void squared_runs_as_it_computes(void **state)
{
    check_items("squared", append_squared_item, 3000);
}

/* Every integer that the fused path takes, and the first that it does not. */
static void squared_is_right_for_every_small_integer(void **state)
{
    enum { BATCH = 1000 };
    struct buf text, out;
    buf_init(&text);
    buf_init(&out);
    for (int64_t first = 0; first < 1002000; first += BATCH) {
        buf_reset(&text);
        buf_reset(&out);
        for (int64_t i = first; i < first + BATCH; i++)
            buf_printf(&text, "%s%s%lld", i > first ? "," : "", i % 3 == 1 ? "-" : "", (long long)i);
        const char *at = buf_start(&text);
        volatile uint32_t progress = 0;
        assert_int_equal(native_run_squared(&at, buf_end(&text), BATCH, ',', &out, &progress), BATCH);
        assert_ptr_equal(at, buf_end(&text));
        assert_int_equal(progress, BATCH - 1);
        buf_append_char(&out, '\0');
        char *cursor = buf_start(&out);
        for (int64_t i = first; i < first + BATCH; i++) {
            assert_int_equal(*cursor, ',');
            assert_int_equal(strtoll(cursor + 1, &cursor, 10), i * i);
        }
        assert_int_equal(*cursor, '\0');
    }
    buf_clear(&text);
    buf_clear(&out);
}

/* Printing writes a few bytes more than a number has: it has to make room for them too. */
static void squared_stays_in_its_room(void **state)
{
    enum { COUNT = 40, MORE = 4 }; /* the last few of a text take another path */
    char text[(COUNT + MORE) * 7];
    for (size_t i = 0; i < COUNT + MORE; i++)
        memcpy(text + 7 * i, "999999,", 7);
    struct buf out = {.data = malloc(COUNT * 13), .capacity = COUNT * 13};
    assert_non_null(out.data);
    const char *at = text;
    volatile uint32_t progress = 0;
    assert_int_equal(native_run_squared(&at, text + sizeof text - 1, COUNT, ',', &out, &progress), COUNT);
    assert_int_equal(out.length, COUNT * 13);
    for (size_t i = 0; i < COUNT; i++)
        assert_memory_equal(buf_start(&out) + 13 * i, ",999998000001", 13);
    buf_clear(&out);
}

/* Where the text is wrong the loop stops before that item, with nothing of it done. */
static void runs_stop_at_what_is_malformed(void **state)
{
    static const struct {
        const char *function, *text;
        size_t ran, at;
    } cases[] = {
        {"squared", "1,2,x,4,5,6,7,8,9,10", 2, 4},
        {"squared", "1,2 3,4,5,6,7,8,9,10", 1, 2},
        {"squared", "1,,2,3,4,5,6,7,8,9,10", 1, 2},
        {"squared", "01,2,3,4,5,6,7,8,9", 0, 0},
        {"squared", "-,2,3,4,5,6,7,8,9,10", 0, 0},
        {"squared", "-01,2,3,4,5,6,7,8,9,10", 0, 0},
        {"squared", "--1,2,3,4,5,6,7,8,9,10", 0, 0},
        {"squared", "1,2.,3,4,5,6,7,8,9,10", 1, 2},
        {"squared", "12e,3,4,5,6,7,8,9,10,11", 0, 0},
        {"squared", "1,+2,3,4,5,6,7,8,9,10", 1, 2},
        {"squared",
         "1, \x01"
         "2,3,4,5,6,7,8,9,10",
         1, 3},
        {"squared", "1,2]", 1, 2},
        {"squared", "1,\xff", 1, 2},
        {"squared", "", 0, 0},
        {"squared", "  7", 1, 3},
        {"squared", " 7 ,  ", 1, 6},
        {"squared", "1,-", 1, 2},
        {"squared", "00,1,2,3,4,5,6,7,8,9", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].text);
        char *exact = malloc(length > 0 ? length : 1);
        assert_non_null(exact);
        memcpy(exact, cases[i].text, length);
        const char *at = exact;
        volatile uint32_t progress = 0;
        struct buf out;
        buf_init(&out);
        const struct native_code *code = catalog_code(catalog_find(cases[i].function, strlen(cases[i].function)));
        size_t ran = code->run(&at, exact + length, 20, ',', &out, &progress);
        if (ran != cases[i].ran || (size_t)(at - exact) != cases[i].at)
            fail_msg("%s: ran %zu to %zu", cases[i].text, ran, (size_t)(at - exact));
        buf_clear(&out);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squared_runs_as_it_computes),
        cmocka_unit_test(squared_is_right_for_every_small_integer),
        cmocka_unit_test(squared_stays_in_its_room),
        cmocka_unit_test(runs_stop_at_what_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
