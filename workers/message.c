/* message: see message.h and PROTOCOL.md. Writer and reader of a message are neighbours; a reader checks length, ranges
 * and end, because what it reads was written by a process that may have gone wrong. */
#include "workers/message.h"

#include <string.h>

static const char *const message_names[] = {
    [MESSAGE_READY] = "READY", [MESSAGE_LOAD] = "LOAD",       [MESSAGE_LOADED] = "LOADED",
    [MESSAGE_NEED] = "NEED",   [MESSAGE_EVICTED] = "EVICTED", [MESSAGE_LOAD_FAILED] = "LOAD_FAILED",
    [MESSAGE_TASK] = "TASK",   [MESSAGE_RESULT] = "RESULT",   [MESSAGE_MALFORMED] = "MALFORMED",
    [MESSAGE_ASK] = "ASK",     [MESSAGE_TELL] = "TELL",       [MESSAGE_PRINT] = "PRINT",
    [MESSAGE_BYE] = "BYE",
};

static const char *const error_names[] = {
    [ITEM_OK] = "ok",
    [ITEM_FUNCTION_ERROR] = "function_error",
    [ITEM_BAD_ARGUMENTS] = "bad_arguments",
    [ITEM_BAD_ITEM] = "bad_item",
    [ITEM_TIMEOUT] = "timeout",
    [ITEM_WORKER_DIED] = "worker_died",
    [ITEM_MEMORY_LIMIT] = "memory_limit",
    [ITEM_SANDBOX_VIOLATION] = "sandbox_violation",
    [ITEM_ENCODE_ERROR] = "encode_error",
    [ITEM_UNAVAILABLE] = "unavailable",
    [ITEM_OUTCOME_UNKNOWN] = "outcome_unknown",
    [ITEM_CANCELLED] = "cancelled",
};

const char *message_name(unsigned type)
{
    return type >= MESSAGE_READY && type <= MESSAGE_LAST ? message_names[type] : "?";
}

const char *item_error_name(enum item_error error)
{
    return (unsigned)error < ITEM_ERRORS ? error_names[error] : "?";
}

/* The wire images. Every field is aligned by hand, so that no compiler pads them. */
struct task_image {
    uint64_t task, first, seed;
    uint8_t function[32], common[32];
    uint32_t principal, count, budget_us;
    uint8_t format, separator;
    uint16_t flags;
};
struct result_image {
    uint64_t task, started_ns, ended_ns;
    uint32_t first, count, flags, failed, errors_bytes, output_bytes, zero[2];
};
struct error_image {
    uint32_t item, type, bytes;
};
struct malformed_image {
    uint64_t task;
    uint32_t item, offset;
};
struct upcall_image {
    uint64_t task;
    uint32_t item, verb;
};
_Static_assert(sizeof(struct task_image) == 104, "no padding");
_Static_assert(sizeof(struct result_image) == RESULT_FIXED_BYTES, "no padding");
_Static_assert(sizeof(struct frame_header) == 8, "no padding");

static size_t padding_of(size_t length)
{
    return (8 - length % 8) % 8;
}

static void pack_header(struct buf *to, enum message type, size_t length)
{
    size_t padding = padding_of(length);
    struct frame_header header = {.length = (uint32_t)(length + padding),
                                  .type = (uint8_t)type,
                                  .version = PROTOCOL_VERSION,
                                  .padding = (uint16_t)padding};
    buf_append(to, &header, sizeof header);
}

static void pack_padding(struct buf *to, size_t length)
{
    static const char zeros[8];
    buf_append(to, zeros, padding_of(length));
}

/* A fixed part, then bytes to the end. */
static void pack_tailed(struct buf *to, enum message type, const void *fixed, size_t fixed_bytes, struct span tail)
{
    size_t length = fixed_bytes + tail.length;
    pack_header(to, type, length);
    buf_append(to, fixed, fixed_bytes);
    buf_append(to, tail.at, tail.length);
    pack_padding(to, length);
}

static bool unpack_tailed(struct span payload, uint16_t padding, void *fixed, size_t fixed_bytes, struct span *tail)
{
    if (padding > 7 || payload.length < fixed_bytes + padding)
        return false;
    memcpy(fixed, payload.at, fixed_bytes);
    *tail = (struct span){payload.at + fixed_bytes, payload.length - fixed_bytes - padding};
    return true;
}

void message_pack_task_head(struct buf *to, const struct task_message *task, size_t *padding)
{
    struct task_image image = {.task = task->task,
                               .first = task->first,
                               .seed = task->seed,
                               .principal = task->principal,
                               .count = task->count,
                               .budget_us = task->budget_us,
                               .format = task->format,
                               .separator = task->separator,
                               .flags = task->flags};
    memcpy(image.function, task->function, sizeof image.function);
    memcpy(image.common, task->common, sizeof image.common);
    size_t length = sizeof image + task->payload.length;
    *padding = padding_of(length);
    pack_header(to, MESSAGE_TASK, length);
    buf_append(to, &image, sizeof image);
}

bool message_unpack_task(struct span payload, uint16_t padding, struct task_message *task)
{
    struct task_image image;
    if (!unpack_tailed(payload, padding, &image, sizeof image, &task->payload))
        return false;
    if (image.task == 0 || image.count == 0 || image.format >= ITEMS_FORMATS)
        return false;
    task->task = image.task;
    task->first = image.first;
    task->seed = image.seed;
    memcpy(task->function, image.function, sizeof image.function);
    memcpy(task->common, image.common, sizeof image.common);
    task->principal = image.principal;
    task->count = image.count;
    task->budget_us = image.budget_us;
    task->format = image.format;
    task->separator = image.separator;
    task->flags = image.flags;
    return true;
}

void message_pack_result_head(struct buf *to, const struct result_message *result)
{
    struct result_image image = {.task = result->task,
                                 .started_ns = result->started_ns,
                                 .ended_ns = result->ended_ns,
                                 .first = result->first,
                                 .count = result->count,
                                 .flags = result->flags,
                                 .failed = result->failed,
                                 .errors_bytes = (uint32_t)result->errors.length,
                                 .output_bytes = (uint32_t)result->output.length};
    pack_header(to, MESSAGE_RESULT, sizeof image + result->errors.length + result->output.length);
    buf_append(to, &image, sizeof image);
}

void message_pack_result(struct buf *to, const struct result_message *result)
{
    message_pack_result_head(to, result);
    buf_append(to, result->errors.at, result->errors.length);
    buf_append(to, result->output.at, result->output.length);
    pack_padding(to, result->errors.length + result->output.length);
}

/* `failed` records of items of this result, each at most once, and nothing behind them. */
static bool errors_are_right(const struct result_message *result)
{
    struct span errors = result->errors, members;
    uint32_t item, least = result->first, count = 0;
    enum item_error type;
    for (; result_error_next(&errors, &item, &type, &members); count++, least = item + 1)
        if (item < least || item - result->first >= result->count)
            return false;
    return count == result->failed && errors.length == 0;
}

bool message_unpack_result(struct span payload, uint16_t padding, struct result_message *result)
{
    struct result_image image;
    struct span tail;
    if (!unpack_tailed(payload, padding, &image, sizeof image, &tail))
        return false;
    if ((uint64_t)image.errors_bytes + image.output_bytes != tail.length || image.failed > image.count ||
        (image.failed > 0) != (image.errors_bytes > 0) || image.ended_ns < image.started_ns || image.task == 0)
        return false;
    result->task = image.task;
    result->started_ns = image.started_ns;
    result->ended_ns = image.ended_ns;
    result->first = image.first;
    result->count = image.count;
    result->flags = image.flags;
    result->failed = image.failed;
    result->errors = (struct span){tail.at, image.errors_bytes};
    result->output = (struct span){tail.at + image.errors_bytes, image.output_bytes};
    return errors_are_right(result);
}

void message_add_error(struct buf *errors, uint32_t item, enum item_error type, struct span members)
{
    struct error_image image = {item, (uint32_t)type, (uint32_t)members.length};
    buf_append(errors, &image, sizeof image);
    buf_append(errors, members.at, members.length);
}

bool result_error_next(struct span *errors, uint32_t *item, enum item_error *type, struct span *members)
{
    struct error_image image;
    if (errors->length < sizeof image)
        return false;
    memcpy(&image, errors->at, sizeof image);
    if (image.type == ITEM_OK || image.type >= ITEM_ERRORS || errors->length - sizeof image < image.bytes)
        return false;
    *item = image.item;
    *type = (enum item_error)image.type;
    *members = (struct span){errors->at + sizeof image, image.bytes};
    errors->at += sizeof image + image.bytes;
    errors->length -= sizeof image + image.bytes;
    return true;
}

void message_pack_malformed(struct buf *to, const struct malformed_message *malformed)
{
    struct malformed_image image = {malformed->task, malformed->item, malformed->offset};
    pack_tailed(to, MESSAGE_MALFORMED, &image, sizeof image, malformed->why);
}

bool message_unpack_malformed(struct span payload, uint16_t padding, struct malformed_message *malformed)
{
    struct malformed_image image;
    if (!unpack_tailed(payload, padding, &image, sizeof image, &malformed->why) || image.task == 0)
        return false;
    malformed->task = image.task;
    malformed->item = image.item;
    malformed->offset = image.offset;
    return true;
}

void message_pack_ready(struct buf *to, const struct ready_message *ready)
{
    pack_tailed(to, MESSAGE_READY, ready, sizeof *ready, (struct span){NULL, 0});
}

bool message_unpack_ready(struct span payload, struct ready_message *ready)
{
    struct span tail;
    return unpack_tailed(payload, 0, ready, sizeof *ready, &tail) && tail.length == 0 &&
           ready->version == PROTOCOL_VERSION;
}

void message_pack_bye(struct buf *to, const struct bye_message *bye)
{
    pack_tailed(to, MESSAGE_BYE, bye, sizeof *bye, (struct span){NULL, 0});
}

bool message_unpack_bye(struct span payload, struct bye_message *bye)
{
    struct span tail;
    return unpack_tailed(payload, 0, bye, sizeof *bye, &tail) && tail.length == 0;
}

void message_pack_content(struct buf *to, enum message type, const struct content_message *content)
{
    pack_tailed(to, type, content->hash, sizeof content->hash, content->content);
}

bool message_unpack_content(struct span payload, uint16_t padding, struct content_message *content)
{
    return unpack_tailed(payload, padding, content->hash, sizeof content->hash, &content->content);
}

void message_pack_upcall(struct buf *to, enum message type, const struct upcall_message *upcall)
{
    struct upcall_image image = {upcall->task, upcall->item, upcall->verb};
    pack_tailed(to, type, &image, sizeof image, upcall->content);
}

bool message_unpack_upcall(struct span payload, uint16_t padding, struct upcall_message *upcall)
{
    struct upcall_image image;
    if (!unpack_tailed(payload, padding, &image, sizeof image, &upcall->content) || image.task == 0)
        return false;
    upcall->task = image.task;
    upcall->item = image.item;
    upcall->verb = image.verb;
    return true;
}
