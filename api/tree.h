/* tree: jansson's trees, of which all JSON off the hot path is built: problems, and what the service tells about
 * itself. Adds what jansson leaves to its callers: bytes that are no UTF-8, lack of memory, printing into a buf.
 *
 * Items and results never become trees: they stay the text that they are. */
#ifndef FORKMAP_API_TREE_H
#define FORKMAP_API_TREE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"

/* Any bytes as a JSON string; what is not UTF-8 becomes U+FFFD. */
json_t *tree_text(const char *text, size_t length);
/* A JSON integer; above INT64_MAX, which jansson ends at, that. */
json_t *tree_count(uint64_t count);
/* A JSON value's text as a tree; what is none, as a string. */
json_t *tree_parse(const char *text);
/* Takes `value`. */
void tree_set(json_t *object, const char *name, json_t *value);
void tree_append(json_t *array, json_t *value); /* so does this */
/* Prints without blanks, members in the order they were set, and frees the tree. */
void tree_print(json_t *tree, struct buf *to);
/* The same without the outermost braces, to stand beside members that are text already. */
void tree_print_members(json_t *object, struct buf *to);

#endif
