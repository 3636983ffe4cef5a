/* lies: see lies.h. */
#include "tests/lies.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "workers/log.h"
#include "workers/roll.h"
#include "workers/worker.h"

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

void send_ready(uint32_t version)
{
    struct buf frame = {0};
    message_pack_ready(&frame, &(struct ready_message){version, (uint32_t)getpid()});
    send_buf(&frame);
}

void send_bye(uint64_t task)
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

void tell_truth(struct liar *liar, const struct task_message *task)
{
    struct result_message result = truth(liar, task);
    send_result(&result);
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

/* Headers that may not be. */
static const struct {
    const char *name;
    struct frame_header header;
} headers[] = {
    {"oversized", {FRAME_MAX + 8, MESSAGE_RESULT, PROTOCOL_VERSION, 0}},
    {"unaligned", {60, MESSAGE_RESULT, PROTOCOL_VERSION, 0}},
    {"padded", {64, MESSAGE_RESULT, PROTOCOL_VERSION, 8}},
    {"version", {64, MESSAGE_RESULT, PROTOCOL_VERSION + 1, 0}},
    {"unknown_type", {64, MESSAGE_LAST + 1, PROTOCOL_VERSION, 0}},
};

static bool tell_header(const char *name)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (strcmp(headers[i].name, name) == 0) {
            send_bytes(&headers[i].header, sizeof headers[i].header);
            return true;
        }
    return false;
}

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

static void short_result(struct liar *liar, const struct task_message *task)
{
    static const struct frame_header header = {8, MESSAGE_RESULT, PROTOCOL_VERSION, 0};
    send_bytes(&header, sizeof header);
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

/* Nothing but the truth, in so large a frame that the front takes over its memory: a long string, then nulls of which
 * the last one is a failure. */
static void large(struct liar *liar, const struct task_message *task)
{
    struct buf output = {0}, errors = {0};
    static const char members[] = "\"detail\":\"behind much\"";
    buf_printf(&output, ",\"%*s\"", 40000, "long");
    for (uint32_t i = 1; i < task->count; i++)
        buf_append_text(&output, ",null");
    message_add_error(&errors, task->count - 1, ITEM_FUNCTION_ERROR, (struct span){members, sizeof members - 1});
    send_result(&(struct result_message){.task = task->task,
                                         .count = task->count,
                                         .flags = RESULT_LAST,
                                         .failed = 1,
                                         .errors = {buf_start(&errors), errors.length},
                                         .output = {buf_start(&output), output.length}});
    buf_clear(&output);
    buf_clear(&errors);
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
    void (*tell)(struct liar *liar, const struct task_message *task);
} lies[] = {
    {"garbage", garbage},
    {"short_result", short_result},
    {"output_longer", output_longer},
    {"twice", twice},
    {"after_last", after_last},
    {"ready_again", ready_again},
    {"bye_then_more", bye_then_more},
    {"question", question},
    {"task_back", task_back},
    {"large", large},
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

void tell_lie(struct liar *liar, const struct task_message *task, const char *name)
{
    static const char *const harmless[] = {"all_times", "empty_results", "large", "malformed", "tally"};
    bool told = tell_header(name) || tell_result(liar, task, name);
    for (size_t i = 0; i < sizeof lies / sizeof *lies && !told; i++)
        if ((told = strcmp(lies[i].name, name) == 0))
            lies[i].tell(liar, task);
    if (!told)
        die("nobody taught me the lie '%s'", name);
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strcmp(harmless[i], name) == 0)
            return;
    wait_for_the_end();
}

_Noreturn void tell_first_lie(struct liar *liar, const char *name)
{
    if (strcmp(name, "exit") == 0)
        _exit(1);
    if (strcmp(name, "garbage") == 0)
        garbage(liar, NULL);
    if (strcmp(name, "result") == 0)
        send_result(&(struct result_message){.task = 1});
    if (strcmp(name, "bye") == 0) {
        send_bye(0);
        _exit(0);
    }
    send_ready(PROTOCOL_VERSION + (strcmp(name, "version") == 0));
    wait_for_the_end();
}
