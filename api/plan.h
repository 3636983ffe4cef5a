/* plan: how many items the next task gets; the only policy about chunk sizes. Pure.
 *
 * `auto` aims at tasks of PLAN_TARGET_NS by measured cost: a round trip is about 7 us, so larger ones gain nothing and
 * make others wait. A function never measured is probed with a few items; a wrong guess costs little, since a task
 * gives back what it has not begun after PLAN_BUDGET_NS. */
#ifndef FORKMAP_API_PLAN_H
#define FORKMAP_API_PLAN_H

#include <stdint.h>

#define PLAN_TARGET_NS 2000000.0
#define PLAN_BUDGET_NS 5000000ull
#define PLAN_LEAST_NS 20000.0 /* below this much work, waking another worker costs more than it brings */
#define PLAN_PROBE 16u        /* items of a first task whose cost nobody knows */

struct plan {
    double item_ns;     /* measured cost of an item; 0: unknown */
    uint64_t chunksize; /* as asked for; 0: auto */
    uint64_t available; /* items that can be handed out now, at least 1 */
    uint32_t workers;   /* that may share them, at least 1 */
};

/* Items for the next task: 1 to available. A chunksize is taken as said. */
uint64_t plan_chunk(const struct plan *plan);
/* A running average that follows quickly but is not thrown by one task: the new mean item cost. */
double plan_cost(double item_ns, uint64_t busy_ns, uint64_t items);

#endif
