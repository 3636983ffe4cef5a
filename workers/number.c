/* number: see number.h. */
#include "workers/number.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "workers/number_double.h"

static const uint64_t powers_of_ten[] = {
    1u,
    10u,
    100u,
    1000u,
    10000u,
    100000u,
    1000000u,
    10000000u,
    100000000u,
    1000000000u,
    10000000000u,
    100000000000u,
    1000000000000u,
    10000000000000u,
    100000000000000u,
    1000000000000000u,
};

#define EXACT_DIGITS 15 /* an integer of so many digits is exact as a double, and so is 10^15 */

/* "12.34" as 1234 / 100: both are exact and a division rounds once, so the result is the nearest double, at a third of
 * what from_chars() takes. `point` is where the whole part ended; false where this does not apply. */
static bool read_short_decimal(const char *point, const char *end, uint64_t whole, size_t digits, double *real)
{
    uint64_t fraction;
    size_t places = (size_t)(end - point) - 1;
    if (FLT_EVAL_METHOD != 0 || *point != '.' || digits + places > EXACT_DIGITS)
        return false;
    if (number_scan_digits(point + 1, end, &fraction) != places)
        return false;
    *real = (double)(whole * powers_of_ten[places] + fraction) / (double)powers_of_ten[places];
    return true;
}

const char *number_scan_double(const char *at, const char *end, double *real)
{
    const char *digit = at + (at < end && *at == '-');
    if (end - digit < 3 || (unsigned char)(*digit - '0') > 9 || (*digit == '0' && (unsigned char)(digit[1] - '0') < 10))
        return NULL;
    while (digit < end && (unsigned char)(*digit - '0') < 10)
        digit++;
    if (end - digit < 2 || *digit != '.' || (unsigned char)(digit[1] - '0') > 9)
        return NULL;
    return number_double_scan(at, end, real);
}

enum number_kind number_read(struct span number, int64_t *integer, double *real)
{
    const char *end = number.at + number.length;
    bool negative = number.length > 0 && *number.at == '-';
    uint64_t value;
    size_t digits = number_scan_digits(number.at + negative, end, &value);
    const char *behind = number.at + negative + digits;
    if (behind == end) {
        if (digits > 19 || value > (uint64_t)INT64_MAX + negative)
            return NUMBER_BIG;
        *integer = (int64_t)(negative ? -value : value);
        return NUMBER_INT64;
    }
    if (read_short_decimal(behind, end, value, digits, real)) {
        if (negative)
            *real = -*real;
        return NUMBER_DOUBLE;
    }
    return number_double_read(number.at, end, real) ? NUMBER_DOUBLE : NUMBER_INVALID;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ASCII 0x3030303030303030u

/* The eight digits of a value below 10^8 as bytes 0 to 9, the first in the lowest byte: halves, then pairs, then digits
 * are parted by multiplication, without a branch, as the lengths of numbers in a list are hard to predict. */
static inline uint64_t eight_digits(uint32_t value)
{
    uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & 0x0000007f0000007fu;
    uint64_t twos = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = (twos * 103 >> 10) & 0x000f000f000f000fu;
    return tens | (twos - 10 * tens) << 8;
}

/* A value below 10^8 in all of its eight digits, leading zeros too. */
static inline void print_eight(uint32_t value, char *to)
{
    uint64_t digits = eight_digits(value) | ASCII;
    memcpy(to, &digits, 8);
}

/* A value below 10^8 without leading zeros; eight bytes are written. */
static inline size_t print_upto_eight(uint32_t value, char *to)
{
    uint64_t digits = eight_digits(value);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | (uint64_t)1 << 56) / 8;
    digits = (digits | ASCII) >> 8 * zeros;
    memcpy(to, &digits, 8);
    return 8 - zeros;
}

size_t number_print_uint64(uint64_t value, char *to)
{
    const uint64_t eight = 100000000, sixteen = eight * eight;
    if (value < eight)
        return print_upto_eight((uint32_t)value, to);
    size_t length = 0;
    if (value >= sixteen) {
        length = print_upto_eight((uint32_t)(value / sixteen), to);
        value %= sixteen;
        print_eight((uint32_t)(value / eight), to + length);
        length += 8;
    } else {
        length = print_upto_eight((uint32_t)(value / eight), to);
    }
    print_eight((uint32_t)(value % eight), to + length);
    return length + 8;
}
#else
size_t number_print_uint64(uint64_t value, char *to)
{
    char digits[20], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    size_t length = (size_t)(digits + sizeof digits - at);
    memcpy(to, at, length);
    return length;
}
#endif

size_t number_print_int64(int64_t value, char *to)
{
    *to = '-';
    bool negative = value < 0;
    return negative + number_print_uint64(negative ? -(uint64_t)value : (uint64_t)value, to + negative);
}

static const uint64_t powers[] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000};

/* The shortest digits of a double as an integer of `count` digits; the first one stands for ten to the `exponent`. */
struct decimal {
    uint64_t digits;
    int count, exponent;
};

/* `value` must be above 0. */
static inline struct decimal decimal_of(double value)
{
    struct decimal decimal;
    decimal.digits = number_double_digits(value, &decimal.exponent);
    int count = (64 - __builtin_clzll(decimal.digits)) * 1233 >> 12; /* log 2, and perhaps one less than it is */
    decimal.count = count + (decimal.digits >= powers[count]);
    decimal.exponent += decimal.count - 1;
    return decimal;
}

/* `whole` digits before the point and the others behind it, each part printed where it stays: to move bytes just
 * written in other pieces would stall on them. */
static size_t print_split(const struct decimal *decimal, int whole, char *to)
{
    int behind = decimal->count - whole;
    uint64_t unit = powers[behind];
    size_t length = number_print_uint64(decimal->digits / unit, to);
    number_print_uint64(unit + decimal->digits % unit, to + length); /* its leading 1 becomes the point */
    to[length] = '.';
    return length + 1 + (size_t)behind;
}

/* The digits in positional form, without ".0" behind a whole number. */
static size_t print_positional(const struct decimal *decimal, char *to)
{
    if (decimal->exponent < 0) {
        size_t lead = 1 + (size_t)-decimal->exponent;
        memcpy(to, "0.000000", 8);
        return lead + number_print_uint64(decimal->digits, to + lead);
    }
    int whole = decimal->exponent + 1;
    if (decimal->count > whole)
        return print_split(decimal, whole, to);
    size_t length = number_print_uint64(decimal->digits, to);
    memset(to + length, '0', (size_t)whole - length);
    return (size_t)whole;
}

/* d.ddde+xx: a point only before more digits, at least `least` digits of exponent. */
static size_t print_scientific(const struct decimal *decimal, size_t least, char *to)
{
    size_t length = decimal->count > 1 ? print_split(decimal, 1, to) : number_print_uint64(decimal->digits, to);
    unsigned size = (unsigned)(decimal->exponent < 0 ? -decimal->exponent : decimal->exponent);
    to[length++] = 'e';
    to[length++] = decimal->exponent < 0 ? '-' : '+';
    if (size < 10 && least > 1)
        to[length++] = '0';
    return length + number_print_uint64(size, to + length);
}

/* Whole numbers below 10^16 print as integers, many times faster: doubles are at most 2 apart there, so no number with
 * fewer digits reads back the same, and Python and JavaScript both give them without an exponent. */
static bool small_integer(double value)
{
    return fabs(value) < 1e16 && value == (double)(int64_t)value;
}

/* A fraction of up to four places, such as a price, as an integer of ten-thousandths: where that is exact, divides back
 * to the same value and has at most 15 digits, no other number of so few digits is that double. 0 where it is not. */
static inline size_t print_short_decimal(double value, char *to)
{
    double scaled = value * 1e4;
    if (FLT_EVAL_METHOD != 0 || scaled >= 1e15 || scaled != (double)(int64_t)scaled || scaled / 1e4 != value)
        return 0;
    uint64_t parts = (uint64_t)scaled;
    size_t whole = number_print_uint64(parts / 10000, to);
    size_t length = whole + number_print_uint64(10000 + parts % 10000, to + whole);
    to[whole] = '.';
    while (to[length - 1] == '0')
        length--;
    return length;
}

size_t number_print_double(double value, char *to)
{
    bool negative = signbit(value);
    if (negative)
        *to++ = '-';
    size_t length;
    if (small_integer(value)) {
        length = number_print_uint64((uint64_t)fabs(value), to);
        memcpy(to + length, ".0", 2);
        return negative + length + 2;
    }
    if ((length = print_short_decimal(fabs(value), to)) > 0)
        return negative + length;
    struct decimal decimal = decimal_of(fabs(value));
    if (decimal.exponent < -4 || decimal.exponent >= 16)
        return negative + print_scientific(&decimal, 2, to);
    return negative + print_positional(&decimal, to);
}

size_t number_print_double_js(double value, char *to)
{
    if (small_integer(value))
        return number_print_int64((int64_t)value, to);
    bool negative = value < 0;
    if (negative)
        *to++ = '-';
    size_t length = print_short_decimal(fabs(value), to);
    if (length > 0)
        return negative + length;
    struct decimal decimal = decimal_of(fabs(value));
    if (decimal.exponent >= -7 + 1 && decimal.exponent < 21)
        return negative + print_positional(&decimal, to);
    return negative + print_scientific(&decimal, 1, to);
}
