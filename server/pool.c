/* pool: see pool.h. Here are the turns, what the scheduler asks for, and the link to the zygote; seat.c has what passes
 * between the front and one worker. */
#include "server/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/pool_state.h"
#include "server/seat.h"
#include "workers/log.h"

#define SAMPLE_NS 10000000ull /* how often status pages and memory are looked at */

/* --- workers come and go ------------------------------------------------------------------------------------------ */

static int send_order(struct pool *pool, const struct order *order, const int *fds, size_t fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(ORDER_FDS * sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)order, sizeof *order};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *c = &control.align; /* the first and only one */
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    return pool->link.fd >= 0 && sendmsg(pool->link.fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *order ? 0 : -1;
}

static void do_fork(struct pool *pool, const struct sched_action *action, uint64_t now_ns)
{
    struct seat *seat = &pool->seats[action->slot];
    struct order order = {.version = PROTOCOL_VERSION,
                          .type = ORDER_FORK,
                          .slot = action->slot,
                          .generation = action->generation,
                          .flags = action->spawn ? ORDER_SPAWN : 0,
                          .recycle_items = pool->limits.recycle_items,
                          .memory_bytes = pool->limits.memory_bytes};
    int theirs[ORDER_FDS];
    bool made = seat_open(seat, theirs) == 0;
    pool->busy = true; /* whoever starts is looked after, too */
    if (made) {
        made = send_order(pool, &order, theirs, ORDER_FDS) == 0;
        close(theirs[0]);
        close(theirs[1]);
    }
    if (!made) {
        warning("no worker for slot %u: %s", action->slot, strerror(errno));
        seat_close(seat);
        scheduler_fork_failed(pool->scheduler, action->slot, now_ns);
        return;
    }
    seat->generation = action->generation;
    seat->used = true;
    seat->spare = false;
}

static void do_kill(struct pool *pool, const struct sched_action *action)
{
    struct order order = {
        .version = PROTOCOL_VERSION, .type = ORDER_KILL, .slot = action->slot, .generation = action->generation};
    send_order(pool, &order, NULL, 0);
    pool->seats[action->slot].spare = action->spare;
}

/* A worker is no more: what it still wrote is taken in before anyone is blamed. */
static void ended(struct seat *seat, struct sched_death *death, uint64_t now_ns)
{
    if (!seat->used)
        return;
    seat_read(seat, now_ns, 1 << 20);
    if (seat->page != NULL) {
        death->page_task = seat->page->task;
        death->page_item = seat->page->item;
    }
    enum slot_state state = scheduler_slot_state(seat->pool->scheduler, seat->slot);
    if (state != SLOT_LEAVING && !seat->spare && !death->lost) {
        seat->deaths++;
        seat->last_status = death->status;
    }
    seat_close(seat);
    scheduler_ended(seat->pool->scheduler, seat->slot, death, now_ns);
}

static void take_report(struct pool *pool, const struct report *report, uint64_t now_ns)
{
    if (report->version != PROTOCOL_VERSION || report->slot >= pool->limits.slots)
        die("a zygote's report that cannot be read");
    struct seat *seat = &pool->seats[report->slot];
    if (!seat->used || seat->generation != report->generation)
        return;
    struct sched_death death = {.status = report->status, .peak_bytes = report->peak_bytes};
    switch (report->type) {
    case REPORT_FORKED:
        pool->zygote_pid = report->status;
        seat_forked(seat, report->pid, pool->limits.memory_bytes > 0);
        break;
    case REPORT_FAILED:
        warning("the zygote cannot fork: %s", strerror(report->status));
        seat_close(seat);
        scheduler_fork_failed(pool->scheduler, report->slot, now_ns);
        break;
    case REPORT_ENDED:
        ended(seat, &death, now_ns);
        break;
    default:
        die("a zygote's report of type %u", report->type);
    }
}

static void lose_link(struct pool *pool, uint64_t now_ns)
{
    int fd = pool->link.fd;
    loop_remove(pool->loop, &pool->link);
    close(fd);
    scheduler_link(pool->scheduler, false);
    warning("the zygote is gone; its workers with it");
    for (uint32_t i = 0; i < pool->limits.slots; i++)
        ended(&pool->seats[i], &(struct sched_death){.lost = true}, now_ns);
}

static void link_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    struct pool *pool = (struct pool *)(void *)((char *)watch - offsetof(struct pool, link));
    for (;;) {
        struct report report;
        ssize_t n = recv(watch->fd, &report, sizeof report, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            lose_link(pool, now_ns);
            return;
        }
        if (n != sizeof report)
            die("a zygote's report that cannot be read");
        take_report(pool, &report, now_ns);
    }
}

void pool_link(struct pool *pool, int fd, uint64_t now_ns)
{
    if (pool->link.fd >= 0)
        lose_link(pool, now_ns);
    pool->link.ready = link_ready;
    if (loop_add(pool->loop, &pool->link, fd, EPOLLIN) != 0)
        die("the zygote's socket cannot be watched: %s", strerror(errno));
    scheduler_link(pool->scheduler, true);
}

/* --- turns -------------------------------------------------------------------------------------------------------- */

static void sample(struct pool *pool, uint64_t now_ns)
{
    pool->sampled_ns = now_ns;
    pool->busy = false;
    for (uint32_t i = 0; i < pool->limits.slots; i++) {
        struct seat *seat = &pool->seats[i];
        enum slot_state state = scheduler_slot_state(pool->scheduler, i);
        if (!seat->used || state == SLOT_READY || state == SLOT_EMPTY)
            continue;
        pool->busy = true;
        scheduler_sample(pool->scheduler, i, seat->page->task, seat->page->item,
                         seat->page->phase == PAGE_RUNNING || seat->page->phase == PAGE_IDLE, now_ns);
        if (seat_memory(seat) > pool->limits.memory_bytes)
            scheduler_over_memory(pool->scheduler, i, now_ns);
    }
}

static void do_dispatch(struct pool *pool, const struct sched_action *action)
{
    struct seat *seat = &pool->seats[action->slot];
    struct task_message message = {.task = action->task,
                                   .first = action->first,
                                   .count = action->count,
                                   .flags = action->flags,
                                   .budget_us = action->budget_us};
    pool->owner.dispatch(action->owner, action, &message);
    seat_send(seat, &message);
    if (!seat->dirty)
        pool->dirty[pool->dirty_count++] = seat->slot;
    seat->dirty = true;
}

static void act(struct pool *pool, uint64_t now_ns)
{
    struct sched_action action;
    while (scheduler_take(pool->scheduler, &action)) {
        switch (action.type) {
        case SCHED_FORK:
            do_fork(pool, &action, now_ns);
            break;
        case SCHED_DISPATCH:
            pool->busy = true;
            do_dispatch(pool, &action);
            break;
        case SCHED_KILL:
            do_kill(pool, &action);
            break;
        case SCHED_RETIRE:
            seat_retire(&pool->seats[action.slot]);
            break;
        case SCHED_FAIL:
            pool->owner.failed(action.owner, &action);
            break;
        case SCHED_END:
            pool->owner.ended(action.owner, action.ended);
            break;
        }
    }
}

void pool_turn(struct pool *pool, uint64_t now_ns)
{
    if (pool->busy && now_ns - pool->sampled_ns >= SAMPLE_NS)
        sample(pool, now_ns);
    scheduler_run(pool->scheduler, now_ns);
    act(pool, now_ns);
    for (uint32_t i = 0; i < pool->dirty_count; i++) {
        struct seat *seat = &pool->seats[pool->dirty[i]];
        seat->dirty = false;
        if (!seat->blocked)
            seat_flush(seat);
    }
    pool->dirty_count = 0;
}

uint64_t pool_due_ns(const struct pool *pool, uint64_t now_ns)
{
    uint64_t due_ns = scheduler_due_ns(pool->scheduler);
    if (pool->busy && pool->sampled_ns + SAMPLE_NS < due_ns)
        due_ns = pool->sampled_ns + SAMPLE_NS;
    return due_ns;
}

struct pool *pool_new(struct loop *loop, struct scheduler *scheduler, const struct pool_owner *owner,
                      const struct pool_limits *limits)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        die("out of memory");
    pool->loop = loop;
    pool->scheduler = scheduler;
    pool->owner = *owner;
    pool->limits = *limits;
    pool->limits.slots = (uint32_t)scheduler_slots(scheduler);
    pool->link.fd = -1;
    pool->seats = calloc(pool->limits.slots, sizeof *pool->seats);
    pool->dirty = calloc(pool->limits.slots, sizeof *pool->dirty);
    if (pool->seats == NULL || pool->dirty == NULL)
        die("out of memory");
    for (uint32_t i = 0; i < pool->limits.slots; i++)
        seat_init(&pool->seats[i], pool, i);
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    for (uint32_t i = 0; i < pool->limits.slots; i++)
        seat_clear(&pool->seats[i]);
    if (pool->link.fd >= 0) {
        int fd = pool->link.fd;
        loop_remove(pool->loop, &pool->link);
        close(fd);
    }
    free(pool->seats);
    free(pool->dirty);
    free(pool);
}

struct pool_worker pool_worker(const struct pool *pool, uint32_t slot)
{
    const struct seat *seat = &pool->seats[slot];
    return (struct pool_worker){.state = scheduler_slot_state(pool->scheduler, slot),
                                .pid = seat->pid,
                                .generation = scheduler_slot_generation(pool->scheduler, slot),
                                .items = scheduler_slot_items(pool->scheduler, slot),
                                .memory_bytes = seat_memory(seat),
                                .deaths = seat->deaths,
                                .last_status = seat->last_status,
                                .has_died = seat->deaths > 0};
}

int pool_pid(const struct pool *pool, uint32_t slot)
{
    return pool->seats[slot].pid;
}

int pool_zygote_pid(const struct pool *pool)
{
    return pool->zygote_pid;
}
