/* table: a malloc()ed array that grows. The array, its count and its capacity are its owner's. */
#ifndef FORKMAP_API_TABLE_H
#define FORKMAP_API_TABLE_H

#include <stddef.h>
#include <stdlib.h>

#include "workers/log.h"

/* Where the array is now that there is room for an entry behind its first `count`, of `size` bytes each. */
static inline void *table_grow(void *table, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return table;
    *capacity = *capacity ? *capacity * 2 : 16;
    table = realloc(table, *capacity * size);
    if (table == NULL)
        die("out of memory: %zu entries", *capacity);
    return table;
}

#endif
