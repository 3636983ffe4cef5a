/* multinomial: how often each total comes in so many rolls, drawn directly: exact in distribution, in time that grows
 * with the bins and hardly with the rolls. The same arguments give the same counts. Pure. */
#ifndef FORKMAP_API_MULTINOMIAL_H
#define FORKMAP_API_MULTINOMIAL_H

#include <stdint.h>

#include "api/odds.h"

/* Fills counts[odds->bins]; they add up to `rolls`, at most 2^53. */
void multinomial_draw(const struct odds *odds, uint64_t rolls, uint64_t seed, uint64_t *counts);

/* How many of n trials, at most 2^53, succeed, where success and failure weigh as `success` to `failure` (not both 0).
 * Drawn from the blocks (seed, node, attempt 0, 1, …) of PHILOX_MULTINOMIAL. */
uint64_t binomial_draw(uint64_t n, odds_real success, odds_real failure, uint64_t seed, uint32_t node);

#endif
