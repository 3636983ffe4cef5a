/* separators: where items end in 64 bytes of text, as a bit mask, for each format of items that come as text. The one
 * place that knows what a comma or newline is worth: scan counts items with it as they arrive, items steps from a mark
 * to an item. Looks at quotes, brackets, commas and newlines, never at a token. SSE2 where there is, else plain C.
 * Pure.
 */
#ifndef FORKMAP_API_SEPARATORS_H
#define FORKMAP_API_SEPARATORS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "workers/message.h"
#include "workers/token.h"

#define SEPARATORS_BLOCK 64

struct separators {
    enum items_format format;
    bool fresh;                           /* nothing but blanks since the item began */
    bool after_return;                    /* CSV: nothing but one CR since */
    bool in_string;                       /* between JSON's quotes or CSV's */
    bool escaped;                         /* JSON: the next byte is */
    uint32_t depth;                       /* JSON: brackets open around the next byte; separators stand at depth 0 */
    uint32_t floor;                       /* JSON: the bracket that would close this depth is left to the caller */
    uint64_t kinds[TOKEN_DEPTH_MAX / 64]; /* a bit per open bracket: 1 is an object */
};

/* Ready for the first byte of an item. */
void separators_init(struct separators *separators, enum items_format format);
/* Ready for the first byte within a JSON array or object that is a value by itself: *cut comes at its end. */
void separators_init_value(struct separators *separators, char bracket);
/* Takes the first `size` (1 to 64) bytes of `block`, of which 64 can be read. The bits of the separators that end an
 * item; blank lines end none. JSON: *cut is `size`, or the place of a byte that ends or breaks the text and was not
 * taken: the bracket that closes the floor, one that closes another kind, one too deep, a comma after an empty item, a
 * backslash outside of strings. */
uint64_t separators_take(struct separators *separators, const char *block, unsigned size, unsigned *cut);

/* `size` bytes of text as a block: where they stand, or, if fewer than 64, a copy in `room`. */
static inline const char *separators_block(const char *text, unsigned size, char room[SEPARATORS_BLOCK])
{
    if (size == SEPARATORS_BLOCK)
        return text;
    memset(room, 0, SEPARATORS_BLOCK);
    memcpy(room, text, size);
    return room;
}

static inline unsigned separators_count(uint64_t mask)
{
    mask -= mask >> 1 & 0x5555555555555555u;
    mask = (mask & 0x3333333333333333u) + (mask >> 2 & 0x3333333333333333u);
    mask = (mask + (mask >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (unsigned)(mask * 0x0101010101010101u >> 56);
}

/* Place of the set bit number `nth` (from 0), which must exist. */
static inline unsigned separators_place(uint64_t mask, unsigned nth)
{
    while (nth-- > 0)
        mask &= mask - 1;
    return (unsigned)__builtin_ctzll(mask);
}

#endif
