/* numeral: a number token, read once, and its place among others. The order is exact between integers of any size and
 * doubles, and total: numbers of one value (1 and 1.0, -0.0 and 0.0) are ordered by their text. Pure. */
#ifndef FORKMAP_API_NUMERAL_H
#define FORKMAP_API_NUMERAL_H

#include "workers/number.h"
#include "workers/token.h"

struct numeral {
    struct span text;      /* the caller's */
    enum number_kind kind; /* never NUMBER_INVALID: 1e400 is the double infinity */
    int64_t integer;
    double real;
};

/* `text` is a checked number token. */
struct numeral numeral_read(struct span text);
/* Negative, zero or positive, as memcmp(). */
int numeral_compare(const struct numeral *a, const struct numeral *b);
/* Bytewise, a prefix first. */
int text_compare(struct span a, struct span b);

#endif
