/* micro_roll: what a roll costs on one core, for each way of counting; the best of a few short runs. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "workers/philox.h"
#include "workers/roll.h"

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void measure_roll(uint32_t dice, uint32_t sides, uint64_t rolls)
{
    uint64_t *counts = calloc(roll_bins(dice, sides), sizeof *counts);
    if (counts == NULL)
        abort();
    double best = 1e18;
    for (int run = 0; run < 5; run++) {
        double start = now_ns();
        roll_count(42, dice, sides, (uint64_t)run * rolls, rolls, counts);
        double each = (now_ns() - start) / (double)rolls;
        best = each < best ? each : best;
    }
    printf("roll   %3ud%-4u %8.3f ns/roll\n", dice, sides, best);
    free(counts);
}

static void measure_philox(void)
{
    struct philox_batch batch;
    double best = 1e18;
    for (int run = 0; run < 5; run++) {
        double start = now_ns();
        for (uint64_t i = 0; i < 20000; i++)
            philox_batch(42, i * PHILOX_BATCH, 0, 0, &batch);
        double each = (now_ns() - start) / (20000.0 * PHILOX_BATCH);
        best = each < best ? each : best;
    }
    printf("philox batch    %8.3f ns/block\n", best);
}

int main(void)
{
    static const struct {
        uint32_t dice, sides;
        uint64_t rolls;
    } rows[] = {
        {2, 6, 50000000}, {3, 6, 50000000}, {1, 20, 50000000}, {1, 100, 50000000},  {2, 20, 20000000},
        {4, 6, 20000000}, {5, 6, 20000000}, {100, 6, 2000000}, {100, 1000, 500000},
    };
    measure_philox();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        measure_roll(rows[i].dice, rows[i].sides, rows[i].rolls);
    return 0;
}
