/* test_dice: odds against exact ones, the chi-square tail against published values, pooling by hand, multinomial draws
 * by their sums, moments and distribution (seeds are fixed, so nothing here is left to chance), the answer to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

#include "api/chi_square.h"
#include "api/dice.h"
#include "api/multinomial.h"
#include "api/odds.h"

#define MOST_ROLLS (UINT64_C(1) << 53)

static void assert_near(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted)))
        fail_msg("%.17g is not near %.17g", got, wanted);
}

static struct request request_of(uint64_t rolls, uint32_t dice, uint32_t sides, uint64_t seed)
{
    return (struct request){.endpoint = ENDPOINT_DICE, .rolls = rolls, .dice = dice, .sides = sides, .seed = seed};
}

static uint64_t *counts_new(size_t bins)
{
    uint64_t *counts = calloc(bins, sizeof *counts);
    assert_non_null(counts);
    return counts;
}

/* Rolls every outcome once. */
static void test_odds_equal_counted_outcomes(void **state)
{
    static const struct {
        uint32_t dice, sides;
    } shapes[] = {{1, 2}, {1, 7}, {1, 1000}, {2, 2}, {2, 6}, {2, 1000}, {3, 6}, {3, 7}, {4, 20}, {5, 9}, {16, 2}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        uint32_t dice = shapes[s].dice, sides = shapes[s].sides, outcomes = 1;
        for (uint32_t die = 0; die < dice; die++)
            outcomes *= sides;
        uint64_t *ways = counts_new(roll_bins(dice, sides));
        for (uint32_t outcome = 0; outcome < outcomes; outcome++) {
            uint32_t bin = 0;
            for (uint32_t digits = outcome; digits > 0; digits /= sides)
                bin += digits % sides;
            ways[bin]++;
        }
        const struct odds *odds = odds_of(dice, sides);
        assert_int_equal(odds->bins, roll_bins(dice, sides));
        for (size_t bin = 0; bin < odds->bins; bin++)
            assert_near((double)odds_at(odds, bin), (double)ways[bin] / outcomes, 4e-16);
        free(ways);
    }
}

static void test_odds_of_the_largest_dice(void **state)
{
    /* From exact integers of 1,000 bits. */
    static const struct {
        size_t bin;
        double odds;
    } known[] = {{0, 1e-300},
                 {1, 1e-298},
                 {2, 5.05e-297},
                 {1000, 1.293606521474685e-157},
                 {20000, 4.368742783484955e-31},
                 {49950, 0.00013799027265739986}};
    const struct odds *odds = odds_of(100, 1000);
    odds_real sum = 0;
    assert_int_equal(odds->bins, 99901);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_near((double)odds_at(odds, known[i].bin), known[i].odds, 1e-13);
        assert_true(odds_at(odds, known[i].bin) == odds_at(odds, 99900 - known[i].bin));
    }
    for (size_t bin = 0; bin < odds->bins; bin++)
        sum += odds_at(odds, bin);
    assert_near((double)sum, 1, 1e-14);
}

static void test_odds_follow_the_dice(void **state)
{
    assert_near((double)odds_at(odds_of(2, 6), 0), 1 / 36.0, 1e-15);
    assert_near((double)odds_at(odds_of(2, 8), 0), 1 / 64.0, 1e-15);
    assert_near((double)odds_at(odds_of(1, 8), 0), 1 / 8.0, 1e-15);
    assert_near((double)odds_at(odds_of(2, 6), 5), 6 / 36.0, 1e-15);
}

static void test_tail_is_the_published(void **state)
{
    /* The usual 5% and 1% points, and 50-digit values where the sum is hard: far tails, many degrees of freedom. */
    static const struct {
        double statistic, df, tail;
    } known[] = {
        {3.841458820694124, 1, 0.05},        {6.634896601021213, 1, 0.01},
        {18.307038053275146, 10, 0.05},      {31.410432844230918, 20, 0.05},
        {5.81, 8, 0.66850502170497017},      {100, 100, 0.48119168452795672},
        {0.5, 3, 0.91889141165467586},       {200, 100, 1.1784500720979422e-8},
        {99900, 99900, 0.49940499431788657}, {101500, 99900, 0.00018398146685009715},
        {98000, 99900, 0.99999050351755877}, {60000, 99900, 1},
        {1400, 2, 9.8596765437597709e-305},  {1, 1, 0.3173105078629141},
        {1e-8, 1, 0.99992021154405269},      {0, 5, 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_near(chi_square_tail(known[i].statistic, known[i].df), known[i].tail, 1e-11);
    for (double x = 0.25; x < 60; x += 0.25) { /* closed forms */
        assert_near(chi_square_tail(x, 1), erfc(sqrt(x / 2)), 1e-12);
        assert_near(chi_square_tail(x, 2), exp(-x / 2), 1e-12);
        assert_near(chi_square_tail(x, 4), exp(-x / 2) * (1 + x / 2), 1e-12);
    }
}

static void test_bins_are_pooled_from_the_ends(void **state)
{
    static const uint64_t even[20] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
    /* 2.5 a bin: ten pairs, five of 6 and five of 4 where 5 are expected. */
    struct chi_square test = chi_square_test(odds_of(1, 20), even, 50);
    assert_int_equal(test.df, 9);
    assert_near(test.statistic, 2, 1e-15);
    assert_near(test.p_value, 0.99146760662881367, 1e-12);
    /* 1.5 a bin: fours from each end, and the four left in the middle. */
    static const uint64_t thin[20] = {6, 0, 0, 0, 6, 0, 0, 0, 1, 2, 1, 2, 0, 0, 0, 6, 0, 0, 0, 6};
    test = chi_square_test(odds_of(1, 20), thin, 30);
    assert_int_equal(test.df, 4);
    assert_near(test.statistic + 1, 1, 1e-15);
    /* 12/7 a bin: threes from each end; the middle one alone is too little and joins the lower three. */
    static const uint64_t seven[7] = {2, 2, 2, 2, 2, 2, 0};
    test = chi_square_test(odds_of(1, 7), seven, 12);
    assert_int_equal(test.df, 1);
    assert_near(test.statistic, (8 - 48 / 7.0) * (8 - 48 / 7.0) * (7 / 48.0 + 7 / 36.0), 1e-14);
    /* Nothing to test. */
    static const uint64_t few[11] = {0, 0, 0, 0, 0, 9};
    test = chi_square_test(odds_of(2, 6), few, 9);
    assert_int_equal(test.df, 0);
    assert_true(test.statistic == 0);
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

static void test_binomials_have_their_distribution(void **state)
{
    /* Inversion and rejection, both sides of their border, small and skewed. */
    static const struct {
        uint64_t n;
        double p;
    } cases[] = {{1, 0.5},   {1, 0.1},   {5, 0.9},     {30, 0.33}, {30, 0.34},      {20, 0.5},        {21, 0.5},
                 {100, 0.3}, {100, 0.7}, {1000, 0.01}, {999, 0.5}, {1000000, 9e-6}, {1000000, 11e-6}, {3000, 0.9}};
    enum { DRAWS = 60000, CELLS = 4096 };
    static uint64_t seen[CELLS];
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double n = (double)cases[c].n, p = cases[c].p, statistic = 0, cell_expected = 0, cell_seen = 0;
        size_t cells = 0;
        memset(seen, 0, sizeof seen);
        for (uint32_t i = 0; i < DRAWS; i++) {
            uint64_t k = binomial_draw(cases[c].n, (odds_real)p, 1 - (odds_real)p, 1000 + c, i);
            assert_true(k <= cases[c].n && k < CELLS);
            seen[k]++;
        }
        for (uint64_t k = 0; k < CELLS; k++) {
            if (k <= cases[c].n)
                cell_expected +=
                    DRAWS * exp(log_choose(n, (double)k) + (double)k * log(p) + (n - (double)k) * log1p(-p));
            cell_seen += (double)seen[k];
            if (cell_expected >= 10 || k == CELLS - 1) {
                double least = cell_expected > 0.5 ? cell_expected : 0.5;
                statistic += (cell_seen - cell_expected) * (cell_seen - cell_expected) / least;
                cells++;
                cell_expected = cell_seen = 0;
            }
        }
        double tail = chi_square_tail(statistic, (double)cells - 1);
        if (tail < 1e-3)
            fail_msg("binomial(%g, %g): chi-square %g in %zu cells, p %g", n, p, statistic, cells, tail);
    }
}

static void test_large_binomials_are_normal(void **state)
{
    /* At 2^53 trials the skew is below what 100,000 draws show: 20 cells of equal probability must fill alike. */
    static const double p[] = {0.5, 1 / 3.0, 1e-3, 0.999};
    enum { DRAWS = 100000, CELLS = 20 };
    for (size_t c = 0; c < sizeof p / sizeof *p; c++) {
        double seen[CELLS] = {0}, statistic = 0, sum = 0;
        odds_real mean = (odds_real)MOST_ROLLS * (odds_real)p[c];
        double deviation = sqrt((double)mean * (1 - p[c]));
        for (uint32_t i = 0; i < DRAWS; i++) {
            uint64_t k = binomial_draw(MOST_ROLLS, (odds_real)p[c], 1 - (odds_real)p[c], 7 + c, i);
            double z = (double)((odds_real)k - mean) / deviation;
            int cell = (int)(CELLS * 0.5 * erfc(-z / sqrt(2.0)));
            seen[cell < CELLS ? cell : CELLS - 1]++;
            sum += z;
        }
        for (int i = 0; i < CELLS; i++)
            statistic += (seen[i] - DRAWS / CELLS) * (seen[i] - DRAWS / CELLS) / (DRAWS / CELLS);
        assert_true(chi_square_tail(statistic, CELLS - 1) > 1e-3);
        assert_true(fabs(sum) < 4 * sqrt(DRAWS));
    }
}

static const uint64_t some_rolls[] = {1, 2, 100, 12345, UINT64_C(1000000007), UINT64_C(1000000000000), MOST_ROLLS};
#define SOME_ROLLS (sizeof some_rolls / sizeof *some_rolls)

static void test_multinomial_adds_up_and_repeats(void **state)
{
    static const struct {
        uint32_t dice, sides;
    } shapes[] = {{1, 2}, {2, 6}, {3, 7}, {1, 1000}, {100, 2}, {30, 17}, {100, 1000}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        size_t bins = roll_bins(shapes[s].dice, shapes[s].sides);
        uint64_t *first = counts_new(bins), *again = counts_new(bins);
        for (size_t r = 0; r < SOME_ROLLS; r++) {
            struct request request = request_of(some_rolls[r], shapes[s].dice, shapes[s].sides, 5);
            uint64_t sum = 0;
            memset(first, 0xff, bins * sizeof *first);
            assert_true(dice_multinomial(&request, first));
            assert_true(dice_multinomial(&request, again));
            assert_memory_equal(first, again, bins * sizeof *first);
            for (size_t bin = 0; bin < bins; bin++)
                sum += first[bin];
            assert_true(sum == some_rolls[r]);
        }
        free(first);
        free(again);
    }
}

static void test_multinomial_seeds_differ(void **state)
{
    uint64_t one[11], two[11];
    struct request request = request_of(1000000, 2, 6, 1);
    assert_true(dice_multinomial(&request, one));
    request.seed = UINT64_C(1) << 62;
    assert_true(dice_multinomial(&request, two));
    assert_memory_not_equal(one, two, sizeof one);
}

/* The p-values of many seeds must themselves be uniform: that is the distribution tested, all bins at once. */
static void test_multinomial_has_its_distribution(void **state)
{
    static const struct {
        uint32_t dice, sides;
        uint64_t rolls;
    } cases[] = {{2, 6, 1000}, {2, 6, 100000000}, {2, 6, MOST_ROLLS}, {3, 20, 100000}, {1, 100, 5000}};
    enum { SEEDS = 2000, CELLS = 10 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint64_t counts[128];
        double seen[CELLS] = {0}, statistic = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            struct request request = request_of(cases[c].rolls, cases[c].dice, cases[c].sides, seed);
            assert_true(dice_multinomial(&request, counts));
            double p = chi_square_test(odds_of(request.dice, request.sides), counts, request.rolls).p_value;
            seen[p < 1 ? (int)(p * CELLS) : CELLS - 1]++;
        }
        for (int i = 0; i < CELLS; i++)
            statistic += (seen[i] - SEEDS / CELLS) * (seen[i] - SEEDS / CELLS) / (SEEDS / CELLS);
        if (chi_square_tail(statistic, CELLS - 1) < 1e-3)
            fail_msg("case %zu: p-values are not uniform, chi-square %g", c, statistic);
    }
}

static void test_simulated_counts_pass(void **state)
{
    static const struct {
        uint32_t dice, sides;
        uint64_t rolls;
    } cases[] = {{2, 6, 4000000},  {3, 6, 1000000},  {2, 20, 1000000}, {5, 6, 1000000},
                 {2, 63, 1000000}, {10, 10, 500000}, {100, 6, 50000}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const struct odds *odds = odds_of(cases[c].dice, cases[c].sides);
        uint64_t *counts = counts_new(odds->bins);
        roll_count(12, cases[c].dice, cases[c].sides, 0, cases[c].rolls, counts);
        struct chi_square test = chi_square_test(odds, counts, cases[c].rolls);
        if (!(test.df > 0 && test.p_value > 1e-3 && test.p_value < 1 - 1e-3))
            fail_msg("case %zu: p %g", c, test.p_value);
        free(counts);
    }
}

static void test_multinomial_refuses_what_is_out_of_bounds(void **state)
{
    static const struct {
        uint64_t rolls;
        uint32_t dice, sides;
    } bad[] = {{1, 0, 6}, {1, 101, 6}, {1, 2, 1}, {1, 2, 1001}, {MOST_ROLLS + 1, 2, 6}};
    uint64_t counts[11];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct request request = request_of(bad[i].rolls, bad[i].dice, bad[i].sides, 1);
        assert_false(dice_multinomial(&request, counts));
    }
}

static void assert_answer(const struct request *request, const uint64_t *counts, const char *wanted)
{
    struct buf out;
    buf_init(&out);
    dice_answer(request, counts, &out);
    buf_append(&out, "", 1);
    assert_string_equal(buf_start(&out), wanted);
    buf_clear(&out);
}

static void test_answer_to_the_byte(void **state)
{
    static const uint64_t counts[] = {1, 0, 3, 1, 3};
    struct request request = request_of(8, 2, 3, 42);
    assert_answer(
        &request, counts,
        "{\"counts\":{\"2\":1,\"3\":0,\"4\":3,\"5\":1,\"6\":3},\"unique\":4,\"rolls\":8,\"dice\":2,\"sides\":3,"
        "\"seed\":42,\"mean\":4.625,\"variance\":1.9821428571428572,\"expected\":{\"2\":0.8888888888888888,\"3\":"
        "1.7777777777777777,\"4\":2.6666666666666665,\"5\":1.7777777777777777,\"6\":0.8888888888888888},\"chi_"
        "square\":{\"statistic\":0.0,\"df\":0,\"p_value\":null}}");
}

static void test_answer_of_one_roll(void **state)
{
    static const uint64_t counts[] = {0, 1};
    struct request request = request_of(1, 1, 2, INT64_MAX);
    assert_answer(
        &request, counts,
        "{\"counts\":{\"1\":0,\"2\":1},\"unique\":1,\"rolls\":1,\"dice\":1,\"sides\":2,\"seed\":"
        "9223372036854775807,\"mean\":2.0,\"variance\":null,\"expected\":{\"1\":0.5,\"2\":0.5},\"chi_square\":{"
        "\"statistic\":0.0,\"df\":0,\"p_value\":null}}");
}

static void test_answer_is_exact_for_very_many_rolls(void **state)
{
    /* All but one roll in one bin: the variance is 1/n to the last digit. */
    static uint64_t counts[1000];
    counts[998] = MOST_ROLLS - 1;
    counts[999] = 1;
    struct request request = request_of(MOST_ROLLS, 1, 1000, 0);
    struct buf out;
    buf_init(&out);
    dice_answer(&request, counts, &out);
    buf_append(&out, "", 1);
    assert_non_null(strstr(buf_start(&out), "\"mean\":999.0,\"variance\":1.1102230246251565e-16,"));
    assert_non_null(strstr(buf_start(&out), "\"999\":9007199254740991,\"1000\":1}"));
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odds_equal_counted_outcomes),
        cmocka_unit_test(test_odds_of_the_largest_dice),
        cmocka_unit_test(test_odds_follow_the_dice),
        cmocka_unit_test(test_tail_is_the_published),
        cmocka_unit_test(test_bins_are_pooled_from_the_ends),
        cmocka_unit_test(test_binomials_have_their_distribution),
        cmocka_unit_test(test_large_binomials_are_normal),
        cmocka_unit_test(test_multinomial_adds_up_and_repeats),
        cmocka_unit_test(test_multinomial_seeds_differ),
        cmocka_unit_test(test_multinomial_has_its_distribution),
        cmocka_unit_test(test_simulated_counts_pass),
        cmocka_unit_test(test_multinomial_refuses_what_is_out_of_bounds),
        cmocka_unit_test(test_answer_to_the_byte),
        cmocka_unit_test(test_answer_of_one_roll),
        cmocka_unit_test(test_answer_is_exact_for_very_many_rolls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
