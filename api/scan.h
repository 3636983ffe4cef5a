/* scan: the resumable scanner of a request's body. Finds the envelope's members and the items' places while bytes
 * arrive, at memory speed: within `items` it looks only at quotes, brackets and commas (nesting, depth, item bounds,
 * item size); the tokens themselves are checked by the workers that compute them. Every other member is checked here.
 * Pure.
 *
 * The body is kept whole by the caller; each feed sees all of it so far (it may have moved), and looks at no byte of it
 * twice. */
#ifndef FORKMAP_API_SCAN_H
#define FORKMAP_API_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/items.h"
#include "api/separators.h"
#include "workers/token.h"

#define SCAN_MEMBERS_MAX 48

enum scan_shape {
    SCAN_OBJECT,     /* {"function": …, "items": [ … ]}; also an empty body of blanks: no members */
    SCAN_ARRAY,      /* the body is the items: one JSON array */
    SCAN_LINES,      /* one JSON value a line; blank lines are no items; LF or CR LF; the last may lack it */
    SCAN_TEXT,       /* each line a string, an empty line the empty string; the last may lack its LF */
    SCAN_CSV,        /* RFC 4180 records; quoted fields may hold newlines; empty lines are no items */
    SCAN_CSV_HEADER, /* the same, the first record names the members */
};

enum scan_status {
    SCAN_MORE, /* fine so far */
    SCAN_DONE, /* `last` was set and the body is whole */
    SCAN_BAD,  /* see fault, offset, why; the scan is over */
};

enum scan_fault {
    SCAN_OK = 0,
    SCAN_MALFORMED,        /* 400: no JSON */
    SCAN_DUPLICATE,        /* 400: a member twice */
    SCAN_TOO_DEEP,         /* 400: deeper than TOKEN_DEPTH_MAX */
    SCAN_TOO_MANY_MEMBERS, /* 400: more than SCAN_MEMBERS_MAX */
    SCAN_ITEM_TOO_LARGE,   /* 413: item number scan->items.count */
    SCAN_TOO_MANY_ITEMS,   /* 413 */
};

struct scan_member {
    size_t name_start, name_length;   /* between the quotes, as written (escapes and all) */
    size_t value_start, value_length; /* 0 long while the items are still arriving */
    enum token kind;
};

struct scan_limits {
    uint64_t item_bytes; /* with the blanks (and blank lines) before and behind it, without its separator */
    uint64_t items;
};

struct scan {
    enum scan_shape shape;
    struct scan_limits limits;
    struct scan_member members[SCAN_MEMBERS_MAX]; /* in order of arrival; "items" among them */
    size_t member_count; /* those whose value is whole, and the items array as soon as it begins */
    int items_member;    /* index of "items" once its name was read, else -1: it may not be counted yet */
    struct items items;  /* filled when "items" is an array (ITEMS_JSON) or the body is the items */
    bool items_begun;    /* its '[' was seen (SCAN_OBJECT), or the body is the items: members before it are whole */
    enum scan_fault fault;
    size_t offset;   /* of the fault: the first byte that is wrong, or the body's length when it is cut short */
    const char *why; /* a static sentence: "expected ',' or ']'" */
    /* the scanner's own */
    uint8_t state;
    bool plain;         /* the string under way is ASCII without escapes so far */
    bool escaped;       /* its next byte is */
    bool escaped_names; /* a member's name has escapes */
    bool in_header;     /* the CSV header record is under way */
    size_t position;    /* bytes taken */
    size_t text_start;  /* of the name or value under way */
    size_t item_start;  /* of the item under way, behind the comma or newline before it */
    struct items_mark last_mark;
    struct separators separators;
};

void scan_init(struct scan *scan, enum scan_shape shape, const struct scan_limits *limits);
void scan_clear(struct scan *scan);
enum scan_status scan_feed(struct scan *scan, const char *body, size_t length, bool last);

/* Where `offset` is for people; beyond `length` it is the body's end. */
struct scan_position {
    uint64_t line, column; /* from 1; columns count code points */
    uint64_t offset;       /* bytes from 0 */
};
struct scan_position scan_position(const char *body, size_t length, size_t offset);

#endif
