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

size_t number_print_uint64(uint64_t value, char *to)
{
    const uint64_t ascii = 0x3030303030303030u;
    uint64_t digits;
    if (value >= 100000000) {
        size_t before = number_print_uint64(value / 100000000, to);
        digits = eight_digits((uint32_t)(value % 100000000)) | ascii;
        memcpy(to + before, &digits, 8);
        return before + 8;
    }
    digits = eight_digits((uint32_t)value);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | (uint64_t)1 << 56) / 8;
    digits = (digits | ascii) >> 8 * zeros;
    memcpy(to, &digits, 8);
    return 8 - zeros;
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

/* A double as its shortest digits, d.ddd times ten to the exponent. */
struct decimal {
    char text[NUMBER_SHORTEST_MAX]; /* as number_double_shortest() made it */
    size_t length;
    size_t mantissa; /* bytes of text before the 'e' */
    char digits[NUMBER_SHORTEST_MAX];
    size_t count;
    int exponent;
};

/* `value` must not be negative. */
static inline struct decimal decimal_of(double value)
{
    struct decimal decimal;
    char *text = decimal.text;
    decimal.length = number_double_shortest(value, text);
    const char *end = text + decimal.length;
    int exponent = (end[-2] - '0') * 10 + (end[-1] - '0');
    const char *sign = end - 3;
    if (*sign != '-' && *sign != '+')
        exponent += (*sign-- - '0') * 100;
    decimal.exponent = *sign == '-' ? -exponent : exponent;
    decimal.mantissa = (size_t)(sign - 1 - text);
    decimal.count = decimal.mantissa == 1 ? 1 : decimal.mantissa - 1;
    decimal.digits[0] = text[0];
    memcpy(decimal.digits + 1, text + 2, 16); /* at most 17 digits, whatever is behind them */
    return decimal;
}

/* The digits in positional form, without ".0" behind a whole number. */
static size_t print_positional(const struct decimal *decimal, char *to)
{
    size_t count = decimal->count;
    if (decimal->exponent < 0) {
        size_t lead = 1 + (size_t)-decimal->exponent;
        memcpy(to, "0.000000", 8);
        memcpy(to + lead, decimal->digits, 17);
        return lead + count;
    }
    size_t whole = (size_t)decimal->exponent + 1;
    memcpy(to, decimal->digits, 17);
    if (count <= whole) {
        memset(to + count, '0', whole - count);
        return whole;
    }
    to[whole] = '.';
    memcpy(to + whole + 1, decimal->digits + whole, count - whole);
    return count + 1;
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
    if (decimal.exponent < -4 || decimal.exponent >= 16) {
        memcpy(to, decimal.text, sizeof decimal.text);
        return negative + decimal.length;
    }
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
    /* e+23 as it stands, but e-7 for e-07. */
    size_t exponent = decimal.mantissa + 2, skip = decimal.text[exponent] == '0';
    memcpy(to, decimal.text, exponent);
    memcpy(to + exponent, decimal.text + exponent + skip, decimal.length - exponent - skip);
    return negative + decimal.length - skip;
}
