/* gzip: see gzip.h. */
#include "server/gzip.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "workers/log.h"

#define LEVEL 1          /* JSON of numbers gains little from more */
#define WINDOW (15 + 16) /* the largest, in gzip's framing */
#define PIECE_BYTES (64u << 10)

struct gzip {
    z_stream stream;
    struct block *blocks;
    size_t count, at; /* block under way */
    size_t used;      /* bytes of it handed to zlib */
    bool over;
};

bool gzip_wanted(const char *accept_encoding)
{
    bool any = false; /* what "*" says, unless gzip is named */
    for (const char *at = accept_encoding; at != NULL && *at != '\0'; at += *at == ',') {
        at += strspn(at, " \t");
        size_t length = strcspn(at, ",; \t");
        bool named = length == 4 && strncasecmp(at, "gzip", 4) == 0, star = length == 1 && *at == '*';
        const char *rest = at + length;
        at += strcspn(at, ",");
        rest += strspn(rest, " \t;");
        bool taken = rest >= at || strncasecmp(rest, "q=0", 3) != 0 || strtod(rest + 2, NULL) > 0;
        if (named)
            return taken;
        any = star ? taken : any;
    }
    return any;
}

struct gzip *gzip_new(struct block *blocks, size_t count)
{
    struct gzip *gzip = calloc(1, sizeof *gzip);
    if (gzip == NULL)
        return NULL;
    if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        return NULL;
    }
    gzip->blocks = blocks;
    gzip->count = count;
    return gzip;
}

void gzip_free(struct gzip *gzip)
{
    if (gzip == NULL)
        return;
    deflateEnd(&gzip->stream);
    for (size_t i = gzip->at; i < gzip->count; i++)
        free(gzip->blocks[i].data);
    free(gzip->blocks);
    free(gzip);
}

/* The next piece of the blocks for zlib; at their end nothing. */
static void next_piece(struct gzip *gzip)
{
    while (gzip->at < gzip->count && gzip->used == gzip->blocks[gzip->at].length) {
        free(gzip->blocks[gzip->at].data);
        gzip->at++;
        gzip->used = 0;
    }
    if (gzip->at == gzip->count)
        return;
    struct block *block = &gzip->blocks[gzip->at];
    size_t length = block->length - gzip->used < PIECE_BYTES ? block->length - gzip->used : PIECE_BYTES;
    gzip->stream.next_in = (unsigned char *)block->data + block->start + gzip->used;
    gzip->stream.avail_in = (unsigned)length;
    gzip->used += length;
}

size_t gzip_read(struct gzip *gzip, char *to, size_t most)
{
    gzip->stream.next_out = (unsigned char *)to;
    gzip->stream.avail_out = (unsigned)most;
    while (!gzip->over && gzip->stream.avail_out == most) {
        if (gzip->stream.avail_in == 0)
            next_piece(gzip);
        int flush = gzip->stream.avail_in == 0 ? Z_FINISH : Z_NO_FLUSH;
        int result = deflate(&gzip->stream, flush);
        if (result == Z_STREAM_ERROR)
            die("zlib's stream is broken");
        gzip->over = result == Z_STREAM_END;
    }
    return most - gzip->stream.avail_out;
}
