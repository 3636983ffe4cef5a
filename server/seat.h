/* seat: a slot's worker as the pool holds it: its two pipes, what is on the way in them, its status page. What it says
 * is read, checked and told to the scheduler and to the owners of calls; what it is told is gathered and written.
 *
 * It decides nothing, and knows neither the zygote nor why a worker comes or goes: pool.c does. */
#ifndef FORKMAP_SERVER_SEAT_H
#define FORKMAP_SERVER_SEAT_H

#include <stdbool.h>
#include <stdint.h>

#include "server/loop.h"
#include "workers/buf.h"
#include "workers/message.h"
#include "workers/page.h"

struct pool;

/* Embedded in the pool's table. */
struct seat {
    struct loop_watch watch; /* first: the result pipe */
    struct loop_watch room;  /* its task pipe while that is full */
    struct pool *pool;
    uint32_t slot, generation;
    int task_fd, results_fd, page_fd, statm_fd; /* results_fd is the watch's, also once it is not watched */
    struct page *page;                          /* once there was a worker: kept for the next */
    int pid;                                    /* 0: not known */
    bool used;                                  /* a worker was asked for and has not ended */
    bool spare;   /* it is killed because it was in the way: its end is no death to tell of */
    bool dirty;   /* `out` has something to write: it is in the pool's list */
    bool blocked; /* its task pipe is full; watched for room */
    struct buf in, out;
    size_t wanted; /* bytes that make the frame at the front of `in` whole */
    uint64_t deaths;
    int last_status;
};

void seat_init(struct seat *seat, struct pool *pool, uint32_t slot);
void seat_clear(struct seat *seat);
/* Pipes and a blank page for a worker to come. theirs[] is what to send it; the first two are the caller's to close,
 * the page's is the seat's. 0, or -1 with errno and no pipe. */
int seat_open(struct seat *seat, int theirs[ORDER_FDS]) __attribute__((warn_unused_result));
/* The worker is no more, or none came: back to an empty seat. The page is kept, as it was left. */
void seat_close(struct seat *seat);
/* No task will come: the worker reads the end of its pipe and leaves. */
void seat_retire(struct seat *seat);
/* The worker was forked; its memory is watched if it is `limited`. */
void seat_forked(struct seat *seat, int pid, bool limited);
/* Resident bytes now; 0: unknown or not watched. */
uint64_t seat_memory(const struct seat *seat);

/* Takes in what the worker wrote, at most so many reads of it. */
void seat_read(struct seat *seat, uint64_t now_ns, int reads_most);
/* Gathers a task; a large payload is written at once, with what was gathered before it. seat_flush() is due then. */
void seat_send(struct seat *seat, const struct task_message *message);
/* Writes what is gathered. If the pipe is full it goes on by itself when there is room. */
void seat_flush(struct seat *seat);

#endif
