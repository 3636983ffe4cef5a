/* message: every message between the front and a worker, and between the front and a zygote; matched pack and unpack.
 * PROTOCOL.md says the same in prose, message by message. Little-endian, 8-byte aligned; one version for all.
 *
 * pack appends a whole frame to a buf. unpack checks length, ranges and end, and its spans point into the payload. A
 * frame that fails to unpack is the sender's fault: the front kills such a worker, a worker that gets one exits. */
#ifndef FORKMAP_WORKERS_MESSAGE_H
#define FORKMAP_WORKERS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "workers/buf.h"
#include "workers/token.h"

#define PROTOCOL_VERSION 1u
#define FRAME_MAX (64u << 20) /* bytes of a payload */

struct frame_header {
    uint32_t length;  /* bytes of payload that follow; a multiple of 8, at most FRAME_MAX */
    uint8_t type;     /* enum message */
    uint8_t version;  /* PROTOCOL_VERSION */
    uint16_t padding; /* how many of those, at the end, are no content: 0 to 7 zero bytes */
};

enum message {
    MESSAGE_READY = 1,       /* worker: serving; version and pid */
    MESSAGE_LOAD = 2,        /* front: a source or a `common` value, by hash */
    MESSAGE_LOADED = 3,      /* worker: it is loaded */
    MESSAGE_LOAD_FAILED = 4, /* worker: it cannot be; why */
    MESSAGE_NEED = 5,        /* worker: send this hash again */
    MESSAGE_EVICTED = 6,     /* worker: forgot this hash */
    MESSAGE_TASK = 7,        /* front: run these items */
    MESSAGE_RESULT = 8,      /* worker: the next results of a task, in order */
    MESSAGE_MALFORMED = 9,   /* worker: the body is no JSON at this place */
    MESSAGE_ASK = 10,        /* worker: an item wants something of the front and waits */
    MESSAGE_TELL = 11,       /* front: its answer */
    MESSAGE_PRINT = 12,      /* worker: an item printed this */
    MESSAGE_BYE = 13,        /* worker: leaves by itself; tasks behind this one are unread */
    MESSAGE_LAST = 13,
};
const char *message_name(unsigned type); /* "TASK"; "?" if there is none */

/* How an item failed; the names are the API's ("function_error", …). */
enum item_error {
    ITEM_OK = 0,
    ITEM_FUNCTION_ERROR,
    ITEM_BAD_ARGUMENTS,
    ITEM_BAD_ITEM,
    ITEM_TIMEOUT,
    ITEM_WORKER_DIED,
    ITEM_MEMORY_LIMIT,
    ITEM_SANDBOX_VIOLATION,
    ITEM_ENCODE_ERROR,
    ITEM_UNAVAILABLE,
    ITEM_OUTCOME_UNKNOWN,
    ITEM_CANCELLED,
    ITEM_ERRORS,
};
const char *item_error_name(enum item_error error);

/* How a task's payload holds its items. */
enum items_format {
    ITEMS_JSON = 0,   /* JSON values separated by commas, as cut from an array */
    ITEMS_LINES,      /* one JSON value a line; a malformed line is that item's bad_item; blank lines are no items */
    ITEMS_TEXT,       /* each line is a string, as it stands, without its LF or CR LF */
    ITEMS_CSV,        /* RFC 4180 records, each an array of strings */
    ITEMS_CSV_HEADER, /* the same, each an object; the payload begins with the header record */
    ITEMS_RANGE,      /* payload: int64 start, int64 step, of the call's first item */
    ITEMS_REPEAT,     /* payload: one JSON value, every item */
    ITEMS_FOLD,       /* payload: arguments of a fold function; the items are numbers first, first + 1, … */
    ITEMS_FORMATS,
};

#define TASK_STAR 1u          /* each item is an array of arguments */
#define TASK_STOP_ON_ERROR 2u /* nothing of the task is started after its first failed item */
#define TASK_LEAVE 4u         /* the worker says BYE and leaves after this task */
#define TASK_QUICK 8u         /* short by measured cost: results of tasks before it may wait to be sent with its own */

struct task_message {
    uint64_t task;        /* the front's number for it, never 0, never used twice */
    uint64_t first;       /* index in the call of its first item */
    uint64_t seed;        /* of the call */
    uint8_t function[32]; /* SHA-256 of kind, options and source */
    uint8_t common[32];   /* SHA-256 of the `common` value; zeros: none */
    uint32_t principal;   /* whose call; 0 is anonymous */
    uint32_t count;       /* items, at least 1 */
    uint32_t budget_us;   /* yield the rest after this long; 0: never */
    uint8_t format;       /* enum items_format */
    uint8_t separator;    /* put before each result: ',' or '\n' */
    uint16_t flags;       /* TASK_… */
    struct span payload;  /* bytes; not NUL-terminated */
};
/* The frame's header and fixed part alone: the caller sends `payload.length` bytes and `*padding` zero bytes behind. */
void message_pack_task_head(struct buf *to, const struct task_message *task, size_t *padding);
bool message_unpack_task(struct span payload, uint16_t padding, struct task_message *task);

#define RESULT_LAST 1u    /* nothing more comes of this task */
#define RESULT_YIELDED 2u /* with LAST: items behind these were not started, give them out again */
#define RESULT_STOPPED 4u /* with LAST: items behind these were not started because of TASK_STOP_ON_ERROR */

struct result_message {
    uint64_t task;
    uint64_t started_ns; /* CLOCK_MONOTONIC, when the first of these items was begun */
    uint64_t ended_ns;
    uint32_t first; /* within the task; results come in order without gaps */
    uint32_t count;
    uint32_t flags;
    uint32_t failed;    /* how many of these items failed */
    struct span errors; /* `failed` records, see result_error_next() */
    struct span output; /* `count` times separator and JSON value (null for a failed item); for a fold its bytes */
};
#define RESULT_FIXED_BYTES 56u /* payload bytes before errors and output */
/* Header and fixed part alone: the caller sends errors, output and padding to a multiple of 8 behind. */
void message_pack_result_head(struct buf *to, const struct result_message *result);
/* Packs everything; `errors` as built by message_add_error(). */
void message_pack_result(struct buf *to, const struct result_message *result);
bool message_unpack_result(struct span payload, uint16_t padding, struct result_message *result);
/* A record of an item that failed. `item` counts within the task; `members` is JSON text without braces that tells more
 * than the type: "detail":"…","name":"…" (may be empty). */
void message_add_error(struct buf *errors, uint32_t item, enum item_error type, struct span members);
bool result_error_next(struct span *errors, uint32_t *item, enum item_error *type, struct span *members);

struct malformed_message {
    uint64_t task;
    uint32_t item;   /* within the task */
    uint32_t offset; /* byte within the task's payload that is wrong */
    struct span why; /* a sentence */
};
void message_pack_malformed(struct buf *to, const struct malformed_message *malformed);
bool message_unpack_malformed(struct span payload, uint16_t padding, struct malformed_message *malformed);

struct ready_message {
    uint32_t version; /* PROTOCOL_VERSION */
    uint32_t pid;
};
void message_pack_ready(struct buf *to, const struct ready_message *ready);
bool message_unpack_ready(struct span payload, struct ready_message *ready);

struct bye_message {
    uint64_t task; /* the last one that it finished, 0: none */
};
void message_pack_bye(struct buf *to, const struct bye_message *bye);
bool message_unpack_bye(struct span payload, struct bye_message *bye);

/* LOAD: content by hash. NEED, LOADED, EVICTED: the hash alone. LOAD_FAILED: hash and a JSON object that says why. */
struct content_message {
    uint8_t hash[32];
    struct span content;
};
void message_pack_content(struct buf *to, enum message type, const struct content_message *content);
bool message_unpack_content(struct span payload, uint16_t padding, struct content_message *content);

/* ASK, TELL, PRINT: an item's traffic with the front while it runs. `verb` is of a table of its own for each. */
struct upcall_message {
    uint64_t task;
    uint32_t item;
    uint32_t verb;
    struct span content;
};
void message_pack_upcall(struct buf *to, enum message type, const struct upcall_message *upcall);
bool message_unpack_upcall(struct span payload, uint16_t padding, struct upcall_message *upcall);

/* --- front <-> zygote: one packet of a SOCK_SEQPACKET socket each ------------------------------------------------- */

enum order_type {
    ORDER_FORK = 1, /* front: a worker please; with SCM_RIGHTS: its task pipe, its result pipe, its page */
    ORDER_KILL = 2, /* front: SIGKILL to that worker's process group */
};
#define ORDER_SPAWN 1u /* exec it afresh instead of only forking */
#define ORDER_FDS 3

struct order {
    uint32_t version;
    uint32_t type;
    uint32_t slot;
    uint32_t generation;
    uint32_t flags;
    uint32_t recycle_items; /* it says BYE after so many items; 0: never */
    uint64_t memory_bytes;  /* its limit; 0: none */
};

enum report_type {
    REPORT_FORKED = 1, /* zygote: it runs; pid, and the zygote's own as status */
    REPORT_FAILED = 2, /* zygote: fork refused; status is errno */
    REPORT_ENDED = 3,  /* zygote: reaped; status as waitpid() gives it */
};

struct report {
    uint32_t version;
    uint32_t type;
    uint32_t slot;
    uint32_t generation;
    int32_t pid;
    int32_t status;
    uint64_t peak_bytes; /* ENDED: its largest resident size */
};

#endif
