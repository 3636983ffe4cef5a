/* worker: see worker.h.
 *
 * Writes are gathered: results of everything that one read brought go out in one write, or 5 ms after the last one. A
 * task that may yield gives the rest back when its budget is used up, so that a wrong guess of a function's cost never
 * holds items captive behind a slow one. */
#include "workers/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "workers/frame.h"
#include "workers/log.h"
#include "workers/message.h"
#include "workers/page.h"
#include "workers/runtime.h"

#define READ_BYTES (64u << 10)
#define SPIN_NS 30000ull
#define SEND_AFTER_NS 5000000ull /* partial results wait no longer than this */
#define COPY_BYTES (16u << 10)   /* outputs shorter than this are gathered, longer ones written from where they are */
#define BATCH_MOST 4096u
#define BATCH_SHORT_NS 100000ull /* a batch quicker than this doubles, */
#define BATCH_LONG_NS 500000ull  /* one slower than this shrinks */

struct worker {
    struct worker_settings settings;
    volatile struct page *page;
    struct buf input;  /* frames read */
    struct buf frames; /* frames to write */
    struct buf output, errors;
    uint64_t now_ns;     /* the last clock reading */
    uint64_t sent_ns;    /* when results were last written */
    uint64_t task_ns;    /* when the task under way was begun */
    uint64_t result_ns;  /* when the first item since the last send was begun */
    uint32_t sent_items; /* of the task under way */
    uint32_t items;      /* in all, for recycling */
    uint64_t last_task;
};

static const struct runtime *const runtimes[] = {&runtime_native};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Writes all of it; the front gone is the end of this process. */
static void write_all(struct iovec *iov, int count)
{
    while (count > 0) {
        ssize_t n = writev(WORKER_RESULT_FD, iov, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            _exit(0);
        size_t left = (size_t)n;
        while (count > 0 && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            count--;
        }
        if (count > 0) {
            iov->iov_base = (char *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
}

static void flush_frames(struct worker *worker)
{
    if (worker->frames.length == 0)
        return;
    struct iovec iov = {buf_start(&worker->frames), worker->frames.length};
    write_all(&iov, 1);
    buf_reset(&worker->frames);
    worker->sent_ns = worker->now_ns;
}

/* One RESULT frame of what the chunk has since the last one. */
static void send_result(struct chunk *chunk, uint32_t flags)
{
    static char zeros[8];
    struct worker *worker = chunk->worker;
    struct result_message result = {
        .task = chunk->task->task,
        .started_ns = worker->result_ns,
        .ended_ns = worker->now_ns,
        .first = worker->sent_items,
        .count = chunk->done - worker->sent_items,
        .flags = flags,
        .failed = chunk->failed,
        .errors = {buf_start(chunk->errors), chunk->errors->length},
        .output = {buf_start(chunk->output), chunk->output->length},
    };
    size_t bytes = result.errors.length + result.output.length;
    if (bytes > FRAME_MAX - RESULT_FIXED_BYTES - 8)
        die("a result of %zu bytes does not fit a frame", bytes);
    if (bytes <= COPY_BYTES) {
        message_pack_result(&worker->frames, &result);
    } else {
        message_pack_result_head(&worker->frames, &result);
        struct iovec iov[] = {
            {buf_start(&worker->frames), worker->frames.length},
            {buf_start(chunk->errors), result.errors.length},
            {buf_start(chunk->output), result.output.length},
            {zeros, (8 - bytes % 8) % 8},
        };
        write_all(iov, 4);
        buf_reset(&worker->frames);
        worker->sent_ns = worker->now_ns;
    }
    buf_reset(chunk->output);
    buf_reset(chunk->errors);
    worker->sent_items = chunk->done;
    worker->result_ns = worker->now_ns;
    chunk->failed = 0;
}

void chunk_tick(struct chunk *chunk)
{
    struct worker *worker = chunk->worker;
    uint64_t now_ns = clock_ns(), batch_ns = now_ns - worker->now_ns;
    worker->now_ns = now_ns;
    if (batch_ns < BATCH_SHORT_NS)
        chunk->batch = chunk->batch * 2 < BATCH_MOST ? chunk->batch * 2 : BATCH_MOST;
    else if (batch_ns > BATCH_LONG_NS)
        chunk->batch = chunk->batch > 4 ? chunk->batch / 4 : 1;
    if (chunk->done == chunk->task->count)
        return;
    bool fold = chunk->task->format == ITEMS_FOLD;
    if (!fold && (now_ns - worker->sent_ns >= SEND_AFTER_NS || chunk->output->length >= FRAME_MAX / 8)) {
        send_result(chunk, 0);
        flush_frames(worker);
    }
    if (chunk->task->budget_us > 0 && now_ns - worker->task_ns >= chunk->task->budget_us * 1000ull)
        chunk->stop = true;
}

void chunk_fail(struct chunk *chunk, enum item_error type, const char *name, const char *message)
{
    struct buf members;
    buf_init(&members);
    buf_append_text(&members, "\"detail\":");
    buf_append_json(&members, message, strlen(message));
    if (name != NULL && *name != '\0') {
        buf_append_text(&members, ",\"name\":");
        buf_append_json(&members, name, strlen(name));
        buf_append_text(&members, ",\"message\":");
        buf_append_json(&members, message, strlen(message));
    }
    message_add_error(chunk->errors, chunk->done, type, (struct span){buf_start(&members), members.length});
    buf_clear(&members);
    buf_append_char(chunk->output, (char)chunk->task->separator);
    buf_append(chunk->output, "null", 4);
    chunk->failed++;
    chunk->done++;
    if (chunk->task->flags & TASK_STOP_ON_ERROR)
        chunk->stop = chunk->stopped = true;
}

static const struct runtime *runtime_of(const uint8_t hash[32])
{
    for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++)
        if (runtimes[i]->knows(hash))
            return runtimes[i];
    return NULL;
}

static void send_malformed(struct chunk *chunk)
{
    struct malformed_message malformed = {
        .task = chunk->task->task,
        .item = chunk->done,
        .offset = (uint32_t)chunk->bad_offset,
        .why = {chunk->bad_why, strlen(chunk->bad_why)},
    };
    message_pack_malformed(&chunk->worker->frames, &malformed);
    buf_reset(chunk->output);
    buf_reset(chunk->errors);
}

static void leave(struct worker *worker)
{
    message_pack_bye(&worker->frames, &(struct bye_message){.task = worker->last_task});
    flush_frames(worker);
    _exit(0);
}

static void run_task(struct worker *worker, const struct task_message *task)
{
    const struct runtime *runtime = runtime_of(task->function);
    if (runtime == NULL)
        die("task %llu names a function that is not here", (unsigned long long)task->task);
    if (!(task->flags & TASK_QUICK))
        flush_frames(worker); /* nobody's results wait for a long item */
    struct chunk chunk = {.task = task,
                          .page = worker->page,
                          .output = &worker->output,
                          .errors = &worker->errors,
                          .batch = 8,
                          .worker = worker};
    worker->task_ns = worker->result_ns = worker->now_ns;
    worker->sent_items = 0;
    worker->page->item = 0;
    worker->page->phase = PAGE_RUNNING;
    worker->page->task = task->task;
    runtime->run(&chunk);
    worker->page->item = task->count;
    worker->now_ns = clock_ns();
    if (chunk.malformed)
        send_malformed(&chunk);
    else if (chunk.done == task->count)
        send_result(&chunk, RESULT_LAST);
    else
        send_result(&chunk, RESULT_LAST | (chunk.stopped ? RESULT_STOPPED : RESULT_YIELDED));
    worker->items += chunk.done;
    worker->last_task = task->task;
    if ((task->flags & TASK_LEAVE) ||
        (worker->settings.recycle_items > 0 && worker->items >= worker->settings.recycle_items))
        leave(worker);
    worker->page->task = 0;
    worker->page->phase = PAGE_IDLE;
}

static void refuse_load(struct worker *worker, struct span payload, uint16_t padding)
{
    struct content_message load;
    if (!message_unpack_content(payload, padding, &load))
        die("a LOAD that cannot be read");
    static const char why[] = "{\"detail\":\"native functions load no source and take no common value\"}";
    load.content = (struct span){why, sizeof why - 1};
    message_pack_content(&worker->frames, MESSAGE_LOAD_FAILED, &load);
}

static void handle_frame(struct worker *worker, enum message type, uint16_t padding, struct span payload)
{
    struct task_message task;
    switch (type) {
    case MESSAGE_TASK:
        if (!message_unpack_task(payload, padding, &task))
            die("a TASK that cannot be read");
        run_task(worker, &task);
        break;
    case MESSAGE_LOAD:
        refuse_load(worker, payload, padding);
        break;
    case MESSAGE_TELL: /* the answer to a question that nobody here asked */
        break;
    default:
        die("a worker was sent %s", message_name(type));
    }
}

static void read_more(struct worker *worker, size_t wanted)
{
    size_t room = wanted > worker->input.length + READ_BYTES ? wanted - worker->input.length : READ_BYTES;
    uint64_t until_ns = worker->last_task != 0 ? clock_ns() + SPIN_NS : 0;
    for (;;) {
        ssize_t n = read(WORKER_TASK_FD, buf_room(&worker->input, room), room);
        if (n > 0) {
            buf_added(&worker->input, (size_t)n);
            return;
        }
        if (n == 0 || (errno != EINTR && errno != EAGAIN))
            _exit(0); /* end of file is the stop signal */
        if (until_ns > 0 && clock_ns() < until_ns) {
            sched_yield();
            continue;
        }
        until_ns = 0;
        poll(&(struct pollfd){WORKER_TASK_FD, POLLIN, 0}, 1, -1);
    }
}

static void limit_memory(uint64_t limit_bytes)
{
    if (limit_bytes == 0)
        return;
    /* The front samples and kills at the limit; this is the backstop for what grows faster than it looks. */
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%lu", &pages) != 1)
            pages = 0;
        fclose(statm);
    }
#ifndef __SANITIZE_ADDRESS__
    rlim_t most = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + limit_bytes + (64u << 20);
    struct rlimit limit = {most, most};
    setrlimit(RLIMIT_AS, &limit);
#endif
}

_Noreturn void worker_main(const struct worker_settings *settings)
{
    static struct worker worker;
    worker.settings = *settings;
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_PAGE_FD, 0);
    if (page == MAP_FAILED)
        die("the status page cannot be mapped: %s", strerror(errno));
    worker.page = page;
    close(WORKER_PAGE_FD);
    worker.page->generation = settings->generation;
    limit_memory(settings->memory_bytes);
    fcntl(WORKER_TASK_FD, F_SETFL, O_NONBLOCK);
    worker.now_ns = worker.sent_ns = clock_ns();
    message_pack_ready(&worker.frames, &(struct ready_message){PROTOCOL_VERSION, (uint32_t)getpid()});
    flush_frames(&worker);
    size_t wanted = sizeof(struct frame_header);
    for (;;) {
        read_more(&worker, wanted);
        worker.now_ns = worker.sent_ns = clock_ns();
        enum message type;
        uint16_t padding;
        struct span payload;
        enum frame_status status;
        while ((status = frame_next(&worker.input, &type, &padding, &payload, &wanted)) == FRAME_WHOLE) {
            handle_frame(&worker, type, padding, payload);
            frame_done(&worker.input, payload);
        }
        if (status == FRAME_BAD)
            die("a frame that cannot be read");
        flush_frames(&worker);
    }
}
