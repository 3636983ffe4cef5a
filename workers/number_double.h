/* number_double: what number.c has from the C++ standard library. Nothing else includes this. */
#ifndef FORKMAP_WORKERS_NUMBER_DOUBLE_H
#define FORKMAP_WORKERS_NUMBER_DOUBLE_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NUMBER_SHORTEST_MAX 24 /* "-1.7976931348623157e+308" */

/* The double nearest to the JSON number in [at, end), 0 with its sign where it is too small; false: it is too large. */
bool number_double_read(const char *at, const char *end, double *value);
/* The fewest digits that read back the same, as d.ddde+xx: always one digit first, a point only before more digits, and
 * at least two digits of exponent. Returns the length; the value must be finite. */
size_t number_double_shortest(double value, char *to);

#ifdef __cplusplus
}
#endif

#endif
