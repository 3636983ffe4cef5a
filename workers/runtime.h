/* runtime: what runs a task's items, behind one small interface: find the function, run the chunk. The worker owns
 * reading, writing and time; a runtime owns computing. `native` is the first; others stand beside it. */
#ifndef FORKMAP_WORKERS_RUNTIME_H
#define FORKMAP_WORKERS_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/message.h"
#include "workers/page.h"

/* A task under way in a worker. The runtime appends to `output` and `errors` and counts `done` and `failed`; it calls
 * chunk_tick() between items, which may send what is there (emptying both) and says whether to go on. */
struct chunk {
    const struct task_message *task;
    volatile struct page *page;
    struct buf *output; /* separator and result of each item since the last send */
    struct buf *errors; /* message_add_error() records since the last send */
    uint32_t done;      /* items of the task finished */
    uint32_t failed;    /* of those since the last send */
    uint32_t batch;     /* how many items to run before the next chunk_tick(); it adapts this to their cost */
    bool stop;          /* set by chunk_tick(), or by chunk_fail() with TASK_STOP_ON_ERROR: start nothing more */
    bool stopped;       /* it was chunk_fail() */
    bool malformed;     /* the body is no JSON here: `done` is the item, bad_offset and bad_why the place */
    size_t bad_offset;  /* in the payload */
    const char *bad_why;
    struct worker *worker; /* for chunk_tick() */
};

/* To be called after every `batch` items (or fewer): reads the clock once. */
void chunk_tick(struct chunk *chunk);
/* Item number chunk->done failed: appends separator and null, records the error, counts the item. */
void chunk_fail(struct chunk *chunk, enum item_error type, const char *name, const char *message);

struct runtime {
    const char *name;
    /* Whether the function with this hash is this runtime's. */
    bool (*knows)(const uint8_t hash[32]);
    /* Runs the items until the task is done, chunk->stop or chunk->malformed. */
    void (*run)(struct chunk *chunk);
};

extern const struct runtime runtime_native;

#endif
