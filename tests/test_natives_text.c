/* upper against Unicode's own tables, levenshtein against its definition. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/native_call.h"
#include "workers/upper.h"

/* FNV-1a over the count and the code points of every code point's upper case; the sum is of another implementation of
 * Unicode 14's full mapping (Python 3.11's str.upper(), surrogates left alone). */
static void every_code_point_is_mapped(void **state)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (uint32_t c = 0; c < 0x110000; c++) {
        uint32_t to[3];
        size_t count = upper_of(c, to);
        assert_in_range(count, 1, 3);
        sum = (sum ^ count) * 0x100000001b3u;
        for (size_t i = 0; i < count; i++)
            sum = (sum ^ to[i]) * 0x100000001b3u;
    }
    assert_int_equal(sum, 0x44d9edb69f255f8eu);
}

/* Every byte of ASCII at every place of a string: the eight-byte steps and the rest. */
static void ascii_is_mapped_at_every_place(void **state)
{
    for (int c = 0x20; c < 0x7f; c++) {
        if (c == '"' || c == '\\')
            continue;
        for (size_t length = 1; length <= 19; length++)
            for (size_t at = 0; at < length; at++) {
                char args[32] = "[\"", wanted[32] = "\"";
                memset(args + 2, 'z', length);
                memset(wanted + 1, 'Z', length);
                args[2 + at] = (char)c;
                wanted[1 + at] = c >= 'a' && c <= 'z' ? (char)(c - 0x20) : (char)c;
                memcpy(args + 2 + length, "\"]", 3);
                memcpy(wanted + 1 + length, "\"", 2);
                assert_string_equal(native_result("upper", args), wanted);
            }
    }
}

/* The distance by its definition, in exponential time. */
static size_t distance(const char *a, const char *b)
{
    if (*a == '\0' || *b == '\0')
        return strlen(a) + strlen(b);
    size_t replaced = distance(a + 1, b + 1) + (*a != *b);
    size_t deleted = distance(a + 1, b) + 1, inserted = distance(a, b + 1) + 1;
    size_t least = deleted < inserted ? deleted : inserted;
    return replaced < least ? replaced : least;
}

static void levenshtein_is_the_least_number_of_edits(void **state)
{
    uint32_t random = 12345;
    for (int round = 0; round < 300; round++) {
        char words[2][8], args[40], wanted[8];
        for (int w = 0; w < 2; w++) {
            size_t length = (random = random * 1664525 + 1013904223) >> 29;
            for (size_t i = 0; i < length && i < 6; i++)
                words[w][i] = (char)('a' + ((random = random * 1664525 + 1013904223) >> 24) % 3);
            words[w][length < 6 ? length : 6] = '\0';
        }
        snprintf(args, sizeof args, "[\"%s\",\"%s\"]", words[0], words[1]);
        snprintf(wanted, sizeof wanted, "%zu", distance(words[0], words[1]));
        assert_string_equal(native_result("levenshtein", args), wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_mapped),
        cmocka_unit_test(ascii_is_mapped_at_every_place),
        cmocka_unit_test(levenshtein_is_the_least_number_of_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
