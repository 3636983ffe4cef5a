/* option_rows: the table of options and what is told about it: help, JSON, and what a row takes. For options.c alone.
 */
#ifndef FORKMAP_SERVER_OPTION_ROWS_H
#define FORKMAP_SERVER_OPTION_ROWS_H

#include "server/options.h"

enum option_kind { COUNT, BYTES, MILLISECONDS, CHOICE, FLAG, TEXT, ADDRESSES, HOSTS, ORIGINS };

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset;
    const char *member;
    const char *preset; /* the default, as it would be written; NULL: none */
    uint64_t least, most;
    const char *choices[3];
    const char *text;
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;

/* "0 to 1024": as the help shows it and a wrong value is told. */
void option_row_takes(const struct option_row *row, struct buf *to);

#endif
