/* token: checks and reads the JSON tokens of a span (RFC 8259, strictly): UTF-8, escapes, lone surrogates, depth and
 * duplicate members are all checked here. It looks at no byte at or past `end`, and allocates nothing for a value whose
 * objects have few members and no escapes in their names. Pure. */
#ifndef FORKMAP_WORKERS_TOKEN_H
#define FORKMAP_WORKERS_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "workers/buf.h"

struct span {
    const char *at;
    size_t length;
};

enum token {
    TOKEN_BAD = 0,
    TOKEN_NULL,
    TOKEN_FALSE,
    TOKEN_TRUE,
    TOKEN_NUMBER,
    TOKEN_STRING,
    TOKEN_ARRAY,
    TOKEN_OBJECT,
};

#define TOKEN_DEPTH_MAX 512 /* nested arrays and objects of one value */

/* Skips blanks (space, tab, LF, CR), then checks one whole value before `end`. On success: its kind; *value is its text
 * and *cursor the byte behind it. On TOKEN_BAD *cursor is the first byte that is wrong (`end` when the text is cut
 * short) and *why says what was expected, a static string. */
enum token token_read(const char **cursor, const char *end, struct span *value, const char **why);

/* The first byte of [at, end) that is not a blank, or end. */
const char *token_skip_blanks(const char *at, const char *end);

/* The kind of a checked value that begins with this byte. */
enum token token_kind(char first);

/* The text of a checked string token (with its quotes), decoded to UTF-8 and appended to `out`. */
void token_decode_string(struct span string, struct buf *out);
/* A checked string token without escapes is its own text: true, and *text is what is between the quotes. */
bool token_plain_string(struct span string, struct span *text);
/* Code points of a checked string token, as Python's len() and Array.from(s).length count them. */
size_t token_string_length(struct span string);

/* Walks the elements of a checked array token: `*cursor` starts at value.at; false at its end. Members
 * likewise; a name is a string token, with its quotes. */
bool token_next_element(struct span array, const char **cursor, struct span *element, enum token *kind);
bool token_next_member(struct span object, const char **cursor, struct span *name, struct span *value,
                       enum token *kind);

#endif
