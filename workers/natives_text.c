/* natives_text: strings, counted and compared by code point. */
#include <nettle/sha2.h>

#include "workers/natives.h"
#include "workers/upper.h"

static size_t count_elements(struct span array)
{
    const char *cursor = array.at;
    struct span element;
    enum token kind;
    size_t count = 0;
    while (token_next_element(array, &cursor, &element, &kind))
        count++;
    return count;
}

static size_t count_members(struct span object)
{
    const char *cursor = object.at;
    struct span name, value;
    enum token kind;
    size_t count = 0;
    while (token_next_member(object, &cursor, &name, &value, &kind))
        count++;
    return count;
}

bool native_length(struct native_call *call)
{
    size_t length;
    if (call->kinds[0] == TOKEN_STRING)
        length = token_string_length(call->args[0]);
    else if (call->kinds[0] == TOKEN_ARRAY)
        length = count_elements(call->args[0]);
    else if (call->kinds[0] == TOKEN_OBJECT)
        length = count_members(call->args[0]);
    else
        return native_wants(call, "length", "a string, an array or an object", 0);
    native_return_uint64(call, length);
    return true;
}

/* A checked string's text: as it stands in the item, or decoded into `decoded`. */
static struct span read_text(struct span string, struct buf *decoded)
{
    struct span text;
    if (token_plain_string(string, &text))
        return text;
    token_decode_string(string, decoded);
    return (struct span){buf_start(decoded), decoded->length};
}

/* Reads one code point of well-formed UTF-8. */
static uint32_t next_code_point(const char **cursor)
{
    const unsigned char *at = (const unsigned char *)*cursor;
    size_t length = *at < 0x80 ? 1 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : 4;
    uint32_t c = length == 1 ? *at : *at & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        c = c << 6 | (at[i] & 0x3f);
    *cursor += length;
    return c;
}

static size_t put_code_point(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00u >> length) | c);
    return length;
}

/* ASCII without escapes in place, eight bytes a step; a byte that is not ends it. Returns how many it did. */
static size_t upper_ascii(struct span text, char *to)
{
    const uint64_t every = 0x0101010101010101u;
    size_t done = 0;
    for (; text.length - done >= 8; done += 8) {
        uint64_t bytes;
        memcpy(&bytes, text.at + done, 8);
        if (bytes & every * 0x80)
            break;
        uint64_t from_a = bytes + every * (0x80 - 'a'), past_z = bytes + every * (0x80 - 'z' - 1);
        bytes ^= (from_a & ~past_z & every * 0x80) >> 2;
        memcpy(to + done, &bytes, 8);
    }
    for (; done < text.length && !(text.at[done] & 0x80); done++)
        to[done] = text.at[done] >= 'a' && text.at[done] <= 'z' ? (char)(text.at[done] - 0x20) : text.at[done];
    return done;
}

/* Appends the upper case of well-formed UTF-8. */
static void upper_text(struct span text, struct buf *out)
{
    const char *at = text.at, *end = text.at + text.length;
    while (at < end) {
        struct span rest = {at, (size_t)(end - at)};
        size_t ascii = upper_ascii(rest, buf_room(out, rest.length));
        buf_added(out, ascii);
        for (at += ascii; at < end && (*at & 0x80);) {
            uint32_t upper[3];
            size_t count = upper_of(next_code_point(&at), upper);
            for (size_t i = 0; i < count; i++)
                buf_added(out, put_code_point(upper[i], buf_room(out, 4)));
        }
    }
}

bool native_upper(struct native_call *call)
{
    struct span text;
    if (!native_string(call, "upper", 0))
        return false;
    if (token_plain_string(call->args[0], &text)) {
        buf_append_char(call->out, '"');
        upper_text(text, call->out);
        buf_append_char(call->out, '"');
        return true;
    }
    struct buf decoded;
    buf_init(&decoded);
    token_decode_string(call->args[0], &decoded);
    upper_text((struct span){buf_start(&decoded), decoded.length}, call->scratch);
    buf_append_json(call->out, buf_start(call->scratch), call->scratch->length);
    buf_clear(&decoded);
    return true;
}

bool native_sha256(struct native_call *call)
{
    static const char hex[] = "0123456789abcdef";
    if (!native_string(call, "sha256", 0))
        return false;
    struct span text = read_text(call->args[0], call->scratch);
    struct sha256_ctx sha256;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&sha256);
    sha256_update(&sha256, text.length, (const uint8_t *)text.at);
    sha256_digest(&sha256, sizeof digest, digest);
    char *to = buf_room(call->out, 2 * sizeof digest + 2);
    *to++ = '"';
    for (size_t i = 0; i < sizeof digest; i++) {
        *to++ = hex[digest[i] >> 4];
        *to++ = hex[digest[i] & 15];
    }
    *to = '"';
    buf_added(call->out, 2 * sizeof digest + 2);
    return true;
}

struct code_points {
    uint32_t *at;
    size_t count;
};

/* The code points of a checked string, in memory of their own. */
static struct code_points code_points_of(struct span string, struct buf *store)
{
    struct buf decoded;
    buf_init(&decoded);
    struct span text = read_text(string, &decoded);
    const char *at = text.at, *end = text.at + text.length;
    uint32_t *to = (uint32_t *)(void *)buf_room(store, (text.length + 1) * sizeof *to);
    struct code_points points = {to, 0};
    while (at < end)
        points.at[points.count++] = next_code_point(&at);
    buf_clear(&decoded);
    return points;
}

/* What both begin and end with changes nothing. */
static void strip_common(struct code_points *a, struct code_points *b)
{
    while (a->count > 0 && b->count > 0 && a->at[0] == b->at[0]) {
        a->at++, a->count--;
        b->at++, b->count--;
    }
    while (a->count > 0 && b->count > 0 && a->at[a->count - 1] == b->at[b->count - 1]) {
        a->count--;
        b->count--;
    }
}

/* Wagner and Fischer's table, of which one row is kept: as long as the shorter string. */
static uint32_t distance_of(struct code_points shorter, struct code_points longer, uint32_t *row)
{
    for (size_t k = 0; k <= shorter.count; k++)
        row[k] = (uint32_t)k;
    for (size_t i = 0; i < longer.count; i++) {
        uint32_t diagonal = row[0], left = ++row[0];
        for (size_t k = 0; k < shorter.count; k++) {
            uint32_t above = row[k + 1], least = left < above ? left : above;
            uint32_t replaced = diagonal + (longer.at[i] != shorter.at[k]);
            left = least + 1 < replaced ? least + 1 : replaced;
            diagonal = above;
            row[k + 1] = left;
        }
    }
    return row[shorter.count];
}

bool native_levenshtein(struct native_call *call)
{
    if (!native_string(call, "levenshtein", 0) || !native_string(call, "levenshtein", 1))
        return false;
    struct buf store[3];
    for (size_t i = 0; i < 3; i++)
        buf_init(&store[i]);
    struct code_points a = code_points_of(call->args[0], &store[0]), b = code_points_of(call->args[1], &store[1]);
    strip_common(&a, &b);
    if (a.count > b.count) {
        struct code_points other = a;
        a = b;
        b = other;
    }
    uint32_t *row = (uint32_t *)(void *)buf_room(&store[2], (a.count + 1) * sizeof *row);
    native_return_uint64(call, distance_of(a, b, row));
    for (size_t i = 0; i < 3; i++)
        buf_clear(&store[i]);
    return true;
}
