/* native_call: calls a native function as a worker does, for the tests. */
#ifndef FORKMAP_TESTS_NATIVE_CALL_H
#define FORKMAP_TESTS_NATIVE_CALL_H

#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/natives.h"

/* Runs a function over the arguments in a JSON array, whose text lies in memory of exactly its size, and appends to
 * `out` the result, or "bad_arguments TypeError: …". Seed 42. */
void native_call(const char *name, struct span args, uint64_t index, struct buf *out);
/* The same as a string, good until the next call. */
const char *native_result(const char *name, const char *args);

#endif
