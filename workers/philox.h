/* philox: the generator behind everything random here. Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3" (SC11): a block of four 32-bit words is a pure function of a 64-bit key and a 128-bit
 * counter, so any roll can be drawn anywhere, in any order, by any worker. It holds no state and is not for secrets.
 *
 * The key is the seed. The counter's words are: index, low half; index, high half; `draw`; `stream`. */
#ifndef FORKMAP_WORKERS_PHILOX_H
#define FORKMAP_WORKERS_PHILOX_H

#include <stdint.h>

#define PHILOX_ROUNDS 10
#define PHILOX_MULTIPLIER_0 0xD2511F53u
#define PHILOX_MULTIPLIER_1 0xCD9E8D57u
#define PHILOX_WEYL_0 0x9E3779B9u /* added to the key's halves after each round */
#define PHILOX_WEYL_1 0xBB67AE85u

/* What the counter's last word is for, in its top byte, so that no two uses share a block. Below it the use's own. */
#define PHILOX_DICE 0u                 /* + the attempt, from 0 */
#define PHILOX_MULTINOMIAL 0x01000000u /* + 0 */
#define PHILOX_ITEM 0x02000000u        /* + the function's own: natives that draw by item */

struct philox {
    uint32_t word[4];
};

static inline struct philox philox_block(uint64_t seed, uint64_t index, uint32_t draw, uint32_t stream)
{
    uint32_t a = (uint32_t)index, b = (uint32_t)(index >> 32), c = draw, d = stream;
    uint32_t key_0 = (uint32_t)seed, key_1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t left = (uint64_t)a * PHILOX_MULTIPLIER_0, right = (uint64_t)c * PHILOX_MULTIPLIER_1;
        a = (uint32_t)(right >> 32) ^ b ^ key_0;
        b = (uint32_t)right;
        c = (uint32_t)(left >> 32) ^ d ^ key_1;
        d = (uint32_t)left;
        key_0 += PHILOX_WEYL_0;
        key_1 += PHILOX_WEYL_1;
    }
    return (struct philox){{a, b, c, d}};
}

#define PHILOX_BATCH 128 /* blocks that are made at a time */

/* word[w][i] is word w of the block with index first + i. */
struct philox_batch {
    _Alignas(64) uint32_t word[4][PHILOX_BATCH];
};
/* PHILOX_BATCH blocks from index `first` on, a multiple of PHILOX_BATCH, with the widest vectors that the machine has.
 */
void philox_batch(uint64_t seed, uint64_t first, uint32_t draw, uint32_t stream, struct philox_batch *batch);
/* The same in plain C: what other machines run, and what the tests hold the vectors to. */
void philox_batch_plain(uint64_t seed, uint64_t first, uint32_t draw, uint32_t stream, struct philox_batch *batch);

#endif
