/* routes: which paths there are, with which methods, and what each shows; the one table. Compute routes name their
 * endpoint; the others are answered here, from what calls, scheduler and pool know. */
#ifndef FORKMAP_SERVER_ROUTES_H
#define FORKMAP_SERVER_ROUTES_H

#include "api/problem.h"
#include "api/request.h"
#include "server/answer.h"
#include "server/call.h"

struct route {
    const char *path;
    const char *allow;      /* the Allow header */
    enum endpoint endpoint; /* of a compute route; 0: `show` answers GET */
    void (*show)(struct calls *calls, struct answer *answer);
    bool constant;    /* the answer changes only with the process: it gets an ETag */
    const char *text; /* what it is, for GET / */
    const char *curl; /* a command that works, behind "curl localhost:8080" */
};

/* The route of an exact path; NULL with a 404 that names the nearest. */
const struct route *route_find(const char *path, struct problem *problem);
/* A 405 with Allow and a curl line that works. */
void route_refuse_method(const struct route *route, const char *method, struct problem *problem);

#endif
