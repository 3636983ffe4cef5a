/* seat: see seat.h. */
#include "server/seat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "server/pool_state.h"
#include "workers/frame.h"
#include "workers/log.h"

#define PIPE_BYTES (1 << 20)
#define READ_BYTES (64u << 10)
#define GATHER_BYTES 4096u    /* payloads up to this are copied behind their heads and sent with others */
#define OWN_BYTES (32u << 10) /* results from this size on are handed over instead of copied */
#define READS_MOST 16         /* of one pipe in a row, so that none starves the others */

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
    enum slot_state state = scheduler_slot_state(seat->pool->scheduler, seat->slot);
    if (state != SLOT_DYING && (type == MESSAGE_READY) != (state == SLOT_STARTING))
        return false; /* that comes first, and once */
    if (state == SLOT_LEAVING && type != MESSAGE_BYE)
        return false; /* that was its last word; and one that was let go had nothing to do */
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

/* A large frame is read into memory of its own size, so that it can be handed over as it is. */
void seat_read(struct seat *seat, uint64_t now_ns, int reads_most)
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
    seat_read(seat_of(watch), now_ns, READS_MOST);
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void room_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    struct seat *seat = seat_of_room(watch);
    loop_remove(seat->pool->loop, watch);
    seat->blocked = false;
    seat_flush(seat);
}

static void block(struct seat *seat)
{
    if (seat->blocked)
        return;
    seat->room.ready = room_ready;
    if (loop_add(seat->pool->loop, &seat->room, seat->task_fd, EPOLLOUT) != 0)
        die("a task pipe cannot be watched: %s", strerror(errno));
    seat->blocked = true;
}

void seat_flush(struct seat *seat)
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

/* What is gathered and a large payload in one writev; what the pipe does not take is kept. */
static void send_large(struct seat *seat, struct span payload, size_t padding)
{
    static char zeros[8];
    struct iovec iov[] = {
        {buf_start(&seat->out), seat->out.length}, {(char *)(uintptr_t)payload.at, payload.length}, {zeros, padding}};
    ssize_t n = seat->blocked || seat->task_fd < 0 ? 0 : writev(seat->task_fd, iov, 3);
    size_t sent = n > 0 ? (size_t)n : 0, head = seat->out.length;
    buf_consume(&seat->out, sent < head ? sent : head);
    sent -= sent < head ? sent : head;
    size_t of_payload = sent < payload.length ? sent : payload.length;
    buf_append(&seat->out, payload.at + of_payload, payload.length - of_payload);
    buf_append(&seat->out, zeros, padding - (sent - of_payload));
}

void seat_send(struct seat *seat, const struct task_message *message)
{
    size_t padding;
    message_pack_task_head(&seat->out, message, &padding);
    if (message->payload.length <= GATHER_BYTES || seat->blocked) {
        static const char zeros[8];
        buf_append(&seat->out, message->payload.at, message->payload.length);
        buf_append(&seat->out, zeros, padding);
    } else {
        send_large(seat, message->payload, padding);
    }
}

/* --- workers come and go ------------------------------------------------------------------------------------------ */

void seat_init(struct seat *seat, struct pool *pool, uint32_t slot)
{
    *seat = (struct seat){.watch.fd = -1,
                          .room.fd = -1,
                          .pool = pool,
                          .slot = slot,
                          .task_fd = -1,
                          .results_fd = -1,
                          .page_fd = -1,
                          .statm_fd = -1};
}

void seat_clear(struct seat *seat)
{
    seat_close(seat);
    close_fd(&seat->page_fd);
    if (seat->page != NULL)
        munmap(seat->page, PAGE_BYTES);
    buf_clear(&seat->in);
    buf_clear(&seat->out);
}

static int make_page(struct seat *seat)
{
    if (seat->page == NULL) {
        if (seat->page_fd < 0)
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

int seat_open(struct seat *seat, int theirs[ORDER_FDS])
{
    int tasks[2] = {-1, -1}, results[2] = {-1, -1};
    seat_close(seat);
    seat->watch.ready = results_ready;
    if (pipe2(tasks, O_CLOEXEC) != 0 || pipe2(results, O_CLOEXEC) != 0 || make_page(seat) != 0 ||
        loop_add(seat->pool->loop, &seat->watch, results[0], EPOLLIN) != 0) {
        for (int i = 0; i < 2; i++) {
            close_fd(&tasks[i]);
            close_fd(&results[i]);
        }
        return -1;
    }
    fcntl(tasks[1], F_SETFL, O_NONBLOCK);
    fcntl(results[0], F_SETFL, O_NONBLOCK);
    fcntl(tasks[1], F_SETPIPE_SZ, PIPE_BYTES); /* a hint: users have a budget of pipe pages */
    fcntl(results[1], F_SETPIPE_SZ, PIPE_BYTES);
    seat->task_fd = tasks[1];
    seat->results_fd = results[0];
    theirs[0] = tasks[0];
    theirs[1] = results[1];
    theirs[2] = seat->page_fd;
    return 0;
}

void seat_close(struct seat *seat)
{
    loop_remove(seat->pool->loop, &seat->watch);
    if (seat->blocked)
        loop_remove(seat->pool->loop, &seat->room);
    seat->blocked = false;
    seat->used = false;
    seat->pid = 0;
    seat->wanted = 0;
    close_fd(&seat->task_fd);
    close_fd(&seat->results_fd);
    close_fd(&seat->statm_fd);
    buf_reset(&seat->in);
    buf_reset(&seat->out);
}

void seat_retire(struct seat *seat)
{
    if (seat->blocked)
        loop_remove(seat->pool->loop, &seat->room);
    seat->blocked = false;
    close_fd(&seat->task_fd);
}

void seat_forked(struct seat *seat, int pid, bool limited)
{
    seat->pid = pid;
    if (!limited)
        return;
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    seat->statm_fd = open(path, O_RDONLY | O_CLOEXEC);
}

uint64_t seat_memory(const struct seat *seat)
{
    if (seat->statm_fd < 0)
        return 0;
    char text[128];
    ssize_t n = pread(seat->statm_fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    unsigned long total, resident = 0;
    if (sscanf(text, "%lu %lu", &total, &resident) != 2)
        return 0;
    return (uint64_t)resident * PAGE_BYTES;
}
