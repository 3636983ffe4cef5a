/* pool_state: the pool's own members, shared by pool.c (turns, the zygote) and seat.c (one worker) alone. */
#ifndef FORKMAP_SERVER_POOL_STATE_H
#define FORKMAP_SERVER_POOL_STATE_H

#include "server/pool.h"

struct seat;

struct pool {
    struct loop *loop;
    struct scheduler *scheduler;
    struct pool_owner owner;
    struct pool_limits limits;
    struct loop_watch link;
    struct seat *seats; /* limits.slots of them */
    uint32_t *dirty;    /* slots with something gathered */
    uint32_t dirty_count;
    uint64_t sampled_ns;
    int zygote_pid;
    bool busy;
};

#endif
