/* roll: dice over a range of rolls. The total of roll `index` is a pure function of (seed, dice, sides, index), so a
 * range may be cut anywhere, run anywhere and run again; PROTOCOL.md ("Dice") has the mapping, which is contract. Also
 * the tally of totals that workers send and the front adds up. It does not know JSON, statistics or odds. */
#ifndef FORKMAP_WORKERS_ROLL_H
#define FORKMAP_WORKERS_ROLL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/token.h"

#define ROLL_DICE_MAX 100u
#define ROLL_SIDES_MIN 2u
#define ROLL_SIDES_MAX 1000u
#define ROLL_ITEM 65536u /* rolls of one item of a dice call; its last item may have fewer */

/* The payload of a dice task, as it stands. Bytes are read with roll_args_read(). */
struct roll_args {
    uint64_t seed;  /* at most 2^63 - 1 */
    uint32_t dice;  /* 1 to ROLL_DICE_MAX */
    uint32_t sides; /* ROLL_SIDES_MIN to ROLL_SIDES_MAX */
    uint64_t rolls; /* of the whole call, at least 1 */
};
bool roll_args_read(struct span bytes, struct roll_args *args); /* false: wrong size or out of range */

/* Totals that are possible: one bin each, bin 0 for the total `dice`. */
static inline size_t roll_bins(uint32_t dice, uint32_t sides)
{
    return (size_t)dice * (sides - 1) + 1;
}
/* Items of a call, and rolls of its items [first, first + count); 0 if these are not all items of it. */
static inline uint64_t roll_items(uint64_t rolls)
{
    return rolls / ROLL_ITEM + (rolls % ROLL_ITEM != 0);
}
uint64_t roll_rolls(uint64_t rolls, uint64_t first, uint64_t count);

/* Adds the totals of rolls [first, first + count) to `counts`, which has roll_bins() bins. */
void roll_count(uint64_t seed, uint32_t dice, uint32_t sides, uint64_t first, uint64_t count, uint64_t *counts);
/* The total of one roll: the mapping in its plainest form, what roll_count() is tested against. */
uint32_t roll_one(uint64_t seed, uint32_t dice, uint32_t sides, uint64_t index);
/* roll_one(seed, 2, 6, index), without set-up: item `index` of /map of roll is roll `index` of /dice. */
uint32_t roll_two(uint64_t seed, uint64_t index);

/* How often each total came. */
struct roll_tally {
    uint32_t dice, sides;
    uint64_t rolls;   /* the sum of the counts */
    size_t bins;      /* roll_bins(dice, sides) */
    uint64_t *counts; /* the tally's own */
};
void roll_tally_init(struct roll_tally *tally, uint32_t dice, uint32_t sides); /* all zero */
void roll_tally_clear(struct roll_tally *tally);
/* On the wire: u32 dice, u32 sides, u64 rolls, u64 count per bin; little-endian, at any alignment. Appends it to an
 * empty `out`; adds to a packed tally that is all of `out`; false if `out` holds something else. */
bool roll_tally_pack(const struct roll_tally *tally, struct buf *out);
/* Adds what a worker sent. It is believed only if it has the right size, dice and sides and its counts add up to
 * exactly `rolls`, what it was told to roll; otherwise false and `into` is as it was. */
bool roll_tally_merge(struct roll_tally *into, struct span packed, uint64_t rolls);

#endif
