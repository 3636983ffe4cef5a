/* frame: length-prefixed frames on one descriptor; what both ends share about reading and writing them. */
#ifndef FORKMAP_WORKERS_FRAME_H
#define FORKMAP_WORKERS_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/buf.h"
#include "workers/message.h"

enum frame_status {
    FRAME_NONE,  /* not all here yet */
    FRAME_WHOLE, /* *type, *padding and *payload are set; frame_done() when finished with them */
    FRAME_BAD,   /* version, length, type or padding out of range: the sender is wrong */
};

/* The frame at the front of what was read. `*wanted` is how many bytes `buf` must hold for FRAME_WHOLE. */
enum frame_status frame_next(const struct buf *buf, enum message *type, uint16_t *padding, struct span *payload,
                             size_t *wanted);
/* Drops that frame. */
void frame_done(struct buf *buf, struct span payload);

#endif
