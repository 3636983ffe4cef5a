/* roll: the mapping from random words to totals, one roll at a time (plan_bin) and a batch of rolls at a time. The
 * two must agree to the last roll: the batch draws the same words, puts the few rejected ones right one by one, and
 * then only counts. It does not know messages; packing is in roll_tally.c. */
#include "workers/roll.h"

#include <string.h>

#include "workers/philox.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* A whole roll comes out of one 16-bit word if it has at most this many outcomes, which keeps rejections below 1 in 16;
 * otherwise each 32-bit word gives as many dice as have at most WIDE_OUTCOMES outcomes together (rejections below 1 in
 * 64). Contract: see PROTOCOL.md. */
#define NARROW_OUTCOMES (1u << 12)
#define WIDE_OUTCOMES (1u << 26)
/* Up to so many bins, comparing all words with each bin's bound beats a table and an increment per roll. */
#define COMPARED_BINS 32u
#define NARROW_BATCH 1024u /* 8 rolls a block */
#define WIDE_BATCH 512u    /* 4 rolls a block */
_Static_assert(NARROW_BATCH == 8 * PHILOX_BATCH && WIDE_BATCH == 4 * PHILOX_BATCH, "a batch of rolls is one of blocks");

/* The best instructions for these loops are chosen when the program starts; glibc's loader can do that. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) && __GNUC__ >= 12
#define VECTORISED __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define VECTORISED
#endif

struct roll_plan {
    uint64_t seed;
    uint32_t dice, sides, bins;
    bool narrow;
    uint32_t words;                   /* per roll */
    uint32_t dice_of[2];              /* dice that a word gives: [1] the last word of a roll, [0] those before it */
    uint32_t outcomes[2];             /* of so many dice */
    uint16_t below[ROLL_SIDES_MAX];   /* narrow: [bin] outcomes whose total is less */
    uint16_t bin_of[NARROW_OUTCOMES]; /* narrow: [outcome], outcomes being numbered by rising total */
};

/* sides to the power of dice, or `most` + 1 if that is more than `most`. */
static uint32_t power_up_to(uint32_t sides, uint32_t dice, uint32_t most)
{
    uint64_t power = 1;
    for (uint32_t i = 0; i < dice && power <= most; i++)
        power *= sides;
    return power <= most ? (uint32_t)power : most + 1;
}

/* Numbers the outcomes of a narrow roll by their totals: ways[] is how many outcomes each bin has. */
static void plan_outcomes(struct roll_plan *plan)
{
    uint32_t ways[ROLL_SIDES_MAX] = {1}, bins = 1;
    for (uint32_t die = 0; die < plan->dice; die++) {
        uint32_t before[ROLL_SIDES_MAX];
        memcpy(before, ways, sizeof ways);
        memset(ways, 0, sizeof ways);
        for (uint32_t bin = 0; bin < bins; bin++)
            for (uint32_t face = 0; face < plan->sides; face++)
                ways[bin + face] += before[bin];
        bins += plan->sides - 1;
    }
    uint32_t outcome = 0;
    for (uint32_t bin = 0; bin < bins; bin++) {
        plan->below[bin] = (uint16_t)outcome;
        for (uint32_t way = 0; way < ways[bin]; way++)
            plan->bin_of[outcome++] = (uint16_t)bin;
    }
}

static void plan_init(struct roll_plan *plan, uint64_t seed, uint32_t dice, uint32_t sides)
{
    plan->seed = seed;
    plan->dice = dice;
    plan->sides = sides;
    plan->bins = (uint32_t)roll_bins(dice, sides);
    plan->narrow = power_up_to(sides, dice, NARROW_OUTCOMES) <= NARROW_OUTCOMES;
    uint32_t each = plan->narrow ? dice : 1;
    while (each < dice && power_up_to(sides, each + 1, WIDE_OUTCOMES) <= WIDE_OUTCOMES)
        each++;
    plan->words = (dice + each - 1) / each;
    plan->dice_of[0] = each;
    plan->dice_of[1] = dice - (plan->words - 1) * each;
    for (int last = 0; last < 2; last++)
        plan->outcomes[last] = power_up_to(sides, plan->dice_of[last], WIDE_OUTCOMES);
    if (plan->narrow)
        plan_outcomes(plan);
}

/* Rejection by Lemire ("Fast random integer generation in an interval", 2019): of the words that lead to an outcome
 * those with a low product beyond equal shares are refused. */
static inline bool rejected_16(uint16_t word, uint32_t outcomes)
{
    return (uint16_t)(word * outcomes) < (1u << 16) % outcomes;
}

static inline bool rejected_32(uint32_t word, uint32_t outcomes)
{
    return word * outcomes < (uint32_t)((UINT64_C(1) << 32) % outcomes);
}

/* The first word from `attempt` on that is not rejected, for word `draw` of roll `index`. */
static uint16_t draw_16(const struct roll_plan *plan, uint64_t index, uint32_t attempt)
{
    for (;; attempt++) {
        struct philox block = philox_block(plan->seed, index / 8, 0, PHILOX_DICE + attempt);
        uint16_t word = (uint16_t)(block.word[index % 8 / 2] >> (index % 2 * 16));
        if (!rejected_16(word, plan->outcomes[1]))
            return word;
    }
}

static uint32_t draw_32(const struct roll_plan *plan, uint64_t index, uint32_t draw, uint32_t attempt)
{
    uint32_t outcomes = plan->outcomes[draw + 1 == plan->words];
    for (;; attempt++) {
        uint32_t word = philox_block(plan->seed, index / 4, draw, PHILOX_DICE + attempt).word[index % 4];
        if (!rejected_32(word, outcomes))
            return word;
    }
}

/* The dice of a wide word are the first digits of word / 2^32 in base `sides`: "Batched ranged random integer
 * generation" (Brackett-Rozinsky and Lemire, 2024). */
static inline uint32_t bin_of_word(uint32_t word, uint32_t dice, uint32_t sides)
{
    uint32_t bin = 0;
    for (uint32_t die = 0; die < dice; die++) {
        uint64_t product = (uint64_t)word * sides;
        bin += (uint32_t)(product >> 32);
        word = (uint32_t)product;
    }
    return bin;
}

static uint32_t plan_bin(const struct roll_plan *plan, uint64_t index)
{
    if (plan->narrow)
        return plan->bin_of[draw_16(plan, index, 0) * plan->outcomes[1] >> 16];
    uint32_t bin = 0;
    for (uint32_t draw = 0; draw < plan->words; draw++)
        bin += bin_of_word(draw_32(plan, index, draw, 0), plan->dice_of[draw + 1 == plan->words], plan->sides);
    return bin;
}

/* A batch's words as they stand in memory: word w of block i is at w * PHILOX_BATCH + i, its low half before its high.
 * The flags live beside them so that compilers see that the two do not overlap. */
struct batch {
    union {
        struct philox_batch blocks;
        uint32_t whole[WIDE_BATCH];
        uint16_t half[NARROW_BATCH];
    };
    union {
        uint32_t whole[WIDE_BATCH];
        uint16_t half[NARROW_BATCH];
    } rejected; /* 1 or 0 for each word */
};

VECTORISED static void batch_flag_16(struct batch *batch, uint32_t outcomes)
{
    const uint16_t limit = (uint16_t)((1u << 16) % outcomes), factor = (uint16_t)outcomes;
    for (uint32_t i = 0; i < NARROW_BATCH; i++)
        batch->rejected.half[i] = (uint16_t)(batch->half[i] * factor) < limit;
}

VECTORISED static void batch_flag_32(struct batch *batch, uint32_t outcomes)
{
    const uint32_t limit = (uint32_t)((UINT64_C(1) << 32) % outcomes);
    for (uint32_t i = 0; i < WIDE_BATCH; i++)
        batch->rejected.whole[i] = batch->whole[i] * outcomes < limit;
}

/* The places of the words, of `width` bytes, that are flagged; they are few. */
static uint32_t batch_rejected(const struct batch *batch, uint32_t width, uint16_t *places)
{
    const char *flags = (const char *)&batch->rejected;
    uint32_t found = 0;
    for (uint32_t i = 0; i < sizeof batch->rejected; i += 8) {
        uint64_t eight;
        memcpy(&eight, flags + i, 8);
        for (; eight != 0; eight &= eight - 1)
            places[found++] = (uint16_t)((i + (uint32_t)__builtin_ctzll(eight) / 8) / width);
    }
    return found;
}

/* For each bin from the second on: how many rolls of the batch are below it. */
VECTORISED static void count_below(const struct batch *batch, const uint16_t *bounds, uint32_t bins, uint64_t *below)
{
    for (uint32_t bin = 1; bin < bins; bin++) {
        uint16_t bound = bounds[bin], count = 0;
        for (uint32_t i = 0; i < NARROW_BATCH; i++)
            count += batch->half[i] < bound;
        below[bin] += count;
    }
}

/* Adds the dice of each word to its roll's bin. */
static void add_dice_plain(const struct batch *batch, uint32_t dice, uint32_t sides, uint32_t bins[WIDE_BATCH])
{
    for (uint32_t i = 0; i < WIDE_BATCH; i++)
        bins[i] += bin_of_word(batch->whole[i], dice, sides);
}

#if defined(__x86_64__)
/* As in philox.c: products in 64-bit lanes, which compilers do not find. */
__attribute__((target("avx2"))) static void add_dice_avx2(const struct batch *batch, uint32_t dice, uint32_t sides,
                                                          uint32_t bins[WIDE_BATCH])
{
    const __m256i factor = _mm256_set1_epi64x(sides);
    for (uint32_t i = 0; i < WIDE_BATCH; i += 8) {
        __m256i even = _mm256_load_si256((const __m256i *)(const void *)&batch->whole[i]);
        __m256i odd = _mm256_srli_epi64(even, 32);
        __m256i even_bins = _mm256_setzero_si256(), odd_bins = even_bins;
        for (uint32_t die = 0; die < dice; die++) {
            even = _mm256_mul_epu32(even, factor);
            odd = _mm256_mul_epu32(odd, factor);
            even_bins = _mm256_add_epi64(even_bins, _mm256_srli_epi64(even, 32));
            odd_bins = _mm256_add_epi64(odd_bins, _mm256_srli_epi64(odd, 32));
        }
        __m256i *at = (__m256i *)(void *)&bins[i];
        __m256i sum = _mm256_or_si256(even_bins, _mm256_slli_epi64(odd_bins, 32));
        _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), sum));
    }
}
#endif

static void add_dice(const struct batch *batch, uint32_t dice, uint32_t sides, uint32_t bins[WIDE_BATCH])
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        add_dice_avx2(batch, dice, sides, bins);
        return;
    }
#endif
    add_dice_plain(batch, dice, sides, bins);
}

/* Makes the words of rolls from `first` on, a multiple of NARROW_BATCH. */
static void narrow_words(const struct roll_plan *plan, uint64_t first, struct batch *batch)
{
    uint16_t places[NARROW_BATCH];
    philox_batch(plan->seed, first / 8, 0, PHILOX_DICE, &batch->blocks);
    batch_flag_16(batch, plan->outcomes[1]);
    for (uint32_t k = 0, found = batch_rejected(batch, 2, places); k < found; k++) {
        uint32_t half = places[k], word = half / 2 / PHILOX_BATCH, block = half / 2 % PHILOX_BATCH;
        uint64_t index = first + UINT64_C(8) * block + UINT64_C(2) * word + half % 2;
        batch->half[half] = draw_16(plan, index, 1);
    }
}

/* The same for word `draw` of wide rolls; `first` is a multiple of WIDE_BATCH. */
static void wide_words(const struct roll_plan *plan, uint64_t first, uint32_t draw, struct batch *batch)
{
    uint16_t places[WIDE_BATCH];
    philox_batch(plan->seed, first / 4, draw, PHILOX_DICE, &batch->blocks);
    batch_flag_32(batch, plan->outcomes[draw + 1 == plan->words]);
    for (uint32_t k = 0, found = batch_rejected(batch, 4, places); k < found; k++) {
        uint32_t word = places[k] / PHILOX_BATCH, block = places[k] % PHILOX_BATCH;
        uint64_t index = first + UINT64_C(4) * block + word;
        batch->whole[places[k]] = draw_32(plan, index, draw, 1);
    }
}

/* The three ways to count whole batches [first, end). */
static void count_compared(const struct roll_plan *plan, uint64_t first, uint64_t end, uint64_t *counts)
{
    struct batch batch;
    uint16_t bounds[COMPARED_BINS];
    uint64_t below[COMPARED_BINS + 1] = {0};
    for (uint32_t bin = 0; bin < plan->bins; bin++)
        bounds[bin] = (uint16_t)(((uint32_t)plan->below[bin] * 65536u + plan->outcomes[1] - 1) / plan->outcomes[1]);
    below[plan->bins] = end - first;
    for (; first < end; first += NARROW_BATCH) {
        narrow_words(plan, first, &batch);
        count_below(&batch, bounds, plan->bins, below);
    }
    for (uint32_t bin = 0; bin < plan->bins; bin++)
        counts[bin] += below[bin + 1] - below[bin];
}

static void count_looked_up(const struct roll_plan *plan, uint64_t first, uint64_t end, uint64_t *counts)
{
    /* Four tables, so that equal totals in a row do not wait for each other's store. */
    uint32_t tables[4][ROLL_SIDES_MAX] = {{0}};
    struct batch batch;
    uint32_t outcomes = plan->outcomes[1];
    for (; first < end; first += NARROW_BATCH) {
        narrow_words(plan, first, &batch);
        for (uint32_t i = 0; i < NARROW_BATCH; i += 4)
            for (uint32_t k = 0; k < 4; k++)
                tables[k][plan->bin_of[batch.half[i + k] * outcomes >> 16]]++;
    }
    for (uint32_t bin = 0; bin < plan->bins; bin++)
        for (uint32_t k = 0; k < 4; k++)
            counts[bin] += tables[k][bin];
}

static void count_summed(const struct roll_plan *plan, uint64_t first, uint64_t end, uint64_t *counts)
{
    struct batch batch;
    for (; first < end; first += WIDE_BATCH) {
        uint32_t bins[WIDE_BATCH] = {0};
        for (uint32_t draw = 0; draw < plan->words; draw++) {
            wide_words(plan, first, draw, &batch);
            add_dice(&batch, plan->dice_of[draw + 1 == plan->words], plan->sides, bins);
        }
        for (uint32_t i = 0; i < WIDE_BATCH; i++)
            counts[bins[i]]++;
    }
}

void roll_count(uint64_t seed, uint32_t dice, uint32_t sides, uint64_t first, uint64_t count, uint64_t *counts)
{
    struct roll_plan plan;
    plan_init(&plan, seed, dice, sides);
    uint64_t end = first + count, step = plan.narrow ? NARROW_BATCH : WIDE_BATCH;
    for (; first < end && first % step != 0; first++)
        counts[plan_bin(&plan, first)]++;
    while (end - first >= step) {
        /* An item at a time: the 32-bit tables of count_looked_up() hold no more than 2^32. */
        uint64_t whole = end - first < ROLL_ITEM ? (end - first) / step * step : ROLL_ITEM;
        if (!plan.narrow)
            count_summed(&plan, first, first + whole, counts);
        else if (plan.bins <= COMPARED_BINS)
            count_compared(&plan, first, first + whole, counts);
        else
            count_looked_up(&plan, first, first + whole, counts);
        first += whole;
    }
    for (; first < end; first++)
        counts[plan_bin(&plan, first)]++;
}

uint32_t roll_one(uint64_t seed, uint32_t dice, uint32_t sides, uint64_t index)
{
    struct roll_plan plan;
    plan_init(&plan, seed, dice, sides);
    return dice + plan_bin(&plan, index);
}

uint32_t roll_two(uint64_t seed, uint64_t index)
{
    static const uint8_t total_of[36] = {2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6,  6,  6,  7,  7,  7,
                                         7, 7, 7, 8, 8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 11, 11, 12};
    struct roll_plan plan;
    plan.seed = seed;
    plan.outcomes[1] = 36;
    return total_of[draw_16(&plan, index, 0) * 36u >> 16];
}
