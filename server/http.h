/* http: requests and answers over sockets; the only room that knows libmicrohttpd. It runs that library's own epoll
 * inside ours, asks the gate before a byte of a body is read, hands bodies to calls, sends answers, and ends
 * connections that are too slow or whose client left.
 *
 * A request whose answer is not there at once is suspended only some microseconds later: most answers are nearer than
 * what suspending, sleeping and waking cost. Until then the front turns without sleeping (http_due_ns() is 0). */
#ifndef FORKMAP_SERVER_HTTP_H
#define FORKMAP_SERVER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/call.h"
#include "server/loop.h"
#include "server/options.h"

struct http;

struct http *http_new(struct loop *loop, struct calls *calls, const struct options *options, const int *listen_fds,
                      size_t listen_count);
/* Ends every connection. */
void http_free(struct http *http);
/* Sockets are read, handlers called, answers sent. */
void http_run(struct http *http, uint64_t now_ns);
/* When http_run() is due though no descriptor is ready; 0: at once. */
uint64_t http_due_ns(struct http *http, uint64_t now_ns);
/* No new connections; those there are go on. */
void http_quiesce(struct http *http);
size_t http_requests(const struct http *http); /* under way */
/* The request of struct calls.answered. */
void http_answered(void *request);

#endif
