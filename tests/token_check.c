/* token_check: see token_check.h. */
#include "tests/token_check.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct outcome token_check(const char *text, size_t length)
{
    struct outcome outcome = {0};
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    const char *cursor = copy, *why = NULL;
    struct span value = {0};
    outcome.kind = token_read(&cursor, copy + length, &value, &why);
    outcome.offset = (size_t)(cursor - copy);
    if (outcome.kind == TOKEN_BAD) {
        assert_non_null(why);
        snprintf(outcome.why, sizeof outcome.why, "%s", why);
    } else {
        outcome.start = (size_t)(value.at - copy);
        outcome.length = value.length;
        assert_int_equal(outcome.start + outcome.length, outcome.offset);
    }
    free(copy);
    return outcome;
}

size_t token_encode(uint32_t code, char *to)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint32_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = 0; i < length; i++)
        to[i] = (char)((i == 0 ? lead[length] : 0x80) | ((code >> 6 * (length - 1 - i)) & (i == 0 ? 0xff : 0x3f)));
    return length;
}
