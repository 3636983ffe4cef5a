/* loop: descriptors and their callbacks, one thread, level-triggered epoll. It knows nothing of what it serves. */
#ifndef FORKMAP_SERVER_LOOP_H
#define FORKMAP_SERVER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Embedded in its owner, who must not move or free it while it is added, nor within the turn that removed it. */
struct loop_watch {
    int fd;                                                                    /* -1: not added */
    void (*ready)(struct loop_watch *watch, uint32_t events, uint64_t now_ns); /* EPOLLIN, … */
};

struct loop *loop_new(void);
void loop_free(struct loop *loop);
/* events as for epoll_ctl(). 0, or -1 with errno. */
int loop_add(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events) __attribute__((warn_unused_result));
void loop_remove(struct loop *loop, struct loop_watch *watch);
/* Waits until `until_ns` at the longest (a time; 0: not at all; UINT64_MAX: for ever), calls what is ready, returns how
 * many descriptors were. */
int loop_turn(struct loop *loop, uint64_t until_ns);
/* CLOCK_MONOTONIC, as read when the last wait ended; the turn's one clock. */
uint64_t loop_now(const struct loop *loop);
uint64_t clock_now_ns(void);

#endif
