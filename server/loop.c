/* loop: see loop.h. */
#include "server/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "workers/log.h"

#define EVENTS_MOST 64

struct loop {
    int epoll;
    uint64_t now_ns;
    struct epoll_event events[EVENTS_MOST];
};

uint64_t clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        die("out of memory");
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        die("epoll_create1 failed");
    loop->now_ns = clock_now_ns();
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    close(loop->epoll);
    free(loop);
}

int loop_add(struct loop *loop, struct loop_watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    watch->fd = fd;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    watch->fd = -1;
    return -1;
}

void loop_remove(struct loop *loop, struct loop_watch *watch)
{
    if (watch->fd >= 0)
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
}

static int timeout_ms(uint64_t until_ns, uint64_t now_ns)
{
    if (until_ns == UINT64_MAX)
        return -1;
    if (until_ns <= now_ns)
        return 0;
    uint64_t ms = (until_ns - now_ns + 999999) / 1000000;
    return ms > 60000 ? 60000 : (int)ms;
}

int loop_turn(struct loop *loop, uint64_t until_ns)
{
    int wait_ms = until_ns == 0 ? 0 : timeout_ms(until_ns, clock_now_ns());
    int count = epoll_wait(loop->epoll, loop->events, EVENTS_MOST, wait_ms);
    loop->now_ns = clock_now_ns();
    if (count < 0 && errno != EINTR)
        die("epoll_wait failed: %d", errno);
    for (int i = 0; i < count; i++) {
        struct loop_watch *watch = loop->events[i].data.ptr;
        if (watch->fd >= 0)
            watch->ready(watch, loop->events[i].events, loop->now_ns);
    }
    return count < 0 ? 0 : count;
}

uint64_t loop_now(const struct loop *loop)
{
    return loop->now_ns;
}
