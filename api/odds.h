/* odds: the exact distribution of the total of some dice. Pure, but for one memo: the last distribution asked for is
 * kept, since a call asks for it twice. It knows nothing of rolls that were made. */
#ifndef FORKMAP_API_ODDS_H
#define FORKMAP_API_ODDS_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

/* Probabilities go down to 1000^-100 and shall be right to the last bit of a double after a hundred sums: x87 has the
 * mantissa for that. Where long double is done in software it would cost a loop's turn, and double is good to 1e-13. */
#if LDBL_MANT_DIG == 64
typedef long double odds_real;
#define ODDS_EPSILON LDBL_EPSILON
#else
typedef double odds_real;
#define ODDS_EPSILON DBL_EPSILON
#endif

struct odds {
    uint32_t dice, sides;
    size_t bins;      /* bin 0 is the total `dice` */
    size_t half;      /* (bins + 1) / 2: the distribution is symmetric, so only that much is kept */
    odds_real *lower; /* [half] probabilities, each right relative to itself, in the far tails too */
};

/* Valid until the next call. 100 dice of 1,000 sides take about 10 ms, 2d6 no time. */
const struct odds *odds_of(uint32_t dice, uint32_t sides);

static inline odds_real odds_at(const struct odds *odds, size_t bin)
{
    return odds->lower[bin < odds->half ? bin : odds->bins - 1 - bin];
}

#endif
