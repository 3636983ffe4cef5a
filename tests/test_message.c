/* message: every message packed and unpacked, cut short, and with any byte of it changed. Payloads are heap copies of
 * their exact size, so that a sanitizer sees a read outside of them; that spans stay inside is asserted as well. */
#include "tests/messages.h"

#include <stdlib.h>
#include <string.h>

#include "workers/frame.h"

static const char text[] = MESSAGE_TAIL;

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* The frame's payload, in memory of just its size, to be freed. */
static struct span payload_of(size_t message, size_t tail, uint16_t *padding)
{
    struct buf frame = {0};
    enum message type;
    struct span payload;
    size_t wanted;
    messages[message].pack(&frame, tail);
    assert_int_equal(frame_next(&frame, &type, padding, &payload, &wanted), FRAME_WHOLE);
    assert_int_equal(type, messages[message].type);
    assert_int_equal(wanted, frame.length);
    for (size_t i = 0; i < *padding; i++)
        assert_int_equal(payload.at[payload.length - 1 - i], 0);
    char *copy = malloc(payload.length);
    memcpy(copy, payload.at, payload.length);
    buf_clear(&frame);
    return (struct span){copy, payload.length};
}

static void drop(struct span payload)
{
    free((void *)(uintptr_t)payload.at);
}

static void round_trips(void **state)
{
    for (size_t i = 0; i < message_kinds; i++)
        for (size_t tail = 0; tail <= (messages[i].tailed ? MESSAGE_TAIL_MOST : 0); tail++) {
            uint16_t padding;
            struct span payload = payload_of(i, tail, &padding);
            assert_true(messages[i].read(payload, padding));
            messages[i].check(payload, padding, tail);
            drop(payload);
        }
}

/* Every length up to the whole one, with every padding: refused, or what it says is consistent. */
static void cut_short(void **state)
{
    for (size_t i = 0; i < message_kinds; i++) {
        uint16_t whole;
        struct span payload = payload_of(i, 13, &whole);
        for (size_t length = 0; length <= payload.length; length++) {
            char *cut = malloc(length > 0 ? length : 1);
            memcpy(cut, payload.at, length);
            for (uint16_t padding = 0; padding <= 9; padding++) {
                bool read = messages[i].read((struct span){cut, length}, padding);
                if (read && messages[i].tailed && (padding > 7 || length < messages[i].fixed + padding))
                    fail_msg("%s of %zu bytes, %u of them padding, was read", message_name(messages[i].type), length,
                             padding);
                if (read && !messages[i].tailed && length != messages[i].fixed)
                    fail_msg("%s of %zu bytes was read", message_name(messages[i].type), length);
                if (read && messages[i].type == MESSAGE_RESULT)
                    assert_int_equal(length - padding, payload.length - whole);
            }
            free(cut);
        }
        drop(payload);
    }
}

/* A longer payload is no READY, BYE or RESULT. */
static void too_long(void **state)
{
    for (size_t i = 0; i < message_kinds; i++) {
        uint16_t padding;
        struct span payload = payload_of(i, 8, &padding);
        char *longer = calloc(1, payload.length + 8);
        memcpy(longer, payload.at, payload.length);
        bool read = messages[i].read((struct span){longer, payload.length + 8}, padding);
        assert_int_equal(read, messages[i].tailed && messages[i].type != MESSAGE_RESULT);
        free(longer);
        drop(payload);
    }
}

/* Every byte of every payload, changed into every other value. */
static void any_byte_changed(void **state)
{
    for (size_t i = 0; i < message_kinds; i++) {
        uint16_t padding;
        struct span payload = payload_of(i, 5, &padding);
        unsigned char *bytes = (unsigned char *)(uintptr_t)payload.at;
        for (size_t at = 0; at < payload.length; at++) {
            unsigned char before = bytes[at];
            for (unsigned value = 0; value < 256; value++) {
                bytes[at] = (unsigned char)value;
                messages[i].read(payload, padding); /* asserts what must hold of what it accepts */
            }
            bytes[at] = before;
        }
        messages[i].check(payload, padding, 5);
        drop(payload);
    }
}

static void noise(void **state)
{
    uint32_t random = 99;
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = next_random(&random) % 200;
        unsigned mask = round % 3 ? 0xff : 0x03; /* small numbers get further */
        char *bytes = malloc(length > 0 ? length : 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = (char)(next_random(&random) & mask);
        for (size_t i = 0; i < message_kinds; i++)
            messages[i].read((struct span){bytes, length}, (uint16_t)(round % 10));
        free(bytes);
    }
}

/* One thing wrong in each. */
static void results_that_cannot_be(void **state)
{
    static const char record[] = "\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0";
    static const struct {
        struct result_message result;
        bool right;
    } rows[] = {
        {{.task = 1, .count = 0}, true},
        {{.task = 1, .count = 1, .output = {text, 2}}, true},
        {{.task = 1, .count = 1, .failed = 1, .errors = {record, 12}, .output = {text, 5}}, true},
        {{.task = 1, .first = 7, .count = 3, .failed = 1, .errors = {record, 12}}, false}, /* of another's item */
        {{.task = 1, .count = 1, .failed = 1, .errors = {text, 16}}, false},
        {{.task = 1, .count = 2, .failed = 2, .errors = {record, 12}}, false},
        {{.task = 1, .count = 2, .failed = 1, .errors = {record, 24}}, false},
        {{.task = 1, .count = 1, .failed = 2, .errors = {record, 24}}, false}, /* more than there are items */
        {{.task = 1, .count = 2, .failed = 2, .errors = {record, 24}}, false}, /* the same item twice */
        {{.task = 0, .count = 1, .output = {text, 2}}, false},
        {{.task = 1, .count = 1, .failed = 2, .errors = {text, 16}, .output = {text, 5}}, false},
        {{.task = 1, .count = 0, .failed = 1, .errors = {text, 12}}, false},
        {{.task = 1, .count = 1, .failed = 0, .errors = {text, 12}}, false},
        {{.task = 1, .count = 1, .failed = 1, .output = {text, 2}}, false},
        {{.task = 1, .started_ns = 2, .ended_ns = 1}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf frame = {0};
        struct result_message got;
        enum message type;
        uint16_t padding;
        struct span payload;
        size_t wanted;
        message_pack_result(&frame, &rows[i].result);
        assert_int_equal(frame_next(&frame, &type, &padding, &payload, &wanted), FRAME_WHOLE);
        assert_int_equal(message_unpack_result(payload, padding, &got), rows[i].right);
        buf_clear(&frame);
    }
}

/* A record's length that reaches beyond the section, also where the sum would overflow; types that there are none of.
 */
static void error_records_that_cannot_be(void **state)
{
    static const struct {
        uint32_t image[3]; /* item, type, bytes */
        size_t behind;
        bool right;
    } rows[] = {
        {{0, ITEM_BAD_ITEM, 0}, 0, true},
        {{UINT32_MAX, ITEM_CANCELLED, 4}, 4, true},
        {{0, ITEM_BAD_ITEM, 1}, 0, false},
        {{0, ITEM_BAD_ITEM, 5}, 4, false},
        {{0, ITEM_BAD_ITEM, UINT32_MAX}, 4, false},
        {{0, ITEM_BAD_ITEM, UINT32_MAX - 11}, 4, false},
        {{0, ITEM_OK, 0}, 0, false},
        {{0, ITEM_ERRORS, 0}, 0, false},
        {{0, UINT32_MAX, 0}, 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t cut = 0; cut <= sizeof rows[i].image; cut += 4) {
            size_t length = cut > 0 ? sizeof rows[i].image - cut : sizeof rows[i].image + rows[i].behind;
            char *bytes = calloc(1, length > 0 ? length : 1);
            memcpy(bytes, rows[i].image, length < sizeof rows[i].image ? length : sizeof rows[i].image);
            struct span errors = {bytes, length}, members;
            uint32_t item = 1;
            enum item_error type;
            bool right = rows[i].right && cut == 0;
            assert_int_equal(result_error_next(&errors, &item, &type, &members), right);
            if (right)
                assert_int_equal(item, rows[i].image[0]);
            else
                assert_true(errors.at == bytes && errors.length == length); /* nothing of it is taken */
            free(bytes);
        }
}

static void names(void **state)
{
    for (unsigned type = MESSAGE_READY; type <= MESSAGE_LAST; type++)
        assert_true(strlen(message_name(type)) > 1);
    assert_string_equal(message_name(MESSAGE_TASK), "TASK");
    assert_string_equal(message_name(MESSAGE_LOAD_FAILED), "LOAD_FAILED");
    assert_string_equal(message_name(0), "?");
    assert_string_equal(message_name(MESSAGE_LAST + 1), "?");
    assert_string_equal(message_name(UINT32_MAX), "?");
    for (unsigned error = ITEM_OK; error < ITEM_ERRORS; error++)
        assert_true(strlen(item_error_name((enum item_error)error)) > 1);
    assert_string_equal(item_error_name(ITEM_WORKER_DIED), "worker_died");
    assert_string_equal(item_error_name(ITEM_ERRORS), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(too_long),
        cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(noise),
        cmocka_unit_test(results_that_cannot_be),
        cmocka_unit_test(error_records_that_cannot_be),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
