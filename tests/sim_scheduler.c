/* sim_scheduler: the scheduler in a virtual world (world.h). Storms, in which everything goes wrong at random and every
 * promise is checked at each event; then quiet scenes that measure what a storm cannot: latency, fairness.
 *
 *   SIM_SEED=n SIM_EVENTS=n sim_scheduler    one storm, as a failure names it, or a longer one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "tests/world.h"

#define EVENTS 250000ull
#define NUMBER(x) ((unsigned long long)(x))

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* --- storms ------------------------------------------------------------------------------------------------------- */

static void storm(uint64_t seed)
{
    struct world world;
    seed = setting("SIM_SEED", seed);
    world_init(&world, &(struct world_settings){.seed = seed,
                                                .workers = 1 + (uint32_t)(seed % 4),
                                                .max_workers = 8,
                                                .recycle_items = seed % 2 ? 2000 : 0,
                                                .arrivals = true,
                                                .chaos = true});
    uint64_t events = setting("SIM_EVENTS", EVENTS);
    while (world.event < events)
        world_step(&world);
    world_settle(&world, 600 * SECOND);
    print_message("SIM_SEED=%llu: %llu events in %llu s; %llu calls (%llu stopped, %llu late, %llu cancelled), "
                  "%llu tasks (%llu left behind), %llu workers died, %llu lied\n",
                  NUMBER(seed), NUMBER(world.event), NUMBER(world.now_ns / SECOND - 1000), NUMBER(world.calls_over),
                  NUMBER(world.ends[SCHED_STOPPED]), NUMBER(world.ends[SCHED_DEADLINE]),
                  NUMBER(world.ends[SCHED_CANCELLED]), NUMBER(world.tasks), NUMBER(world.staled), NUMBER(world.deaths),
                  NUMBER(world.breaches));
    print_message("    %llu items: %llu worker_died, %llu timeout, %llu memory_limit, %llu sandbox_violation, "
                  "%llu unavailable\n",
                  NUMBER(world.items_over), NUMBER(world.failures[ITEM_WORKER_DIED]),
                  NUMBER(world.failures[ITEM_TIMEOUT]), NUMBER(world.failures[ITEM_MEMORY_LIMIT]),
                  NUMBER(world.failures[ITEM_SANDBOX_VIOLATION]), NUMBER(world.failures[ITEM_UNAVAILABLE]));
    world_clear(&world);
}

static void test_storm_1(void **state)
{
    storm(1);
}

static void test_storm_2(void **state)
{
    storm(2);
}

static void test_storm_3(void **state)
{
    storm(3);
}

static void test_storm_4(void **state)
{
    storm(4);
}

/* --- latency ------------------------------------------------------------------------------------------------------ */

#define ENDLESS_ITEMS 100000u

/* Calls of one item beside an endless one. */
struct probes {
    uint64_t longest_ns, count, slow; /* slow: longer than late_ns */
    uint64_t late_ns;
};

static void call_endless(struct world *world, uint32_t principal, uint32_t function, uint64_t chunksize)
{
    struct sched_options options = {.principal = principal, .function = function, .chunksize = chunksize};
    world_call(world, options, ENDLESS_ITEMS);
}

static void probe_over(struct world *world, struct client *client)
{
    struct probes *probes = world->user;
    uint64_t took_ns = client->over_ns - client->arrived_ns;
    if (client->items == ENDLESS_ITEMS) {
        call_endless(world, client->options.principal, client->options.function, client->options.chunksize);
        return;
    }
    if (item_kind(client, 0) != KIND_PLAIN)
        return;
    probes->count++;
    probes->slow += took_ns > probes->late_ns;
    probes->longest_ns = took_ns > probes->longest_ns ? took_ns : probes->longest_ns;
}

/* One-item calls of this principal and function, each a random while below `pause_ns` after the one before. */
static void probe(struct world *world, uint32_t principal, uint32_t function, uint64_t pause_ns, uint32_t count)
{
    struct sched_options options = {.principal = principal, .function = function, .item_timeout_ns = 300 * MS};
    for (uint32_t i = 0; i < count; i++) {
        world_until(world, world->now_ns + world_random(world, pause_ns));
        world_call(world, options, 1);
    }
}

static void test_one_item_overtakes_a_million(void **state)
{
    static const struct {
        uint32_t busy_function, principal, function;
    } scenes[] = {
        {F_SMALL, 0, F_SMALL}, {F_SMALL, 1, F_SMALL},  {F_SMALL, 0, F_QUICK},  {F_SMALL, 1, F_MEDIUM},
        {F_QUICK, 0, F_SMALL}, {F_QUICK, 1, F_MEDIUM}, {F_MEDIUM, 0, F_SMALL}, {F_MEDIUM, 1, F_QUICK},
    };
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        struct world world;
        struct probes probes = {.late_ns = 10 * MS};
        world_init(&world, &(struct world_settings){.seed = 1 + i, .workers = 2, .max_workers = 8});
        world.on_over = probe_over;
        world.user = &probes;
        call_endless(&world, 0, scenes[i].busy_function, 0);
        probe(&world, scenes[i].principal, scenes[i].function, 10 * MS, 200);
        world_until(&world, world.now_ns + SECOND);
        print_message("%s beside %s: at most %llu us\n", world_functions[scenes[i].function].name,
                      world_functions[scenes[i].busy_function].name, NUMBER(probes.longest_ns / US));
        assert_int_equal(probes.count, 200);
        assert_in_range(probes.longest_ns, 0, 10 * MS);
        world_clear(&world);
    }
}

/* An item that never ends costs nobody else, as long as some worker is without one: those sent behind it, or before it
 * with their results unwritten, go elsewhere. */
static void test_nobody_queues_behind_an_endless_item(void **state)
{
    struct world world;
    struct probes probes = {.late_ns = 30 * MS};
    world_init(&world, &(struct world_settings){.seed = 1, .workers = 4, .max_workers = 8});
    world.on_over = probe_over;
    world.user = &probes;
    probe(&world, 0, F_SNARE, 50 * US, 100000);
    world_until(&world, world.now_ns + SECOND);
    print_message("at most %llu us, for %llu endless ones and %llu tasks left behind\n", NUMBER(probes.longest_ns / US),
                  NUMBER(world.failures[ITEM_TIMEOUT]), NUMBER(world.staled));
    assert_true(world.failures[ITEM_TIMEOUT] > 3);
    assert_true(world.staled > 0);
    assert_int_equal(probes.slow, 0);
    world_clear(&world);
}

/* A suspect runs alone in its worker, and so needs one with nothing to do: also when others never let any run dry. */
static void test_a_suspect_finds_its_turn(void **state)
{
    struct world world;
    struct probes probes = {.late_ns = 200 * MS};
    world_init(&world, &(struct world_settings){.seed = 1, .workers = 2, .max_workers = 8});
    world.on_over = probe_over;
    world.user = &probes;
    for (uint32_t i = 0; i < 6; i++)
        call_endless(&world, i % 2, F_SMALL, 10);
    world_until(&world, world.now_ns + SECOND);
    for (uint32_t i = 0; i < 20; i++) {
        world_call(&world, (struct sched_options){.principal = 2, .function = F_QUITS, .crash_retries = 2}, 1000);
        world_until(&world, world.now_ns + SECOND);
    }
    print_message("%llu items died thrice, in %llu calls of 1000; the longest took %llu us\n",
                  NUMBER(world.failures[ITEM_WORKER_DIED]), NUMBER(probes.count), NUMBER(probes.longest_ns / US));
    assert_true(world.failures[ITEM_WORKER_DIED] > 10);
    assert_int_equal(probes.slow, 0);
    world_clear(&world);
}

/* --- fairness ----------------------------------------------------------------------------------------------------- */

struct shares {
    uint64_t busy_ns[2]; /* worker time by principal, of calls that are over */
};

static void share_over(struct world *world, struct client *client)
{
    struct shares *shares = world->user;
    shares->busy_ns[client->options.principal] += client->busy_ns;
    world_call(world, client->options, client->items)->fit = client->fit;
}

/* What principal 0 asks for and what principal 1 does, without end. */
struct wish {
    uint32_t function, calls;
    uint64_t chunksize, items;
};

static double share(const struct wish wishes[2], uint64_t seed)
{
    struct world world;
    struct shares shares = {0};
    world_init(&world, &(struct world_settings){.seed = seed, .workers = 2, .max_workers = 8});
    world.on_over = share_over;
    world.user = &shares;
    for (uint32_t principal = 0; principal < 2; principal++)
        for (uint32_t i = 0; i < wishes[principal].calls; i++)
            world_call(&world,
                       (struct sched_options){.principal = principal,
                                              .function = wishes[principal].function,
                                              .chunksize = wishes[principal].chunksize,
                                              .deadline_ns = NEVER},
                       wishes[principal].items);
    world_until(&world, world.now_ns + 5 * SECOND);
    for (const struct client *client = world.clients; client != NULL; client = client->next)
        shares.busy_ns[client->options.principal] += client->deaf ? 0 : client->busy_ns;
    world_clear(&world);
    return (double)shares.busy_ns[0] / (double)(shares.busy_ns[0] + shares.busy_ns[1]);
}

static void test_principals_get_equal_shares(void **state)
{
    static const struct wish wishes[][2] = {
        {{F_SMALL, 1, 0, 20000}, {F_SMALL, 1, 0, 20000}},  {{F_SMALL, 1, 0, 20000}, {F_SLOW, 1, 0, 20000}},
        {{F_SMALL, 1, 0, 20000}, {F_MEDIUM, 10, 0, 2000}}, {{F_SMALL, 1, 0, 20000}, {F_MEDIUM, 1, 1, 20000}},
        {{F_SLOW, 1, 0, 20000}, {F_SMALL, 1, 7, 20000}},   {{F_SLOW, 1, 0, 20000}, {F_MEDIUM, 1, 4, 20000}},
        {{F_SMALL, 1, 0, 20000}, {F_SLOW, 8, 0, 1}},       {{F_QUICK, 1, 0, 200000}, {F_SMALL, 1, 1000, 20000}},
    };
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        double part = share(wishes[i], 1 + i);
        print_message("%s (%u x %llu by %llu) beside %s (%u x %llu by %llu): %.3f of the time\n",
                      world_functions[wishes[i][0].function].name, wishes[i][0].calls, NUMBER(wishes[i][0].items),
                      NUMBER(wishes[i][0].chunksize), world_functions[wishes[i][1].function].name, wishes[i][1].calls,
                      NUMBER(wishes[i][1].items), NUMBER(wishes[i][1].chunksize), part);
        assert_true(part > 0.43 && part < 0.57);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storm_1),
        cmocka_unit_test(test_storm_2),
        cmocka_unit_test(test_storm_3),
        cmocka_unit_test(test_storm_4),
        cmocka_unit_test(test_one_item_overtakes_a_million),
        cmocka_unit_test(test_nobody_queues_behind_an_endless_item),
        cmocka_unit_test(test_a_suspect_finds_its_turn),
        cmocka_unit_test(test_principals_get_equal_shares),
    };
    size_t count = getenv("SIM_SEED") != NULL ? 1 : sizeof tests / sizeof *tests;
    return _cmocka_run_group_tests("scheduler", tests, count, NULL, NULL);
}
