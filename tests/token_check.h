/* token_check: runs token_read() over a copy of a text in a heap block of exactly its size, so that a sanitizer sees
 * any look past its end. */
#ifndef FORKMAP_TESTS_TOKEN_CHECK_H
#define FORKMAP_TESTS_TOKEN_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "workers/token.h"

struct outcome {
    enum token kind;
    size_t start, length; /* of the value */
    size_t offset;        /* the cursor's */
    char why[128];
};

struct outcome token_check(const char *text, size_t length);
/* A code point as UTF-8 (a surrogate too); returns its bytes. */
size_t token_encode(uint32_t code, char *to);

#endif
