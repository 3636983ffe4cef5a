/* dice: what POST /dice answers: counts and the statistics that go with them. The counts come from workers (simulate)
 * or are drawn here (multinomial). Pure. */
#ifndef FORKMAP_API_DICE_H
#define FORKMAP_API_DICE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/request.h"
#include "workers/buf.h"
#include "workers/roll.h"

/* The task payload of a simulated call, and how many items it has. */
struct roll_args dice_args(const struct request *request);

/* Draws the counts, roll_bins(dice, sides) of them, without rolling. Takes under 0.1 ms for 2d6 and under 25 ms for the
 * largest dice, for any number of rolls. false: the request is beyond its bounds. */
bool dice_multinomial(const struct request *request, uint64_t *counts);

/* Appends the JSON answer; counts[] has roll_bins(dice, sides) elements that add up to request->rolls. variance is that
 * of the sample, over n - 1; null for one roll. */
void dice_answer(const struct request *request, const uint64_t *counts, struct buf *out);

#endif
