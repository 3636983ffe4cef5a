/* rig: one real worker without a service: $FORKMAP_BUILD/forkmap-worker as the zygote would exec it, with the other
 * ends of its pipes and its status page in the test's hands. Every wait is for a condition and has a bound. */
#ifndef FORKMAP_TESTS_RIG_H
#define FORKMAP_TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/types.h>

#include "workers/message.h"
#include "workers/page.h"

struct rig {
    pid_t pid;
    int tasks, results, log; /* its pipes' other ends, and its stderr */
    struct page *page;
    struct buf in;   /* what it wrote and nobody took yet */
    struct span now; /* payload of the frame at the front of `in`; at NULL: none was taken yet */
};

/* Starts one; READY has come and is checked. */
void rig_start(struct rig *rig, uint32_t generation, uint32_t recycle_items);
/* Closes its task pipe, if that is still open, and waits for its end; returns its exit status, or 1000 + the signal.
 * Asserts that it wrote nothing more, and so many lines to its log. */
int rig_end(struct rig *rig, unsigned lines);
/* The same for one that will not end by itself: killed, whatever it still wrote. */
void rig_kill(struct rig *rig);

void rig_write(struct rig *rig, const void *bytes, size_t length);
/* Writes one byte at a time, the next one when the worker has read the one before. */
void rig_write_slowly(struct rig *rig, const void *bytes, size_t length);
void rig_close(struct rig *rig); /* its task pipe */

/* A task's whole frame, behind what `to` has. `payload_length` 0: `task->payload` is a string's. */
void rig_pack(struct buf *to, const char *function, const struct task_message *task);
void rig_send(struct rig *rig, const char *function, const struct task_message *task);

/* Waits for the next frame; fails the test if it is not of this type. Good until the next one is asked for. */
struct span rig_frame(struct rig *rig, enum message type, uint16_t *padding);
/* The next frame, a RESULT. */
struct result_message rig_result(struct rig *rig);

/* All RESULTs of a task, put together. */
struct rig_sum {
    uint32_t count, failed, flags, frames;
    struct buf output; /* NUL-terminated, the NUL not counted */
    struct buf errors;
};
/* Reads up to the task's last RESULT, asserting order, no gaps, and the rules of flags for a task of `count` items. */
void rig_sum(struct rig *rig, uint64_t task, uint32_t count, struct rig_sum *sum);
void rig_sum_clear(struct rig_sum *sum);

#endif
