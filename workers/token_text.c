/* token_text: the half of token.h that reads what token_read() has checked: decoding strings, walking arrays and
 * objects. It checks nothing again; the bounds that it minds are those of the span. */
#include "workers/token.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum token token_kind(char first)
{
    switch (first) {
    case '"':
        return TOKEN_STRING;
    case '[':
        return TOKEN_ARRAY;
    case '{':
        return TOKEN_OBJECT;
    case 'n':
        return TOKEN_NULL;
    case 'f':
        return TOKEN_FALSE;
    case 't':
        return TOKEN_TRUE;
    default:
        return TOKEN_NUMBER;
    }
}

static unsigned hex4(const char *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)at[i];
        value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

/* The code point of the escape at `*at`, which moves behind it (behind both halves of a surrogate pair). */
static unsigned read_escape(const char **at)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char letter = (*at)[1];
    const char *known = strchr(letters, letter);
    if (letter != 'u') {
        *at += 2;
        return (unsigned char)(known != NULL ? meanings[known - letters] : letter);
    }
    unsigned unit = hex4(*at + 2);
    *at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    unsigned low = hex4(*at + 2);
    *at += 6;
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
}

static size_t encode_utf8(unsigned code, char *to)
{
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)(lead[length] | code);
    return length;
}

void token_decode_string(struct span string, struct buf *out)
{
    const char *at = string.at + 1, *end = string.at + string.length - 1;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape != NULL ? escape : end;
        buf_append(out, at, (size_t)(stop - at));
        at = stop;
        if (escape != NULL) {
            unsigned code = read_escape(&at);
            buf_added(out, encode_utf8(code, buf_room(out, 4)));
        }
    }
}

bool token_plain_string(struct span string, struct span *text)
{
    *text = (struct span){string.at + 1, string.length - 2};
    return memchr(text->at, '\\', text->length) == NULL;
}

/* UTF-8's continuation bytes (10xxxxxx), counted eight at a time. */
static size_t continuations(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u;
    size_t count = 0;
    for (; end - at >= 8; at += 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        count += ((eight >> 7 & ~eight >> 6 & ones) * ones) >> 56;
    }
    for (; at < end; at++)
        count += ((unsigned char)*at & 0xc0) == 0x80;
    return count;
}

size_t token_string_length(struct span string)
{
    const char *at = string.at + 1, *end = string.at + string.length - 1;
    size_t length = 0;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        const char *stop = escape != NULL ? escape : end;
        length += (size_t)(stop - at) - continuations(at, stop);
        at = stop;
        if (escape != NULL) {
            read_escape(&at);
            length++;
        }
    }
    return length;
}

/* `at` is behind the opening quote; returns the byte behind the closing one. */
static const char *skip_string(const char *at, const char *end)
{
    for (;;) {
#ifdef __SSE2__
        const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
        for (; end - at >= 16; at += 16) {
            __m128i bytes = _mm_loadu_si128((const __m128i *)at);
            int mask = _mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
            if (mask != 0) {
                at += __builtin_ctz((unsigned)mask);
                break;
            }
        }
#endif
        while (at < end && *at != '"' && *at != '\\')
            at++;
        if (at == end || *at == '"')
            return at + (at < end);
        at += 2;
    }
}

static const char *skip_value(const char *at, const char *end)
{
    size_t depth = 0;
    do {
        switch (*at) {
        case '"':
            at = skip_string(at + 1, end);
            continue;
        case '[':
        case '{':
            depth++;
            break;
        case ']':
        case '}':
            depth--;
            break;
        default:
            if (depth == 0) /* a number or a literal */
                while (at + 1 < end && at[1] > ' ' && at[1] != ',' && at[1] != ']' && at[1] != '}')
                    at++;
        }
        at++;
    } while (depth > 0 && at < end);
    return at;
}

/* The first byte of the next element or member, or NULL at the closing bracket. */
static const char *step(struct span whole, const char *cursor)
{
    const char *end = whole.at + whole.length;
    const char *at = token_skip_blanks(cursor + (cursor == whole.at), end);
    if (at == end || *at == ']' || *at == '}')
        return NULL;
    return *at == ',' ? token_skip_blanks(at + 1, end) : at;
}

bool token_next_element(struct span array, const char **cursor, struct span *element, enum token *kind)
{
    const char *at = step(array, *cursor);
    if (at == NULL)
        return false;
    *kind = token_kind(*at);
    *cursor = skip_value(at, array.at + array.length);
    *element = (struct span){at, (size_t)(*cursor - at)};
    return true;
}

bool token_next_member(struct span object, const char **cursor, struct span *name, struct span *value, enum token *kind)
{
    const char *end = object.at + object.length, *at = step(object, *cursor);
    if (at == NULL)
        return false;
    const char *behind = skip_string(at + 1, end);
    *name = (struct span){at, (size_t)(behind - at)};
    at = token_skip_blanks(token_skip_blanks(behind, end) + 1, end);
    *kind = token_kind(*at);
    *cursor = skip_value(at, end);
    *value = (struct span){at, (size_t)(*cursor - at)};
    return true;
}
