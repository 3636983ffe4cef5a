/* natives_dice: the fold behind POST /dice. An item is a block of ROLL_ITEM rolls; a run of items becomes one tally. */
#include "workers/natives.h"
#include "workers/roll.h"

bool native_fold_dice(struct span args, uint64_t first, uint64_t count, struct buf *out)
{
    struct roll_args call;
    struct roll_tally tally;
    if (!roll_args_read(args, &call))
        return false;
    uint64_t rolls = roll_rolls(call.rolls, first, count);
    if (rolls == 0)
        return false;
    roll_tally_init(&tally, call.dice, call.sides);
    roll_count(call.seed, call.dice, call.sides, first * ROLL_ITEM, rolls, tally.counts);
    tally.rolls = rolls;
    bool packed = roll_tally_pack(&tally, out);
    roll_tally_clear(&tally);
    return packed;
}
