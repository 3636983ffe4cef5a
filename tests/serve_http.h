/* serve_http: requests over libcurl and what is said of their answers. A client does not assert, so threads may have
 * one each; the asserting forms are for the thread that runs the test. */
#ifndef FORKMAP_TESTS_SERVE_HTTP_H
#define FORKMAP_TESTS_SERVE_HTTP_H

#include <jansson.h>

#include "tests/serve.h"

struct http_client;

struct reply {
    unsigned status; /* 0: there was none, `body` says why */
    bool continued;  /* a 100 Continue came first */
    char *headers;   /* all lines, interim answers' too */
    char *body;      /* NUL-terminated */
    size_t length;
};

struct ask {
    const char *method; /* NULL: POST with a body, GET without */
    const char *path;
    const char *body;           /* NULL: none */
    size_t length;              /* of the body; 0: a string's */
    const char *const *headers; /* NULL-terminated, or NULL */
    long timeout_ms;            /* after which the client leaves; 0: the bound of a wait */
    bool announce;              /* waits for 100 Continue before the body */
    bool fresh;                 /* over a connection of its own */
};

struct http_client *client_new(uint16_t port, const char *unix_path);
void client_free(struct http_client *client);
struct reply client_ask(struct http_client *client, const struct ask *ask);
void reply_clear(struct reply *reply);

/* The value of a header of the answer, in memory of the next four calls; NULL: there is none. */
const char *reply_header(const struct reply *reply, const char *name);

/* In texts of JSON for these, ' stands for ". Asserts that there is an answer. */
struct reply http_post(struct server *server, const char *path, const char *body);
struct reply http_get(struct server *server, const char *path);
struct reply http_ask(struct server *server, const struct ask *ask);
/* Posts and asserts the status; the answer's body as JSON, the caller's to json_decref(). */
json_t *post_json(struct server *server, const char *path, const char *body, unsigned status);
/* Takes the reply: asserts its status, returns its body as JSON. */
json_t *reply_json(struct reply *reply, unsigned status);
/* Follows "errors/0/type" from a value; fails the test where there is none. */
json_t *json_at(json_t *json, const char *path);

/* A copy with every ' made into ", to be freed. */
char *json_quoted(const char *text);
/* Whether all that `wanted` (JSON with ' for ") says is so in `got`: objects may have further members, arrays may not
 * have further elements; the string "*" stands for anything, "-" for a member that is not there, "~text" for a string
 * that holds the text. */
bool json_holds(json_t *got, const char *wanted);
/* Asserts it. */
void assert_json(json_t *got, const char *wanted);

#endif
