/* front: the process that serves: one loop, no threads, never forks or execs. It ties loop, http, calls, scheduler and
 * pool together, and listens to its supervisor. */
#ifndef FORKMAP_SERVER_FRONT_H
#define FORKMAP_SERVER_FRONT_H

#include <stddef.h>

#include "server/options.h"

/* Serves on the listening sockets until the supervisor says drain or goes away; returns the exit status. */
int front_main(const struct options *options, int control_fd, const int *listen_fds, size_t listen_count);

#endif
