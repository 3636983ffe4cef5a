/* upper: the upper case of a code point by Unicode's full, language-free mapping. Tables, no locale. */
#ifndef FORKMAP_WORKERS_UPPER_H
#define FORKMAP_WORKERS_UPPER_H

#include <stddef.h>
#include <stdint.h>

/* Its one to three code points into `to`; returns how many. */
size_t upper_of(uint32_t c, uint32_t to[3]);

#endif
