/* misnamed: what is said about a member that an endpoint does not have: another endpoint's, another place's, another
 * library's name for it, or misspelt. Pure. */
#ifndef FORKMAP_API_MISNAMED_H
#define FORKMAP_API_MISNAMED_H

#include "api/members.h"

const char *endpoint_path(enum endpoint endpoint); /* "/map" */

/* `name` is decoded; `in_query`: it stood there, else in the body. Sets the problem; false. */
bool misnamed(enum endpoint endpoint, struct span name, bool in_query, struct problem *problem);
/* `name` is no member of the object at `pointer` ("/items"), whose members are the `count` names. False. */
bool misnamed_in(const char *pointer, struct span name, const char *const *names, size_t count,
                 struct problem *problem);

#endif
