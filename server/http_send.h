/* http_send: an answer as the library's response: its blocks as they are, or compressed while they are sent. The other
 * half of http, which alone includes it. */
#ifndef FORKMAP_SERVER_HTTP_SEND_H
#define FORKMAP_SERVER_HTTP_SEND_H

#include <stdbool.h>

#include "server/answer.h"
#include "server/head.h"

struct MHD_Response;

/* Takes the answer's blocks; the response is the caller's to queue and to destroy. */
struct MHD_Response *http_response(const struct echo *echo, struct answer *answer, bool close);

#endif
