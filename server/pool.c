/* pool: see pool.h. */
#include "server/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "workers/frame.h"
#include "workers/log.h"
#include "workers/page.h"

#define PIPE_BYTES (1 << 20)
#define READ_BYTES (64u << 10)
#define GATHER_BYTES 4096u       /* payloads up to this are copied behind their heads and sent with others */
#define OWN_BYTES (32u << 10)    /* results from this size on are handed over instead of copied */
#define SAMPLE_NS 10000000ull    /* how often status pages and memory are looked at */
#define READS_MOST 16            /* of one pipe in a row, so that none starves the others */

struct seat {
    struct loop_watch watch; /* first: the result pipe */
    struct pool *pool;
    uint32_t slot, generation;
    int task_fd, results_fd, page_fd, statm_fd; /* results_fd is the watch's, also once it is not watched */
    struct page *page;
    int pid;
    bool used;         /* a worker was asked for and has not ended */
    bool dirty;        /* `out` has something to write */
    bool blocked;      /* its task pipe is full; watched for room */
    struct loop_watch room;
    struct buf in, out;
    size_t wanted; /* bytes that make the frame at the front of `in` whole */
    uint64_t memory_bytes, deaths;
    int last_status;
};

struct pool {
    struct loop *loop;
    struct scheduler *scheduler;
    struct pool_owner owner;
    struct pool_limits limits;
    struct loop_watch link;
    struct seat *seats;
    uint32_t *dirty; /* slots with something gathered */
    uint32_t dirty_count;
    uint64_t sampled_ns;
    int zygote_pid;
    bool busy;
};

static struct seat *seat_of(struct loop_watch *watch)
{
    return (struct seat *)(void *)watch;
}

static struct seat *seat_of_room(struct loop_watch *watch)
{
    return (struct seat *)(void *)((char *)watch - offsetof(struct seat, room));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void breach(struct seat *seat, const char *what, uint64_t now_ns)
{
    warning("worker %d (slot %u) broke the protocol: %s; it is killed", seat->pid, seat->slot, what);
    scheduler_breach(seat->pool->scheduler, seat->slot, now_ns);
    buf_reset(&seat->in);
    loop_remove(seat->pool->loop, &seat->watch);
}

static bool take_result(struct seat *seat, struct span payload, uint16_t padding, uint64_t now_ns)
{
    struct pool *pool = seat->pool;
    struct result_message message;
    if (!message_unpack_result(payload, padding, &message))
        return false;
    struct sched_result event = {message.task,  message.started_ns, message.ended_ns, message.first,
                                 message.count, message.flags,      message.failed};
    struct sched_accepted accepted;
    switch (scheduler_result(pool->scheduler, seat->slot, &event, now_ns, &accepted)) {
    case SCHED_BREACH:
        return false;
    case SCHED_STALE:
        return true;
    case SCHED_ACCEPTED:
        break;
    }
    struct pool_result result = {
        .message = &message, .first = accepted.first, .attempts = accepted.attempts, .slot = seat->slot};
    bool whole = seat->in.length == sizeof(struct frame_header) + payload.length;
    if (message.output.length >= OWN_BYTES && whole) {
        result.block = seat->in.data; /* the frame is all there is here: its memory goes along */
        buf_init(&seat->in);
        pool->owner.result(accepted.owner, &result);
        return true;
    }
    pool->owner.result(accepted.owner, &result);
    return true;
}

static bool take_malformed(struct seat *seat, struct span payload, uint16_t padding, uint64_t now_ns)
{
    struct malformed_message malformed;
    if (!message_unpack_malformed(payload, padding, &malformed))
        return false;
    /* The task is over for its worker; the call it belongs to ends by this. */
    struct sched_accepted accepted;
    enum sched_verdict verdict =
        scheduler_malformed(seat->pool->scheduler, seat->slot, malformed.task, now_ns, &accepted);
    if (verdict == SCHED_ACCEPTED)
        seat->pool->owner.malformed(accepted.owner, accepted.first, &malformed);
    return verdict != SCHED_BREACH;
}

static bool take_frame(struct seat *seat, enum message type, uint16_t padding, struct span payload, uint64_t now_ns)
{
    struct ready_message ready;
    struct bye_message bye;
    switch (type) {
    case MESSAGE_RESULT:
        return take_result(seat, payload, padding, now_ns);
    case MESSAGE_READY:
        if (!message_unpack_ready(payload, &ready))
            return false;
        if (seat->pid == 0)
            seat->pid = (int)ready.pid; /* the zygote's report may come behind the first results */
        scheduler_ready(seat->pool->scheduler, seat->slot, now_ns);
        return true;
    case MESSAGE_BYE:
        if (!message_unpack_bye(payload, &bye))
            return false;
        scheduler_bye(seat->pool->scheduler, seat->slot, bye.task, now_ns);
        return true;
    case MESSAGE_MALFORMED:
        return take_malformed(seat, payload, padding, now_ns);
    default: /* what later runtimes send is nothing a native worker may */
        return false;
    }
}

/* The whole frames of what was read; false: the sender is wrong. */
static bool take_frames(struct seat *seat, uint64_t now_ns)
{
    enum message type;
    uint16_t padding;
    struct span payload;
    enum frame_status status;
    while ((status = frame_next(&seat->in, &type, &padding, &payload, &seat->wanted)) == FRAME_WHOLE) {
        if (!take_frame(seat, type, padding, payload, now_ns))
            return false;
        if (seat->in.data != NULL) /* else the owner took the memory, frame and all */
            frame_done(&seat->in, payload);
    }
    return status != FRAME_BAD;
}

/* Reads what is there. A large frame is read into memory of its own size, so that it can be handed over as it is. */
static void read_results(struct seat *seat, uint64_t now_ns, int reads_most)
{
    for (int i = 0; i < reads_most && seat->watch.fd >= 0; i++) {
        size_t missing = seat->wanted > seat->in.length ? seat->wanted - seat->in.length : 0;
        bool large = seat->wanted > READ_BYTES && missing > 0;
        size_t room = large ? missing : READ_BYTES;
        if (large && seat->in.capacity < seat->in.head + seat->wanted)
            buf_exact(&seat->in, seat->wanted);
        ssize_t n = read(seat->watch.fd, buf_room(&seat->in, room), room);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) { /* it closed its pipe: its end will be told, or it is put to one */
            loop_remove(seat->pool->loop, &seat->watch);
            if (scheduler_slot_state(seat->pool->scheduler, seat->slot) != SLOT_LEAVING)
                scheduler_breach(seat->pool->scheduler, seat->slot, now_ns);
            return;
        }
        buf_added(&seat->in, (size_t)n);
        if (!take_frames(seat, now_ns)) {
            breach(seat, "a frame that may not be", now_ns);
            return;
        }
        if (!large && (size_t)n < room)
            return; /* that was all: spare the read that would say so */
    }
}

static void results_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    read_results(seat_of(watch), now_ns, READS_MOST);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void room_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns);

static void block(struct seat *seat)
{
    if (seat->blocked)
        return;
    seat->room.ready = room_ready;
    if (loop_add(seat->pool->loop, &seat->room, seat->task_fd, EPOLLOUT) != 0)
        die("a task pipe cannot be watched: %s", strerror(errno));
    seat->blocked = true;
}

static void flush(struct seat *seat)
{
    while (seat->out.length > 0 && seat->task_fd >= 0) {
        ssize_t n = write(seat->task_fd, buf_start(&seat->out), seat->out.length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            block(seat);
            return;
        }
        if (n < 0) { /* the reader is gone: its end will be told */
            buf_reset(&seat->out);
            return;
        }
        buf_consume(&seat->out, (size_t)n);
    }
    buf_reset(&seat->out);
}

static void room_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    struct seat *seat = seat_of_room(watch);
    loop_remove(seat->pool->loop, watch);
    seat->blocked = false;
    flush(seat);
}

/* What is gathered and a large payload in one writev; what the pipe does not take is kept. */
static void send_large(struct seat *seat, struct span payload, size_t padding)
{
    static char zeros[8];
    struct iovec iov[] = {{buf_start(&seat->out), seat->out.length},
                          {(char *)(uintptr_t)payload.at, payload.length},
                          {zeros, padding}};
    ssize_t n = seat->blocked || seat->task_fd < 0 ? 0 : writev(seat->task_fd, iov, 3);
    size_t sent = n > 0 ? (size_t)n : 0, head = seat->out.length;
    buf_consume(&seat->out, sent < head ? sent : head);
    sent -= sent < head ? sent : head;
    size_t of_payload = sent < payload.length ? sent : payload.length;
    buf_append(&seat->out, payload.at + of_payload, payload.length - of_payload);
    buf_append(&seat->out, zeros, padding - (sent - of_payload));
}

static void mark_dirty(struct seat *seat)
{
    if (seat->dirty)
        return;
    seat->dirty = true;
    seat->pool->dirty[seat->pool->dirty_count++] = seat->slot;
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
    size_t padding;
    message_pack_task_head(&seat->out, &message, &padding);
    if (message.payload.length <= GATHER_BYTES || seat->blocked) {
        static const char zeros[8];
        buf_append(&seat->out, message.payload.at, message.payload.length);
        buf_append(&seat->out, zeros, padding);
    } else {
        send_large(seat, message.payload, padding);
    }
    mark_dirty(seat);
}

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
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    return pool->link.fd >= 0 && sendmsg(pool->link.fd, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *order ? 0 : -1;
}

static int make_page(struct seat *seat)
{
    if (seat->page == NULL) {
        seat->page_fd = memfd_create("forkmap-page", MFD_CLOEXEC);
        if (seat->page_fd < 0 || ftruncate(seat->page_fd, PAGE_BYTES) != 0)
            return -1;
        void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, seat->page_fd, 0);
        if (page == MAP_FAILED)
            return -1;
        seat->page = page;
    }
    memset(seat->page, 0, sizeof *seat->page);
    return 0;
}

static void clear_seat(struct seat *seat)
{
    loop_remove(seat->pool->loop, &seat->watch);
    if (seat->blocked)
        loop_remove(seat->pool->loop, &seat->room);
    seat->blocked = false;
    seat->used = false;
    seat->pid = 0;
    seat->memory_bytes = 0;
    seat->wanted = 0;
    close_fd(&seat->task_fd);
    close_fd(&seat->statm_fd);
    buf_reset(&seat->in);
    buf_reset(&seat->out);
}

static void do_fork(struct pool *pool, const struct sched_action *action, uint64_t now_ns)
{
    struct seat *seat = &pool->seats[action->slot];
    int tasks[2] = {-1, -1}, results[2] = {-1, -1};
    clear_seat(seat);
    bool made = pipe2(tasks, O_CLOEXEC) == 0 && pipe2(results, O_CLOEXEC) == 0 && make_page(seat) == 0;
    if (made) {
        fcntl(tasks[1], F_SETFL, O_NONBLOCK);
        fcntl(results[0], F_SETFL, O_NONBLOCK);
        fcntl(tasks[1], F_SETPIPE_SZ, PIPE_BYTES); /* a hint: users have a budget of pipe pages */
        fcntl(results[1], F_SETPIPE_SZ, PIPE_BYTES);
        struct order order = {.version = PROTOCOL_VERSION,
                              .type = ORDER_FORK,
                              .slot = action->slot,
                              .generation = action->generation,
                              .flags = action->spawn ? ORDER_SPAWN : 0,
                              .recycle_items = pool->limits.recycle_items,
                              .memory_bytes = pool->limits.memory_bytes};
        int fds[ORDER_FDS] = {tasks[0], results[1], seat->page_fd};
        made = send_order(pool, &order, fds, ORDER_FDS) == 0;
    }
    close_fd(&tasks[0]);
    close_fd(&results[1]);
    seat->watch.ready = results_ready;
    if (made)
        made = loop_add(pool->loop, &seat->watch, results[0], EPOLLIN) == 0;
    if (!made) {
        warning("no worker for slot %u: %s", action->slot, strerror(errno));
        close_fd(&tasks[1]);
        close_fd(&results[0]);
        scheduler_fork_failed(pool->scheduler, action->slot, now_ns);
        return;
    }
    seat->generation = action->generation;
    seat->task_fd = tasks[1];
    seat->results_fd = results[0];
    seat->used = true;
}

static void do_kill(struct pool *pool, const struct sched_action *action)
{
    struct order order = {.version = PROTOCOL_VERSION,
                          .type = ORDER_KILL,
                          .slot = action->slot,
                          .generation = action->generation};
    send_order(pool, &order, NULL, 0);
}

/* A worker is no more: what it still wrote is taken in before anyone is blamed. */
static void ended(struct seat *seat, struct sched_death *death, uint64_t now_ns)
{
    if (!seat->used)
        return;
    if (seat->watch.fd >= 0)
        read_results(seat, now_ns, 1 << 20);
    if (seat->page != NULL) {
        death->page_task = seat->page->task;
        death->page_item = seat->page->item;
    }
    enum slot_state state = scheduler_slot_state(seat->pool->scheduler, seat->slot);
    if (state != SLOT_LEAVING && !death->lost) {
        seat->deaths++;
        seat->last_status = death->status;
    }
    clear_seat(seat);
    close_fd(&seat->results_fd);
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
    char path[40];
    switch (report->type) {
    case REPORT_FORKED:
        seat->pid = report->pid;
        pool->zygote_pid = report->status;
        snprintf(path, sizeof path, "/proc/%d/statm", report->pid);
        seat->statm_fd = pool->limits.memory_bytes > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        break;
    case REPORT_FAILED:
        warning("the zygote cannot fork: %s", strerror(report->status));
        clear_seat(seat);
        close_fd(&seat->results_fd);
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

static uint64_t resident_bytes(int statm_fd)
{
    char text[128];
    ssize_t n = pread(statm_fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    unsigned long total, resident = 0;
    if (sscanf(text, "%lu %lu", &total, &resident) != 2)
        return 0;
    return (uint64_t)resident * PAGE_BYTES;
}

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
        if (seat->statm_fd < 0)
            continue;
        seat->memory_bytes = resident_bytes(seat->statm_fd);
        if (seat->memory_bytes > pool->limits.memory_bytes)
            scheduler_over_memory(pool->scheduler, i, now_ns);
    }
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
            close_fd(&pool->seats[action.slot].task_fd);
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
            flush(seat);
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
        pool->seats[i] = (struct seat){.watch.fd = -1,
                                       .room.fd = -1,
                                       .pool = pool,
                                       .slot = i,
                                       .task_fd = -1,
                                       .results_fd = -1,
                                       .page_fd = -1,
                                       .statm_fd = -1};
    return pool;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL)
        return;
    for (uint32_t i = 0; i < pool->limits.slots; i++) {
        struct seat *seat = &pool->seats[i];
        clear_seat(seat);
        close_fd(&seat->results_fd);
        close_fd(&seat->page_fd);
        if (seat->page != NULL)
            munmap(seat->page, PAGE_BYTES);
        buf_clear(&seat->in);
        buf_clear(&seat->out);
    }
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
                                .memory_bytes = seat->statm_fd >= 0 ? resident_bytes(seat->statm_fd) : 0,
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
