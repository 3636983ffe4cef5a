/* big: integers beyond int64, by GMP: to and from decimal text. GMP has no way to fail: without memory it aborts, and
 * the worker's death is that item's. */
#ifndef FORKMAP_WORKERS_BIG_H
#define FORKMAP_WORKERS_BIG_H

#include <gmp.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/token.h"

_Static_assert(sizeof(long) == sizeof(int64_t), "GMP's …_si and …_ui functions are used for 64 bits");

/* Sets an initialised `big` to a checked integer token. `scratch` comes back as it was. */
void big_read(mpz_t big, struct span integer, struct buf *scratch);
/* Appends the decimal text. */
void big_print(const mpz_t big, struct buf *out);
/* The nearest double, ties to even; an infinity where there is none. */
double big_double(const mpz_t big, struct buf *scratch);

#endif
