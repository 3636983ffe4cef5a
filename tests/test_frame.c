/* frame: frames whole, in pieces and broken. What is read is a heap copy of its exact size, so that a sanitizer sees a
 * read past what has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "workers/frame.h"

#define HEADER sizeof(struct frame_header)

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* Some of each kind: without tail, with each length of padding, with an empty tail. */
static void pack_some(struct buf *to)
{
    static const char text[] = "0123456789abcdef";
    message_pack_ready(to, &(struct ready_message){PROTOCOL_VERSION, 1234});
    for (size_t length = 0; length <= 8; length++)
        message_pack_malformed(
            to, &(struct malformed_message){.task = length + 1, .item = 2, .offset = 3, .why = {text, length}});
    message_pack_bye(to, &(struct bye_message){77});
}
#define SOME 11

/* What frames say, one line each. */
static void describe(struct buf *to, enum message type, uint16_t padding, struct span payload)
{
    buf_printf(to, "%s %u %zu:", message_name(type), padding, payload.length);
    for (size_t i = 0; i < payload.length; i++)
        buf_printf(to, "%02x", (unsigned char)payload.at[i]);
    buf_append_char(to, '\n');
}

/* Takes the whole frames of `in`; how many there were. */
static unsigned take_all(struct buf *in, struct buf *said, enum frame_status *status)
{
    enum message type;
    uint16_t padding;
    struct span payload;
    size_t wanted;
    unsigned count = 0;
    for (; (*status = frame_next(in, &type, &padding, &payload, &wanted)) == FRAME_WHOLE; count++) {
        assert_int_equal(wanted, HEADER + payload.length);
        assert_true(payload.at == buf_start(in) + HEADER && wanted <= in->length);
        describe(said, type, padding, payload);
        frame_done(in, payload);
    }
    if (*status == FRAME_NONE)
        assert_true(wanted > in->length);
    return count;
}

/* All bytes at once, then cut into two at every place, then in pieces of every size: always the same frames. */
static void cut_anywhere(void **state)
{
    struct buf all = {0}, whole = {0}, in = {0}, said = {0};
    enum frame_status status;
    pack_some(&all);
    buf_append(&in, buf_start(&all), all.length);
    assert_int_equal(take_all(&in, &whole, &status), SOME);
    assert_int_equal(in.length, 0);
    for (size_t piece = 1; piece <= all.length; piece++) {
        unsigned count = 0;
        buf_clear(&in);
        buf_reset(&said);
        for (size_t at = 0; at < all.length; at += piece) {
            size_t now = piece < all.length - at ? piece : all.length - at;
            buf_exact(&in, in.length + now);
            buf_append(&in, buf_start(&all) + at, now);
            count += take_all(&in, &said, &status);
            assert_int_equal(status, FRAME_NONE);
        }
        assert_int_equal(count, SOME);
        assert_int_equal(said.length, whole.length);
        assert_memory_equal(buf_start(&said), buf_start(&whole), whole.length);
    }
    buf_clear(&all);
    buf_clear(&whole);
    buf_clear(&in);
    buf_clear(&said);
}

/* Of a frame cut at each length nothing is taken, and what is wanted is said: first the header, then all of it. */
static void says_what_it_wants(void **state)
{
    struct buf all = {0};
    message_pack_malformed(&all, &(struct malformed_message){.task = 1, .why = {"because", 7}});
    for (size_t length = 0; length < all.length; length++) {
        struct buf in = {0};
        enum message type;
        uint16_t padding;
        struct span payload;
        size_t wanted = 0;
        buf_exact(&in, length > 0 ? length : 1);
        buf_append(&in, buf_start(&all), length);
        assert_int_equal(frame_next(&in, &type, &padding, &payload, &wanted), FRAME_NONE);
        assert_int_equal(wanted, length < HEADER ? HEADER : all.length);
        buf_clear(&in);
    }
    buf_clear(&all);
}

static const struct {
    struct frame_header header;
    enum frame_status status; /* with no byte of payload there */
} headers[] = {
    {{0, MESSAGE_BYE, PROTOCOL_VERSION, 0}, FRAME_WHOLE},
    {{8, MESSAGE_READY, PROTOCOL_VERSION, 0}, FRAME_NONE},
    {{8, MESSAGE_LAST, PROTOCOL_VERSION, 7}, FRAME_NONE},
    {{FRAME_MAX, MESSAGE_TASK, PROTOCOL_VERSION, 0}, FRAME_NONE},
    {{8, MESSAGE_READY, PROTOCOL_VERSION + 1, 0}, FRAME_BAD},
    {{8, MESSAGE_READY, PROTOCOL_VERSION - 1, 0}, FRAME_BAD},
    {{8, MESSAGE_READY, 255, 0}, FRAME_BAD},
    {{7, MESSAGE_READY, PROTOCOL_VERSION, 0}, FRAME_BAD},
    {{12, MESSAGE_READY, PROTOCOL_VERSION, 4}, FRAME_BAD},
    {{FRAME_MAX + 8, MESSAGE_TASK, PROTOCOL_VERSION, 0}, FRAME_BAD},
    {{UINT32_MAX - 7, MESSAGE_TASK, PROTOCOL_VERSION, 0}, FRAME_BAD},
    {{UINT32_MAX, MESSAGE_TASK, PROTOCOL_VERSION, 0}, FRAME_BAD},
    {{8, MESSAGE_READY, PROTOCOL_VERSION, 8}, FRAME_BAD},
    {{8, MESSAGE_READY, PROTOCOL_VERSION, UINT16_MAX}, FRAME_BAD},
    {{0, MESSAGE_READY, PROTOCOL_VERSION, 1}, FRAME_BAD}, /* more padding than payload */
    {{8, 0, PROTOCOL_VERSION, 0}, FRAME_BAD},
    {{8, MESSAGE_LAST + 1, PROTOCOL_VERSION, 0}, FRAME_BAD},
    {{8, 255, PROTOCOL_VERSION, 0}, FRAME_BAD},
};

/* A bad header is known by itself, before a byte of what it announces. */
static void bad_headers(void **state)
{
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct buf in = {0}, said = {0};
        enum frame_status status;
        buf_exact(&in, HEADER);
        buf_append(&in, &headers[i].header, HEADER);
        take_all(&in, &said, &status);
        if (headers[i].status == FRAME_WHOLE)
            assert_string_equal("BYE 0 0:\n", (buf_append_char(&said, '\0'), buf_start(&said)));
        else if (status != headers[i].status)
            fail_msg("header %zu: %d, not %d", i, status, headers[i].status);
        buf_clear(&in);
        buf_clear(&said);
    }
}

/* Frames before a bad one are taken, and nothing behind it. */
static void good_before_bad(void **state)
{
    struct buf in = {0}, said = {0};
    enum frame_status status;
    struct frame_header bad = {8, MESSAGE_READY, 9, 0};
    message_pack_bye(&in, &(struct bye_message){1});
    buf_append(&in, &bad, sizeof bad);
    message_pack_bye(&in, &(struct bye_message){2});
    assert_int_equal(take_all(&in, &said, &status), 1);
    assert_int_equal(status, FRAME_BAD);
    take_all(&in, &said, &status);
    assert_int_equal(status, FRAME_BAD);
    buf_clear(&in);
    buf_clear(&said);
}

/* Frames larger than what a first allocation holds, up to the limit. */
static void large_frames(void **state)
{
    static const size_t lengths[] = {1000, 65536 + 1, (1u << 20) + 5, FRAME_MAX - 16};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *text = malloc(lengths[i]);
        memset(text, 'x', lengths[i]);
        struct buf in = {0};
        struct malformed_message sent = {.task = 1, .why = {text, lengths[i]}}, got;
        enum message type;
        uint16_t padding;
        struct span payload;
        size_t wanted;
        message_pack_malformed(&in, &sent);
        assert_int_equal(frame_next(&in, &type, &padding, &payload, &wanted), FRAME_WHOLE);
        assert_true(message_unpack_malformed(payload, padding, &got));
        assert_int_equal(got.why.length, lengths[i]);
        assert_memory_equal(got.why.at, text, lengths[i]);
        frame_done(&in, payload);
        assert_int_equal(in.length, 0);
        buf_clear(&in);
        free(text);
    }
}

/* Noise, and noise in the likeness of frames, which is let through more often. */
static void noise(void **state)
{
    uint32_t random = 20240229;
    unsigned whole = 0, bad = 0;
    for (unsigned round = 0; round < 20000; round++) {
        size_t length = next_random(&random) % 200;
        struct buf in = {0}, said = {0};
        buf_exact(&in, length > 0 ? length : 1);
        for (size_t i = 0; i < length; i++)
            buf_append_char(&in, (char)next_random(&random));
        if (round % 2 == 1 && length >= HEADER) {
            struct frame_header header = {next_random(&random) % 8 * 8, (uint8_t)(next_random(&random) % 15),
                                          PROTOCOL_VERSION, (uint16_t)(next_random(&random) % 9)};
            memcpy(buf_start(&in), &header, sizeof header);
        }
        enum frame_status status;
        whole += take_all(&in, &said, &status);
        bad += status == FRAME_BAD;
        buf_clear(&in);
        buf_clear(&said);
    }
    assert_true(whole > 1000 && bad > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_anywhere),    cmocka_unit_test(says_what_it_wants), cmocka_unit_test(bad_headers),
        cmocka_unit_test(good_before_bad), cmocka_unit_test(large_frames),       cmocka_unit_test(noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
