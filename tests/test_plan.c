/* Tests of api/plan.h: what holds of every chunk, and the sizes of some. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/plan.h"

static const uint64_t amounts[] = {1, 2, 3, 7, 15, 16, 17, 100, 999, 1000, 65536, 1000000, 1000000000000, INT64_MAX};
static const double costs_ns[] = {0.001, 0.5, 1,     3.7, 20,    1000, 19999, 20000,
                                  20001, 1e6, 1.9e6, 2e6, 2.1e6, 3e10, 1e18};
static const uint32_t crews[] = {1, 2, 3, 8, 64, 1000, UINT32_MAX};

#define EACH(index, table) for (size_t index = 0; index < sizeof table / sizeof *table; index++)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void a_chunksize_is_taken_as_said(void **state)
{
    EACH(i, amounts) EACH(j, amounts) EACH(k, crews) EACH(l, costs_ns)
    {
        struct plan plan = {costs_ns[l], amounts[j], amounts[i], crews[k]};
        assert_true(plan_chunk(&plan) == least(amounts[i], amounts[j]));
        plan.item_ns = 0;
        assert_true(plan_chunk(&plan) == least(amounts[i], amounts[j]));
    }
}

static void an_unknown_function_is_probed_with_a_few(void **state)
{
    EACH(i, amounts) EACH(j, crews)
    {
        struct plan plan = {.available = amounts[i], .workers = crews[j]};
        uint64_t chunk = plan_chunk(&plan);
        assert_true(chunk >= 1 && chunk <= amounts[i] && chunk <= PLAN_PROBE);
        if (amounts[i] >= (uint64_t)PLAN_PROBE * crews[j])
            assert_true(chunk == PLAN_PROBE);
        else /* fewer than a probe for each: all workers get some at once */
            assert_true((chunk - 1) * crews[j] < amounts[i]);
    }
}

static void a_known_cost_bounds_the_chunk(void **state)
{
    EACH(i, amounts) EACH(j, crews) EACH(k, costs_ns)
    {
        struct plan plan = {.item_ns = costs_ns[k], .available = amounts[i], .workers = crews[j]};
        uint64_t chunk = plan_chunk(&plan);
        assert_true(chunk >= 1 && chunk <= amounts[i]);
        if (chunk > 1)
            assert_true((double)chunk * costs_ns[k] <= PLAN_TARGET_NS);
        /* more than a worker's share only where the share is too little work to wake another worker for */
        if (chunk > 1 && (chunk - 1) * (unsigned __int128)crews[j] >= amounts[i])
            assert_true((double)chunk * costs_ns[k] <= PLAN_LEAST_NS);
    }
}

static void a_chunk_is_as_large_as_may_be(void **state)
{
    EACH(i, amounts) EACH(j, crews) EACH(k, costs_ns)
    {
        if (costs_ns[k] < 1) /* not a measured cost: plan_cost() gives none below 1 */
            continue;
        struct plan plan = {.item_ns = costs_ns[k], .available = amounts[i], .workers = crews[j]};
        uint64_t chunk = plan_chunk(&plan);
        if (chunk < amounts[i] && (double)(chunk + 1) * costs_ns[k] <= PLAN_TARGET_NS)
            assert_true(chunk * (unsigned __int128)crews[j] >= amounts[i]);
    }
}

static void some_chunks(void **state)
{
    static const struct {
        struct plan plan;
        uint64_t chunk;
    } rows[] = {
        {{.item_ns = 0, .available = 6, .workers = 2}, 3},
        {{.item_ns = 0, .available = 1000, .workers = 2}, 16},
        {{.item_ns = 1000, .available = 1000000, .workers = 2}, 2000}, /* 2 ms */
        {{.item_ns = 1000, .available = 1000, .workers = 2}, 500},     /* half each */
        {{.item_ns = 1000, .available = 30, .workers = 2}, 20},        /* 20 us at least */
        {{.item_ns = 1000, .available = 12, .workers = 2}, 12},        /* one worker does it all */
        {{.item_ns = 5e6, .available = 1000, .workers = 2}, 1},        /* long items one by one */
        {{.item_ns = 5e6, .chunksize = 100, .available = 1000, .workers = 2}, 100},
        {{.item_ns = 15, .available = 100000000, .workers = 2}, 133333},
    };
    EACH(i, rows)
    assert_int_equal(plan_chunk(&rows[i].plan), rows[i].chunk);
}

static void costs_follow_what_is_measured(void **state)
{
    assert_true(plan_cost(0, 1000, 10) == 100); /* the first measurement is taken as it is */
    assert_true(plan_cost(100, 1000, 10) > 99.9 && plan_cost(100, 1000, 10) < 100.1);
    double up = plan_cost(100, 10000, 10), down = plan_cost(100, 100, 10);
    assert_true(up > 100 && up < 1000);
    assert_true(down < 100 && down > 10);
    assert_true(plan_cost(0, 0, 10) >= 1); /* never 0, which means unknown */
    assert_true(plan_cost(1, 0, 1000) >= 0.99);
    double cost = 1e9;
    for (int i = 0; i < 60; i++)
        cost = plan_cost(cost, 50000, 100);
    assert_true(cost > 499 && cost < 501);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunksize_is_taken_as_said),
        cmocka_unit_test(an_unknown_function_is_probed_with_a_few),
        cmocka_unit_test(a_known_cost_bounds_the_chunk),
        cmocka_unit_test(a_chunk_is_as_large_as_may_be),
        cmocka_unit_test(some_chunks),
        cmocka_unit_test(costs_follow_what_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
