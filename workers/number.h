/* number: text <-> int64, double, big. Numbers are kept as text until a function needs them; integers are exact at any
 * size (int64 here, GMP beyond in the functions), doubles print in the shortest form that reads back the same and keep
 * their ".0". std::from_chars and std::to_chars do the doubles (number_double.cc), being 5-15 times faster than C's. */
#ifndef FORKMAP_WORKERS_NUMBER_H
#define FORKMAP_WORKERS_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/token.h"

enum number_kind {
    NUMBER_INT64,   /* an integer token that fits */
    NUMBER_BIG,     /* an integer token that does not */
    NUMBER_DOUBLE,  /* has a fraction or an exponent */
    NUMBER_INVALID, /* a double out of range (1e400) */
};

#define NUMBER_TEXT_MAX 32 /* bytes that number_print_* write at most */

/* What a checked number token is; *integer or *real is set for the kinds that have one. "-0" is INT64 0; "-0.0" is the
 * double. 1e3 is a double. */
enum number_kind number_read(struct span number, int64_t *integer, double *real);
/* Decimal text at `to` (no NUL); returns its length. */
size_t number_print_int64(int64_t value, char *to);
size_t number_print_uint64(uint64_t value, char *to);
/* Shortest form that reads back the same, always with '.' or an exponent, and valid JSON: 1.0, 100000.0, 1e+23, 0.1, -0.0.
 * As Python's repr(): exponent below 1e-4 and from 1e16. The value must be finite. */
size_t number_print_double(double value, char *to);
/* Exactly what JSON.stringify prints for a finite double (ECMA-262 Number::toString): 1, 100000, 1e+23, 0.1, 0 for -0. */
size_t number_print_double_js(double value, char *to);

/* Reads a plain integer token of up to 18 digits at `at` that is followed by a byte that cannot continue a number, all
 * before `end`. Returns the byte behind it, or NULL (not such a token: use token_read()). The fast loops live on this. */
static inline const char *number_scan_int64(const char *at, const char *end, int64_t *integer)
{
    const char *start = at;
    bool negative = at < end && *at == '-';
    at += negative;
    const char *digits = at;
    uint64_t value = 0;
    while (at < end && (unsigned char)(*at - '0') < 10)
        value = value * 10 + (uint64_t)(*at++ - '0');
    size_t count = (size_t)(at - digits);
    if (count == 0 || count > 18 || at == end || (*digits == '0' && (count > 1 || negative)))
        return NULL;
    if (*at == '.' || *at == 'e' || *at == 'E')
        return NULL;
    (void)start;
    *integer = negative ? -(int64_t)value : (int64_t)value;
    return at;
}

#endif
