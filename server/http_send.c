/* http_send: see http_send.h. */
#include "server/http_send.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "server/gzip.h"
#include "workers/log.h"

#define IOVEC_MOST 900 /* the library stalls beyond 1,000 elements */

static void free_block(void *data)
{
    free(data);
}

struct blocks {
    struct block *at;
    size_t count, bytes;
};

static void free_blocks(void *context)
{
    struct blocks *blocks = context;
    for (size_t i = 0; i < blocks->count; i++)
        free(blocks->at[i].data);
    free(blocks->at);
    free(blocks);
}

/* For answers of very many blocks: copies from where they are. */
static ssize_t read_blocks(void *context, uint64_t position, char *to, size_t most)
{
    struct blocks *blocks = context;
    for (size_t i = 0; i < blocks->count; i++) {
        if (position >= blocks->at[i].length) {
            position -= blocks->at[i].length;
            continue;
        }
        size_t length = blocks->at[i].length - (size_t)position;
        if (length > most)
            length = most;
        memcpy(to, blocks->at[i].data + blocks->at[i].start + position, length);
        return (ssize_t)length;
    }
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t read_gzip(void *context, uint64_t position, char *to, size_t most)
{
    size_t length = gzip_read(context, to, most);
    return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_gzip(void *context)
{
    gzip_free(context);
}

/* The same compressed, if the client wants that and it is long enough; else NULL. */
static struct MHD_Response *make_gzip(const struct echo *echo, struct answer *answer)
{
    if (!echo->gzip || answer->status == 304 || answer_bytes(answer) < GZIP_LEAST)
        return NULL;
    struct gzip *gzip = gzip_new(answer->blocks, answer->block_count);
    if (gzip == NULL)
        return NULL;
    answer->blocks = NULL;
    answer->block_count = 0;
    answer_header(answer, "Content-Encoding", "gzip");
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64u << 10, read_gzip, gzip, free_gzip);
}

/* The library's response; takes the answer's blocks. */
static struct MHD_Response *make_response(const struct echo *echo, struct answer *answer)
{
    struct MHD_Response *response = make_gzip(echo, answer);
    if (response != NULL)
        return response;
    if (answer->block_count == 0) {
        response = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    } else if (answer->block_count == 1) {
        struct block *block = answer->blocks;
        response = MHD_create_response_from_buffer_with_free_callback_cls(block->length, block->data + block->start,
                                                                          free_block, block->data);
        free(answer->blocks);
    } else {
        struct blocks *blocks = malloc(sizeof *blocks);
        if (blocks == NULL)
            die("out of memory");
        *blocks = (struct blocks){answer->blocks, answer->block_count, 0};
        struct MHD_IoVec iov[IOVEC_MOST];
        for (size_t i = 0; i < blocks->count; i++) {
            blocks->bytes += blocks->at[i].length;
            if (i < IOVEC_MOST)
                iov[i] = (struct MHD_IoVec){blocks->at[i].data + blocks->at[i].start, blocks->at[i].length};
        }
        if (blocks->count <= IOVEC_MOST)
            response = MHD_create_response_from_iovec(iov, (unsigned)blocks->count, free_blocks, blocks);
        else
            response = MHD_create_response_from_callback(blocks->bytes, 256u << 10, read_blocks, blocks, free_blocks);
    }
    answer->blocks = NULL;
    answer->block_count = 0;
    if (response == NULL)
        die("out of memory: a response");
    return response;
}

static void set_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        warning("the header %s is not sent: its value is not one", name);
}

struct MHD_Response *http_response(const struct echo *echo, struct answer *answer, bool close)
{
    struct MHD_Response *response = make_response(echo, answer);
    if (answer->content_type != NULL)
        set_header(response, "Content-Type", answer->content_type);
    for (size_t i = 0; i < answer->header_count; i++)
        set_header(response, answer->headers[i].name, answer->headers[i].value);
    set_header(response, "X-Request-Id", echo->id);
    if (echo->traceparent[0] != '\0')
        set_header(response, "traceparent", echo->traceparent);
    if (echo->cors_origin[0] != '\0') {
        set_header(response, "Access-Control-Allow-Origin", echo->cors_origin);
        set_header(response, "Vary", "Origin, Accept-Encoding");
    } else if (echo->gzip) {
        set_header(response, "Vary", "Accept-Encoding");
    }
    if (close)
        set_header(response, "Connection", "close");
    return response;
}
