/* number: text <-> int64, double, big. Numbers are kept as text until a function needs them; integers are exact at any
 * size (int64 here, GMP beyond in the functions), doubles print in the shortest form that reads back the same and keep
 * their ".0". std::from_chars and std::to_chars do the doubles (number_double.cc), being 5-15 times faster than C's. */
#ifndef FORKMAP_WORKERS_NUMBER_H
#define FORKMAP_WORKERS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "workers/token.h"

enum number_kind {
    NUMBER_INT64,   /* an integer token that fits */
    NUMBER_BIG,     /* an integer token that does not */
    NUMBER_DOUBLE,  /* has a fraction or an exponent */
    NUMBER_INVALID, /* a double too large (1e400); one too small reads as 0 with its sign */
};

#define NUMBER_TEXT_MAX 32 /* bytes that number_print_* write at most */

/* What a checked number token is; *integer or *real is set for the kinds that have one. "-0" is INT64 0; "-0.0" is the
 * double. 1e3 is a double. */
enum number_kind number_read(struct span number, int64_t *integer, double *real);
/* Reads a number token with a fraction at `at`, before `end`, unchecked so far. Returns the byte behind it, or NULL: it
 * is something else, or not in range; token_read() and number_read() tell what. */
const char *number_scan_double(const char *at, const char *end, double *real);
/* Decimal text at `to` (no NUL); returns its length. */
size_t number_print_int64(int64_t value, char *to);
size_t number_print_uint64(uint64_t value, char *to);
/* Shortest form that reads back the same, always with '.' or an exponent, and valid JSON: 1.0, 100000.0, 1e+23, 0.1,
 * -0.0. As Python's repr(): exponent below 1e-4 and from 1e16. The value must be finite. */
size_t number_print_double(double value, char *to);
/* Exactly what JSON.stringify prints for a finite double (ECMA-262, Number::toString): 1, 100000, 1e+23, 0.1, and 0 for
 * -0. */
size_t number_print_double_js(double value, char *to);

/* The digits at the front of [at, end): how many, and their value (right up to 19 of them; beyond, its low 64 bits).
 * Eight at a time without a branch for each, as the lengths of numbers in a list are hard to predict. */
static inline size_t number_scan_digits(const char *at, const char *end, uint64_t *value)
{
    const char *start = at;
    uint64_t total = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        /* One of these sums sets the top bit of the first byte that is no digit; carries only disturb those behind. */
        uint64_t others = ((eight + 0x4646464646464646u) | (eight - 0x3030303030303030u)) & 0x8080808080808080u;
        unsigned count = others != 0 ? (unsigned)__builtin_ctzll(others) / 8 : 8;
        if (count == 0)
            break;
        /* As if zeros stood before them: then pairs, then fours, then all eight are joined. */
        eight = (eight ^ 0x3030303030303030u) << (64 - 8 * count);
        eight = eight * 10 + (eight >> 8);
        eight = ((eight & 0x000000ff000000ffu) * 0x000f424000000064u +
                 ((eight >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u) >>
                32;
        total = total * powers[count] + eight;
        at += count;
        if (count < 8) {
            *value = total;
            return (size_t)(at - start);
        }
    }
#endif
    for (; at < end && (unsigned char)(*at - '0') < 10; at++)
        total = total * 10 + (uint64_t)(*at - '0');
    *value = total;
    return (size_t)(at - start);
}

/* Reads a plain integer token of up to 18 digits at `at` that is followed by a byte that cannot continue a number, all
 * before `end`. Returns the byte behind it, or NULL (not such a token: use token_read()). The fast loops live on this.
 */
static inline const char *number_scan_int64(const char *at, const char *end, int64_t *integer)
{
    bool negative = false;
    if (__builtin_expect(at < end && *at == '-', 0)) { /* a branch, so that the digits need not wait for the answer */
        negative = true;
        at++;
    }
    const char *digits = at;
    uint64_t value;
    size_t count = number_scan_digits(digits, end, &value);
    at += count;
    if (count == 0 || count > 18 || at == end || (*digits == '0' && (count > 1 || negative)))
        return NULL;
    if (*at == '.' || *at == 'e' || *at == 'E')
        return NULL;
    *integer = negative ? -(int64_t)value : (int64_t)value;
    return at;
}

#endif
