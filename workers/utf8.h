/* utf8: what a character of UTF-8 is (Unicode, table 3-7: no overlong forms, no surrogates, nothing past U+10FFFF). */
#ifndef FORKMAP_WORKERS_UTF8_H
#define FORKMAP_WORKERS_UTF8_H

#include <stddef.h>

/* The length of the well-formed sequence at `at`, before `end`: 1 to 4; or 0. */
static inline size_t utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char lead = *at;
    if (lead < 0x80)
        return 1;
    size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length)
        return 0;
    unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

#endif
