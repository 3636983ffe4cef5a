/* Tests of api/aggregate.h: rows of what must come out, and random numbers against GMP, which knows sums and order
 * exactly; a rounded answer is right if no double is nearer to the exact one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <gmp.h>
#include <math.h>
#include <stdio.h>

#include "api/aggregate.h"
#include "workers/number.h"

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A fragment in a heap block of exactly its size, so that a byte read behind it is seen. */
static bool add(struct aggregation *aggregation, const char *text, size_t length, uint32_t count)
{
    char *copy = malloc(length + (length == 0));
    assert_non_null(copy);
    memcpy(copy, text, length);
    bool read = aggregation_add(aggregation, (struct span){copy, length}, count);
    free(copy);
    return read;
}

static char *print(struct aggregation *aggregation, struct buf *to)
{
    buf_reset(to);
    aggregation_print(aggregation, to);
    buf_append_char(to, '\0');
    return buf_start(to);
}

static void check(enum aggregate aggregate, const char *fragment, uint32_t count, const char *wanted)
{
    struct buf printed = {0};
    struct aggregation *aggregation = aggregation_new(aggregate);
    assert_true(add(aggregation, fragment, strlen(fragment), count));
    assert_string_equal(print(aggregation, &printed), wanted);
    assert_string_equal(print(aggregation, &printed), wanted); /* printing changes nothing */
    assert_null(aggregation_refused(aggregation));
    aggregation_free(aggregation);
    buf_clear(&printed);
}

static void sums_are_exact(void **state)
{
    static const struct {
        const char *values;
        uint32_t count;
        const char *sum, *mean;
    } rows[] = {
        {"", 0, "0", "null"},
        {",null", 1, "0", "null"},
        {",1", 1, "1", "1.0"},
        {",1,null,2", 3, "3", "1.5"},
        {"\n1\n2\n4", 3, "7", "2.3333333333333335"},
        {",-0", 1, "0", "0.0"},
        {",-0.0", 1, "0.0", "0.0"},
        {",0.1,0.2,0.3", 3, "0.6", "0.2"},
        {",0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1", 10, "1.0", "0.1"},
        {",1e100,1,-1e100", 3, "1.0", "0.3333333333333333"},
        {",1,1e100,1,-1e100", 4, "2.0", "0.5"},
        {",1.7976931348623157e308,1.7976931348623157e308,-1.7976931348623157e308", 3, "1.7976931348623157e+308",
         "5.992310449541053e+307"},
        {",1.7976931348623157e308,1.7976931348623157e308", 2, "null", "1.7976931348623157e+308"},
        {",1e400,1", 2, "null", "null"},
        {",5e-324,5e-324", 2, "1e-323", "5e-324"},
        {",5e-324,0.0", 2, "5e-324", "0.0"},           /* half of the least: to even */
        {",1.5e-323,0.0", 2, "1.5e-323", "1e-323"},    /* 1.5 times the least: to even */
        {",5e-324,0.0,0.0", 3, "5e-324", "0.0"},       /* a third */
        {",5e-324,5e-324,0.0", 3, "1e-323", "5e-324"}, /* two thirds */
        {",-5e-324,0.0", 2, "-5e-324", "0.0"},         /* never -0.0 */
        {",9007199254740993,0.0", 2, "9007199254740992.0", "4503599627370496.0"},
        {",9007199254740993,5e-324", 2, "9007199254740994.0", "4503599627370497.0"},
        {",9007199254740993,-5e-324", 2, "9007199254740992.0", "4503599627370496.0"},
        {",9223372036854775807,9223372036854775807", 2, "18446744073709551614", "9.223372036854776e+18"},
        {",-9223372036854775808,-9223372036854775808", 2, "-18446744073709551616", "-9.223372036854776e+18"},
        {",9223372036854775808,-9223372036854775809", 2, "-1", "-0.5"},
        {",100000000000000000000,-99999999999999999999", 2, "1", "0.5"},
        {",-100000000000000000000,99999999999999999999", 2, "-1", "-0.5"},
        {",-1000000000000000000000000000,1,-1", 3, "-1000000000000000000000000000", "-3.3333333333333335e+26"},
        {",1000000000000000000000000000,0.5,-1000000000000000000000000000", 3, "0.5", "0.16666666666666666"},
        {",999999999999999999999999999999,1", 2, "1000000000000000000000000000000", "5e+29"},
        {",1.0,2", 2, "3.0", "1.5"},
        {",1E2,1", 2, "101.0", "50.5"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "\"aggregate\":%s", rows[i].sum);
        check(AGGREGATE_SUM, rows[i].values, rows[i].count, wanted);
        snprintf(wanted, sizeof wanted, "\"aggregate\":%s", rows[i].mean);
        check(AGGREGATE_MEAN, rows[i].values, rows[i].count, wanted);
    }
}

static void least_and_greatest_come_as_they_were(void **state)
{
    static const struct {
        const char *values;
        uint32_t count;
        const char *min, *max;
    } rows[] = {
        {"", 0, "null", "null"},
        {",null,null", 2, "null", "null"},
        {",3", 1, "3", "3"},
        {",3,null,-7,2", 4, "-7", "3"},
        {",1e2,99,1E1,10.5", 4, "1E1", "1e2"},
        {",0,0.0,-0.0", 3, "-0.0", "0.0"}, /* equal: by text */
        {",-0.0,0.0,0", 3, "-0.0", "0.0"},
        {",1.0,1,1.00", 3, "1", "1.00"},
        {",-0,0", 2, "-0", "0"},
        {",0,-0", 2, "-0", "0"},
        {",9007199254740993,9007199254740992.0", 2, "9007199254740992.0", "9007199254740993"},
        {",-9007199254740993,-9007199254740992.0", 2, "-9007199254740993", "-9007199254740992.0"},
        {",9223372036854775807,9223372036854775808.0", 2, "9223372036854775807", "9223372036854775808.0"},
        {",-9223372036854775808,-9223372036854777856.0", 2, "-9223372036854777856.0", "-9223372036854775808"},
        {",9223372036854775809,9223372036854775808.0", 2, "9223372036854775808.0", "9223372036854775809"},
        {",99999999999999999999999,1e23", 2, "1e23", "99999999999999999999999"}, /* 1e23 is a little less */
        {",100000000000000000000,99999999999999999999", 2, "99999999999999999999", "100000000000000000000"},
        {",-100000000000000000000,-99999999999999999999", 2, "-100000000000000000000", "-99999999999999999999"},
        {",-100000000000000000000,5", 2, "-100000000000000000000", "5"},
        {",100000000000000000000,0.5", 2, "0.5", "100000000000000000000"},
        {",1e400,100000000000000000000,-1e400", 3, "-1e400", "1e400"},
        {",0.5,0", 2, "0", "0.5"},
        {",-0.5,0", 2, "-0.5", "0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char wanted[128];
        snprintf(wanted, sizeof wanted, "\"aggregate\":%s", rows[i].min);
        check(AGGREGATE_MIN, rows[i].values, rows[i].count, wanted);
        snprintf(wanted, sizeof wanted, "\"aggregate\":%s", rows[i].max);
        check(AGGREGATE_MAX, rows[i].values, rows[i].count, wanted);
    }
}

static void counts_are_in_order(void **state)
{
    check(AGGREGATE_COUNTS, "", 0, "\"counts\":[],\"unique\":0");
    check(AGGREGATE_COUNTS, ",null,null", 2, "\"counts\":[],\"unique\":0");
    check(AGGREGATE_COUNTS, ",3,4,null,4,5", 5,
          "\"counts\":[{\"value\":4,\"count\":2},{\"value\":3,\"count\":1},{\"value\":5,\"count\":1}],\"unique\":3");
    check(AGGREGATE_COUNTS, ",\"b\",\"ab\",\"a\",10,9,-1,true,[1],{\"a\":1},1.5,100000000000000000000,false,10", 13,
          "\"counts\":[{\"value\":10,\"count\":2},{\"value\":-1,\"count\":1},{\"value\":1.5,\"count\":1},"
          "{\"value\":9,\"count\":1},{\"value\":100000000000000000000,\"count\":1},{\"value\":\"a\",\"count\":1},"
          "{\"value\":\"ab\",\"count\":1},{\"value\":\"b\",\"count\":1},{\"value\":[1],\"count\":1},"
          "{\"value\":false,\"count\":1},{\"value\":true,\"count\":1},{\"value\":{\"a\":1},\"count\":1}],"
          "\"unique\":12");
    check(AGGREGATE_COUNTS, ",1,1.0,1", 3,
          "\"counts\":[{\"value\":1,\"count\":2},{\"value\":1.0,\"count\":1}],\"unique\":2");
    check(AGGREGATE_COUNTS,
          ",\"a longer text, the same but for the end: 1\",\"a longer text, the same but for the end: 2\"", 2,
          "\"counts\":[{\"value\":\"a longer text, the same but for the end: 1\",\"count\":1},"
          "{\"value\":\"a longer text, the same but for the end: 2\",\"count\":1}],\"unique\":2");
}

/* Value v comes 1 + v % 3 times, in scattered order: the counts and the order can be told by a formula. */
static void many_values_are_counted(void **state)
{
    enum { VALUES = 30011, STEP = 7919 };
    struct aggregation *aggregation = aggregation_new(AGGREGATE_COUNTS);
    struct buf text = {0}, wanted = {0}, printed = {0};
    for (unsigned round = 0; round < 3; round++) {
        uint32_t count = 0;
        buf_reset(&text);
        for (unsigned i = 0; i < VALUES; i++) {
            unsigned value = (unsigned)((uint64_t)i * STEP % VALUES);
            if (value % 3 < round)
                continue;
            buf_printf(&text, ",%u", value);
            count++;
        }
        assert_true(add(aggregation, buf_start(&text), text.length, count));
    }
    buf_append_text(&wanted, "\"counts\":[");
    for (unsigned times = 3; times > 0; times--)
        for (unsigned value = times - 1; value < VALUES; value += 3)
            buf_printf(&wanted, "%s{\"value\":%u,\"count\":%u}", times == 3 && value == 2 ? "" : ",", value, times);
    buf_printf(&wanted, "],\"unique\":%u%c", VALUES, '\0');
    assert_string_equal(print(aggregation, &printed), buf_start(&wanted));
    assert_true(aggregation_bytes(aggregation) > VALUES * 16u && aggregation_bytes(aggregation) < VALUES * 128u);
    aggregation_free(aggregation);
    buf_clear(&text);
    buf_clear(&wanted);
    buf_clear(&printed);
}

static void what_is_no_number_is_refused(void **state)
{
    static const struct {
        const char *values;
        uint32_t count;
        const char *type;
    } rows[] = {
        {",1,true", 2, "boolean"}, {",false,\"a\"", 2, "boolean"}, {",\"1\",2", 2, "string"},
        {",[1],2", 2, "array"},    {",null,{},2", 3, "object"},
    };
    static const enum aggregate numeric[] = {AGGREGATE_SUM, AGGREGATE_MEAN, AGGREGATE_MIN, AGGREGATE_MAX};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t j = 0; j < sizeof numeric / sizeof *numeric; j++) {
            struct aggregation *aggregation = aggregation_new(numeric[j]);
            assert_true(add(aggregation, rows[i].values, strlen(rows[i].values), rows[i].count));
            assert_string_equal(aggregation_refused(aggregation), rows[i].type);
            aggregation_free(aggregation);
        }
}

static void what_is_no_result_is_seen(void **state)
{
    static const struct {
        const char *text;
        uint32_t count;
    } rows[] = {
        {"", 1},      {",", 1},   {"1", 1},        {",1", 2},   {",1,2", 1},  {",1,", 1},    {";1", 1},  {",1;2", 2},
        {",01", 1},   {",1x", 1}, {",\"a", 1},     {",[1", 1},  {",nul", 1},  {",-", 1},     {",1.", 1}, {",1 ", 1},
        {",1,,2", 3}, {",1e", 1}, {",{\"a\"}", 1}, {",NaN", 1}, {",12 3", 2}, {",true1", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (enum aggregate aggregate = AGGREGATE_COUNTS; aggregate <= AGGREGATE_MAX; aggregate++) {
            struct aggregation *aggregation = aggregation_new(aggregate);
            assert_false(add(aggregation, rows[i].text, strlen(rows[i].text), rows[i].count));
            aggregation_free(aggregation);
        }
    aggregation_free(NULL);
}

/* --- against GMP -------------------------------------------------------------------------------------------------- */

#define MOST 40

struct sample {
    size_t count;
    bool real;
    char *text[MOST];
    mpq_t value[MOST];
};

static double draw_double(uint64_t *seed)
{
    static const double edges[] = {5e-324,
                                   -5e-324,
                                   DBL_MIN,
                                   -DBL_MIN,
                                   DBL_MAX,
                                   -DBL_MAX,
                                   DBL_MAX / 2,
                                   0x1p-53,
                                   0x1p53,
                                   0.1,
                                   -0.1,
                                   1.0,
                                   0x1p-1022 - 0x1p-1074};
    switch (draw(seed) % 4) {
    case 0:
        return edges[draw(seed) % (sizeof edges / sizeof *edges)];
    case 1: /* anything */
        return ldexp((double)(int64_t)(draw(seed) >> 11) * (draw(seed) % 2 ? 1 : -1), (int)(draw(seed) % 2040) - 1080);
    case 2: /* near to each other */
        return ldexp((double)(draw(seed) >> 11) * (draw(seed) % 2 ? 1 : -1), -53 + (int)(draw(seed) % 4));
    default:
        return (double)(int64_t)(draw(seed) % 200) - 100.0;
    }
}

static char *draw_integer(uint64_t *seed)
{
    mpz_t value;
    mpz_init_set_ui(value, 1);
    switch (draw(seed) % 3) {
    case 0: /* about a power of two */
        mpz_mul_2exp(value, value, draw(seed) % 130);
        break;
    case 1: /* about a power of ten */
        mpz_ui_pow_ui(value, 10, draw(seed) % 400);
        break;
    default:
        for (uint64_t words = draw(seed) % 6; words > 0; words--) {
            mpz_mul_2exp(value, value, 62);
            mpz_add_ui(value, value, draw(seed) >> 2);
        }
    }
    mpz_add_ui(value, value, draw(seed) % 5);
    mpz_sub_ui(value, value, 2);
    if (draw(seed) % 2)
        mpz_neg(value, value);
    char *text = mpz_get_str(NULL, 10, value);
    mpz_clear(value);
    return text;
}

static void sample_draw(struct sample *sample, uint64_t *seed)
{
    unsigned kind = draw(seed) % 3; /* integers, doubles, both */
    sample->count = draw(seed) % MOST;
    sample->real = false;
    for (size_t i = 0; i < sample->count; i++) {
        mpq_init(sample->value[i]);
        if (kind == 0 || (kind == 2 && draw(seed) % 2)) {
            sample->text[i] = draw_integer(seed);
            mpq_set_str(sample->value[i], sample->text[i], 10);
            continue;
        }
        double real = draw_double(seed);
        sample->real = true;
        sample->text[i] = calloc(1, NUMBER_TEXT_MAX + 1);
        assert_non_null(sample->text[i]);
        number_print_double(real, sample->text[i]);
        mpq_set_d(sample->value[i], real);
    }
}

static void sample_clear(struct sample *sample)
{
    for (size_t i = 0; i < sample->count; i++) {
        mpq_clear(sample->value[i]);
        free(sample->text[i]);
    }
}

/* The values from `first` round to `first`, in fragments of a few. */
static char *aggregate_sample(const struct sample *sample, enum aggregate aggregate, size_t first, struct buf *printed)
{
    struct aggregation *aggregation = aggregation_new(aggregate);
    struct buf text = {0};
    uint32_t count = 0;
    for (size_t i = 0; i < sample->count; i++) {
        buf_append_char(&text, ',');
        buf_append_text(&text, sample->text[(first + i) % sample->count]);
        if (++count < 1 + (first + i) % 5 && i + 1 < sample->count)
            continue;
        assert_true(add(aggregation, buf_start(&text), text.length, count));
        buf_reset(&text);
        count = 0;
    }
    print(aggregation, printed);
    aggregation_free(aggregation);
    buf_clear(&text);
    return buf_start(printed) + strlen("\"aggregate\":");
}

/* Twice the exact value lies between the sums of the answer and its neighbours; on the edge only by an even answer. */
static void assert_nearest(const char *text, const mpq_t exact)
{
    static const double beyond = DBL_MAX;
    mpq_t twice, below, above, one;
    mpq_inits(twice, below, above, one, NULL);
    mpq_mul_2exp(twice, exact, 1);
    bool finite = strcmp(text, "null") != 0;
    double real = finite ? strtod(text, NULL) : (mpq_sgn(exact) < 0 ? -INFINITY : INFINITY);
    double less = nextafter(real, -INFINITY), more = nextafter(real, INFINITY);
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    double sides[] = {less, real, more};
    mpq_t *sums[] = {&below, &above};
    for (int side = 0; side < 2; side++)
        for (int i = side; i < side + 2; i++) {
            if (isinf(sides[i])) { /* as if doubles went on: a power of two above the largest */
                mpq_set_d(one, beyond / 2 + ldexp(1, 969));
                mpq_mul_2exp(one, one, 1);
                if (sides[i] < 0)
                    mpq_neg(one, one);
            } else {
                mpq_set_d(one, sides[i]);
            }
            mpq_add(*sums[side], *sums[side], one);
        }
    int low = mpq_cmp(twice, below), high = mpq_cmp(twice, above);
    bool even = bits % 2 == 0;
    if (finite || mpq_sgn(exact) < 0)
        assert_true(even ? high <= 0 : high < 0);
    if (finite || mpq_sgn(exact) > 0)
        assert_true(even ? low >= 0 : low > 0);
    mpq_clears(twice, below, above, one, NULL);
}

static void check_sample(const struct sample *sample, struct buf *printed)
{
    mpq_t sum, count;
    mpq_inits(sum, count, NULL);
    size_t least = 0, most = 0;
    for (size_t i = 0; i < sample->count; i++) {
        mpq_add(sum, sum, sample->value[i]);
        least = mpq_cmp(sample->value[i], sample->value[least]) < 0 ? i : least;
        most = mpq_cmp(sample->value[i], sample->value[most]) > 0 ? i : most;
    }
    char *text = aggregate_sample(sample, AGGREGATE_SUM, 0, printed);
    if (sample->real) {
        assert_nearest(text, sum);
    } else {
        char *wanted = mpq_get_str(NULL, 10, sum);
        assert_string_equal(text, wanted);
        free(wanted);
    }
    if (sample->count > 0) {
        mpq_set_ui(count, sample->count, 1);
        mpq_div(sum, sum, count);
        assert_nearest(aggregate_sample(sample, AGGREGATE_MEAN, 0, printed), sum);
        for (size_t i = 0; i < sample->count; i++) { /* of equal ones the text decides */
            if (mpq_equal(sample->value[i], sample->value[least]) && strcmp(sample->text[i], sample->text[least]) < 0)
                least = i;
            if (mpq_equal(sample->value[i], sample->value[most]) && strcmp(sample->text[i], sample->text[most]) > 0)
                most = i;
        }
        assert_string_equal(aggregate_sample(sample, AGGREGATE_MIN, 0, printed), sample->text[least]);
        assert_string_equal(aggregate_sample(sample, AGGREGATE_MAX, 0, printed), sample->text[most]);
    }
    mpq_clears(sum, count, NULL);
}

static void random_numbers_are_as_gmp_says(void **state)
{
    uint64_t seed = 11;
    struct buf printed = {0};
    for (int i = 0; i < 3000; i++) {
        struct sample sample;
        sample_draw(&sample, &seed);
        check_sample(&sample, &printed);
        sample_clear(&sample);
    }
    buf_clear(&printed);
}

static void order_of_arrival_does_not_matter(void **state)
{
    uint64_t seed = 12;
    struct buf one = {0}, other = {0};
    for (int i = 0; i < 300; i++) {
        struct sample sample;
        sample_draw(&sample, &seed);
        for (enum aggregate aggregate = AGGREGATE_COUNTS; aggregate <= AGGREGATE_MAX; aggregate++) {
            aggregate_sample(&sample, aggregate, 0, &one);
            for (size_t first = 1; first < sample.count; first += 7) {
                aggregate_sample(&sample, aggregate, first, &other);
                assert_string_equal(buf_start(&one), buf_start(&other));
            }
        }
        sample_clear(&sample);
    }
    buf_clear(&one);
    buf_clear(&other);
}

/* 10^n - 1 and 1 make 10^n, whose digits all come of one carry. */
static void long_integers_are_summed(void **state)
{
    enum { DIGITS = 100000 };
    struct aggregation *aggregation = aggregation_new(AGGREGATE_SUM);
    struct buf text = {0}, printed = {0};
    buf_append_char(&text, ',');
    memset(buf_room(&text, DIGITS), '9', DIGITS);
    buf_added(&text, DIGITS);
    assert_true(add(aggregation, buf_start(&text), text.length, 1));
    assert_true(add(aggregation, ",1", 2, 1));
    char *digits = print(aggregation, &printed) + strlen("\"aggregate\":");
    assert_int_equal(strlen(digits), DIGITS + 1);
    assert_int_equal(*digits, '1');
    assert_int_equal(strspn(digits + 1, "0"), DIGITS);
    assert_true(add(aggregation, ",0.5", 4, 1));
    assert_string_equal(print(aggregation, &printed), "\"aggregate\":null");
    aggregation_free(aggregation);
    buf_clear(&text);
    buf_clear(&printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(least_and_greatest_come_as_they_were),
        cmocka_unit_test(counts_are_in_order),
        cmocka_unit_test(many_values_are_counted),
        cmocka_unit_test(what_is_no_number_is_refused),
        cmocka_unit_test(what_is_no_result_is_seen),
        cmocka_unit_test(random_numbers_are_as_gmp_says),
        cmocka_unit_test(order_of_arrival_does_not_matter),
        cmocka_unit_test(long_integers_are_summed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
