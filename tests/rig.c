/* rig: see rig.h. */
#include "tests/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/serve.h"
#include "workers/catalog.h"
#include "workers/frame.h"
#include "workers/worker.h"

/* --- its life ----------------------------------------------------------------------------------------------------- */

static void run_worker(const int fds[4], uint32_t generation, uint32_t recycle_items)
{
    const char *folder = getenv("FORKMAP_BUILD");
    char program[512], numbers[2][16];
    snprintf(program, sizeof program, "%s/forkmap-worker", folder != NULL && *folder != '\0' ? folder : "build");
    snprintf(numbers[0], sizeof numbers[0], "%u", generation);
    snprintf(numbers[1], sizeof numbers[1], "%u", recycle_items);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int high[4];
    for (int i = 0; i < 4; i++)
        high[i] = fcntl(fds[i], F_DUPFD, 20);
    for (int i = 0; i < 3; i++)
        dup2(high[i], WORKER_TASK_FD + i);
    dup2(high[3], STDERR_FILENO);
    close_range(WORKER_PAGE_FD + 1, ~0u, 0);
    execl(program, "forkmap-worker", "worker", numbers[0], numbers[1], "0", (char *)NULL);
    _exit(127);
}

void rig_start(struct rig *rig, uint32_t generation, uint32_t recycle_items)
{
    int tasks[2], results[2], log[2], page = memfd_create("rig-page", MFD_CLOEXEC);
    *rig = (struct rig){0};
    assert_int_equal(pipe2(tasks, O_CLOEXEC) | pipe2(results, O_CLOEXEC) | pipe2(log, O_CLOEXEC), 0);
    assert_true(page >= 0 && ftruncate(page, PAGE_BYTES) == 0);
    void *shared = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, page, 0);
    assert_true(shared != MAP_FAILED);
    signal(SIGPIPE, SIG_IGN);
    fflush(NULL);
    rig->pid = fork();
    if (rig->pid == 0)
        run_worker((const int[]){tasks[0], results[1], page, log[1]}, generation, recycle_items);
    assert_true(rig->pid > 0);
    close(tasks[0]);
    close(results[1]);
    close(log[1]);
    close(page);
    rig->tasks = tasks[1];
    rig->results = results[0];
    rig->log = log[0];
    rig->page = shared;
    struct ready_message ready;
    uint16_t padding;
    assert_true(message_unpack_ready(rig_frame(rig, MESSAGE_READY, &padding), &ready));
    assert_int_equal(ready.version, PROTOCOL_VERSION);
    assert_int_equal(ready.pid, rig->pid);
    assert_int_equal(rig->page->generation, generation);
    assert_int_equal(rig->page->phase, PAGE_IDLE);
    assert_true(rig->page->task == 0);
}

void rig_close(struct rig *rig)
{
    if (rig->tasks >= 0)
        close(rig->tasks);
    rig->tasks = -1;
}

static void clear(struct rig *rig)
{
    rig_close(rig);
    close(rig->results);
    close(rig->log);
    munmap(rig->page, PAGE_BYTES);
    buf_clear(&rig->in);
}

static unsigned read_lines(int fd)
{
    char text[4096];
    ssize_t length;
    unsigned lines = 0;
    while ((length = read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < length; i++)
            lines += text[i] == '\n';
    return lines;
}

int rig_end(struct rig *rig, unsigned lines)
{
    int status = -1;
    rig_close(rig);
    WAIT_UNTIL(waitpid(rig->pid, &status, WNOHANG) == rig->pid);
    if (rig->now.at != NULL)
        frame_done(&rig->in, rig->now);
    char more[64];
    ssize_t length = read(rig->results, more, sizeof more);
    if (length > 0 || rig->in.length > 0)
        fail_msg("the worker wrote more than it should");
    unsigned said = read_lines(rig->log);
    clear(rig);
    assert_int_equal(said, lines);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void rig_kill(struct rig *rig)
{
    kill(rig->pid, SIGKILL);
    assert_int_equal(waitpid(rig->pid, NULL, 0), rig->pid);
    clear(rig);
}

/* --- to it -------------------------------------------------------------------------------------------------------- */

void rig_write(struct rig *rig, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t n = write(rig->tasks, at, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail_msg("the worker reads no more: %s", strerror(errno));
        at += n;
        length -= (size_t)n;
    }
}

void rig_write_slowly(struct rig *rig, const void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        int unread = 1;
        rig_write(rig, (const char *)bytes + i, 1);
        uint64_t bound_ms = clock_ms() + wait_bound_ms();
        while (ioctl(rig->tasks, FIONREAD, &unread) == 0 && unread > 0 && clock_ms() < bound_ms)
            sched_yield();
        assert_int_equal(unread, 0);
    }
}

void rig_pack(struct buf *to, const char *function, const struct task_message *task)
{
    struct task_message message = *task;
    const struct native *native = catalog_find(function, strlen(function));
    size_t padding;
    if (native != NULL)
        catalog_hash(native, message.function);
    if (message.count == 0)
        message.count = 1;
    if (message.separator == 0)
        message.separator = ',';
    if (message.payload.length == 0 && message.payload.at != NULL)
        message.payload.length = strlen(message.payload.at);
    message_pack_task_head(to, &message, &padding);
    buf_append(to, message.payload.at, message.payload.length);
    buf_append(to, "\0\0\0\0\0\0\0", padding);
}

void rig_send(struct rig *rig, const char *function, const struct task_message *task)
{
    struct buf frame = {0};
    rig_pack(&frame, function, task);
    rig_write(rig, buf_start(&frame), frame.length);
    buf_clear(&frame);
}

/* --- from it ------------------------------------------------------------------------------------------------------ */

struct span rig_frame(struct rig *rig, enum message type, uint16_t *padding)
{
    enum message got;
    enum frame_status status;
    size_t wanted;
    if (rig->now.at != NULL)
        frame_done(&rig->in, rig->now);
    rig->now = (struct span){NULL, 0};
    while ((status = frame_next(&rig->in, &got, padding, &rig->now, &wanted)) == FRAME_NONE) {
        struct pollfd polled = {rig->results, POLLIN, 0};
        if (poll(&polled, 1, (int)wait_bound_ms()) != 1)
            fail_msg("waited in vain for %s", message_name(type));
        ssize_t n = read(rig->results, buf_room(&rig->in, 4096), 4096);
        if (n <= 0)
            fail_msg("the worker left instead of sending %s", message_name(type));
        buf_added(&rig->in, (size_t)n);
    }
    assert_int_equal(status, FRAME_WHOLE);
    if (got != type)
        fail_msg("the worker sent %s, not %s", message_name(got), message_name(type));
    return rig->now;
}

struct result_message rig_result(struct rig *rig)
{
    struct result_message result;
    uint16_t padding;
    struct span payload = rig_frame(rig, MESSAGE_RESULT, &padding);
    assert_true(message_unpack_result(payload, padding, &result));
    assert_int_equal(result.flags & ~(RESULT_LAST | RESULT_YIELDED | RESULT_STOPPED), 0);
    return result;
}

void rig_sum(struct rig *rig, uint64_t task, uint32_t count, struct rig_sum *sum)
{
    uint64_t ended_ns = 0;
    *sum = (struct rig_sum){0};
    while (!(sum->flags & RESULT_LAST)) {
        struct result_message result = rig_result(rig);
        assert_true(result.task == task);
        assert_int_equal(result.first, sum->count);
        assert_true(result.count <= count - sum->count);
        assert_true(result.started_ns >= ended_ns && result.started_ns <= result.ended_ns);
        buf_append(&sum->output, result.output.at, result.output.length);
        buf_append(&sum->errors, result.errors.at, result.errors.length);
        ended_ns = result.ended_ns;
        sum->count += result.count;
        sum->failed += result.failed;
        sum->flags |= result.flags;
        sum->frames++;
        if (!(result.flags & RESULT_LAST))
            assert_int_equal(result.flags, 0);
    }
    uint32_t given_back = sum->flags & (RESULT_YIELDED | RESULT_STOPPED);
    assert_int_equal(sum->count < count, given_back != 0);
    assert_true(given_back != (RESULT_YIELDED | RESULT_STOPPED));
    buf_append_char(&sum->output, '\0');
    sum->output.length--;
}

void rig_sum_clear(struct rig_sum *sum)
{
    buf_clear(&sum->output);
    buf_clear(&sum->errors);
}
