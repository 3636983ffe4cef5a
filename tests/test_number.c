/* Tests of workers/number.h: integers, up to their limits and beyond. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/number.h"

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* number_read() of a copy in a heap block of exactly its size. */
static enum number_kind read_text(const char *text, int64_t *integer, double *real)
{
    size_t length = strlen(text);
    char *copy = malloc(length);
    assert_non_null(copy);
    memcpy(copy, text, length);
    enum number_kind kind = number_read((struct span){copy, length}, integer, real);
    free(copy);
    return kind;
}

static void integers_are_exact_or_big(void **state)
{
    static const struct {
        const char *text;
        enum number_kind kind;
        int64_t value;
    } rows[] = {
        {"0", NUMBER_INT64, 0},
        {"-0", NUMBER_INT64, 0},
        {"7", NUMBER_INT64, 7},
        {"-7", NUMBER_INT64, -7},
        {"12345678", NUMBER_INT64, 12345678},
        {"123456789", NUMBER_INT64, 123456789},
        {"-1234567890123456", NUMBER_INT64, -1234567890123456},
        {"12345678901234567", NUMBER_INT64, 12345678901234567},
        {"9007199254740993", NUMBER_INT64, 9007199254740993},
        {"999999999999999999", NUMBER_INT64, 999999999999999999},
        {"9223372036854775807", NUMBER_INT64, INT64_MAX},
        {"-9223372036854775808", NUMBER_INT64, INT64_MIN},
        {"9223372036854775808", NUMBER_BIG, 0},
        {"-9223372036854775809", NUMBER_BIG, 0},
        {"9999999999999999999", NUMBER_BIG, 0},
        {"10000000000000000000", NUMBER_BIG, 0},
        {"18446744073709551615", NUMBER_BIG, 0},
        {"18446744073709551616", NUMBER_BIG, 0},
        {"18446744073709551617", NUMBER_BIG, 0},
        {"-18446744073709551617", NUMBER_BIG, 0},
        {"36893488147419103233", NUMBER_BIG, 0},
        {"100000000000000000000000000000000000000001", NUMBER_BIG, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t integer = 0;
        double real;
        assert_int_equal(read_text(rows[i].text, &integer, &real), rows[i].kind);
        assert_int_equal(integer, rows[i].value);
    }
}

static void integers_of_every_length_come_back(void **state)
{
    uint64_t seed = 3;
    for (int i = 0; i < 200000; i++) {
        uint64_t bits = draw(&seed) >> draw(&seed) % 64;
        int64_t value = (int64_t)(i % 2 ? bits : -bits), back;
        char text[NUMBER_TEXT_MAX + 1], wanted[32];
        double real;
        text[number_print_int64(value, text)] = '\0';
        snprintf(wanted, sizeof wanted, "%" PRId64, value);
        assert_string_equal(text, wanted);
        assert_int_equal(read_text(text, &back, &real), NUMBER_INT64);
        assert_int_equal(back, value);
        text[number_print_uint64(bits, text)] = '\0';
        snprintf(wanted, sizeof wanted, "%" PRIu64, bits);
        assert_string_equal(text, wanted);
    }
}

static void integers_at_powers_of_ten_print_right(void **state)
{
    for (uint64_t power = 1;; power *= 10) {
        for (uint64_t value = power - 1; value <= power + 1; value++) {
            char text[NUMBER_TEXT_MAX + 1], wanted[32];
            text[number_print_uint64(value, text)] = '\0';
            snprintf(wanted, sizeof wanted, "%" PRIu64, value);
            assert_string_equal(text, wanted);
        }
        if (power > UINT64_MAX / 10)
            break;
    }
    char text[NUMBER_TEXT_MAX];
    assert_int_equal(number_print_int64(INT64_MIN, text), 20);
    assert_memory_equal(text, "-9223372036854775808", 20);
    assert_int_equal(number_print_int64(INT64_MAX, text), 19);
    assert_memory_equal(text, "9223372036854775807", 19);
    assert_int_equal(number_print_uint64(UINT64_MAX, text), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

static void scan_takes_plain_integers_only(void **state)
{
    static const struct {
        const char *text;
        int length; /* of the token, -1 where it is none for it */
        int64_t value;
    } rows[] = {
        {"0,", 1, 0},
        {"5]", 1, 5},
        {"-5 ", 2, -5},
        {"42,43,44,45,46", 2, 42},
        {"1234567,1", 7, 1234567},
        {"12345678,1", 8, 12345678},
        {"-12345678,1234567", 9, -12345678},
        {"123456789,", 9, 123456789},
        {"1234567890123456,1", 16, 1234567890123456},
        {"999999999999999999,", 18, 999999999999999999},
        {"-999999999999999999\n", 19, -999999999999999999},
        {"1234567\xff", 7, 1234567},
        {"1234567/1", 7, 1234567},
        {"1234567:1", 7, 1234567},
        {"12\xb0\xb1\xb2\xb3\xb4\xb5\xb6", 2, 12},
        {"123\x80\x30\x30\x30\x30\x30", 3, 123},
        {"12\xba\x30\x30\x30\x30\x30\x30", 2, 12},
        {"12 30 40 50 60", 2, 12},
        {"1000000000000000000,", -1, 0},
        {"99999999999999999999999999,", -1, 0},
        {"-0,", -1, 0},
        {"01,", -1, 0},
        {"-01,", -1, 0},
        {"000000000000,", -1, 0},
        {"-,", -1, 0},
        {"--1,", -1, 0},
        {",", -1, 0},
        {" 1,", -1, 0},
        {"x", -1, 0},
        {"1.5,", -1, 0},
        {"1e5,", -1, 0},
        {"1E5,", -1, 0},
        {"12345678.5,", -1, 0},
        {"", -1, 0},
        {"-", -1, 0},
        {"1", -1, 0},
        {"12345678", -1, 0},
        {"123456789012", -1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t length = strlen(rows[i].text);
        char *copy = malloc(length + 1);
        assert_non_null(copy);
        char *start = copy + 1; /* the block ends where the text does */
        memcpy(start, rows[i].text, length);
        int64_t value = 0;
        const char *behind = number_scan_int64(start, start + length, &value);
        if ((behind == NULL ? -1 : (int)(behind - start)) != rows[i].length)
            fail_msg("%s", rows[i].text);
        assert_int_equal(value, rows[i].value);
        free(copy);
    }
}

/* Behind a number may stand any byte; only digits go on, and '.', 'e', 'E' make it none of ours. */
static void scan_ends_at_every_other_byte(void **state)
{
    char text[24];
    for (unsigned byte = 0; byte < 256; byte++)
        for (size_t digits = 1; digits <= 17; digits++) {
            int64_t value = 0, wanted = 0;
            memset(text, '7', sizeof text);
            text[digits] = (char)byte;
            for (size_t i = 0; i < digits; i++)
                wanted = wanted * 10 + 7;
            bool digit = byte >= '0' && byte <= '9', real = byte == '.' || byte == 'e' || byte == 'E';
            const char *behind = number_scan_int64(text, text + digits + 2, &value);
            assert_ptr_equal(behind, digit || real ? NULL : text + digits);
            if (behind != NULL)
                assert_int_equal(value, wanted);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_exact_or_big),
        cmocka_unit_test(integers_of_every_length_come_back),
        cmocka_unit_test(integers_at_powers_of_ten_print_right),
        cmocka_unit_test(scan_takes_plain_integers_only),
        cmocka_unit_test(scan_ends_at_every_other_byte),
    };
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
