/* asking: reads a body or a query as a request, for the tests of request. Its answer stands in the variables here. */
#ifndef FORKMAP_TESTS_ASKING_H
#define FORKMAP_TESTS_ASKING_H

#include "api/request.h"

extern const struct request_limits limits;
extern struct request request;
extern struct problem problem;
extern struct scan scan;

/* The members of a whole body as scan would have them. */
void find_members(const char *body);
bool read_body(enum endpoint endpoint, const char *body);
bool read_query(enum endpoint endpoint, const char *query);
/* Reads the body and fails the test unless it is accepted; or refused, with exactly this problem. */
void accepted(enum endpoint endpoint, const char *body);
void refused(enum endpoint endpoint, const char *body, enum problem_type type, const char *pointer, const char *detail);

#define MAP(members) "{\"function\": \"squared\", \"items\": [1, 2]" members "}"
#define ITEMS(object) "{\"function\": \"squared\", \"items\": " object "}"
#define map_accepted(members) accepted(ENDPOINT_MAP, MAP(", " members))
#define map_refused(members, type, pointer, detail) refused(ENDPOINT_MAP, MAP(", " members), type, pointer, detail)

#endif
