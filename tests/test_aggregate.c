/* Tests of api/aggregate.h: what must come out of which results. Random ones are in test_total.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "api/aggregate.h"

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
        {",-1000000000000000000000000000,1,-1", 3, "-1000000000000000000000000000", "-3.333333333333333e+26"},
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
        {",-2,-2.5", 2, "-2.5", "-2"},
        {",2.5,3,2", 3, "2", "3"},
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

/* Half of the least double and a very little more: only the rest of the division tells. */
static void a_mean_is_rounded_by_its_last_bit(void **state)
{
    struct aggregation *aggregation = aggregation_new(AGGREGATE_MEAN);
    struct buf printed = {0};
    for (int i = 0; i < 16384; i++)
        assert_true(add(aggregation, ",5e-324,0.0", 11, 2));
    assert_string_equal(print(aggregation, &printed), "\"aggregate\":0.0");
    assert_true(add(aggregation, ",5e-324", 7, 1));
    assert_string_equal(print(aggregation, &printed), "\"aggregate\":5e-324");
    aggregation_free(aggregation);
    buf_clear(&printed);
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
        cmocka_unit_test(a_mean_is_rounded_by_its_last_bit),
        cmocka_unit_test(long_integers_are_summed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
