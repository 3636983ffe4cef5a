/* numeral: see numeral.h. */
#include "api/numeral.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WHOLE_MAX 320 /* bytes of the largest double's whole part, its sign and a NUL */

struct numeral numeral_read(struct span text)
{
    struct numeral numeral = {.text = text};
    numeral.kind = number_read(text, &numeral.integer, &numeral.real);
    if (numeral.kind == NUMBER_INVALID) {
        numeral.kind = NUMBER_DOUBLE;
        numeral.real = *text.at == '-' ? -INFINITY : INFINITY;
    }
    return numeral;
}

int text_compare(struct span a, struct span b)
{
    int order = memcmp(a.at, b.at, a.length < b.length ? a.length : b.length);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_integer_double(int64_t integer, double real)
{
    if (real >= 0x1p63)
        return -1;
    if (real < -0x1p63)
        return 1;
    int64_t whole = (int64_t)real;
    double rest = real - (double)whole; /* exact: a double with a fraction is below 2^53 */
    if (integer != whole)
        return integer < whole ? -1 : 1;
    return (rest < 0) - (rest > 0);
}

/* Integers without leading zeros, so the longer one is the larger. */
static int compare_digits(struct span a, struct span b)
{
    bool negative = *a.at == '-';
    if (negative != (*b.at == '-'))
        return negative ? -1 : 1;
    int order = a.length != b.length ? (a.length < b.length ? -1 : 1) : memcmp(a.at, b.at, a.length);
    return negative ? -order : order;
}

/* A big integer is beyond int64: so is the double it can be near to, which then has no fraction. */
static int compare_big_double(struct span big, double real)
{
    int sign = *big.at == '-' ? -1 : 1;
    if (isinf(real))
        return real < 0 ? 1 : -1;
    if (fabs(real) < 0x1p63)
        return sign;
    char whole[WHOLE_MAX];
    int length = snprintf(whole, sizeof whole, "%.0f", real);
    return compare_digits(big, (struct span){whole, (size_t)length});
}

static int compare_values(const struct numeral *a, const struct numeral *b)
{
    if (a->kind == NUMBER_INT64 && b->kind == NUMBER_INT64)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->kind == NUMBER_DOUBLE && b->kind == NUMBER_DOUBLE)
        return (a->real > b->real) - (a->real < b->real);
    if (b->kind == NUMBER_DOUBLE)
        return a->kind == NUMBER_INT64 ? compare_integer_double(a->integer, b->real)
                                       : compare_big_double(a->text, b->real);
    if (a->kind == NUMBER_DOUBLE)
        return -compare_values(b, a);
    return compare_digits(a->text, b->text);
}

int numeral_compare(const struct numeral *a, const struct numeral *b)
{
    int order = compare_values(a, b);
    return order != 0 ? order : text_compare(a->text, b->text);
}
