/* natives_run: the fast loops beside the functions. squared() over small integers is the hottest loop of the service:
 * read, square and print are one pass over the text with hardly a branch on how long a number is, as nothing is harder
 * to predict. Whatever is not plain is left to the function itself. */
#include <math.h>

#include "workers/natives.h"

#define SMALL_MAX 999999 /* largest integer of the fused path: its square has 12 digits */
#define READ_BYTES 10    /* bytes that reading one looks at, at most */
#define PRINT_BYTES 20   /* bytes that printing one touches, at most */
#define RESULT_BYTES 40  /* the most that any result takes */
#define EVERY 0x0101010101010101u
#define LIKELY(condition) __builtin_expect((condition), 1)
#define UNLIKELY(condition) __builtin_expect((condition), 0)

/* 0 to 999 as three digits each, the first in the lowest byte. */
#define THREE(a, b, c) ((a) | (b) << 8 | (c) << 16)
#define TEN(a, b)                                                                                                   \
    THREE(a, b, 0), THREE(a, b, 1), THREE(a, b, 2), THREE(a, b, 3), THREE(a, b, 4), THREE(a, b, 5), THREE(a, b, 6), \
        THREE(a, b, 7), THREE(a, b, 8), THREE(a, b, 9)
#define HUNDRED(a) \
    TEN(a, 0), TEN(a, 1), TEN(a, 2), TEN(a, 3), TEN(a, 4), TEN(a, 5), TEN(a, 6), TEN(a, 7), TEN(a, 8), TEN(a, 9)
static const uint32_t threes[1000] = {HUNDRED(0), HUNDRED(1), HUNDRED(2), HUNDRED(3), HUNDRED(4),
                                      HUNDRED(5), HUNDRED(6), HUNDRED(7), HUNDRED(8), HUNDRED(9)};

static inline uint64_t load(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? bytes : __builtin_bswap64(bytes);
}

static inline void store(uint64_t bytes, char *at)
{
    bytes = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? bytes : __builtin_bswap64(bytes);
    memcpy(at, &bytes, sizeof bytes);
}

/* Marks the bytes of digits ^ '0' that are no digits by their highest bit. A carry out of such a byte only reaches
 * later ones, so the first mark is right. */
static inline uint64_t mark_others(uint64_t values)
{
    return ((values + EVERY * 0x76) | values) & (EVERY * 0x80);
}

/* The number of eight decimal digits, one a byte, the first in the lowest: pairs, then fours, then all. */
static inline uint32_t join_digits(uint64_t digits)
{
    const uint64_t pairs = 0x000000ff000000ffu;
    digits = digits * 10 + (digits >> 8);
    return (
        uint32_t)(((digits & pairs) * (100 + (1000000ull << 32)) + ((digits >> 16) & pairs) * (1 + (10000ull << 32))) >>
                  32);
}

/* The other way: the six digits of a value below 10^6. */
static inline uint64_t split_digits(uint32_t value)
{
    uint32_t high = value / 1000;
    return threes[high] | (uint64_t)threes[value - 1000 * high] << 24;
}

static inline bool is_1_to_9(uint64_t bytes)
{
    return (uint8_t)((uint8_t)bytes - '1') < 9;
}

/* Reads an integer of at most 6 digits that a comma follows at once; the READ_BYTES behind `at` are there. Returns
 * where the comma is and the integer without its sign, or NULL: it is something else. */
static inline const char *read_small(const char *at, uint64_t *value)
{
    uint64_t bytes = load(at);
    if (UNLIKELY(!is_1_to_9(bytes))) {
        if ((char)bytes == '-')
            bytes = load(++at);
        if (!is_1_to_9(bytes) && (uint16_t)bytes != ('0' | ',' << 8))
            return NULL;
    }
    uint64_t values = bytes ^ (EVERY * '0'), others = mark_others(values);
    if (UNLIKELY(others == 0))
        return NULL;
    unsigned bits = (unsigned)__builtin_ctzll(others) & 56u;
    *value = join_digits(values << (64 - bits));
    at += bits / 8;
    return LIKELY(*at == ',' && *value <= SMALL_MAX) ? at : NULL;
}

/* Writes a value below 10^12 at `to`; more bytes than it has are touched. Returns the byte behind it. */
static inline char *print_12(uint64_t value, char *to)
{
    uint32_t high = (uint32_t)(value / 1000000);
    uint64_t low = split_digits((uint32_t)(value % 1000000));
    unsigned zeros = (unsigned)__builtin_ctzll(low | 1ull << 40) & 56u;
    if (high != 0) {
        uint64_t digits = split_digits(high);
        zeros = (unsigned)__builtin_ctzll(digits) & 56u;
        store((digits | EVERY * '0') >> zeros, to);
        to += 6 - zeros / 8;
        zeros = 0;
    }
    store((low | EVERY * '0') >> zeros, to);
    return to + 6 - zeros / 8;
}

/* Squares small integers as long as they come. */
static size_t square_small(const char **cursor, const char *end, size_t most, char separator, struct buf *out,
                           volatile uint32_t *progress)
{
    const uint32_t first = *progress;
    const char *at = *cursor, *safe = end - at > READ_BYTES ? end - READ_BYTES : at;
    char *start = buf_room(out, most * PRINT_BYTES), *to = start;
    size_t done = 0;
    while (done < most && at < safe) {
        uint64_t value;
        const char *behind = read_small(at, &value);
        if (UNLIKELY(behind == NULL))
            break;
        *progress = first + (uint32_t)done++;
        *to = separator;
        to = print_12(value * value, to + 1);
        at = behind + 1;
        if (*at == ' ')
            at++;
        if (UNLIKELY(*at <= ' '))
            at = token_skip_blanks(at, end);
    }
    buf_added(out, (size_t)(to - start));
    *cursor = at;
    return done;
}

/* From behind an item to the first byte of the next one, or to `end`. NULL: something else follows. */
static const char *next_item(const char *at, const char *end)
{
    at = token_skip_blanks(at, end);
    if (at == end)
        return at;
    return *at == ',' ? token_skip_blanks(at + 1, end) : NULL;
}

/* Squares an integer whose square fits 64 bits. Returns where the next one begins, or NULL: it is something else. */
static inline const char *square_integer(const char *at, const char *end, char separator, struct buf *out)
{
    int64_t integer;
    uint64_t square;
    if ((at = number_scan_int64(at, end, &integer)) == NULL || __builtin_mul_overflow(integer, integer, &square) ||
        (at = next_item(at, end)) == NULL)
        return NULL;
    char *to = buf_room(out, RESULT_BYTES);
    *to = separator;
    buf_added(out, 1 + number_print_uint64(square, to + 1));
    return at;
}

/* Squares a number with a fraction. Returns where the next one begins, or NULL: it is something else. */
static inline const char *square_double(const char *at, const char *end, char separator, struct buf *out)
{
    double real;
    if ((at = number_scan_double(at, end, &real)) == NULL || !isfinite(real * real) ||
        (at = next_item(at, end)) == NULL)
        return NULL;
    char *to = buf_room(out, RESULT_BYTES);
    *to = separator;
    buf_added(out, 1 + number_print_double(real * real, to + 1));
    return at;
}

/* Squares one number of any form, if it is no matter of big integers or errors. Returns where the next one begins, or
 * NULL. */
static const char *square_one(const char *at, const char *end, char separator, struct buf *out)
{
    struct span text;
    const char *why;
    int64_t integer;
    uint64_t square;
    double real;
    if (token_read(&at, end, &text, &why) != TOKEN_NUMBER || (at = next_item(at, end)) == NULL)
        return NULL;
    enum number_kind kind = number_read(text, &integer, &real);
    char *to = buf_room(out, RESULT_BYTES);
    *to = separator;
    if (kind == NUMBER_INT64 && !__builtin_mul_overflow(integer, integer, &square))
        buf_added(out, 1 + number_print_uint64(square, to + 1));
    else if (kind == NUMBER_DOUBLE && isfinite(real * real))
        buf_added(out, 1 + number_print_double(real * real, to + 1));
    else
        return NULL;
    return at;
}

size_t native_run_squared(const char **cursor, const char *end, size_t most, char separator, struct buf *out,
                          volatile uint32_t *progress)
{
    const uint32_t first = *progress;
    size_t done = 0;
    *cursor = token_skip_blanks(*cursor, end);
    while (done < most) {
        *progress = first + (uint32_t)done;
        done += square_small(cursor, end, most - done, separator, out, progress);
        if (done == most)
            break;
        *progress = first + (uint32_t)done;
        const char *next = square_integer(*cursor, end, separator, out);
        if (next == NULL)
            next = square_double(*cursor, end, separator, out);
        if (next == NULL)
            next = square_one(*cursor, end, separator, out);
        if (next == NULL)
            break;
        *cursor = next;
        done++;
    }
    return done;
}
