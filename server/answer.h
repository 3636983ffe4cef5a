/* answer: what a request gets: status, a few headers, a body in few blocks. Built by routes and calls, sent by http. */
#ifndef FORKMAP_SERVER_ANSWER_H
#define FORKMAP_SERVER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/outcome.h"
#include "api/problem.h"
#include "workers/buf.h"

#define ANSWER_HEADERS_MAX 8
#define ANSWER_VALUE_BYTES 192

struct answer {
    unsigned status; /* 0: none yet */
    const char *content_type;
    struct block *blocks; /* the answer's own, until http takes them */
    size_t block_count;
    struct {
        const char *name; /* static */
        char value[ANSWER_VALUE_BYTES];
    } headers[ANSWER_HEADERS_MAX];
    size_t header_count;
    bool close; /* the connection, behind it */
};

void answer_clear(struct answer *answer);
void answer_header(struct answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, the value still to be written: at most ANSWER_VALUE_BYTES with its NUL. */
char *answer_header_room(struct answer *answer, const char *name);
/* Takes the buf's memory. */
void answer_json(struct answer *answer, unsigned status, struct buf *body);
/* Takes the blocks. */
void answer_blocks(struct answer *answer, unsigned status, struct block *blocks, size_t count);
size_t answer_bytes(const struct answer *answer); /* of its body */
void answer_problem(struct answer *answer, const struct problem *problem, const char *instance);

#endif
