/* token: see token.h. This file is the checker: one loop over a stack of open arrays and objects; strings are looked at
 * 16 bytes at a time where the processor can. What reads checked tokens is in token_text.c. */
#include "workers/token.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "workers/names.h"

#define NUMERAL(x) #x
#define NUMERAL_OF(x) NUMERAL(x)

/* In the stack of open containers: an array; anything else is an object, whose names begin at that index. */
#define OPEN_ARRAY SIZE_MAX

struct walk {
    const char *end;
    const char *fault_at;
    const char *why;
    size_t depth;
    /* These two are set up by check_container() alone: a scalar shall not pay for them. */
    size_t open[TOKEN_DEPTH_MAX];
    struct names names;
};

static const char *fail(struct walk *walk, const char *at, const char *why)
{
    walk->fault_at = at;
    walk->why = why;
    return NULL;
}

static const char *cut_short(struct walk *walk)
{
    return fail(walk, walk->end, "the text ends before the value does");
}

const char *token_skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* The first byte that a string has to look at: a quote, a backslash, a control character or a non-ASCII byte. */
static inline const char *skip_plain(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; end - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        /* As signed numbers the bytes from 0x80 on are below the space too. */
        __m128i special = _mm_or_si128(_mm_cmplt_epi8(bytes, space), _mm_cmpeq_epi8(bytes, quote));
        int mask = _mm_movemask_epi8(_mm_or_si128(special, _mm_cmpeq_epi8(bytes, backslash)));
        if (mask != 0)
            return at + __builtin_ctz((unsigned)mask);
    }
#endif
    while (at < end && (unsigned char)*at >= ' ' && (unsigned char)*at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* Passes one non-ASCII character (Unicode, table 3-7: no overlong forms, no surrogates, nothing past U+10FFFF). */
static const char *check_utf8(struct walk *walk, const char *at)
{
    unsigned char first = (unsigned char)*at;
    size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (length == 0)
        return fail(walk, at, "invalid UTF-8");
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf) {
        if (at + i == walk->end)
            return cut_short(walk);
        if ((unsigned char)at[i] < low || (unsigned char)at[i] > high)
            return fail(walk, at, "invalid UTF-8");
    }
    return at + length;
}

/* The same for a run of them, four bytes at a look, as far as they are well-formed and not at the text's end. */
static const char *skip_utf8(const char *at, const char *end)
{
    while (end - at >= 4) {
        const unsigned char *byte = (const unsigned char *)at;
        uint32_t four = (uint32_t)byte[0] << 24 | (uint32_t)byte[1] << 16 | (uint32_t)byte[2] << 8 | byte[3];
        /* Behind the masks that tell the form, the bits that would be 0 in an overlong one. */
        if ((four & 0xe0c00000) == 0xc0800000 && (four & 0x1e000000) != 0)
            at += 2;
        else if ((four & 0xf0c0c000) == 0xe0808000 && (four & 0x0f200000) != 0 && (four & 0x0f200000) != 0x0d200000)
            at += 3;
        else if ((four & 0xf8c0c0c0) == 0xf0808080 && (four & 0x07300000) != 0 && (four & 0x07300000) <= 0x04000000)
            at += 4;
        else
            break;
    }
    return at;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static const char *check_hex4(struct walk *walk, const char *at, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++, at++) {
        if (at == walk->end)
            return cut_short(walk);
        int digit = hex_digit(*at);
        if (digit < 0)
            return fail(walk, at, "expected four hexadecimal digits after \\u");
        *value = *value << 4 | (unsigned)digit;
    }
    return at;
}

static const char *check_escape(struct walk *walk, const char *at)
{
    static const char lone[] = "half of a surrogate pair";
    const char *start = at++, *end = walk->end;
    unsigned unit, low;
    if (at == end)
        return cut_short(walk);
    if (*at != 'u')
        return *at != '\0' && strchr("\"\\/bfnrt", *at) ? at + 1 : fail(walk, at, "unknown escape in a string");
    if ((at = check_hex4(walk, at + 1, &unit)) == NULL)
        return NULL;
    if (unit < 0xd800 || unit > 0xdfff)
        return at;
    if (unit >= 0xdc00)
        return fail(walk, start, lone);
    for (int i = 0; i < 2; i++, at++) {
        if (at == end)
            return cut_short(walk);
        if (*at != "\\u"[i])
            return fail(walk, start, lone);
    }
    if ((at = check_hex4(walk, at, &low)) == NULL)
        return NULL;
    return low >= 0xdc00 && low <= 0xdfff ? at : fail(walk, start, lone);
}

/* The rest of a string from its first byte that is not plain. */
static const char *check_rest(struct walk *walk, const char *at, bool *escaped)
{
    while (at != NULL) {
        at = skip_plain(at, walk->end);
        if (at == walk->end)
            return cut_short(walk);
        if (*at == '"')
            return at + 1;
        if (*at == '\\') {
            *escaped = true;
            at = check_escape(walk, at);
        } else if ((unsigned char)*at < 0x20) {
            return fail(walk, at, "a control character in a string must be escaped");
        } else {
            const char *behind = skip_utf8(at, walk->end);
            at = behind > at ? behind : check_utf8(walk, at);
        }
    }
    return NULL;
}

/* `at` is behind the opening quote; returns the byte behind the closing one. */
static inline const char *check_string(struct walk *walk, const char *at, bool *escaped)
{
    at = skip_plain(at, walk->end);
    return at < walk->end && *at == '"' ? at + 1 : check_rest(walk, at, escaped);
}

static inline const char *check_digits(struct walk *walk, const char *at)
{
    if (at == walk->end)
        return cut_short(walk);
    if (!is_digit(*at))
        return fail(walk, at, "expected a digit");
    while (at < walk->end && is_digit(*at))
        at++;
    return at;
}

static const char *check_number(struct walk *walk, const char *at)
{
    const char *end = walk->end;
    at += *at == '-';
    const char *first = at;
    if ((at = check_digits(walk, at)) == NULL)
        return NULL;
    if (*first == '0' && at > first + 1)
        return fail(walk, first + 1, "a number has no leading zeros");
    if (at < end && *at == '.' && (at = check_digits(walk, at + 1)) == NULL)
        return NULL;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        at = check_digits(walk, at);
    }
    return at;
}

static const char *check_literal(struct walk *walk, const char *at, const char *literal, const char *why)
{
    for (; *literal != '\0'; literal++, at++) {
        if (at == walk->end)
            return cut_short(walk);
        if (*at != *literal)
            return fail(walk, at, why);
    }
    return at;
}

static const char *fail_value(struct walk *walk, const char *at)
{
    static const struct {
        const char *first, *why;
    } hints[] = {
        {"'", "expected a value; strings take double quotes"},
        {"+.", "expected a value; a number begins with a digit or '-'"},
        {"NI", "expected a value; NaN and Infinity are not JSON"},
        {"TF", "expected a value; it is true and false in small letters"},
        {"/#", "expected a value; JSON has no comments"},
        {"]}", "expected a value before this bracket"},
        {",", "expected a value before this comma"},
    };
    for (size_t i = 0; *at != '\0' && i < sizeof hints / sizeof *hints; i++)
        if (strchr(hints[i].first, *at) != NULL)
            return fail(walk, at, hints[i].why);
    return fail(walk, at, "expected a value");
}

static inline const char *check_scalar(struct walk *walk, const char *at)
{
    bool escaped;
    switch (*at) {
    case '"':
        return check_string(walk, at + 1, &escaped);
    case 'n':
        return check_literal(walk, at, "null", "expected null");
    case 'f':
        return check_literal(walk, at, "false", "expected false");
    case 't':
        return check_literal(walk, at, "true", "expected true");
    default:
        return *at == '-' || is_digit(*at) ? check_number(walk, at) : fail_value(walk, at);
    }
}

/* From a member's name to the first byte of its value. */
static const char *check_name(struct walk *walk, const char *at)
{
    const char *start = at;
    bool escaped = false;
    if (*at != '"')
        return fail(walk, at, "expected a member's name in double quotes");
    if ((at = check_string(walk, at + 1, &escaped)) == NULL)
        return NULL;
    if (!names_add(&walk->names, walk->open[walk->depth - 1], (struct span){start, (size_t)(at - start)}, escaped))
        return fail(walk, start, "the object has this member already");
    at = token_skip_blanks(at, walk->end);
    if (at < walk->end && *at != ':')
        return fail(walk, at, "expected ':'");
    if (at < walk->end)
        at = token_skip_blanks(at + 1, walk->end);
    return at < walk->end ? at : cut_short(walk);
}

/* From an opening bracket to the first byte inside that is not blank. */
static const char *enter(struct walk *walk, const char *at)
{
    if (walk->depth == TOKEN_DEPTH_MAX)
        return fail(walk, at, "arrays and objects nested deeper than " NUMERAL_OF(TOKEN_DEPTH_MAX));
    walk->open[walk->depth++] = *at == '[' ? OPEN_ARRAY : walk->names.count;
    at = token_skip_blanks(at + 1, walk->end);
    return at < walk->end ? at : cut_short(walk);
}

/* From behind a value, over closing brackets, to the next value; or behind the outermost bracket, at depth 0. */
static inline const char *next_value(struct walk *walk, const char *at)
{
    while (walk->depth > 0) {
        size_t open = walk->open[walk->depth - 1];
        at = token_skip_blanks(at, walk->end);
        if (at == walk->end)
            return cut_short(walk);
        if (*at == ',') {
            at = token_skip_blanks(at + 1, walk->end);
            if (at == walk->end)
                return cut_short(walk);
            return open == OPEN_ARRAY ? at : check_name(walk, at);
        }
        if (*at != (open == OPEN_ARRAY ? ']' : '}'))
            return fail(walk, at, open == OPEN_ARRAY ? "expected ',' or ']'" : "expected ',' or '}'");
        if (open != OPEN_ARRAY)
            names_drop(&walk->names, open);
        walk->depth--;
        at++;
    }
    return at;
}

static const char *check_container(struct walk *walk, const char *at)
{
    names_init(&walk->names);
    do {
        bool enters = *at == '[' || *at == '{', object = *at == '{';
        at = enters ? enter(walk, at) : check_scalar(walk, at);
        if (at == NULL)
            break;
        if (!enters || *at == (object ? '}' : ']'))
            at = next_value(walk, at);
        else if (object)
            at = check_name(walk, at);
    } while (at != NULL && walk->depth > 0);
    names_clear(&walk->names);
    return at;
}

enum token token_read(const char **cursor, const char *end, struct span *value, const char **why)
{
    struct walk walk;
    walk.end = walk.fault_at = end;
    walk.why = NULL;
    walk.depth = 0;
    const char *at = token_skip_blanks(*cursor, end), *behind;
    if (at == end)
        behind = fail(&walk, end, "expected a value");
    else if (*at == '[' || *at == '{')
        behind = check_container(&walk, at);
    else
        behind = check_scalar(&walk, at);
    if (behind == NULL) {
        *cursor = walk.fault_at;
        *why = walk.why;
        return TOKEN_BAD;
    }
    *cursor = behind;
    *value = (struct span){at, (size_t)(behind - at)};
    return token_kind(*at);
}
