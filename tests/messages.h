/* messages: the protocol's messages as a table for tests: how to pack one, how to read any payload as one, how to tell
 * that it is the one that was packed. */
#ifndef FORKMAP_TESTS_MESSAGES_H
#define FORKMAP_TESTS_MESSAGES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "workers/message.h"

#define MESSAGE_TAIL "0123456789abcdef"
#define MESSAGE_TAIL_MOST 16u

struct message_kind {
    enum message type;
    size_t fixed; /* bytes of payload before the tail: none shorter may be read */
    bool tailed;
    /* A whole frame with so many bytes of MESSAGE_TAIL as its tail. */
    void (*pack)(struct buf *to, size_t tail);
    /* Whether this is such a message; asserts that its spans are inside of the payload and its fields in range. */
    bool (*read)(struct span payload, uint16_t padding);
    /* Asserts that this is what pack() made. */
    void (*check)(struct span payload, uint16_t padding, size_t tail);
};

extern const struct message_kind messages[];
extern const size_t message_kinds;

#endif
