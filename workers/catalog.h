/* catalog: the table of native functions. A row is a function's whole public face: `GET /functions` prints it, the
 * worker runs it, the tests run its example. Adding a function is one row in catalog.c, one in natives.c (its code) and
 * one C function in a natives_*.c.
 *
 * The front links the rows for names, arity and texts; only the worker links and calls the code behind them
 * (natives.h), so the front needs none of its libraries. */
#ifndef FORKMAP_WORKERS_CATALOG_H
#define FORKMAP_WORKERS_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/message.h"
#include "workers/token.h"

/* One item under way. The arguments are checked JSON values; the function appends its result, one JSON value, to `out`
 * and returns true, or returns false after native_fail(). What it appended before failing is dropped. */
struct native_call {
    const struct span *args;
    const enum token *kinds;
    size_t count;
    struct buf *out;
    struct buf *scratch; /* the worker's own, to use between entry and return; comes empty */
    uint64_t seed;       /* of the call */
    uint64_t index;      /* of the item in its call: what random functions draw by */
    enum item_error error;
    char error_name[64];     /* "ValueError", … */
    char error_message[256]; /* a sentence for the caller */
};

typedef bool native_item(struct native_call *call);

/* An optional fast loop beside `item`, for items in their plainest form. *cursor stands at the first byte of an item in
 * text of comma-separated values (blanks allowed); it runs up to `most` items and returns how many it finished, *cursor
 * at the first byte of the item that it would not do (too big, not plain, malformed: `item` does that one), or behind
 * the last. For each item it first stores the item's number, counted from *progress on, into *progress, and appends
 * `separator` and the result to `out`. It looks at no clock: `most` is small enough. */
typedef size_t native_run(const char **cursor, const char *end, size_t most, char separator, struct buf *out,
                          volatile uint32_t *progress);

#define NATIVE_DEMO 1u   /* listed and callable only with --demo-functions */
#define NATIVE_HIDDEN 2u /* called by an endpoint of its own, never by name */
#define NATIVE_FOLD 4u   /* one result for a run of items (dice): see `fold` */

/* Folds items [first, first + count) of the call into `out`, replacing nothing: called for consecutive runs with the
 * same `out` before it is sent, so it merges. `args` is the task's payload. false: it is not what it expects. */
typedef bool native_fold(struct span args, uint64_t first, uint64_t count, struct buf *out);

struct native {
    const char *name;
    const char *signature;      /* "squared(x)" as shown to people */
    const char *text;           /* what it does, its errors; one or two sentences */
    const char *example_path;   /* "/map", "/starmap" or "/apply" */
    const char *example;        /* a request body that works as it stands */
    const char *example_answer; /* its answer, to the byte, or NULL where it is random or never comes */
    int least_args;
    int most_args; /* -1: any number */
    unsigned flags;
};

/* The rows, in the order to show them; NULL past the last. They lie one behind another. */
const struct native *catalog_row(size_t index);
/* The row of that name, whatever its flags; NULL if there is none. */
const struct native *catalog_find(const char *name, size_t length);
/* The function's hash: SHA-256 of "native\0" and the name, by which tasks call it. */
void catalog_hash(const struct native *native, uint8_t hash[32]);
/* The row with that hash, or NULL. */
const struct native *catalog_by_hash(const uint8_t hash[32]);

/* Sets the call's error and returns false (of natives.c, the worker's side): `return native_fail(call,
 * ITEM_BAD_ARGUMENTS, "TypeError", "…", …)`. */
bool native_fail(struct native_call *call, enum item_error type, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
