/* total: the exact sum of any integers and doubles, whatever their order; only what is printed is rounded, once. It
 * does without GMP, which the front has no other use for: integers beyond int64 are added by groups of nine decimal
 * digits, as they are read and printed, doubles in a fixed-point number as wide as their whole range. Pure. */
#ifndef FORKMAP_API_TOTAL_H
#define FORKMAP_API_TOTAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/numeral.h"
#include "workers/buf.h"

#define TOTAL_LIMBS_BELOW 34 /* of 32 bits, below the point: the smallest double is 2^-1074 */
#define TOTAL_LIMBS 76       /* the largest is below 2^1024, and there may be 2^64 of them */

struct total {
    uint64_t numbers;  /* how many were added */
    __int128 integers; /* the sum of all that fit in int64: 2^64 of them cannot overflow it */
    int64_t *groups;   /* the sum of larger ones, lowest group first; carries are put off */
    size_t group_count, group_capacity;
    uint32_t big_carry_due; /* additions since the last carry */
    uint32_t real_carry_due;
    bool real;                  /* a double was added: so the sum is one */
    bool infinite;              /* one was beyond the range of doubles */
    int64_t limbs[TOTAL_LIMBS]; /* the sum of doubles; carries are put off */
};

/* All zero bytes is a total of nothing. */
void total_clear(struct total *total);
static inline void total_add_integer(struct total *total, int64_t integer)
{
    total->integers += integer;
    total->numbers++;
}
void total_add(struct total *total, const struct numeral *numeral);
size_t total_bytes(const struct total *total);

/* Appends the sum: an integer with all its digits, or the nearest double if a double was added; 0 for no numbers, null
 * for what no double holds. */
void total_print_sum(const struct total *total, struct buf *out);
/* Appends the double nearest to the exact sum divided by how many numbers there are; null for none. */
void total_print_mean(const struct total *total, struct buf *out);

#endif
