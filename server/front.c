/* front: see front.h. The loop is one page: whoever has deadlines says how long it may sleep, the loop takes the least.
 */
#include "server/front.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "server/call.h"
#include "server/http.h"
#include "server/loop.h"
#include "server/pool.h"
#include "server/scheduler.h"
#include "server/supervisor.h"
#include "workers/log.h"

#define LINGER_NS 100000000ull /* a drained front stays so long for requests that were on their way */

struct front {
    struct loop_watch control; /* first */
    const struct options *options;
    struct loop *loop;
    struct scheduler *scheduler;
    struct pool *pool;
    struct http *http;
    struct calls calls;
    uint64_t drain_ns; /* when draining began */
    bool serving, draining, over;
};

static void control_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    struct front *front = (struct front *)(void *)watch;
    struct supervisor_message message;
    int passed_fd;
    int got;
    while ((got = supervisor_receive(watch->fd, &message, &passed_fd)) == 1) {
        if (message.type == SUPERVISOR_ZYGOTE_LINK && passed_fd >= 0) {
            pool_link(front->pool, passed_fd, now_ns);
        } else if (message.type == SUPERVISOR_DRAIN) {
            notice("draining: %zu requests under way", http_requests(front->http));
            front->draining = front->calls.draining = true;
            front->drain_ns = now_ns;
            http_quiesce(front->http);
        }
    }
    if (got == 0)
        front->over = true; /* the supervisor is gone */
}

/* The supervisor writes the port file once requests are answered: sockets and a worker are there. */
static void tell_serving(struct front *front)
{
    if (front->serving || scheduler_live(front->scheduler) == 0)
        return;
    front->serving = true;
    if (!supervisor_send(front->control.fd, SUPERVISOR_SERVING, 0, -1))
        front->over = true;
}

static void turn(struct front *front)
{
    uint64_t now_ns = loop_now(front->loop);
    uint64_t due_ns = http_due_ns(front->http, now_ns), pool_due = pool_due_ns(front->pool, now_ns);
    if (front->draining && front->drain_ns + LINGER_NS < due_ns)
        due_ns = now_ns < front->drain_ns + LINGER_NS ? front->drain_ns + LINGER_NS : due_ns;
    loop_turn(front->loop, due_ns < pool_due ? due_ns : pool_due);
    now_ns = loop_now(front->loop);
    pool_turn(front->pool, now_ns); /* what workers answered becomes answers */
    http_run(front->http, now_ns);  /* these are sent, and what clients sent becomes tasks */
    pool_turn(front->pool, now_ns); /* which go out in one write a worker */
    if (scheduler_live(front->scheduler) > 0) {
        front->calls.live_ns = now_ns;
        tell_serving(front);
    }
    if (front->draining && http_requests(front->http) == 0 && now_ns - front->drain_ns >= LINGER_NS)
        front->over = true;
}

static void front_init(struct front *front, const struct options *options)
{
    front->options = options;
    front->loop = loop_new();
    calls_init(&front->calls, options);
    struct scheduler_limits scheduler_limits = {
        .workers = (uint32_t)options->workers,
        .max_workers = (uint32_t)options->max_workers,
        .functions = functions_count(),
        .idle_shrink_ns = options->idle_shrink_ms > 0 ? options->idle_shrink_ms * 1000000u : UINT64_MAX / 2,
        .memory_bytes = options->worker_memory_bytes,
        .spawn = options->start_method == START_SPAWN,
        .fit = call_fit,
    };
    front->scheduler = scheduler_new(&scheduler_limits);
    struct pool_limits pool_limits = {.memory_bytes = options->worker_memory_bytes,
                                      .recycle_items = (uint32_t)options->recycle_items};
    front->pool = pool_new(front->loop, front->scheduler, &calls_pool_owner, &pool_limits);
    front->calls.scheduler = front->scheduler;
    front->calls.pool = front->pool;
    front->calls.loop = front->loop;
    front->calls.live_ns = loop_now(front->loop);
    front->calls.answered = http_answered;
}

int front_main(const struct options *options, int control_fd, const int *listen_fds, size_t listen_count)
{
    static struct front front;
    log_open("front");
    log_verbose(options->verbose);
    signal(SIGPIPE, SIG_IGN);
    front_init(&front, options);
    front.http = http_new(front.loop, &front.calls, options, listen_fds, listen_count);
    front.control.ready = control_ready;
    if (loop_add(front.loop, &front.control, control_fd, EPOLLIN) != 0)
        die("the control socket cannot be watched: %s", strerror(errno));
    while (!front.over)
        turn(&front);
    http_free(front.http);
    pool_free(front.pool);
    scheduler_free(front.scheduler);
    calls_clear(&front.calls);
    loop_free(front.loop);
    return front.draining ? 0 : 1;
}
