/* roll_tally: the tally of a range of rolls, in memory and on the wire, beside the arguments that ask for one. Both
 * sides share it: workers pack, the front merges and believes nothing that it has not checked. It draws nothing. */
#include "workers/roll.h"

#include <stdlib.h>
#include <string.h>

#include "workers/log.h"

struct packed_head {
    uint32_t dice, sides;
    uint64_t rolls;
};

/* The bytes of a message may stand at any address. */
static uint64_t load_count(const char *at, size_t bin)
{
    uint64_t count;
    memcpy(&count, at + bin * sizeof count, sizeof count);
    return count;
}

bool roll_args_read(struct span bytes, struct roll_args *args)
{
    if (bytes.length != sizeof *args)
        return false;
    memcpy(args, bytes.at, sizeof *args);
    return args->dice >= 1 && args->dice <= ROLL_DICE_MAX && args->sides >= ROLL_SIDES_MIN &&
           args->sides <= ROLL_SIDES_MAX && args->rolls >= 1 && args->seed <= INT64_MAX;
}

uint64_t roll_rolls(uint64_t rolls, uint64_t first, uint64_t count)
{
    uint64_t items = roll_items(rolls);
    if (count == 0 || first >= items || count > items - first)
        return 0;
    return first + count == items ? rolls - first * ROLL_ITEM : count * ROLL_ITEM;
}

void roll_tally_init(struct roll_tally *tally, uint32_t dice, uint32_t sides)
{
    *tally = (struct roll_tally){.dice = dice, .sides = sides, .bins = roll_bins(dice, sides)};
    tally->counts = calloc(tally->bins, sizeof *tally->counts);
    if (tally->counts == NULL)
        die("out of memory: %zu counts", tally->bins);
}

void roll_tally_clear(struct roll_tally *tally)
{
    free(tally->counts);
    *tally = (struct roll_tally){0};
}

bool roll_tally_pack(const struct roll_tally *tally, struct buf *out)
{
    struct packed_head head = {.dice = tally->dice, .sides = tally->sides, .rolls = tally->rolls};
    if (out->length == 0) {
        buf_append(out, &head, sizeof head);
        buf_append(out, tally->counts, tally->bins * sizeof *tally->counts);
        return true;
    }
    if (out->length != sizeof head + tally->bins * sizeof *tally->counts)
        return false;
    char *start = buf_start(out), *counts = start + sizeof head;
    memcpy(&head, start, sizeof head);
    if (head.dice != tally->dice || head.sides != tally->sides)
        return false;
    head.rolls += tally->rolls;
    memcpy(start, &head, sizeof head);
    for (size_t bin = 0; bin < tally->bins; bin++) {
        uint64_t sum = load_count(counts, bin) + tally->counts[bin];
        memcpy(counts + bin * sizeof sum, &sum, sizeof sum);
    }
    return true;
}

bool roll_tally_merge(struct roll_tally *into, struct span packed, uint64_t rolls)
{
    struct packed_head head;
    uint64_t sum = 0;
    if (packed.length != sizeof head + into->bins * sizeof *into->counts)
        return false;
    memcpy(&head, packed.at, sizeof head);
    if (head.dice != into->dice || head.sides != into->sides || head.rolls != rolls)
        return false;
    const char *counts = packed.at + sizeof head;
    for (size_t bin = 0; bin < into->bins; bin++)
        if (__builtin_add_overflow(sum, load_count(counts, bin), &sum))
            return false;
    if (sum != rolls || rolls > UINT64_MAX - into->rolls)
        return false;
    for (size_t bin = 0; bin < into->bins; bin++)
        into->counts[bin] += load_count(counts, bin);
    into->rolls += rolls;
    return true;
}
