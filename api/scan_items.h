/* scan_items: the half of scan that counts items: array, lines, text or CSV. For scan.c alone. Pure. */
#ifndef FORKMAP_API_SCAN_ITEMS_H
#define FORKMAP_API_SCAN_ITEMS_H

#include "api/scan.h"

/* The first item begins at `offset`. */
void scan_items_open(struct scan *scan, size_t offset);
/* Takes items up to `length` or a fault; true: a JSON array ended, scan->position is behind its bracket. */
bool scan_items_feed(struct scan *scan, const char *body, size_t length);
/* The body ends here: the last line or record may lack its newline. Not for JSON. */
void scan_items_end(struct scan *scan, size_t length);
/* Ends the scan. */
void scan_fail(struct scan *scan, enum scan_fault fault, size_t offset, const char *why);

#endif
