#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/world.h"

static void storm(uint64_t seed, uint64_t events)
{
    struct world world;
    world_init(&world, &(struct world_settings){.seed = seed,
                                                .workers = 2 + seed % 3,
                                                .max_workers = 8,
                                                .recycle_items = seed % 2 ? 2000 : 0,
                                                .arrivals = true,
                                                .chaos = true});
    while (world.event < events)
        world_step(&world);
    world_settle(&world, 600 * SECOND);
    print_message("seed %llu: %llu events in %.1f virtual s: %llu calls, %llu items, %llu tasks, %llu results, %llu deaths, %llu breaches; ends %llu %llu %llu %llu; died %llu timeout %llu memory %llu sandbox %llu unavailable %llu\n",
                  (unsigned long long)seed, (unsigned long long)world.event, (double)world.now_ns / 1e9 - 1000,
                  (unsigned long long)world.calls_over, (unsigned long long)world.items_over,
                  (unsigned long long)world.tasks, (unsigned long long)world.results, (unsigned long long)world.deaths,
                  (unsigned long long)world.breaches, (unsigned long long)world.ends[0],
                  (unsigned long long)world.ends[1], (unsigned long long)world.ends[2], (unsigned long long)world.ends[3],
                  (unsigned long long)world.failures[ITEM_WORKER_DIED], (unsigned long long)world.failures[ITEM_TIMEOUT],
                  (unsigned long long)world.failures[ITEM_MEMORY_LIMIT],
                  (unsigned long long)world.failures[ITEM_SANDBOX_VIOLATION],
                  (unsigned long long)world.failures[ITEM_UNAVAILABLE]);
    world_clear(&world);
}
static void test_storm(void **state)
{
    const char *s = getenv("SIM_SEED"), *e = getenv("SIM_EVENTS");
    storm(s ? strtoull(s, NULL, 10) : 1, e ? strtoull(e, NULL, 10) : 100000);
}
int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
