/* plan: see plan.h. */
#include "api/plan.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t plan_chunk(const struct plan *plan)
{
    if (plan->chunksize > 0)
        return least(plan->chunksize, plan->available);
    uint64_t share = (plan->available + plan->workers - 1) / plan->workers;
    if (plan->item_ns <= 0)
        return least(share, PLAN_PROBE);
    double target = PLAN_TARGET_NS / plan->item_ns, floor = PLAN_LEAST_NS / plan->item_ns;
    uint64_t most = target < 1 ? 1 : target > 1e9 ? (uint64_t)1e9 : (uint64_t)target;
    uint64_t few = floor < 1 ? 1 : floor > 1e9 ? (uint64_t)1e9 : (uint64_t)floor;
    uint64_t chunk = least(most, share);
    if (chunk < few)
        chunk = few;
    return least(chunk, plan->available);
}

double plan_cost(double item_ns, uint64_t busy_ns, uint64_t items)
{
    double measured = (double)busy_ns / (double)items;
    if (measured < 1)
        measured = 1;
    return item_ns <= 0 ? measured : 0.7 * item_ns + 0.3 * measured;
}
