/* philox: many blocks at a time. A 32 x 32 -> 64 bit product is one vector instruction (pmuludq) when the operands sit
 * in the low halves of 64-bit lanes and whatever is in the high halves is ignored; compilers do not see that and
 * multiply three times, so the two loops that matter are written by hand. Everything else is in the header. */
#include "workers/philox.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

void philox_batch_plain(uint64_t seed, uint64_t first, uint32_t draw, uint32_t stream, struct philox_batch *batch)
{
    for (uint32_t i = 0; i < PHILOX_BATCH; i++) {
        struct philox block = philox_block(seed, first + i, draw, stream);
        for (int w = 0; w < 4; w++)
            batch->word[w][i] = block.word[w];
    }
}

#if defined(__x86_64__)

/* Both loops make two vectors of blocks side by side, to hide the latency of the products: the blocks of even number in
 * the first, the odd ones in the second, so that a shift and a blend put them in order. */

__attribute__((target("avx2"))) static void philox_batch_avx2(uint64_t seed, uint64_t first, uint32_t draw,
                                                              uint32_t stream, struct philox_batch *batch)
{
    const __m256i multiplier_0 = _mm256_set1_epi64x(PHILOX_MULTIPLIER_0);
    const __m256i multiplier_1 = _mm256_set1_epi64x(PHILOX_MULTIPLIER_1);
    for (uint32_t i = 0; i < PHILOX_BATCH; i += 8) {
        __m256i a = _mm256_add_epi64(_mm256_set1_epi64x((uint32_t)first + i), _mm256_set_epi64x(6, 4, 2, 0));
        __m256i e = _mm256_add_epi64(_mm256_set1_epi64x((uint32_t)first + i), _mm256_set_epi64x(7, 5, 3, 1));
        __m256i b = _mm256_set1_epi64x((long long)(first >> 32)), f = b;
        __m256i c = _mm256_set1_epi64x(draw), g = c;
        __m256i d = _mm256_set1_epi64x(stream), h = d;
        uint32_t key_0 = (uint32_t)seed, key_1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < PHILOX_ROUNDS; round++) {
            const __m256i k_0 = _mm256_set1_epi64x(key_0), k_1 = _mm256_set1_epi64x(key_1);
            const __m256i even_0 = _mm256_mul_epu32(a, multiplier_0), even_1 = _mm256_mul_epu32(c, multiplier_1);
            const __m256i odd_0 = _mm256_mul_epu32(e, multiplier_0), odd_1 = _mm256_mul_epu32(g, multiplier_1);
            a = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(even_1, 32), b), k_0);
            c = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(even_0, 32), d), k_1);
            e = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(odd_1, 32), f), k_0);
            g = _mm256_xor_si256(_mm256_xor_si256(_mm256_srli_epi64(odd_0, 32), h), k_1);
            b = even_1, d = even_0, f = odd_1, h = odd_0;
            key_0 += PHILOX_WEYL_0;
            key_1 += PHILOX_WEYL_1;
        }
        const __m256i even[4] = {a, b, c, d}, odd[4] = {e, f, g, h};
        for (int w = 0; w < 4; w++)
            _mm256_store_si256((__m256i *)(void *)&batch->word[w][i],
                               _mm256_blend_epi32(even[w], _mm256_slli_epi64(odd[w], 32), 0xaa));
    }
}

#define XOR3 0x96 /* the truth table of x ^ y ^ z */

__attribute__((target("avx512f"))) static void philox_batch_avx512(uint64_t seed, uint64_t first, uint32_t draw,
                                                                   uint32_t stream, struct philox_batch *batch)
{
    const __m512i multiplier_0 = _mm512_set1_epi64(PHILOX_MULTIPLIER_0);
    const __m512i multiplier_1 = _mm512_set1_epi64(PHILOX_MULTIPLIER_1);
    const __m512i even_lanes = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
    for (uint32_t i = 0; i < PHILOX_BATCH; i += 16) {
        __m512i a = _mm512_add_epi64(_mm512_set1_epi64((uint32_t)first + i), even_lanes);
        __m512i e = _mm512_add_epi64(a, _mm512_set1_epi64(1));
        __m512i b = _mm512_set1_epi64((long long)(first >> 32)), f = b;
        __m512i c = _mm512_set1_epi64(draw), g = c;
        __m512i d = _mm512_set1_epi64(stream), h = d;
        uint32_t key_0 = (uint32_t)seed, key_1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < PHILOX_ROUNDS; round++) {
            const __m512i k_0 = _mm512_set1_epi64(key_0), k_1 = _mm512_set1_epi64(key_1);
            const __m512i even_0 = _mm512_mul_epu32(a, multiplier_0), even_1 = _mm512_mul_epu32(c, multiplier_1);
            const __m512i odd_0 = _mm512_mul_epu32(e, multiplier_0), odd_1 = _mm512_mul_epu32(g, multiplier_1);
            a = _mm512_ternarylogic_epi64(_mm512_srli_epi64(even_1, 32), b, k_0, XOR3);
            c = _mm512_ternarylogic_epi64(_mm512_srli_epi64(even_0, 32), d, k_1, XOR3);
            e = _mm512_ternarylogic_epi64(_mm512_srli_epi64(odd_1, 32), f, k_0, XOR3);
            g = _mm512_ternarylogic_epi64(_mm512_srli_epi64(odd_0, 32), h, k_1, XOR3);
            b = even_1, d = even_0, f = odd_1, h = odd_0;
            key_0 += PHILOX_WEYL_0;
            key_1 += PHILOX_WEYL_1;
        }
        const __m512i even[4] = {a, b, c, d}, odd[4] = {e, f, g, h};
        for (int w = 0; w < 4; w++)
            _mm512_store_si512(&batch->word[w][i],
                               _mm512_mask_blend_epi32(0xaaaa, even[w], _mm512_slli_epi64(odd[w], 32)));
    }
}

#endif

void philox_batch(uint64_t seed, uint64_t first, uint32_t draw, uint32_t stream, struct philox_batch *batch)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        philox_batch_avx512(seed, first, draw, stream, batch);
        return;
    }
    if (__builtin_cpu_supports("avx2")) {
        philox_batch_avx2(seed, first, draw, stream, batch);
        return;
    }
#endif
    philox_batch_plain(seed, first, draw, stream, batch);
}
