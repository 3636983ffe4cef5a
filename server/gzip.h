/* gzip: an answer's blocks, compressed piece by piece while they are sent, so that a large answer never holds the loop.
 * It knows no sockets: whoever sends asks for the next bytes. */
#ifndef FORKMAP_SERVER_GZIP_H
#define FORKMAP_SERVER_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "api/outcome.h"

#define GZIP_LEAST 1024u /* bytes below which an answer is sent as it is */

struct gzip;

/* Whether an Accept-Encoding header (NULL: none) takes gzip: named, or "*", and not with q=0. */
bool gzip_wanted(const char *accept_encoding);
/* Takes the blocks, and frees each as soon as it is compressed. NULL: no memory, the blocks are still the caller's. */
struct gzip *gzip_new(struct block *blocks, size_t count);
void gzip_free(struct gzip *gzip);
/* The next bytes, at most `most`; 0: that was all. */
size_t gzip_read(struct gzip *gzip, char *to, size_t most);

#endif
