/* worker: one worker process's life: read tasks from one pipe, run them, write results to another, leave at end of
 * file. It never outlives the pipes; it holds descriptors 0-2 and those two and nothing else. */
#ifndef FORKMAP_WORKERS_WORKER_H
#define FORKMAP_WORKERS_WORKER_H

#include <stdint.h>

#define WORKER_TASK_FD 3
#define WORKER_RESULT_FD 4
#define WORKER_PAGE_FD 5

struct worker_settings {
    uint32_t generation;
    uint32_t recycle_items; /* BYE after so many items; 0: never */
    uint64_t memory_bytes;  /* its limit; 0: none */
};

/* Serves until end of file; does not return. The descriptors are in place and nothing else is open. */
_Noreturn void worker_main(const struct worker_settings *settings);

#endif
