/* page: the status page that a worker shares with the front, one each. The worker writes, the front only reads; what a
 * worker could forge there concerns its own task alone.
 *
 * The worker writes `item` before it begins each item: one aligned 32-bit store. The front samples busy slots on its
 * own clock and times an item from when it first saw that number, so the item pays for no clock. */
#ifndef FORKMAP_WORKERS_PAGE_H
#define FORKMAP_WORKERS_PAGE_H

#include <stdint.h>

#define PAGE_BYTES 4096u

enum page_phase {
    PAGE_IDLE = 0,
    PAGE_RUNNING, /* `item` of `task` is being computed */
    PAGE_WAITING, /* an item waits for a TELL: its clock stands still */
    PAGE_LOADING, /* a function's start-up, not item time */
};

struct page {
    volatile uint64_t task;  /* the task under way; 0: none */
    volatile uint32_t item;  /* within the task: the item under way; the task's count once all are done */
    volatile uint32_t phase; /* enum page_phase */
    volatile uint32_t generation;
};

#endif
