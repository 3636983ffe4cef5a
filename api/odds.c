/* odds: one more die is a sliding sum over `sides` bins, taken as the difference of two running sums. Running up from
 * the far tail and stopping at the middle, where the smaller of the two is still well below the larger, the difference
 * loses next to nothing, so each probability is right relative to itself; the upper half is the lower one's mirror. */
#include "api/odds.h"

#include <stdlib.h>

#include "workers/log.h"
#include "workers/roll.h"

static odds_real *reals_new(size_t count)
{
    odds_real *reals = calloc(count, sizeof *reals);
    if (reals == NULL)
        die("out of memory: %zu probabilities", count);
    return reals;
}

/* From the lower half of `dice` dice to that of one more. `sums` is scratch. */
static void odds_add_die(const odds_real *from, odds_real *to, odds_real *sums, uint32_t dice, uint32_t sides)
{
    const size_t top = roll_bins(dice, sides) - 1, middle = top / 2, new_middle = (top + sides - 1) / 2;
    const odds_real share = (odds_real)1 / sides;
    odds_real sum = 0;
    for (size_t bin = 0; bin <= new_middle; bin++) {
        sum += bin <= middle ? from[bin] : from[top - bin];
        sums[bin] = sum;
        to[bin] = (bin < sides ? sum : sum - sums[bin - sides]) * share;
    }
}

static odds_real *odds_lower_new(uint32_t dice, uint32_t sides, size_t half)
{
    odds_real *from = reals_new(half), *to = reals_new(half), *sums = reals_new(half);
    for (size_t bin = 0; bin < (sides + 1) / 2 && bin < half; bin++)
        from[bin] = (odds_real)1 / sides;
    for (uint32_t die = 1; die < dice; die++) {
        odds_add_die(from, to, sums, die, sides);
        odds_real *swap = from;
        from = to;
        to = swap;
    }
    free(to);
    free(sums);
    return from;
}

const struct odds *odds_of(uint32_t dice, uint32_t sides)
{
    static struct odds last;
    if (last.dice == dice && last.sides == sides)
        return &last;
    free(last.lower);
    last = (struct odds){.dice = dice, .sides = sides, .bins = roll_bins(dice, sides)};
    last.half = (last.bins + 1) / 2;
    last.lower = odds_lower_new(dice, sides, last.half);
    return &last;
}
