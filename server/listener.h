/* listener: one listening socket, TCP or unix, from its written form to its file in the file system; and the port file.
 * Used by the supervisor, which keeps the sockets open whatever happens to the front; options uses the check alone. */
#ifndef FORKMAP_SERVER_LISTENER_H
#define FORKMAP_SERVER_LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct listener {
    int fd;
    bool local;     /* a unix socket */
    char host[256]; /* without the brackets of an IPv6 address; a unix socket's path */
    uint16_t port;  /* once open, the one that it really has; 0 for a unix socket */
    char name[288]; /* once open, for people: "http://127.0.0.1:8080", "unix:/run/forkmap.sock" */
    bool owns_file; /* the unix socket's file is ours to remove */
};

/* "HOST:PORT", "[v6]:PORT" or "unix:PATH"; else false, and *why says what is wrong. The socket is not opened. */
bool listener_parse(struct listener *listener, const char *text, const char **why);
/* Binds and listens, non-blocking and close-on-exec. A unix socket that nobody listens on any more is replaced. On
 * false `error` holds a sentence. */
bool listener_open(struct listener *listener, char *error, size_t capacity);
/* Closes it and removes a unix socket's file. */
void listener_close(struct listener *listener);
/* Writes the first TCP port (else the unix path) and a newline beside `path`, and renames that into place. */
bool listener_write_port_file(const struct listener *listeners, size_t count, const char *path);

#endif
