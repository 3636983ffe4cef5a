/* chi_square: the tail is the regularised upper incomplete gamma function Q(df / 2, statistic / 2), by the series for P
 * below a + 1 and the continued fraction for Q above (DLMF 8.11.4 and 8.9.2, the latter by Lentz's method as in Press
 * et al., "Numerical Recipes", 6.2). Both take about 8 sqrt(a) steps where they are slowest, near x = a. */
#include "api/chi_square.h"

#include <math.h>
#include <stdbool.h>

#define STEPS_MAX 1000000 /* df is at most 99,900: never reached */

/* x^a e^-x / Gamma(a + 1) */
static odds_real gamma_factor(odds_real a, odds_real x)
{
    return (odds_real)expl(a * logl(x) - x - lgammal(a + 1));
}

static odds_real gamma_lower_series(odds_real a, odds_real x)
{
    odds_real term = 1, sum = 1;
    for (int n = 1; n < STEPS_MAX && term > sum * ODDS_EPSILON; n++) {
        term *= x / (a + n);
        sum += term;
    }
    return sum * gamma_factor(a, x);
}

static odds_real gamma_upper_fraction(odds_real a, odds_real x)
{
    odds_real b = x + 1 - a, c = 1 / ODDS_EPSILON / ODDS_EPSILON, d = 1 / b, fraction = d;
    for (int n = 1; n < STEPS_MAX; n++) {
        odds_real numerator = n * (a - n);
        b += 2;
        d = 1 / (numerator * d + b);
        c = b + numerator / c;
        fraction *= c * d;
        if (fabsl(c * d - 1) < 4 * ODDS_EPSILON)
            break;
    }
    return fraction * a * gamma_factor(a, x);
}

double chi_square_tail(double statistic, double df)
{
    odds_real a = (odds_real)df / 2, x = (odds_real)statistic / 2;
    if (x <= 0)
        return 1;
    return (double)(x < a + 1 ? 1 - gamma_lower_series(a, x) : gamma_upper_fraction(a, x));
}

struct cell {
    odds_real expected;
    odds_real observed;
};

struct cells {
    odds_real statistic;
    size_t count;
};

static void cell_add(struct cell *cell, struct cell more)
{
    cell->expected += more.expected;
    cell->observed += more.observed;
}

static void cells_take(struct cells *cells, struct cell *cell)
{
    odds_real off = cell->observed - cell->expected;
    cells->statistic += off * off / cell->expected;
    cells->count++;
    *cell = (struct cell){0};
}

static struct cell cell_of(const struct odds *odds, const uint64_t *counts, uint64_t rolls, size_t bin)
{
    return (struct cell){.expected = odds_at(odds, bin) * (odds_real)rolls, .observed = (odds_real)counts[bin]};
}

struct chi_square chi_square_test(const struct odds *odds, const uint64_t *counts, uint64_t rolls)
{
    struct cells cells = {0};
    struct cell low = {0}, high = {0}, last_low = {0};
    size_t half = odds->bins / 2;
    for (size_t bin = 0; bin < half; bin++) {
        cell_add(&low, cell_of(odds, counts, rolls, bin));
        if (low.expected >= CHI_SQUARE_LEAST_EXPECTED) {
            if (last_low.expected > 0)
                cells_take(&cells, &last_low);
            last_low = low;
            low = (struct cell){0};
        }
        cell_add(&high, cell_of(odds, counts, rolls, odds->bins - 1 - bin));
        if (high.expected >= CHI_SQUARE_LEAST_EXPECTED)
            cells_take(&cells, &high);
    }
    cell_add(&low, high);
    if (odds->bins % 2 != 0)
        cell_add(&low, cell_of(odds, counts, rolls, half));
    if (low.expected >= CHI_SQUARE_LEAST_EXPECTED || last_low.expected == 0)
        cells_take(&cells, &low);
    else
        cell_add(&last_low, low);
    if (last_low.expected > 0)
        cells_take(&cells, &last_low);
    struct chi_square test = {.df = cells.count - 1};
    if (test.df > 0) {
        test.statistic = (double)cells.statistic;
        test.p_value = chi_square_tail(test.statistic, (double)test.df);
    }
    return test;
}
