/* multinomial: the rolls are split between the lower and the upper bins by one binomial draw, each part likewise, until
 * a part is one bin or has no rolls. A part's draw has blocks of its own, numbered as in a heap, so no draw depends on
 * the order of the others.
 *
 * A binomial of small mean is found by inversion; a larger one by transformed rejection with squeeze, BTRS of W.
 * Hörmann, "The generation of binomial random variates" (J. Stat. Comput. Simul. 46, 1993). Its acceptance compares
 * f(k) with f(mode) in the saddle-point form of C. Loader, "Fast and accurate computation of binomial probabilities"
 * (2000), which keeps its digits for n up to 2^53, where differences of log-factorials would have none left. */
#include "api/multinomial.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "workers/log.h"
#include "workers/philox.h"

#define INVERSION_MEAN 10
#define INVERSION_MOST 128 /* more successes than a mean below 10 has in 10^90 draws: rounding, draw again */

/* Two uniform numbers in (0, 1), never the ends. */
struct pair {
    odds_real first;
    double second;
};

static struct pair pair_draw(uint64_t seed, uint32_t node, uint32_t attempt)
{
    struct philox block = philox_block(seed, node, attempt, PHILOX_MULTINOMIAL);
    uint64_t first = (uint64_t)block.word[1] << 32 | block.word[0],
             second = (uint64_t)block.word[3] << 32 | block.word[2];
    return (struct pair){.first = (odds_real)(first >> 11) * 0x1p-53 + 0x1p-54,
                         .second = (double)(second >> 12) * 0x1p-52 + 0x1p-53};
}

/* log(k!) - k log k + k */
static double log_factorial_rest(double k)
{
    if (k < 16)
        return k == 0 ? 0 : lgamma(k + 1) - k * log(k) + k;
    double square = k * k;
    return 0.5 * log(2 * M_PI * k) +
           (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - 1.0 / 1680 / square) / square) / square) / k;
}

/* k log(k / mean) + mean - k, for k = mean + off */
static double deviance(double k, odds_real off, odds_real mean)
{
    double relative = (double)(off / mean);
    return k == 0 ? (double)mean : (double)mean * ((1 + relative) * log1p(relative) - relative);
}

/* The logarithm of the probability of k, but for a term that does not depend on k. */
static double log_weight(uint64_t k, uint64_t n, odds_real mean)
{
    odds_real off = (odds_real)k - mean;
    return -deviance((double)k, off, mean) - deviance((double)(n - k), -off, (odds_real)n - mean) -
           log_factorial_rest((double)k) - log_factorial_rest((double)(n - k));
}

static uint64_t binomial_by_inversion(uint64_t n, odds_real p, uint64_t seed, uint32_t node)
{
    const double none = exp((double)n * log1p((double)-p)), ratio = (double)(p / (1 - p));
    for (uint32_t attempt = 0;; attempt++) {
        double left = (double)pair_draw(seed, node, attempt).first, here = none;
        uint64_t k = 0;
        while (left > here && k < n && k < INVERSION_MOST) {
            left -= here;
            here *= ratio * (double)(n - k) / (double)(k + 1);
            k++;
        }
        if (k < INVERSION_MOST)
            return k;
    }
}

static uint64_t binomial_by_rejection(uint64_t n, odds_real p, uint64_t seed, uint32_t node)
{
    const odds_real mean = (odds_real)n * p;
    const double deviation = sqrt((double)(mean * (1 - p)));
    const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * (double)p;
    const double alpha = (2.83 + 5.1 / b) * deviation, squeeze = 0.92 - 4.2 / b;
    bool have_mode = false;
    double mode_weight = 0;
    for (uint32_t attempt = 0;; attempt++) {
        struct pair pair = pair_draw(seed, node, attempt);
        odds_real u = pair.first - 0.5f;
        double us = 0.5 - fabs((double)u);
        odds_real at = (2 * a / us + b) * u + mean + 0.5f;
        if (at < 0 || at >= (odds_real)n + 1)
            continue;
        uint64_t k = (uint64_t)at;
        if (us >= 0.07 && pair.second <= squeeze)
            return k;
        if (!have_mode)
            mode_weight = log_weight((uint64_t)(mean + p), n, mean);
        have_mode = true;
        if (log(pair.second * alpha / (a / (us * us) + b)) <= log_weight(k, n, mean) - mode_weight)
            return k;
    }
}

uint64_t binomial_draw(uint64_t n, odds_real success, odds_real failure, uint64_t seed, uint32_t node)
{
    bool flipped = success > failure;
    odds_real p = (flipped ? failure : success) / (success + failure);
    uint64_t k = (odds_real)n * p < INVERSION_MEAN ? binomial_by_inversion(n, p, seed, node)
                                                   : binomial_by_rejection(n, p, seed, node);
    return flipped ? n - k : k;
}

struct split {
    const struct odds *odds;
    odds_real *below; /* [odds->half + 1] probability of the bins before */
    uint64_t seed;
    uint64_t *counts;
};

/* The weight of bins [from, to), all in the lower half or all in the upper one (the middle bin is in both). */
static odds_real split_weight(const struct split *split, size_t from, size_t to)
{
    if (to <= split->odds->half)
        return split->below[to] - split->below[from];
    return split->below[split->odds->bins - from] - split->below[split->odds->bins - to];
}

/* Deals `rolls` out to bins [from, to); the depth is that of a heap of the bins: 17. */
static void split_deal(const struct split *split, size_t from, size_t to, uint64_t rolls, uint32_t node)
{
    if (rolls == 0)
        return;
    if (to - from == 1) {
        split->counts[from] = rolls;
        return;
    }
    size_t middle = (from + to) / 2;
    uint64_t lower =
        binomial_draw(rolls, split_weight(split, from, middle), split_weight(split, middle, to), split->seed, node);
    split_deal(split, from, middle, lower, 2 * node);
    split_deal(split, middle, to, rolls - lower, 2 * node + 1);
}

void multinomial_draw(const struct odds *odds, uint64_t rolls, uint64_t seed, uint64_t *counts)
{
    struct split split = {.odds = odds, .seed = seed, .counts = counts};
    split.below = calloc(odds->half + 1, sizeof *split.below);
    if (split.below == NULL)
        die("out of memory: %zu probabilities", odds->half);
    for (size_t bin = 0; bin < odds->half; bin++)
        split.below[bin + 1] = split.below[bin] + odds->lower[bin];
    for (size_t bin = 0; bin < odds->bins; bin++)
        counts[bin] = 0;
    split_deal(&split, 0, odds->bins, rolls, 1);
    free(split.below);
}
