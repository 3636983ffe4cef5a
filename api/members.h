/* members: the table of what a request may say, one row a member: where it belongs, what it may be, which field of
 * struct request it sets; and how a value is held against its row. Pure. Names that are in no row are misnamed.h's. */
#ifndef FORKMAP_API_MEMBERS_H
#define FORKMAP_API_MEMBERS_H

#include "api/request.h"

#define KIND(token) (1u << (token))
#define KIND_BOOL (KIND(TOKEN_TRUE) | KIND(TOKEN_FALSE))

/* A member being set: its row, its value and all that a setter needs. */
struct setting {
    struct request *request;
    const struct request_limits *limits;
    struct problem *problem;
    const struct member *member;
    enum token kind;
    struct span token; /* as written: in the body a JSON token, in the query the decoded value */
    struct span text;  /* of a string: the text itself */
    struct scan *scan; /* NULL: the value stands in the query */
    const char *body;
};
typedef bool member_set(struct setting *setting);

/* A member that takes words: what each of them sets the field to; the last has no name. */
struct word {
    const char *name;
    unsigned value;
};

#define MEMBER_RESTARTS 1u /* it can change what an item computes or how it runs */
#define MEMBER_DATA 2u     /* what an endpoint works on; the others are options */
#define MEMBER_IN_BODY 4u  /* only there */
#define MEMBER_IN_QUERY 8u /* only there */
#define MEMBER_ABSENT 16u  /* of other versions: its name is right, so it is not said to be unknown */

/* The upper bound of an integer is its row's, or one of the limits. */
enum bound { BOUND_ROW, BOUND_WORKERS, BOUND_ITEM_TIMEOUT, BOUND_DEADLINE };

struct member {
    const char *name;
    unsigned endpoints; /* enum endpoint, or'ed */
    unsigned kinds;     /* KIND()s that `set` takes */
    unsigned flags;     /* MEMBER_… */
    member_set *set;
    const char *wants; /* "items is WANTS", where words and range do not say it; for what is absent why it is */
    const struct word *words;
    uint64_t least, most; /* most 0: none but the bound's */
    enum bound bound;
    size_t field, field_bytes; /* in struct request */
};

/* The row of a name; its number is its bit in request->changed. NULL: there is none. */
const struct member *member_find(struct span name);
const struct member *member_row(size_t index); /* NULL past the last */
uint64_t member_bit(const struct member *member);
/* The bits of all rows that restart. */
uint64_t member_restart_bits(void);
/* Whether the endpoint has this member, and in this place. */
bool member_belongs(const struct member *member, enum endpoint endpoint, bool in_query);

/* Checks the value's kind, then sets the field. */
bool member_take(struct setting *setting);
/* Sets the problem, with the member's pointer and `below` behind it ("" or "/count") if it stood in the body. False. */
bool setting_fail(struct setting *setting, enum problem_type type, const char *below, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* An integer, which may be written as 1e3 or 2.0 too: JSON has one kind of number. PROBLEM_NONE, or what it is not. */
enum problem_type setting_integer(struct span number, int64_t *integer);
/* What was given, for people: the token itself, cut to size, or "an array". */
const char *setting_show(enum token kind, struct span token, char to[64]);

/* The setters that are more than a field; request.c has them. */
member_set request_set_function, request_set_items, request_set_args;

#endif
