/* options: every setting, one row each. The table in option_rows.c drives the flags (--max-body), the environment
 * (FORKMAP_MAX_BODY), the help text, the checks and what `GET /` shows. Flags win over the environment, the environment
 * over the defaults. Adding an option is one member here and one row there.
 *
 * Owns the settings' texts. Reads argv and the environment when asked to, the token file, and nothing else. */
#ifndef FORKMAP_SERVER_OPTIONS_H
#define FORKMAP_SERVER_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/cores.h"
#include "workers/buf.h"

#define OPTION_LIST_MAX 32
#define OPTION_TOKEN_MAX 256
#define OPTIONS_MAX 48 /* rows there may be */

enum start_method { START_FORKSERVER, START_SPAWN };

/* Where a value came from; a higher one wins. A configuration file will stand between default and environment. */
enum option_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

struct option_list {
    char *at[OPTION_LIST_MAX];
    size_t count;
};

struct options {
    struct option_list listen; /* as written, checked by listener_parse() */
    char *port_file;           /* NULL: none */
    uint64_t workers, max_workers;
    uint64_t worker_memory_bytes;
    uint64_t recycle_items; /* 0: never */
    uint64_t start_method;  /* enum start_method */
    bool demo_functions;
    uint64_t max_body_bytes, max_bodies_bytes, max_answer_bytes, max_item_bytes, max_items;
    uint64_t item_timeout_ms, deadline_ms;
    uint64_t max_connections;
    uint64_t header_timeout_ms;
    uint64_t min_body_rate; /* bytes per second; 0: any */
    uint64_t errors_listed;
    uint64_t idle_shrink_ms; /* 0: never */
    uint64_t max_queue_ms;
    uint64_t drain_ms;
    struct option_list allowed_hosts, cors_origins;
    char *token_file; /* NULL: none */
    bool verbose, quiet;

    char token[OPTION_TOKEN_MAX + 1]; /* of token_file, once read; "": no token is asked for */
    char workers_reason[160];         /* what decided `workers` */
    enum option_source source[OPTIONS_MAX];
};

enum options_result {
    OPTIONS_OK,
    OPTIONS_WRONG, /* `error` holds one line without newline */
    OPTIONS_HELP,  /* --help was asked for */
};

void options_init(struct options *options); /* the defaults */
void options_clear(struct options *options);
/* Takes the arguments behind the subcommand (argv[count] need not be NULL) and the environment (may be NULL). */
enum options_result options_parse(struct options *options, int count, char *const *argv, char *const *environment,
                                  struct buf *error);
/* Where a value came from: options_source(options, &options->workers). */
enum option_source options_source(const struct options *options, const void *value);
/* Gives every "auto" its value and checks what options ask of each other and of the machine. */
bool options_settle(struct options *options, const struct cores *cores, struct buf *error);
/* Reads token_file, if there is one, into `token`. */
bool options_read_token(struct options *options, struct buf *error);
/* The text of `forkmap serve --help`. */
void options_help(struct buf *to);
/* Every limit in force as one JSON object, the caller's; no path, no name, no secret. */
json_t *options_json(const struct options *options);

#endif
