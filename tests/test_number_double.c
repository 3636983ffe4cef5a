/* Tests of workers/number.h: doubles against strtod() and printf(), which are slow and right. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/number.h"

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS 200000
#else
#define ROUNDS 1000000
#endif

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void assert_same_double(double got, double wanted, const char *text)
{
    if (memcmp(&got, &wanted, sizeof got) != 0)
        fail_msg("%s: %.17g, not %.17g", text, got, wanted);
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

static void doubles_read_as_strtod_does(void **state)
{
    static const char *const rows[] = {
        "0.0",
        "-0.0",
        "1.5",
        "-2.5",
        "0.1",
        "0.30000000000000004",
        "1e3",
        "1E+3",
        "-1e-3",
        "12.34",
        "100.00",
        "123456789012345.6",
        "1234567890.12345",
        "0.000000000000001",
        "9007199254740993.0",
        "9007199254740992.5",
        "9007199254740993.00000000000000000000000000000000000000000000000000000000000001",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "-1.797693134862315807e+308",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1e-400",
        "-1e-400",
        "0e400",
        "0.0e999999999999999999999",
        "-0e-5",
        "1e-999999999999999999999",
        "5e-324",
        "1e22",
        "1e23",
        "8.5e22",
        "123456789012345678901234567890.5",
        "0.1e1",
        "1234567890123456789012345678901234567890e-40",
        "6929495644600919.5",
        "3.14159265358979323846264338327950288419716939937510",
        "1e00000000000000000000001",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t integer;
        double real = NAN;
        assert_int_equal(read_text(rows[i], &integer, &real), NUMBER_DOUBLE);
        assert_same_double(real, strtod(rows[i], NULL), rows[i]);
    }
}

static void doubles_out_of_range_are_invalid_only_when_large(void **state)
{
    static const char *const large[] = {"1e309",
                                        "1e400",
                                        "-1e400",
                                        "1.7976931348623159e308",
                                        "123.456e999999999999999999",
                                        "1000000000000000000000e290",
                                        "0.0001e313",
                                        "1E+400"};
    int64_t integer;
    double real;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++)
        assert_int_equal(read_text(large[i], &integer, &real), NUMBER_INVALID);
    /* 400 places, up or down, take and give what the exponent does. */
    char text[1000];
    snprintf(text, sizeof text, "0.%0400d1e401", 0);
    assert_int_equal(read_text(text, &integer, &real), NUMBER_DOUBLE);
    assert_same_double(real, 1.0, text);
    snprintf(text, sizeof text, "0.%0400d1e-10", 0);
    assert_int_equal(read_text(text, &integer, &real), NUMBER_DOUBLE);
    assert_same_double(real, 0.0, text);
    snprintf(text, sizeof text, "-0.%0400d1e+90", 0);
    assert_int_equal(read_text(text, &integer, &real), NUMBER_DOUBLE);
    assert_same_double(real, strtod(text, NULL), text);
    snprintf(text, sizeof text, "1%0400d.5", 0);
    assert_int_equal(read_text(text, &integer, &real), NUMBER_INVALID);
    snprintf(text, sizeof text, "1%0400de-400", 0);
    assert_int_equal(read_text(text, &integer, &real), NUMBER_DOUBLE);
    assert_same_double(real, 1.0, text);
}

static void random_decimals_read_as_strtod_does(void **state)
{
    uint64_t seed = 5;
    for (int i = 0; i < ROUNDS / 2; i++) {
        char text[64];
        uint64_t whole = draw(&seed) >> draw(&seed) % 64, fraction = draw(&seed) >> draw(&seed) % 64;
        int length = snprintf(text, sizeof text, "%s%" PRIu64 ".%0*" PRIu64, i % 3 ? "" : "-", whole,
                              (int)(draw(&seed) % 12), fraction);
        if (i % 4 == 0)
            snprintf(text + length, sizeof text - (size_t)length, "e%d", (int)(draw(&seed) % 700) - 350);
        int64_t integer;
        double real, wanted = strtod(text, NULL);
        enum number_kind kind = read_text(text, &integer, &real);
        assert_int_equal(kind, isinf(wanted) ? NUMBER_INVALID : NUMBER_DOUBLE);
        if (kind == NUMBER_DOUBLE)
            assert_same_double(real, wanted, text);
    }
}

static const struct {
    double value;
    const char *python, *js;
} printed[] = {
    {0.0, "0.0", "0"},
    {-0.0, "-0.0", "0"},
    {1.0, "1.0", "1"},
    {-1.0, "-1.0", "-1"},
    {10.0, "10.0", "10"},
    {100000.0, "100000.0", "100000"},
    {1e15, "1000000000000000.0", "1000000000000000"},
    {9007199254740993.0, "9007199254740992.0", "9007199254740992"},
    {9007199254740994.0, "9007199254740994.0", "9007199254740994"},
    {9999999999999998.0, "9999999999999998.0", "9999999999999998"},
    {1e16, "1e+16", "10000000000000000"},
    {-1e16, "-1e+16", "-10000000000000000"},
    {12345678901234568.0, "1.2345678901234568e+16", "12345678901234568"},
    {123456789012345680.0, "1.2345678901234568e+17", "123456789012345680"},
    {1e20, "1e+20", "100000000000000000000"},
    {1.5e20, "1.5e+20", "150000000000000000000"},
    {123456789012345680000.0, "1.2345678901234568e+20", "123456789012345680000"},
    {1e21, "1e+21", "1e+21"},
    {1.5e21, "1.5e+21", "1.5e+21"},
    {1e22, "1e+22", "1e+22"},
    {1e23, "1e+23", "1e+23"},
    {-1.5e300, "-1.5e+300", "-1.5e+300"},
    {0.1, "0.1", "0.1"},
    {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
    {1.5, "1.5", "1.5"},
    {-12.25, "-12.25", "-12.25"},
    {123456.789, "123456.789", "123456.789"},
    {1234567890123456.7, "1234567890123456.8", "1234567890123456.8"},
    {0.001, "0.001", "0.001"},
    {0.0001, "0.0001", "0.0001"},
    {0.00012345678901234567, "0.00012345678901234567", "0.00012345678901234567"},
    {0.00001, "1e-05", "0.00001"},
    {-0.0000123, "-1.23e-05", "-0.0000123"},
    {0.000001, "1e-06", "0.000001"},
    {-0.0000012345678901234567, "-1.2345678901234567e-06", "-0.0000012345678901234567"},
    {0.0000001, "1e-07", "1e-7"},
    {1.5e-7, "1.5e-07", "1.5e-7"},
    {1e-10, "1e-10", "1e-10"},
    {1.25e-10, "1.25e-10", "1.25e-10"},
    {1e-100, "1e-100", "1e-100"},
    {5e-324, "5e-324", "5e-324"},
    {2.2250738585072014e-308, "2.2250738585072014e-308", "2.2250738585072014e-308"},
    {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"},
    {-1.7976931348623157e308, "-1.7976931348623157e+308", "-1.7976931348623157e+308"},
    {5.684341886080802e-14, "5.684341886080802e-14", "5.684341886080802e-14"},
    {4294967296.0, "4294967296.0", "4294967296"},
    {1.0 / 3, "0.3333333333333333", "0.3333333333333333"},
};

static void doubles_print_as_python_and_javascript_do(void **state)
{
    for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
        char text[NUMBER_TEXT_MAX + 1];
        text[number_print_double(printed[i].value, text)] = '\0';
        assert_string_equal(text, printed[i].python);
        text[number_print_double_js(printed[i].value, text)] = '\0';
        assert_string_equal(text, printed[i].js);
    }
}

/* The fewest digits with which printf() gives back the value; exponent is that of the first digit. */
static int shortest(double value, char *digits, int *exponent)
{
    for (int precision = 0;; precision++) {
        char text[40];
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (precision < 16 && strtod(text, NULL) != value)
            continue;
        *digits++ = text[0];
        memcpy(digits, text + 2, (size_t)precision);
        digits[precision] = '\0';
        *exponent = atoi(strchr(text, 'e') + 1);
        return precision + 1;
    }
}

/* ECMA-262, Number::toString, step by step; and Python's repr, which differs in its limits and in ".0". */
static void oracle(double value, bool js, char *to, size_t bytes)
{
    char digits[32];
    int exponent, count = shortest(fabs(value), digits, &exponent), n = exponent + 1;
    const char *sign = value < 0 ? "-" : "", *tail = js ? "" : ".0";
    if (n > (js ? 21 : 16) || n <= (js ? -6 : -4))
        snprintf(to, bytes, "%s%.1s%s%se%c%0*d", sign, digits, count > 1 ? "." : "", digits + 1,
                 exponent < 0 ? '-' : '+', js ? 1 : 2, abs(exponent));
    else if (n >= count)
        snprintf(to, bytes, "%s%s%.*s%s", sign, digits, n - count, "000000000000000000000", tail);
    else if (n > 0)
        snprintf(to, bytes, "%s%.*s.%s", sign, n, digits, digits + n);
    else
        snprintf(to, bytes, "%s0.%.*s%s", sign, -n, "0000000", digits);
}

static void random_doubles_print_as_the_slow_way_does(void **state)
{
    uint64_t seed = 17;
    for (int i = 0; i < ROUNDS / 20; i++) {
        double value = from_bits(draw(&seed));
        if (i % 4 == 1)
            value = (double)(int64_t)(draw(&seed) >> draw(&seed) % 64) / 100;
        if (i % 4 == 2)
            value = (double)(int64_t)draw(&seed) * pow(10, (double)(draw(&seed) % 30) - 25);
        if (!isfinite(value) || value == 0)
            continue;
        char text[NUMBER_TEXT_MAX + 1], wanted[64];
        text[number_print_double(value, text)] = '\0';
        oracle(value, false, wanted, sizeof wanted);
        assert_string_equal(text, wanted);
        text[number_print_double_js(value, text)] = '\0';
        oracle(value, true, wanted, sizeof wanted);
        assert_string_equal(text, wanted);
    }
}

/* Decimals of few places, and their neighbours, which need all their digits. */
static void short_decimals_print_as_the_slow_way_does(void **state)
{
    uint64_t seed = 29;
    for (int i = 0; i < ROUNDS / 40; i++) {
        char text[NUMBER_TEXT_MAX + 1], wanted[64];
        snprintf(text, sizeof text, "%s%" PRIu64 ".%0*u", i % 3 ? "" : "-", draw(&seed) >> (12 + draw(&seed) % 52),
                 (int)(1 + draw(&seed) % 6), (unsigned)(draw(&seed) % 10000));
        double value = strtod(text, NULL);
        value = i % 4 ? value : nextafter(value, i % 8 ? 0 : 1e9);
        if (value == 0)
            continue;
        text[number_print_double(value, text)] = '\0';
        oracle(value, false, wanted, sizeof wanted);
        assert_string_equal(text, wanted);
        text[number_print_double_js(value, text)] = '\0';
        oracle(value, true, wanted, sizeof wanted);
        assert_string_equal(text, wanted);
    }
}

static void random_doubles_come_back(void **state)
{
    uint64_t seed = 23;
    for (int i = 0; i < ROUNDS; i++) {
        double value = from_bits(draw(&seed)), back = NAN;
        char text[NUMBER_TEXT_MAX + 1];
        int64_t integer = 0;
        if (!isfinite(value))
            continue;
        text[number_print_double(value, text)] = '\0';
        assert_int_equal(number_read((struct span){text, strlen(text)}, &integer, &back), NUMBER_DOUBLE);
        assert_same_double(back, value, text);
        assert_same_double(strtod(text, NULL), value, text);
        char long_text[40];
        snprintf(long_text, sizeof long_text, "%.17g", value);
        enum number_kind kind = number_read((struct span){long_text, strlen(long_text)}, &integer, &back);
        if (kind == NUMBER_DOUBLE)
            assert_same_double(back, value, long_text);
    }
}

/* Both sides of every power of two, where the distance to the next double changes. */
static void doubles_at_powers_of_two_come_back(void **state)
{
    for (int power = -1074; power < 1024; power++)
        for (int side = -1; side <= 1; side++) {
            double value = ldexp(1, power), back = NAN;
            value = side == 0 ? value : nextafter(value, side < 0 ? 0 : HUGE_VAL);
            char text[NUMBER_TEXT_MAX + 1];
            int64_t integer;
            text[number_print_double(value, text)] = '\0';
            assert_int_equal(number_read((struct span){text, strlen(text)}, &integer, &back), NUMBER_DOUBLE);
            assert_same_double(back, value, text);
            assert_true(strpbrk(text, ".e") != NULL);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_read_as_strtod_does),
        cmocka_unit_test(doubles_out_of_range_are_invalid_only_when_large),
        cmocka_unit_test(random_decimals_read_as_strtod_does),
        cmocka_unit_test(doubles_print_as_python_and_javascript_do),
        cmocka_unit_test(random_doubles_print_as_the_slow_way_does),
        cmocka_unit_test(short_decimals_print_as_the_slow_way_does),
        cmocka_unit_test(random_doubles_come_back),
        cmocka_unit_test(doubles_at_powers_of_two_come_back),
    };
    return cmocka_run_group_tests_name("number_double", tests, NULL, NULL);
}
