/* test_roll: the mapping as PROTOCOL.md tells it, written a second time; batches against single rolls; any split of a
 * range; uniformity of fixed seeds; the tally's packing and what a lying worker may try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "workers/natives.h"
#include "workers/philox.h"
#include "workers/roll.h"

/* One of each kind: compared, looked up, summed; rejecting seldom and often; powers of two; the corners. */
static const struct {
    uint32_t dice, sides;
} shapes[] = {
    {2, 6},   {3, 6},   {1, 2},   {1, 20}, {1, 1000}, {2, 63},   {2, 64},     {2, 65}, {12, 2},
    {13, 2},  {3, 15},  {4, 6},   {5, 6},  {10, 6},   {11, 6},   {26, 2},     {27, 2}, {30, 7},
    {100, 2}, {100, 6}, {4, 100}, {2, 97}, {7, 999},  {3, 1000}, {100, 1000},
};
#define SHAPES (sizeof shapes / sizeof *shapes)

static uint64_t power(uint64_t base, uint32_t exponent)
{
    uint64_t result = 1;
    for (uint32_t i = 0; i < exponent && result < 1u << 30; i++)
        result *= base;
    return result;
}

/* The word of roll `index` for `outcomes` outcomes: `bits` wide, attempt after attempt. */
static uint64_t reference_word(uint64_t seed, uint64_t index, uint32_t draw, uint32_t bits, uint64_t outcomes)
{
    uint32_t lanes = 128 / bits;
    for (uint32_t attempt = 0;; attempt++) {
        struct philox block = philox_block(seed, index / lanes, draw, attempt);
        uint64_t at = index % lanes * bits;
        uint64_t word = block.word[at / 32] >> at % 32 & ((UINT64_C(1) << bits) - 1);
        uint64_t low = word * outcomes & ((UINT64_C(1) << bits) - 1);
        if (low >= (UINT64_C(1) << bits) % outcomes)
            return word;
    }
}

static uint64_t ways(uint32_t dice, uint32_t sides, uint32_t total)
{
    if (dice == 0)
        return total == 0;
    uint64_t sum = 0;
    for (uint32_t face = 1; face <= sides && face <= total; face++)
        sum += ways(dice - 1, sides, total - face);
    return sum;
}

static uint32_t reference_roll(uint64_t seed, uint32_t dice, uint32_t sides, uint64_t index)
{
    uint64_t outcomes = power(sides, dice);
    if (outcomes <= 4096) {
        uint64_t outcome = reference_word(seed, index, 0, 16, outcomes) * outcomes >> 16;
        uint32_t total = dice;
        for (uint64_t below = ways(dice, sides, total); below <= outcome; below += ways(dice, sides, total))
            total++;
        return total;
    }
    uint32_t each = 1, total = 0;
    while (each < dice && power(sides, each + 1) <= 1u << 26)
        each++;
    for (uint32_t draw = 0; draw * each < dice; draw++) {
        uint32_t here = dice - draw * each < each ? dice - draw * each : each;
        uint64_t shares = power(sides, here);
        uint64_t outcome = reference_word(seed, index, draw, 32, shares) * shares >> 32;
        for (uint32_t die = 0; die < here; die++, outcome /= sides)
            total += 1 + (uint32_t)(outcome % sides);
    }
    return total;
}

static void test_mapping_is_the_protocols(void **state)
{
    for (size_t s = 0; s < SHAPES; s++) {
        uint32_t dice = shapes[s].dice, sides = shapes[s].sides;
        if (dice > 4 && power(sides, dice) <= 4096)
            continue; /* the reference counts ways one by one */
        for (uint64_t i = 0; i < 40; i++) {
            uint64_t index = i < 20 ? i : i * UINT64_C(0x9e3779b97f) + 7;
            assert_int_equal(roll_one(42 + s, dice, sides, index), reference_roll(42 + s, dice, sides, index));
        }
    }
}

static void test_two_is_two_six_sided_dice(void **state)
{
    for (uint64_t i = 0; i < 70000; i += 7) {
        assert_int_equal(roll_two(5, i), roll_one(5, 2, 6, i));
        assert_in_range(roll_two(5, i), 2, 12);
    }
}

static void test_known_counts(void **state)
{
    /* What seed 42 gives is contract: it may never change. */
    static const uint64_t expected[11] = {3, 4, 7, 11, 24, 20, 16, 8, 5, 1, 1};
    uint64_t counts[11] = {0};
    roll_count(42, 2, 6, 0, 100, counts);
    assert_memory_equal(counts, expected, sizeof expected);
}

static void test_batches_equal_single_rolls(void **state)
{
    for (size_t s = 0; s < SHAPES; s++) {
        uint32_t dice = shapes[s].dice, sides = shapes[s].sides;
        size_t bins = roll_bins(dice, sides);
        uint64_t first = s % 2 ? UINT64_C(1) << 35 : 1000, count = 3000;
        uint64_t *fast = calloc(bins, sizeof *fast), *slow = calloc(bins, sizeof *slow);
        assert_non_null(fast);
        assert_non_null(slow);
        roll_count(9, dice, sides, first, count, fast);
        for (uint64_t i = first; i < first + count; i++)
            roll_count(9, dice, sides, i, 1, slow);
        assert_memory_equal(fast, slow, bins * sizeof *fast);
        free(fast);
        free(slow);
    }
}

static void test_any_split_gives_the_same(void **state)
{
    uint32_t random = 1;
    for (size_t s = 0; s < SHAPES; s++) {
        uint32_t dice = shapes[s].dice, sides = shapes[s].sides;
        size_t bins = roll_bins(dice, sides);
        uint64_t total = dice * sides > 1000 ? 20000 : 200000, sum = 0;
        uint64_t *whole = calloc(bins, sizeof *whole), *parts = calloc(bins, sizeof *parts);
        assert_non_null(whole);
        assert_non_null(parts);
        roll_count(s, dice, sides, 0, total, whole);
        for (uint64_t first = 0, count; first < total; first += count) {
            random = random * 1664525 + 1013904223;
            count = random % 8 == 0 ? random >> 31 : (random >> 8) % (total / 4);
            count = count < total - first ? count : total - first;
            roll_count(s, dice, sides, first, count, parts);
        }
        assert_memory_equal(whole, parts, bins * sizeof *whole);
        for (size_t bin = 0; bin < bins; bin++)
            sum += whole[bin];
        assert_int_equal(sum, total);
        free(whole);
        free(parts);
    }
}

/* Chi-square of one die with `sides` - 1 degrees of freedom, as a deviation in its standard deviations. */
static double deviation_of_one_die(uint64_t seed, uint32_t sides, uint64_t rolls)
{
    uint64_t counts[ROLL_SIDES_MAX] = {0};
    double each = (double)rolls / sides, statistic = 0;
    roll_count(seed, 1, sides, 0, rolls, counts);
    for (uint32_t face = 0; face < sides; face++)
        statistic += ((double)counts[face] - each) * ((double)counts[face] - each) / each;
    double square = (statistic - (sides - 1)) * (statistic - (sides - 1)) / (2.0 * (sides - 1));
    return square;
}

static void test_dice_are_fair(void **state)
{
    /* A squared deviation above 16 (four standard deviations) would be a fault of the mapping, for a die that rejects
     * many words above all: a biased 1000 shows at 2^22 rolls. */
    static const uint32_t sides[] = {2, 6, 7, 20, 97, 100, 720, 1000};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++)
        assert_true(deviation_of_one_die(7, sides[i], UINT64_C(1) << 22) < 16);
}

static void test_many_dice_are_fair(void **state)
{
    /* The mean of n totals of d dice lies within five of its standard deviations, and so does their variance. */
    for (size_t s = 0; s < SHAPES; s++) {
        uint32_t dice = shapes[s].dice, sides = shapes[s].sides;
        size_t bins = roll_bins(dice, sides);
        uint64_t rolls = dice * sides > 10000 ? 50000 : 400000;
        uint64_t *counts = calloc(bins, sizeof *counts);
        assert_non_null(counts);
        roll_count(11, dice, sides, 0, rolls, counts);
        double middle = (double)(bins - 1) / 2, variance = dice * ((double)sides * sides - 1) / 12, sum = 0,
               squares = 0;
        for (size_t bin = 0; bin < bins; bin++) {
            sum += (double)counts[bin] * ((double)bin - middle);
            squares += (double)counts[bin] * ((double)bin - middle) * ((double)bin - middle);
        }
        double mean = sum / (double)rolls, ratio = squares / (double)rolls / variance - 1;
        assert_true(mean * mean < 25 * variance / (double)rolls);
        assert_true(ratio * ratio < 25 * 2 / (double)rolls); /* no total has more kurtosis than the normal one */
        free(counts);
    }
}

static void test_items_cover_the_rolls(void **state)
{
    assert_int_equal(roll_items(1), 1);
    assert_int_equal(roll_items(ROLL_ITEM), 1);
    assert_int_equal(roll_items(ROLL_ITEM + 1), 2);
    assert_int_equal(roll_rolls(100, 0, 1), 100);
    assert_int_equal(roll_rolls(ROLL_ITEM + 1, 0, 1), ROLL_ITEM);
    assert_int_equal(roll_rolls(ROLL_ITEM + 1, 1, 1), 1);
    assert_int_equal(roll_rolls(ROLL_ITEM + 1, 0, 2), ROLL_ITEM + 1);
    assert_int_equal(roll_rolls(ROLL_ITEM + 1, 0, 3), 0);
    assert_int_equal(roll_rolls(ROLL_ITEM + 1, 2, 1), 0);
    assert_int_equal(roll_rolls(100, 0, 0), 0);
    assert_int_equal(roll_rolls(100, UINT64_MAX, 2), 0);
}

static struct span span_of(const void *at, size_t length)
{
    return (struct span){at, length};
}

static void test_fold_merges_runs(void **state)
{
    struct roll_args args = {.seed = 3, .dice = 2, .sides = 6, .rolls = 4 * ROLL_ITEM + 17};
    struct span span = span_of(&args, sizeof args);
    struct buf once, twice;
    buf_init(&once);
    buf_init(&twice);
    assert_true(native_fold_dice(span, 0, 5, &once));
    assert_true(native_fold_dice(span, 0, 2, &twice));
    assert_true(native_fold_dice(span, 2, 3, &twice));
    assert_int_equal(once.length, twice.length);
    assert_memory_equal(buf_start(&once), buf_start(&twice), once.length);
    struct roll_tally tally;
    roll_tally_init(&tally, 2, 6);
    assert_true(roll_tally_merge(&tally, span_of(buf_start(&once), once.length), args.rolls));
    uint64_t counts[11] = {0};
    roll_count(3, 2, 6, 0, args.rolls, counts);
    assert_memory_equal(tally.counts, counts, sizeof counts);
    assert_int_equal(tally.rolls, args.rolls);
    roll_tally_clear(&tally);
    buf_clear(&once);
    buf_clear(&twice);
}

static void test_fold_refuses_other_arguments(void **state)
{
    struct roll_args good = {.seed = 3, .dice = 2, .sides = 6, .rolls = 100}, bad[6];
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < 6; i++)
        bad[i] = good;
    bad[0].dice = 0;
    bad[1].dice = 101;
    bad[2].sides = 1;
    bad[3].sides = 1001;
    bad[4].rolls = 0;
    bad[5].seed = UINT64_C(1) << 63;
    for (size_t i = 0; i < 6; i++)
        assert_false(native_fold_dice(span_of(&bad[i], sizeof bad[i]), 0, 1, &out));
    assert_false(native_fold_dice(span_of(&good, sizeof good - 1), 0, 1, &out));
    assert_false(native_fold_dice(span_of(&good, sizeof good), 0, 2, &out));
    assert_int_equal(out.length, 0);
    assert_true(native_fold_dice(span_of(&good, sizeof good), 0, 1, &out));
    good.dice = 3;
    assert_false(native_fold_dice(span_of(&good, sizeof good), 0, 1, &out));
    good.dice = 6;
    good.sides = 3; /* as many bins as 2d7, not as 2d6 */
    assert_false(native_fold_dice(span_of(&good, sizeof good), 0, 1, &out));
    buf_clear(&out);
}

/* Packs 1d4 with counts 1, 2, 3, 4 one byte off any alignment; the caller changes a byte and tries. */
static bool merge_changed(size_t at, uint8_t change, size_t length_change, uint64_t rolls)
{
    struct roll_tally sent, got;
    struct buf buf;
    char shifted[128];
    buf_init(&buf);
    roll_tally_init(&sent, 1, 4);
    for (uint64_t i = 0; i < 4; i++)
        sent.counts[i] = i + 1;
    sent.rolls = 10;
    assert_true(roll_tally_pack(&sent, &buf));
    memcpy(shifted + 1, buf_start(&buf), buf.length);
    shifted[1 + at] = (char)(shifted[1 + at] + change);
    roll_tally_init(&got, 1, 4);
    bool merged = roll_tally_merge(&got, span_of(shifted + 1, buf.length - length_change), rolls);
    assert_int_equal(got.rolls, merged ? 10 : 0);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(got.counts[i], merged ? i + 1 : 0);
    roll_tally_clear(&sent);
    roll_tally_clear(&got);
    buf_clear(&buf);
    return merged;
}

static void test_merge_believes_nothing(void **state)
{
    assert_true(merge_changed(0, 0, 0, 10));
    assert_false(merge_changed(0, 0, 0, 11));  /* not what it was told to roll */
    assert_false(merge_changed(0, 0, 1, 10));  /* cut short */
    assert_false(merge_changed(0, 0, 48, 10)); /* empty */
    for (size_t at = 0; at < 48; at++)
        for (unsigned change = 1; change < 256; change += 17)
            assert_false(merge_changed(at, (uint8_t)change, 0, 10));
}

static void test_merge_refuses_sums_that_wrap(void **state)
{
    struct roll_tally sent, got;
    struct buf buf;
    buf_init(&buf);
    roll_tally_init(&sent, 1, 4);
    roll_tally_init(&got, 1, 4);
    sent.counts[0] = sent.counts[1] = UINT64_C(1) << 63;
    sent.counts[2] = sent.rolls = 5;
    assert_true(roll_tally_pack(&sent, &buf));
    assert_false(roll_tally_merge(&got, span_of(buf_start(&buf), buf.length), 5));
    assert_int_equal(got.counts[0], 0);
    roll_tally_clear(&sent);
    roll_tally_clear(&got);
    buf_clear(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapping_is_the_protocols),
        cmocka_unit_test(test_two_is_two_six_sided_dice),
        cmocka_unit_test(test_known_counts),
        cmocka_unit_test(test_batches_equal_single_rolls),
        cmocka_unit_test(test_any_split_gives_the_same),
        cmocka_unit_test(test_dice_are_fair),
        cmocka_unit_test(test_many_dice_are_fair),
        cmocka_unit_test(test_items_cover_the_rolls),
        cmocka_unit_test(test_fold_merges_runs),
        cmocka_unit_test(test_fold_refuses_other_arguments),
        cmocka_unit_test(test_merge_believes_nothing),
        cmocka_unit_test(test_merge_refuses_sums_that_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
