/* buf: bytes in transit. A growable run of bytes with a consumed head; `_init/_clear` embed it in its owner.
 *
 * Content is at data + head, `length` bytes long. Appending may move it. Growing dies on lack of memory in a worker
 * and in the front alike (the impossible dies loudly: whoever takes bytes from a client bounds them first). */
#ifndef FORKMAP_WORKERS_BUF_H
#define FORKMAP_WORKERS_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct buf {
    char *data;
    size_t head;     /* bytes consumed at the front */
    size_t length;   /* bytes of content after head */
    size_t capacity; /* bytes allocated at data */
};

void buf_init(struct buf *buf);
void buf_clear(struct buf *buf); /* frees the memory; the buf may be used again */
void buf_reset(struct buf *buf); /* forgets the content, keeps the memory */
/* Room for `more` bytes after the content; returns where they go. buf_added() says how many were written there. */
char *buf_room(struct buf *buf, size_t more);
/* Moves the content to memory of just `capacity` bytes (at least its length). */
void buf_exact(struct buf *buf, size_t capacity);
char *buf_grow(struct buf *buf, size_t more); /* the slow half of buf_room() */
static inline char *buf_start(const struct buf *buf)
{
    return buf->data + buf->head;
}
static inline char *buf_end(const struct buf *buf)
{
    return buf->data + buf->head + buf->length;
}
static inline void buf_added(struct buf *buf, size_t bytes)
{
    buf->length += bytes;
}
/* Drops `bytes` from the front of the content. */
static inline void buf_consume(struct buf *buf, size_t bytes)
{
    buf->head += bytes;
    buf->length -= bytes;
    if (buf->length == 0)
        buf->head = 0;
}
/* Cuts the content back to `length` bytes. */
static inline void buf_truncate(struct buf *buf, size_t length)
{
    buf->length = length;
}
static inline void buf_append(struct buf *buf, const void *bytes, size_t length)
{
    if (length > 0) {
        memcpy(buf_room(buf, length), bytes, length);
        buf->length += length;
    }
}
static inline void buf_append_char(struct buf *buf, char c)
{
    *buf_room(buf, 1) = c;
    buf->length++;
}
void buf_append_text(struct buf *buf, const char *text);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `length` bytes as a JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void buf_append_json(struct buf *buf, const char *text, size_t length);

#endif
