/* frame: see frame.h. */
#include "workers/frame.h"

enum frame_status frame_next(const struct buf *buf, enum message *type, uint16_t *padding, struct span *payload,
                             size_t *wanted)
{
    struct frame_header header;
    *wanted = sizeof header;
    if (buf->length < sizeof header)
        return FRAME_NONE;
    memcpy(&header, buf_start(buf), sizeof header);
    if (header.version != PROTOCOL_VERSION || header.length > FRAME_MAX || header.length % 8 != 0 ||
        header.padding > 7 || header.padding > header.length || header.type < MESSAGE_READY ||
        header.type > MESSAGE_LAST)
        return FRAME_BAD;
    *wanted += header.length;
    if (buf->length < *wanted)
        return FRAME_NONE;
    *type = (enum message)header.type;
    *padding = header.padding;
    *payload = (struct span){buf_start(buf) + sizeof header, header.length};
    return FRAME_WHOLE;
}

void frame_done(struct buf *buf, struct span payload)
{
    buf_consume(buf, sizeof(struct frame_header) + payload.length);
}
