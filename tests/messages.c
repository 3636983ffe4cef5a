/* messages: see messages.h. */
#include "tests/messages.h"

#include <string.h>

static const char text[] = MESSAGE_TAIL;

static struct span tail_of(size_t length)
{
    return (struct span){text, length};
}

static void assert_inside(struct span span, struct span payload)
{
    assert_true(span.at >= payload.at && span.at <= payload.at + payload.length);
    assert_true(span.length <= (size_t)(payload.at + payload.length - span.at));
}

static void assert_tail(struct span got, size_t length)
{
    assert_int_equal(got.length, length);
    assert_memory_equal(got.at, text, length);
}

static struct task_message task_of(size_t tail)
{
    struct task_message task = {.task = UINT64_MAX - 1,
                                .first = 1ull << 40,
                                .seed = 0x0123456789abcdef,
                                .principal = 7,
                                .count = UINT32_MAX,
                                .budget_us = 20000,
                                .format = ITEMS_FOLD,
                                .separator = '\n',
                                .flags = TASK_STAR | TASK_QUICK,
                                .payload = tail_of(tail)};
    for (unsigned i = 0; i < 32; i++) {
        task.function[i] = (uint8_t)i;
        task.common[i] = (uint8_t)(255 - i);
    }
    return task;
}

static void pack_task(struct buf *to, size_t tail)
{
    struct task_message task = task_of(tail);
    size_t padding, before = to->length;
    message_pack_task_head(to, &task, &padding);
    buf_append(to, task.payload.at, task.payload.length);
    buf_append(to, "\0\0\0\0\0\0\0", padding);
    assert_int_equal((to->length - before) % 8, 0);
}

static bool read_task(struct span payload, uint16_t padding)
{
    struct task_message task;
    if (!message_unpack_task(payload, padding, &task))
        return false;
    assert_inside(task.payload, payload);
    assert_true(task.task != 0 && task.count != 0 && task.format < ITEMS_FORMATS);
    return true;
}

static void check_task(struct span payload, uint16_t padding, size_t tail)
{
    struct task_message sent = task_of(tail), got;
    assert_true(message_unpack_task(payload, padding, &got));
    assert_true(got.task == sent.task && got.first == sent.first && got.seed == sent.seed);
    assert_memory_equal(got.function, sent.function, 32);
    assert_memory_equal(got.common, sent.common, 32);
    assert_int_equal(got.principal, sent.principal);
    assert_int_equal(got.count, sent.count);
    assert_int_equal(got.budget_us, sent.budget_us);
    assert_int_equal(got.format, sent.format);
    assert_int_equal(got.separator, sent.separator);
    assert_int_equal(got.flags, sent.flags);
    assert_tail(got.payload, tail);
}

static const struct result_message result_sent = {.task = 1ull << 50,
                                                  .started_ns = 5,
                                                  .ended_ns = UINT64_MAX,
                                                  .first = 17,
                                                  .count = 3,
                                                  .flags = RESULT_LAST | RESULT_STOPPED,
                                                  .failed = 2};

static void pack_result(struct buf *to, size_t tail)
{
    struct result_message result = result_sent;
    struct buf errors = {0};
    message_add_error(&errors, 17, ITEM_BAD_ITEM, tail_of(tail));
    message_add_error(&errors, 19, ITEM_ENCODE_ERROR, tail_of(0));
    result.errors = (struct span){buf_start(&errors), errors.length};
    result.output = tail_of(tail);
    message_pack_result(to, &result);
    buf_clear(&errors);
}

static bool read_result(struct span payload, uint16_t padding)
{
    struct result_message result;
    if (!message_unpack_result(payload, padding, &result))
        return false;
    assert_inside(result.errors, payload);
    assert_inside(result.output, payload);
    assert_true(result.failed <= result.count && result.task != 0 && result.started_ns <= result.ended_ns);
    assert_int_equal((result.failed > 0), (result.errors.length > 0));
    assert_int_equal(RESULT_FIXED_BYTES + result.errors.length + result.output.length + padding, payload.length);
    struct span errors = result.errors, members;
    uint32_t item;
    enum item_error type;
    while (result_error_next(&errors, &item, &type, &members)) {
        assert_true(item >= result.first && item - result.first < result.count);
        assert_inside(members, result.errors);
        assert_inside(errors, result.errors);
        assert_true(type > ITEM_OK && type < ITEM_ERRORS);
    }
    return true;
}

static void check_result(struct span payload, uint16_t padding, size_t tail)
{
    struct result_message got;
    assert_true(message_unpack_result(payload, padding, &got));
    assert_true(got.task == result_sent.task && got.started_ns == 5 && got.ended_ns == UINT64_MAX);
    assert_int_equal(got.first, 17);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.flags, result_sent.flags);
    assert_int_equal(got.failed, 2);
    assert_tail(got.output, tail);
    uint32_t item;
    enum item_error type;
    struct span members;
    assert_true(result_error_next(&got.errors, &item, &type, &members));
    assert_int_equal(item, 17);
    assert_int_equal(type, ITEM_BAD_ITEM);
    assert_tail(members, tail);
    assert_true(result_error_next(&got.errors, &item, &type, &members));
    assert_int_equal(item, 19);
    assert_int_equal(type, ITEM_ENCODE_ERROR);
    assert_int_equal(members.length, 0);
    assert_false(result_error_next(&got.errors, &item, &type, &members));
    assert_int_equal(got.errors.length, 0);
}

static void pack_malformed(struct buf *to, size_t tail)
{
    message_pack_malformed(to, &(struct malformed_message){.task = 9, .item = 8, .offset = 7, .why = tail_of(tail)});
}

static bool read_malformed(struct span payload, uint16_t padding)
{
    struct malformed_message malformed;
    if (!message_unpack_malformed(payload, padding, &malformed))
        return false;
    assert_inside(malformed.why, payload);
    return malformed.task != 0;
}

static void check_malformed(struct span payload, uint16_t padding, size_t tail)
{
    struct malformed_message got;
    assert_true(message_unpack_malformed(payload, padding, &got));
    assert_true(got.task == 9 && got.item == 8 && got.offset == 7);
    assert_tail(got.why, tail);
}

static void pack_ready(struct buf *to, size_t tail)
{
    message_pack_ready(to, &(struct ready_message){PROTOCOL_VERSION, 4711});
}

static bool read_ready(struct span payload, uint16_t padding)
{
    struct ready_message ready;
    return message_unpack_ready(payload, &ready) && ready.version == PROTOCOL_VERSION;
}

static void check_ready(struct span payload, uint16_t padding, size_t tail)
{
    struct ready_message got;
    assert_true(message_unpack_ready(payload, &got));
    assert_int_equal(got.pid, 4711);
}

static void pack_bye(struct buf *to, size_t tail)
{
    message_pack_bye(to, &(struct bye_message){12});
}

static bool read_bye(struct span payload, uint16_t padding)
{
    struct bye_message bye;
    return message_unpack_bye(payload, &bye);
}

static void check_bye(struct span payload, uint16_t padding, size_t tail)
{
    struct bye_message got;
    assert_true(message_unpack_bye(payload, &got));
    assert_int_equal(got.task, 12);
}

static void pack_content(struct buf *to, size_t tail)
{
    struct content_message content = {.content = tail_of(tail)};
    memset(content.hash, 0xab, sizeof content.hash);
    message_pack_content(to, MESSAGE_LOAD, &content);
}

static bool read_content(struct span payload, uint16_t padding)
{
    struct content_message content;
    if (!message_unpack_content(payload, padding, &content))
        return false;
    assert_inside(content.content, payload);
    return true;
}

static void check_content(struct span payload, uint16_t padding, size_t tail)
{
    struct content_message got;
    assert_true(message_unpack_content(payload, padding, &got));
    assert_int_equal(got.hash[0], 0xab);
    assert_int_equal(got.hash[31], 0xab);
    assert_tail(got.content, tail);
}

static void pack_upcall(struct buf *to, size_t tail)
{
    message_pack_upcall(to, MESSAGE_ASK, &(struct upcall_message){5, 6, 7, tail_of(tail)});
}

static bool read_upcall(struct span payload, uint16_t padding)
{
    struct upcall_message upcall;
    if (!message_unpack_upcall(payload, padding, &upcall))
        return false;
    assert_inside(upcall.content, payload);
    return upcall.task != 0;
}

static void check_upcall(struct span payload, uint16_t padding, size_t tail)
{
    struct upcall_message got;
    assert_true(message_unpack_upcall(payload, padding, &got));
    assert_true(got.task == 5 && got.item == 6 && got.verb == 7);
    assert_tail(got.content, tail);
}

const struct message_kind messages[] = {
    {MESSAGE_TASK, 104, true, pack_task, read_task, check_task},
    {MESSAGE_RESULT, RESULT_FIXED_BYTES, true, pack_result, read_result, check_result},
    {MESSAGE_MALFORMED, 16, true, pack_malformed, read_malformed, check_malformed},
    {MESSAGE_READY, 8, false, pack_ready, read_ready, check_ready},
    {MESSAGE_BYE, 8, false, pack_bye, read_bye, check_bye},
    {MESSAGE_LOAD, 32, true, pack_content, read_content, check_content},
    {MESSAGE_ASK, 16, true, pack_upcall, read_upcall, check_upcall},
};
const size_t message_kinds = sizeof messages / sizeof *messages;
