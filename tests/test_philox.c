/* test_philox: the published known answers, and the batches against one block at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "workers/philox.h"

/* The lines "philox4x32 10" of tests/kat_vectors in Random123: counter, key, answer. */
static const struct {
    uint32_t counter[4], key[2], answer[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static uint64_t join(const uint32_t halves[2])
{
    return (uint64_t)halves[1] << 32 | halves[0];
}

static void test_known_answers(void **state)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct philox block =
            philox_block(join(known[i].key), join(known[i].counter), known[i].counter[2], known[i].counter[3]);
        assert_memory_equal(block.word, known[i].answer, sizeof block.word);
    }
}

/* Each known counter is somewhere in the batch that holds its index. */
static void test_known_answers_in_batches(void **state)
{
    static struct philox_batch batch;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint64_t index = join(known[i].counter), place = index % PHILOX_BATCH;
        philox_batch(join(known[i].key), index - place, known[i].counter[2], known[i].counter[3], &batch);
        for (int w = 0; w < 4; w++)
            assert_int_equal(batch.word[w][place], known[i].answer[w]);
    }
}

static void test_batches_equal_blocks(void **state)
{
    static const uint64_t firsts[] = {0, PHILOX_BATCH, UINT64_C(0xffffff80), UINT64_C(0x100000000),
                                      UINT64_C(0xffffffffffffff80)};
    static struct philox_batch fast, plain;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        for (uint32_t draw = 0; draw < 3; draw++) {
            uint64_t seed = firsts[i] * 77 + draw;
            philox_batch(seed, firsts[i], draw, 5 + draw, &fast);
            philox_batch_plain(seed, firsts[i], draw, 5 + draw, &plain);
            assert_memory_equal(&fast, &plain, sizeof fast);
        }
}

static void test_every_input_matters(void **state)
{
    struct philox blocks[] = {philox_block(1, 2, 3, 4),
                              philox_block(2, 2, 3, 4),
                              philox_block(1, 3, 3, 4),
                              philox_block(1, 2, 4, 4),
                              philox_block(1, 2, 3, 5),
                              philox_block(1 | 1ull << 63, 2, 3, 4),
                              philox_block(1, 2 | 1ull << 63, 3, 4)};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(blocks[i].word, blocks[k].word, sizeof blocks[i].word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_known_answers_in_batches),
        cmocka_unit_test(test_batches_equal_blocks),
        cmocka_unit_test(test_every_input_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
