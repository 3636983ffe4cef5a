/* names: the member names of all objects that are open while one JSON value is checked, so that a name that comes twice
 * in one object is found at once. One stack of names and one hash table over it serve every level of nesting.
 *
 * Nothing is allocated up to NAMES_INLINE open names without escapes. The hash is keyed per process, so that nobody can
 * send names that all fall into one place. It knows nothing of JSON beyond what token_decode_string() does for it. */
#ifndef FORKMAP_WORKERS_NAMES_H
#define FORKMAP_WORKERS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"
#include "workers/token.h"

#define NAMES_INLINE 32

struct name {
    struct span text; /* as written, with its quotes */
    uint32_t hash;    /* of the decoded name and its object */
    uint32_t slot;    /* where the table points to it */
    bool escaped;
};

struct names {
    size_t count;    /* names of all open objects, the innermost object's last */
    size_t capacity; /* 0 until the first name; the table has twice as many slots */
    struct name *list;
    uint32_t *slots; /* 1 + index in list; 0: free */
    struct buf decoded[2];
    struct name inline_list[NAMES_INLINE];
    uint32_t inline_slots[2 * NAMES_INLINE];
};

void names_init(struct names *names);
void names_clear(struct names *names);
/* Adds a checked string token to the object whose names begin at index `first`; false: that object has it already. */
bool names_add(struct names *names, size_t first, struct span text, bool escaped);
/* The innermost object ends: forgets the names from index `first` on. */
void names_drop(struct names *names, size_t first);

#endif
