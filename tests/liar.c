/* liar: see liar.h. */
#include "tests/liar.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "workers/frame.h"
#include "workers/log.h"
#include "workers/page.h"
#include "workers/roll.h"

struct liar {
    char folder[512];
    volatile struct page *page;
    struct buf in, text;
};

static void send_bytes(const void *bytes, size_t length)
{
    for (const char *at = bytes; length > 0;) {
        ssize_t n = write(WORKER_RESULT_FD, at, length);
        if (n <= 0)
            _exit(0);
        at += n;
        length -= (size_t)n;
    }
}

static void send_buf(struct buf *frame)
{
    send_bytes(buf_start(frame), frame->length);
    buf_clear(frame);
}

static void send_result(const struct result_message *result)
{
    struct buf frame = {0};
    message_pack_result(&frame, result);
    send_buf(&frame);
}

static void send_header(uint32_t length, unsigned type, unsigned version, unsigned padding)
{
    struct frame_header header = {length, (uint8_t)type, (uint8_t)version, (uint16_t)padding};
    send_bytes(&header, sizeof header);
}

static void send_ready(uint32_t version)
{
    struct buf frame = {0};
    message_pack_ready(&frame, &(struct ready_message){version, (uint32_t)getpid()});
    send_buf(&frame);
}

static void send_bye(uint64_t task)
{
    struct buf frame = {0};
    message_pack_bye(&frame, &(struct bye_message){task});
    send_buf(&frame);
}

_Noreturn static void wait_for_the_end(void)
{
    for (;;)
        pause();
}

/* --- the truth ---------------------------------------------------------------------------------------------------- */

/* What the real worker would answer. */
static struct result_message truth(struct liar *liar, const struct task_message *task)
{
    buf_reset(&liar->text);
    struct roll_args args;
    if (task->format == ITEMS_FOLD && roll_args_read(task->payload, &args)) {
        struct roll_tally tally;
        roll_tally_init(&tally, args.dice, args.sides);
        tally.rolls = roll_rolls(args.rolls, task->first, task->count);
        roll_count(args.seed, args.dice, args.sides, task->first * ROLL_ITEM, tally.rolls, tally.counts);
        if (!roll_tally_pack(&tally, &liar->text))
            die("a tally that cannot be packed");
        roll_tally_clear(&tally);
    } else { /* echo of JSON values: the separator, and the rest as it came */
        buf_append_char(&liar->text, (char)task->separator);
        buf_append(&liar->text, task->payload.at, task->payload.length);
    }
    return (struct result_message){.task = task->task,
                                   .started_ns = 1,
                                   .ended_ns = 2,
                                   .count = task->count,
                                   .flags = RESULT_LAST,
                                   .output = {buf_start(&liar->text), liar->text.length}};
}

/* --- lies about a task -------------------------------------------------------------------------------------------- */

/* What a wrong RESULT says instead of the truth. */
static const struct {
    const char *name;
    struct result_message plus; /* added to the truth; wraps around */
    struct span errors;         /* instead of none */
} results[] = {
    {"other_task", {.task = 1}, {0}},
    {"task_zero", {.task = 0}, {0}}, /* made zero below */
    {"gap", {.first = 1}, {0}},
    {"too_many", {.count = 1}, {0}},
    {"far_too_many", {.count = UINT32_MAX - 3}, {0}},
    {"last_early", {.count = UINT32_MAX}, {0}},
    {"failed_without_errors", {.failed = 1}, {0}},
    {"failed_beyond", {.failed = 1000}, {"0123456789abcdef", 16}},
    {"errors_without_failed", {.failed = 0}, {"0123456789abcdef", 16}},
    {"errors_torn", {.failed = 1}, {"\0\0\0\0\1\0\0\0\377\377\377\377", 12}},
    {"errors_of_no_type", {.failed = 1}, {"\0\0\0\0\77\0\0\0\0\0\0\0", 12}},
    {"errors_outside", {.failed = 1}, {"\377\0\0\0\1\0\0\0\0\0\0\0", 12}},
    {"errors_too_few", {.failed = 2}, {"\0\0\0\0\1\0\0\0\0\0\0\0", 12}},
    {"errors_and_more", {.failed = 1}, {"\0\0\0\0\1\0\0\0\0\0\0\0more", 16}},
    {"backwards", {.started_ns = 2}, {0}},
    {"all_times", {.ended_ns = UINT64_MAX - 2}, {0}},
    {"stopped_at_nothing", {.flags = RESULT_STOPPED}, {0}},
    {"yielded_at_nothing", {.flags = RESULT_YIELDED}, {0}},
};

static bool tell_result(struct liar *liar, const struct task_message *task, const char *name)
{
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        if (strcmp(results[i].name, name) != 0)
            continue;
        struct result_message result = truth(liar, task);
        result.task = strcmp(name, "task_zero") == 0 ? 0 : result.task + results[i].plus.task;
        result.started_ns += results[i].plus.started_ns;
        result.ended_ns += results[i].plus.ended_ns;
        result.first += results[i].plus.first;
        result.count += results[i].plus.count;
        result.flags += results[i].plus.flags;
        result.failed += results[i].plus.failed;
        result.errors = results[i].errors;
        send_result(&result);
        return true;
    }
    return false;
}

static void garbage(struct liar *liar, const struct task_message *task)
{
    char bytes[4096];
    memset(bytes, 0xa5, sizeof bytes);
    send_bytes(bytes, sizeof bytes);
    wait_for_the_end();
}

static void oversized(struct liar *liar, const struct task_message *task)
{
    send_header(FRAME_MAX + 8, MESSAGE_RESULT, PROTOCOL_VERSION, 0);
}

static void unaligned(struct liar *liar, const struct task_message *task)
{
    send_header(60, MESSAGE_RESULT, PROTOCOL_VERSION, 0);
}

static void padded(struct liar *liar, const struct task_message *task)
{
    send_header(64, MESSAGE_RESULT, PROTOCOL_VERSION, 8);
}

static void version(struct liar *liar, const struct task_message *task)
{
    send_header(64, MESSAGE_RESULT, PROTOCOL_VERSION + 1, 0);
}

static void unknown_type(struct liar *liar, const struct task_message *task)
{
    send_header(64, MESSAGE_LAST + 1, PROTOCOL_VERSION, 0);
}

static void short_result(struct liar *liar, const struct task_message *task)
{
    send_header(8, MESSAGE_RESULT, PROTOCOL_VERSION, 0);
    send_bytes("01234567", 8);
}

/* The lengths within do not add up to the frame's. */
static void output_longer(struct liar *liar, const struct task_message *task)
{
    struct buf frame = {0};
    struct result_message result = truth(liar, task);
    message_pack_result(&frame, &result);
    buf_start(&frame)[sizeof(struct frame_header) + 44] ^= 0x40; /* the low byte of output_bytes */
    send_buf(&frame);
}

static void twice(struct liar *liar, const struct task_message *task)
{
    struct result_message result = {.task = task->task, .count = 1, .output = {",1", 2}};
    send_result(&result);
    send_result(&result);
}

static void after_last(struct liar *liar, const struct task_message *task)
{
    struct result_message result = truth(liar, task);
    send_result(&result);
    send_result(&result);
}

static void ready_again(struct liar *liar, const struct task_message *task)
{
    send_ready(PROTOCOL_VERSION);
}

static void bye_then_more(struct liar *liar, const struct task_message *task)
{
    struct result_message result = truth(liar, task);
    send_bye(task->task);
    send_result(&result);
}

static void question(struct liar *liar, const struct task_message *task)
{
    struct buf frame = {0};
    message_pack_upcall(&frame, MESSAGE_ASK, &(struct upcall_message){.task = task->task});
    send_buf(&frame);
}

static void task_back(struct liar *liar, const struct task_message *task)
{
    struct buf frame = {0};
    size_t padding;
    struct task_message mine = {.task = 1, .count = 1};
    message_pack_task_head(&frame, &mine, &padding);
    send_buf(&frame);
}

static void send_half(struct liar *liar, const struct task_message *task)
{
    struct buf frame = {0};
    struct result_message result = truth(liar, task);
    message_pack_result(&frame, &result);
    buf_truncate(&frame, frame.length / 2);
    send_buf(&frame);
}

static void half_then_stop(struct liar *liar, const struct task_message *task)
{
    send_half(liar, task);
    raise(SIGSTOP);
}

static void half_then_leave(struct liar *liar, const struct task_message *task)
{
    send_half(liar, task);
    _exit(0);
}

static void exit_3(struct liar *liar, const struct task_message *task)
{
    _exit(3);
}

static void close_results(struct liar *liar, const struct task_message *task)
{
    close(WORKER_RESULT_FD);
}

static void close_tasks(struct liar *liar, const struct task_message *task)
{
    close(WORKER_TASK_FD);
}

static void nothing(struct liar *liar, const struct task_message *task)
{
}

/* It does not even show on its page that it was given something. */
static void nothing_at_all(struct liar *liar, const struct task_message *task)
{
    liar->page->task = 0;
}

/* The page points to another item. */
static void wrong_item(struct liar *liar, const struct task_message *task)
{
    liar->page->item++;
    garbage(liar, task);
}

/* Writes on its page as if it hastened through tasks that there are none of. */
static void busy_page(struct liar *liar, const struct task_message *task)
{
    for (uint32_t i = 0;; i++) {
        liar->page->task = (uint64_t)i << 40 | 1;
        liar->page->item = i;
        liar->page->phase = i % 7;
    }
}

static void empty_results(struct liar *liar, const struct task_message *task)
{
    for (unsigned i = 0; i < 5000; i++)
        send_result(&(struct result_message){.task = task->task});
    struct result_message result = truth(liar, task);
    send_result(&result);
}

static void empty_results_for_ever(struct liar *liar, const struct task_message *task)
{
    for (;;)
        send_result(&(struct result_message){.task = task->task});
}

static void malformed(struct liar *liar, const struct task_message *task)
{
    struct buf frame = {0};
    message_pack_malformed(
        &frame, &(struct malformed_message){
                    .task = task->task, .item = UINT32_MAX, .offset = UINT32_MAX, .why = {"\xff\"\n\\ no words", 13}});
    send_buf(&frame);
}

/* A tally of as many bytes as the right one, with one roll too many. */
static void tally(struct liar *liar, const struct task_message *task)
{
    struct result_message result = truth(liar, task);
    buf_start(&liar->text)[16]++;
    send_result(&result);
}

static const struct lie {
    const char *name;
    void (*tell)(struct liar *liar, const struct task_message *task); /* if it returns, the worker waits for its end */
} lies[] = {
    {"garbage", garbage},
    {"oversized", oversized},
    {"unaligned", unaligned},
    {"padded", padded},
    {"version", version},
    {"unknown_type", unknown_type},
    {"short_result", short_result},
    {"output_longer", output_longer},
    {"twice", twice},
    {"after_last", after_last},
    {"ready_again", ready_again},
    {"bye_then_more", bye_then_more},
    {"question", question},
    {"task_back", task_back},
    {"half_then_stop", half_then_stop},
    {"half_then_leave", half_then_leave},
    {"exit_3", exit_3},
    {"close_results", close_results},
    {"close_tasks", close_tasks},
    {"nothing", nothing},
    {"nothing_at_all", nothing_at_all},
    {"wrong_item", wrong_item},
    {"busy_page", busy_page},
    {"empty_results", empty_results},
    {"empty_results_for_ever", empty_results_for_ever},
    {"malformed", malformed},
    {"tally", tally},
};

_Noreturn static void tell(struct liar *liar, const struct task_message *task, const char *name)
{
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
        if (strcmp(lies[i].name, name) == 0) {
            lies[i].tell(liar, task);
            wait_for_the_end();
        }
    if (!tell_result(liar, task, name))
        die("nobody taught me the lie '%s'", name);
    wait_for_the_end();
}

/* --- which lie, if any -------------------------------------------------------------------------------------------- */

/* The word that a link beside the program says; '?' words only once. */
static bool read_link(const struct liar *liar, const char *link, char *name, size_t capacity)
{
    char path[600], word[64];
    snprintf(path, sizeof path, "%s/%s", liar->folder, link);
    ssize_t length = readlink(path, word, sizeof word - 1);
    if (length < 2 || (word[0] == '?' && unlink(path) != 0))
        return false;
    snprintf(name, capacity, "%.*s", (int)length - 1, word + 1);
    return true;
}

/* The lie that an item of the task asks for; `*item` is which. No item has a comma within. */
static bool read_item(const struct liar *liar, const struct task_message *task, uint32_t *item, char *name,
                      size_t capacity)
{
    const char *at = task->payload.at, *end = at + task->payload.length;
    *item = 0;
    for (; at + 2 < end; at++) {
        *item += *at == ',';
        if (*at != '"' || (at[1] != '!' && at[1] != '?'))
            continue;
        char path[600];
        snprintf(path, sizeof path, "%s/once", liar->folder);
        if (at[1] == '?' && unlink(path) != 0)
            return false;
        const char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        snprintf(name, capacity, "%.*s", quote != NULL ? (int)(quote - at - 2) : 0, at + 2);
        return true;
    }
    return false;
}

static void run_task(struct liar *liar, const struct task_message *task)
{
    char name[64];
    uint32_t item = 0;
    bool lying = task->format == ITEMS_JSON ? read_item(liar, task, &item, name, sizeof name)
                                            : read_link(liar, "task", name, sizeof name);
    liar->page->item = lying ? item : 0;
    liar->page->phase = PAGE_RUNNING;
    liar->page->task = task->task;
    if (lying)
        tell(liar, task, name);
    struct result_message result = truth(liar, task);
    liar->page->item = task->count;
    send_result(&result);
    if (task->flags & TASK_LEAVE) {
        send_bye(task->task);
        _exit(0);
    }
    liar->page->task = 0;
    liar->page->phase = PAGE_IDLE;
}

/* --- the worker's life -------------------------------------------------------------------------------------------- */

static void begin(struct liar *liar)
{
    char name[64] = "";
    if (read_link(liar, "start", name, sizeof name)) {
        if (strcmp(name, "exit") == 0)
            _exit(1);
        if (strcmp(name, "garbage") == 0)
            garbage(liar, NULL);
        if (strcmp(name, "bye") == 0) {
            send_bye(0);
            _exit(0);
        }
        if (strcmp(name, "result") == 0)
            send_result(&(struct result_message){.task = 1});
        send_ready(strcmp(name, "version") == 0 ? PROTOCOL_VERSION + 1 : PROTOCOL_VERSION);
        wait_for_the_end();
    }
    send_ready(PROTOCOL_VERSION);
}

_Noreturn void liar_serve(const struct worker_settings *settings)
{
    static struct liar liar;
    ssize_t length = readlink("/proc/self/exe", liar.folder, sizeof liar.folder - 1);
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, WORKER_PAGE_FD, 0);
    if (length <= 0 || page == MAP_FAILED)
        die("no folder, or no page");
    *strrchr(liar.folder, '/') = '\0';
    liar.page = page;
    liar.page->generation = settings->generation;
    close(WORKER_PAGE_FD);
    begin(&liar);
    for (;;) {
        enum message type;
        uint16_t padding;
        struct span payload;
        size_t wanted;
        ssize_t n = read(WORKER_TASK_FD, buf_room(&liar.in, 65536), 65536);
        if (n <= 0)
            _exit(0);
        buf_added(&liar.in, (size_t)n);
        while (frame_next(&liar.in, &type, &padding, &payload, &wanted) == FRAME_WHOLE) {
            struct task_message task;
            if (type == MESSAGE_TASK && message_unpack_task(payload, padding, &task))
                run_task(&liar, &task);
            frame_done(&liar.in, payload);
        }
    }
}
