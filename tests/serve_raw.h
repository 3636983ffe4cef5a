/* serve_raw: bytes to and from the server's socket as they are, for what no client would send. */
#ifndef FORKMAP_TESTS_SERVE_RAW_H
#define FORKMAP_TESTS_SERVE_RAW_H

#include "tests/serve.h"

struct raw {
    int fd;
    bool closed; /* the server has ended the connection */
    size_t length;
    char got[1 << 16]; /* all that came, NUL-terminated */
};

void raw_open(struct raw *raw, const struct server *server);
/* Sends what the socket takes; that the server has closed is not an error. */
void raw_send(struct raw *raw, const char *bytes, size_t length);
void raw_text(struct raw *raw, const char *text);
/* Reads what comes until `text` is in it `times` times, the connection ends, or the bound of a wait has passed (or
 * `bound_ms`, if not 0). Whether it is there. */
bool raw_wait(struct raw *raw, const char *text, unsigned times, uint64_t bound_ms);
/* Reads until the server ends the connection; false: it did not within the bound. */
bool raw_wait_end(struct raw *raw, uint64_t bound_ms);
void raw_close(struct raw *raw);
/* How often `text` is in what came. */
unsigned raw_count(const struct raw *raw, const char *text);
/* The status of the first answer, 0 if there is none. */
unsigned raw_status(const struct raw *raw);

#endif
