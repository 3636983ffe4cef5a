/* buf: see buf.h. */
#include "workers/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "workers/log.h"
#include "workers/utf8.h"

void buf_init(struct buf *buf)
{
    *buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
    free(buf->data);
    buf_init(buf);
}

void buf_reset(struct buf *buf)
{
    buf->head = 0;
    buf->length = 0;
}

char *buf_grow(struct buf *buf, size_t more)
{
    if (buf->head > 0 && buf->capacity - buf->length >= more && buf->head >= buf->length) {
        memcpy(buf->data, buf->data + buf->head, buf->length);
        buf->head = 0;
        return buf->data + buf->length;
    }
    size_t need = buf->head + buf->length + more;
    size_t capacity = buf->capacity < 256 ? 256 : buf->capacity;
    while (capacity < need)
        capacity += capacity / 2;
    char *data = realloc(buf->data, capacity);
    if (data == NULL)
        die("out of memory: %zu bytes", capacity);
    buf->data = data;
    buf->capacity = capacity;
    return buf_end(buf);
}

void buf_exact(struct buf *buf, size_t capacity)
{
    char *data = malloc(capacity);
    if (data == NULL)
        die("out of memory: %zu bytes", capacity);
    if (buf->length > 0)
        memcpy(data, buf_start(buf), buf->length);
    free(buf->data);
    buf->data = data;
    buf->head = 0;
    buf->capacity = capacity;
}

char *buf_room(struct buf *buf, size_t more)
{
    if (buf->capacity - buf->head - buf->length >= more && buf->data != NULL)
        return buf_end(buf);
    return buf_grow(buf, more);
}

void buf_append_text(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int need = vsnprintf(NULL, 0, format, list);
    va_end(list);
    if (need < 0)
        die("buf_printf: bad format %s", format);
    va_start(list, format);
    vsnprintf(buf_room(buf, (size_t)need + 1), (size_t)need + 1, format, list);
    va_end(list);
    buf->length += (size_t)need;
}

void buf_append_json(struct buf *buf, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    buf_append_char(buf, '"');
    while (at < end) {
        const unsigned char *plain = at;
        while (at < end && *at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
            at++;
        buf_append(buf, plain, (size_t)(at - plain));
        if (at == end)
            break;
        size_t sequence = utf8_length(at, end);
        const char *named = *at ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", *at) : NULL;
        if (sequence > 1) {
            buf_append(buf, at, sequence);
        } else if (sequence == 0) {
            buf_append_text(buf, "\xef\xbf\xbd");
            sequence = 1;
        } else if (named != NULL && (*at < 0x20 || *at == '"' || *at == '\\')) {
            buf_append_char(buf, '\\');
            buf_append_char(buf, named[1]);
        } else if (*at == 0x7f) {
            buf_append_char(buf, (char)*at);
        } else {
            char escape[6] = {'\\', 'u', '0', '0', hex[*at >> 4], hex[*at & 15]};
            buf_append(buf, escape, sizeof escape);
        }
        at += sequence;
    }
    buf_append_char(buf, '"');
}
