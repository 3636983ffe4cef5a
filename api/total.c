/* total: see total.h. */
#include "api/total.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "workers/log.h"

#define GROUP 1000000000 /* what a group of decimal digits counts to */
#define GROUP_DIGITS 9
#define LIMB (INT64_C(1) << 32)
#define LIMB_BITS 32
#define CARRY_PERIOD (UINT32_C(1) << 30) /* additions that a limb or a group holds without overflow, and to spare */
#define SPARE 2                          /* groups or limbs on top, zero or nearly, that take the carries */
#define GROUPS_OF_INT128 5
#define GROUPS_FINITE 40 /* an integer with more groups is beyond doubles, even divided by 2^64 */
#define LIMBS_FINITE 38  /* limbs of an integer with that many */
#define LOWEST_BIT (TOTAL_LIMBS_BELOW * LIMB_BITS - 1074) /* where the last bit of the smallest double stands */
#define MANTISSA_BITS 53

_Static_assert(TOTAL_LIMBS_BELOW + LIMBS_FINITE + SPARE <= TOTAL_LIMBS, "integers that matter find room");

void total_clear(struct total *total)
{
    free(total->groups);
    *total = (struct total){0};
}

size_t total_bytes(const struct total *total)
{
    return total->group_capacity * sizeof *total->groups;
}

/* Brings all digits but the top one between 0 and base - 1; the top one takes the sign. */
static void carry(int64_t *digits, size_t count, int64_t base)
{
    for (size_t i = 0; i + 1 < count; i++) {
        int64_t over = digits[i] / base - (digits[i] % base < 0);
        digits[i] -= over * base;
        digits[i + 1] += over;
    }
}

/* Makes them the digits of the magnitude; returns whether it was negative. */
static bool settle(int64_t *digits, size_t count, int64_t base)
{
    carry(digits, count, base);
    if (digits[count - 1] >= 0)
        return false;
    for (size_t i = 0; i < count; i++)
        digits[i] = -digits[i];
    carry(digits, count, base);
    return true;
}

/* --- adding ------------------------------------------------------------------------------------------------------- */

static void need_groups(struct total *total, size_t count)
{
    if (count > total->group_capacity) {
        total->group_capacity = count + count / 2;
        total->groups = realloc(total->groups, total->group_capacity * sizeof *total->groups);
        if (total->groups == NULL)
            die("out of memory: %zu digits", count * GROUP_DIGITS);
    }
    for (; total->group_count < count; total->group_count++)
        total->groups[total->group_count] = 0;
}

static void add_big(struct total *total, struct span text)
{
    int64_t sign = *text.at == '-' ? -1 : 1;
    const char *first = text.at + (sign < 0), *end = text.at + text.length;
    need_groups(total, (size_t)(end - first) / GROUP_DIGITS + 1 + SPARE);
    for (int64_t *group = total->groups; end > first; group++) {
        const char *start = end - first > GROUP_DIGITS ? end - GROUP_DIGITS : first;
        uint64_t value;
        number_scan_digits(start, end, &value);
        *group += sign * (int64_t)value;
        end = start;
    }
    if (++total->big_carry_due == CARRY_PERIOD) {
        carry(total->groups, total->group_count, GROUP);
        total->big_carry_due = 0;
    }
}

static void add_double(struct total *total, double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    unsigned exponent = bits >> (MANTISSA_BITS - 1) & 0x7ff;
    uint64_t mantissa = bits & ((UINT64_C(1) << (MANTISSA_BITS - 1)) - 1);
    if (exponent > 0) {
        mantissa |= UINT64_C(1) << (MANTISSA_BITS - 1);
        exponent--; /* those without that bit have the exponent of the least with it */
    }
    unsigned at = exponent + LOWEST_BIT;
    unsigned __int128 wide = (unsigned __int128)mantissa << at % LIMB_BITS;
    int64_t *limb = total->limbs + at / LIMB_BITS, sign = bits >> 63 ? -1 : 1;
    for (; wide > 0; wide >>= LIMB_BITS)
        *limb++ += sign * (int64_t)(uint32_t)wide;
    if (++total->real_carry_due == CARRY_PERIOD) {
        carry(total->limbs, TOTAL_LIMBS, LIMB);
        total->real_carry_due = 0;
    }
}

void total_add(struct total *total, const struct numeral *numeral)
{
    total->numbers++;
    if (numeral->kind == NUMBER_INT64) {
        total->integers += numeral->integer;
    } else if (numeral->kind == NUMBER_BIG) {
        add_big(total, numeral->text);
    } else {
        total->real = true;
        if (isfinite(numeral->real))
            add_double(total, numeral->real);
        else
            total->infinite = true;
    }
}

/* --- what it comes to --------------------------------------------------------------------------------------------- */

/* The sum of the integers. */
struct decimal {
    int64_t *groups; /* of the magnitude, lowest first; the caller frees them */
    size_t count;    /* up to the highest that is not 0 */
    bool negative;
};

static struct decimal sum_integers(const struct total *total)
{
    struct decimal sum = {.count = total->group_count};
    if (sum.count < GROUPS_OF_INT128 + SPARE)
        sum.count = GROUPS_OF_INT128 + SPARE;
    sum.groups = calloc(sum.count, sizeof *sum.groups);
    if (sum.groups == NULL)
        die("out of memory: %zu digits", sum.count * GROUP_DIGITS);
    if (total->group_count > 0)
        memcpy(sum.groups, total->groups, total->group_count * sizeof *sum.groups);
    __int128 rest = total->integers;
    for (size_t i = 0; rest != 0; i++, rest /= GROUP)
        sum.groups[i] += (int64_t)(rest % GROUP);
    sum.negative = settle(sum.groups, sum.count, GROUP);
    while (sum.count > 0 && sum.groups[sum.count - 1] == 0)
        sum.count--;
    return sum;
}

static void print_integer(const struct total *total, struct buf *out)
{
    struct decimal sum = sum_integers(total);
    char *start = buf_room(out, 2 + sum.count * GROUP_DIGITS), *to = start;
    if (sum.negative)
        *to++ = '-';
    if (sum.count == 0)
        *to++ = '0';
    for (size_t i = sum.count; i > 0; i--) {
        char text[NUMBER_TEXT_MAX];
        size_t length = number_print_uint64((uint64_t)sum.groups[i - 1], text);
        size_t zeros = i == sum.count ? 0 : GROUP_DIGITS - length;
        memset(to, '0', zeros);
        memcpy(to + zeros, text, length);
        to += zeros + length;
    }
    buf_added(out, (size_t)(to - start));
    free(sum.groups);
}

/* Adds the decimal number to limbs of which the first is that of the units. False: it is beyond doubles. */
static bool add_decimal(int64_t *units, const struct decimal *decimal)
{
    uint64_t limbs[LIMBS_FINITE] = {0};
    if (decimal->count > GROUPS_FINITE)
        return false;
    for (size_t i = decimal->count; i > 0; i--) {
        uint64_t over = (uint64_t)decimal->groups[i - 1];
        for (size_t j = 0; j < LIMBS_FINITE; j++, over >>= LIMB_BITS) {
            over += limbs[j] * GROUP;
            limbs[j] = (uint32_t)over;
        }
    }
    for (size_t j = 0; j < LIMBS_FINITE; j++)
        units[j] += decimal->negative ? -(int64_t)limbs[j] : (int64_t)limbs[j];
    return true;
}

static bool bit_at(const int64_t *limbs, unsigned bit)
{
    return limbs[bit / LIMB_BITS] >> bit % LIMB_BITS & 1;
}

/* The double nearest to the magnitude in the limbs, of two as near the even one; `more`: it is a little larger. */
static double round_limbs(const int64_t *limbs, bool more)
{
    unsigned bits = TOTAL_LIMBS * LIMB_BITS;
    while (bits > 0 && !bit_at(limbs, bits - 1))
        bits--;
    unsigned lowest = bits > LOWEST_BIT + MANTISSA_BITS ? bits - MANTISSA_BITS : LOWEST_BIT;
    uint64_t mantissa = 0;
    for (unsigned bit = bits; bit > lowest; bit--)
        mantissa = mantissa << 1 | bit_at(limbs, bit - 1);
    for (unsigned bit = 0; bit + 1 < lowest && !more; bit++)
        more = bit_at(limbs, bit);
    if (bit_at(limbs, lowest - 1) && (more || mantissa & 1))
        mantissa++;
    return ldexp((double)mantissa, (int)lowest - TOTAL_LIMBS_BELOW * LIMB_BITS);
}

/* The exact sum divided by `divisor`, rounded once. */
static void print_quotient(const struct total *total, uint64_t divisor, struct buf *out)
{
    int64_t limbs[TOTAL_LIMBS];
    memcpy(limbs, total->limbs, sizeof limbs);
    struct decimal integers = sum_integers(total);
    bool finite = add_decimal(limbs + TOTAL_LIMBS_BELOW, &integers) && !total->infinite;
    free(integers.groups);
    bool negative = settle(limbs, TOTAL_LIMBS, LIMB);
    unsigned __int128 rest = 0;
    for (size_t i = TOTAL_LIMBS; i > 0; i--) {
        rest = rest << LIMB_BITS | (uint64_t)limbs[i - 1];
        limbs[i - 1] = (int64_t)(rest / divisor);
        rest %= divisor;
    }
    double quotient = round_limbs(limbs, rest != 0);
    if (!finite || isinf(quotient)) {
        buf_append_text(out, "null");
        return;
    }
    buf_added(out,
              number_print_double(negative && quotient > 0 ? -quotient : quotient, buf_room(out, NUMBER_TEXT_MAX)));
}

void total_print_sum(const struct total *total, struct buf *out)
{
    if (total->real)
        print_quotient(total, 1, out);
    else
        print_integer(total, out);
}

void total_print_mean(const struct total *total, struct buf *out)
{
    if (total->numbers == 0)
        buf_append_text(out, "null");
    else
        print_quotient(total, total->numbers, out);
}
