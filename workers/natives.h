/* natives: the code behind the catalogue's rows, and what the functions share. The worker's side alone: whoever links
 * natives.c links GMP too. */
#ifndef FORKMAP_WORKERS_NATIVES_H
#define FORKMAP_WORKERS_NATIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/catalog.h"
#include "workers/number.h"

struct native_code {
    native_item *item; /* NULL only for a fold */
    native_run *run;   /* or NULL */
    native_fold *fold; /* only with NATIVE_FOLD */
};

/* The code of a row of the catalogue. */
const struct native_code *catalog_code(const struct native *native);
/* The name that stands beside it in the table, which the tests hold against the catalogue's; NULL past the last. */
const char *catalog_code_name(size_t index);

/* A number argument as read. `integer` is set for NUMBER_INT64, `real` for NUMBER_DOUBLE; NUMBER_INVALID never comes.
 */
struct native_number {
    enum number_kind kind;
    int64_t integer;
    double real;
    struct span text;
};

/* Argument `i` as a number, or as an integer, which a double is not even when it has no fraction. On false the call has
 * failed with a sentence that names the function and what it got. */
bool native_number(struct native_call *call, const char *function, size_t i, struct native_number *number);
bool native_integer(struct native_call *call, const char *function, size_t i, struct native_number *number);
/* Whether argument `i` is a string; false as above. */
bool native_string(struct native_call *call, const char *function, size_t i);
/* Fails the call for the type of argument `i`: "squared() wants a number, got a string". */
bool native_wants(struct native_call *call, const char *function, const char *wanted, size_t i);

/* Results. A double that JSON cannot write is an encode_error. */
void native_return_int64(struct native_call *call, int64_t value);
void native_return_uint64(struct native_call *call, uint64_t value);
bool native_return_double(struct native_call *call, const char *function, double value);
/* Argument `i` as it came. */
void native_return_argument(struct native_call *call, size_t i);

/* natives_number.c */
native_item native_squared, native_times, native_gcd;
uint64_t native_gcd_uint64(uint64_t a, uint64_t b); /* Euclid's; of a and 0 it is a */
/* natives_prime.c */
native_item native_is_prime, native_factorize, native_collatz_steps;
/* natives_text.c */
native_item native_length, native_upper, native_sha256, native_levenshtein;
/* natives_misc.c */
native_item native_echo, native_sleep_ms, native_roll;
/* natives_demo.c */
native_item native_crash, native_exit_code, native_hang, native_spin, native_leak;
/* natives_run.c */
native_run native_run_squared;
/* natives_dice.c */
native_fold native_fold_dice;

#endif
