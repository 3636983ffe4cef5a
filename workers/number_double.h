/* number_double: what number.c has from the C++ standard library. Nothing else includes this. */
#ifndef FORKMAP_WORKERS_NUMBER_DOUBLE_H
#define FORKMAP_WORKERS_NUMBER_DOUBLE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The double nearest to the JSON number in [at, end), 0 with its sign where it is too small; false: it is too large. */
bool number_double_read(const char *at, const char *end, double *value);
/* The double at the front of [at, end), and where its text ends; NULL: there is none in range. It takes more than JSON
 * does at a token's front (leading zeros, no digit behind the point): the caller has looked at that. */
const char *number_double_scan(const char *at, const char *end, double *value);
/* The fewest digits that read back the same: value = digits · 10^exponent, at most 17 of them, the last one not 0. The
 * value must be finite and above 0. */
uint64_t number_double_digits(double value, int *exponent);

#ifdef __cplusplus
}
#endif

#endif
