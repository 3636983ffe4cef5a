/* record: a task's items that came as lines or CSV, one after the other as JSON text. Owns the CSV header's names; does
 * not check JSON (a line of ITEMS_LINES is handed out as it stands) and never stops at a bad record: that is one item.
 *
 * The payload ends behind its last item: the newline that ended that one in the body may be there or, in all formats
 * but ITEMS_TEXT, may not. In ITEMS_TEXT a newline only separates, so "" is one empty line and "\n" two. */
#ifndef FORKMAP_WORKERS_RECORD_H
#define FORKMAP_WORKERS_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "workers/buf.h"
#include "workers/message.h"
#include "workers/token.h"

enum record {
    RECORD_END,
    RECORD_ITEM,
    RECORD_BAD, /* an item that is no item: record_reader.why says so, a bad_item's detail */
};

struct record_reader {
    enum items_format format;
    const char *at, *end;
    bool more;          /* a record may follow at `at`, even an empty one */
    char why[160];      /* after RECORD_BAD: a sentence */
    char bad_head[160]; /* ITEMS_CSV_HEADER: what is wrong with the header, so with every record; else "" */
    struct buf names;   /* the header's names: "name": one behind the other */
    struct buf columns; /* struct span each, into `names` */
    size_t column_count;
};

/* `format` is ITEMS_LINES, ITEMS_TEXT, ITEMS_CSV or ITEMS_CSV_HEADER, whose header record is read here. `text` must
 * outlive the reader. */
void record_open(struct record_reader *reader, enum items_format format, struct span text);
void record_close(struct record_reader *reader);
/* The next item: *item is in the payload (ITEMS_LINES: the line without its LF or CR LF, blanks and all, so that
 * columns count from its start) or in `out`, which is emptied first, and there followed by a byte that is not the
 * item's. */
enum record record_next(struct record_reader *reader, struct buf *out, struct span *item);

/* `text` as a JSON string with its quotes, appended to `out`. false: it is not UTF-8, *bad is the byte at which. */
bool record_string(struct span text, struct buf *out, size_t *bad);
/* How many bytes of `text` are UTF-8: all, or up to the first that is not. */
size_t record_utf8(struct span text);

#endif
