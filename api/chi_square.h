/* chi_square: Pearson's test of counts against what was expected, and the tail of its distribution. Pure. */
#ifndef FORKMAP_API_CHI_SQUARE_H
#define FORKMAP_API_CHI_SQUARE_H

#include <stddef.h>
#include <stdint.h>

#include "api/odds.h"

#define CHI_SQUARE_LEAST_EXPECTED 5 /* in a cell, by the usual rule: below it the distribution is not near enough */

struct chi_square {
    double statistic;
    size_t df;      /* cells less one */
    double p_value; /* only if df > 0 */
};

/* Bins that expect less than 5 rolls are pooled with their neighbours: from each end inward, bins are taken together
 * until they expect 5; what is left in the middle is a cell if it expects 5, else it joins the last one from below. */
struct chi_square chi_square_test(const struct odds *odds, const uint64_t *counts, uint64_t rolls);

/* The probability of a value of at least `statistic` (>= 0) with `df` (>= 1) degrees of freedom. */
double chi_square_tail(double statistic, double df);

#endif
