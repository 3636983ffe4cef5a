/* Tests of api/total.h and api/numeral.h by api/aggregate.h: random numbers against GMP, which knows sums and order
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

#include "api/aggregate.h"
#include "workers/number.h"

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

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
        sample->text[i] = malloc(NUMBER_TEXT_MAX + 1);
        assert_non_null(sample->text[i]);
        sample->text[i][number_print_double(real, sample->text[i])] = '\0';
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
        assert_true(aggregation_add(aggregation, (struct span){buf_start(&text), text.length}, count));
        buf_reset(&text);
        count = 0;
    }
    buf_reset(printed);
    aggregation_print(aggregation, printed);
    buf_append_char(printed, '\0');
    aggregation_free(aggregation);
    buf_clear(&text);
    return buf_start(printed) + strlen("\"aggregate\":");
}

/* Doubles, and 2^1024 for what is beyond them: there rounding goes as if it were the next double. */
static void set_double(mpq_t to, double real)
{
    if (isinf(real)) {
        mpq_set_si(to, real < 0 ? -1 : 1, 1);
        mpq_mul_2exp(to, to, DBL_MAX_EXP);
    } else {
        mpq_set_d(to, real);
    }
}

/* Where the exact value is to the middle between two neighbouring doubles: below, on, above. */
static int against_middle(const mpq_t exact, double a, double b)
{
    mpq_t middle, other;
    mpq_inits(middle, other, NULL);
    set_double(middle, a);
    set_double(other, b);
    mpq_add(middle, middle, other);
    mpq_div_2exp(middle, middle, 1);
    int order = mpq_cmp(exact, middle);
    mpq_clears(middle, other, NULL);
    return order;
}

/* No double is nearer than the one in the text, or one is as near, but odd. null stands for what rounds to infinity. */
static void assert_nearest(const char *text, const mpq_t exact)
{
    if (strcmp(text, "null") == 0) {
        if (mpq_sgn(exact) > 0)
            assert_true(against_middle(exact, DBL_MAX, INFINITY) >= 0);
        else
            assert_true(against_middle(exact, -DBL_MAX, -INFINITY) <= 0);
        return;
    }
    double real = strtod(text, NULL);
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    int low = against_middle(exact, nextafter(real, -INFINITY), real);
    int high = against_middle(exact, real, nextafter(real, INFINITY));
    assert_true(low > 0 || (low == 0 && bits % 2 == 0));
    assert_true(high < 0 || (high == 0 && bits % 2 == 0));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_are_as_gmp_says),
        cmocka_unit_test(order_of_arrival_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
