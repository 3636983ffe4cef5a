/* supervisor: the process that starts the others and starts them again. Holds the listening sockets, so that what
 * clients connect while a front restarts waits in the backlog; reaps everything (it may be PID 1); turns signals into
 * orders. Sees no byte of the network and runs no function.
 *
 * Children are exec'd with nothing but descriptors 0 to 2 and those named here. End of file on a control socket means
 * that the supervisor is gone: leave at once. */
#ifndef FORKMAP_SERVER_SUPERVISOR_H
#define FORKMAP_SERVER_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "server/options.h"

#define SUPERVISOR_CONTROL_FD 3 /* front: to the supervisor; zygote: its link to the front. SOCK_SEQPACKET both */
#define SUPERVISOR_LISTEN_FD 4  /* front: the first of the listening sockets, in the order of --listen */

enum supervisor_message_type {
    SUPERVISOR_ZYGOTE_LINK = 1, /* to the front: its end of a new zygote's link comes with it */
    SUPERVISOR_DRAIN = 2,       /* to the front: accept no new call, finish those under way, exit 0 */
    SUPERVISOR_SERVING = 3,     /* from the front, once: it answers requests */
};

enum supervisor_kind { SUPERVISOR_NATIVE = 0 };

struct supervisor_message {
    uint32_t type; /* enum supervisor_message_type */
    uint32_t kind; /* ZYGOTE_LINK: enum supervisor_kind of the zygote; else 0 */
};

/* Sends one message and, unless it is -1, `passed_fd` with it, which stays the caller's. Never waits; false with errno.
 */
__attribute__((warn_unused_result)) bool supervisor_send(int fd, uint32_t type, uint32_t kind, int passed_fd);
/* 1: a message; *passed_fd is the caller's now, or -1. 0: end of file. -1: errno, EAGAIN when there is none; EPROTO for
 * one that is malformed. Never waits. */
__attribute__((warn_unused_result)) int supervisor_receive(int fd, struct supervisor_message *message, int *passed_fd);

/* What to exec: argv as the children get it, NULL-terminated, argv[0] first. */
struct supervisor_programs {
    const char *front;
    char *const *front_argv;
    const char *zygote;
    char *const *zygote_argv;
};

/* Serves until a signal ends it; returns the exit status: 0 drained, 1 anything else. */
int supervisor_run(const struct options *options, const struct supervisor_programs *programs);

#endif
