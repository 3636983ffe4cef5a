/* separators: see separators.h.
 *
 * A block is classified into masks, one bit a byte; the lowest bit is the first byte. Carries between blocks are in
 * struct separators, so that text cut anywhere gives the same separators. */
#include "api/separators.h"

#ifdef __SSE2__
#include <emmintrin.h>

struct block {
    __m128i a, b, c, d;
};

static inline struct block block_load(const char *at)
{
    const __m128i *from = (const __m128i *)(const void *)at;
    return (struct block){_mm_loadu_si128(from), _mm_loadu_si128(from + 1), _mm_loadu_si128(from + 2),
                          _mm_loadu_si128(from + 3)};
}

static inline uint64_t bits_of(__m128i a, __m128i b, __m128i c, __m128i d)
{
    uint64_t low = (uint32_t)_mm_movemask_epi8(a) | (uint32_t)_mm_movemask_epi8(b) << 16;
    uint64_t high = (uint32_t)_mm_movemask_epi8(c) | (uint32_t)_mm_movemask_epi8(d) << 16;
    return low | high << 32;
}

static inline __m128i equal(__m128i bytes, char fold, char c)
{
    return _mm_cmpeq_epi8(_mm_or_si128(bytes, _mm_set1_epi8(fold)), _mm_set1_epi8(c));
}

/* Bytes that are `c` once `fold` is set in them. */
static inline uint64_t block_equal(struct block block, char fold, char c)
{
    return bits_of(equal(block.a, fold, c), equal(block.b, fold, c), equal(block.c, fold, c), equal(block.d, fold, c));
}

static inline __m128i low(__m128i bytes)
{
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(' ')), bytes);
}

/* Bytes up to the space: JSON's blanks, and control characters. */
static inline uint64_t block_low(struct block block)
{
    return bits_of(low(block.a), low(block.b), low(block.c), low(block.d));
}

/* '[', '\\', ']', '{' and '}' are above 'z' with 0x20 set; and so are a few that are only in strings. */
static inline __m128i loud(__m128i bytes)
{
    __m128i folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    return _mm_or_si128(_mm_cmpgt_epi8(folded, _mm_set1_epi8('z')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
}

/* No byte is a quote, a backslash or a bracket. */
static inline bool block_quiet(struct block block)
{
    __m128i any = _mm_or_si128(_mm_or_si128(loud(block.a), loud(block.b)), _mm_or_si128(loud(block.c), loud(block.d)));
    return _mm_movemask_epi8(any) == 0;
}

#else

struct block {
    const char *at;
};

static inline struct block block_load(const char *at)
{
    return (struct block){at};
}

static inline uint64_t block_equal(struct block block, char fold, char c)
{
    uint64_t bits = 0;
    for (int i = 0; i < SEPARATORS_BLOCK; i++)
        bits |= (uint64_t)((char)(block.at[i] | fold) == c) << i;
    return bits;
}

static inline uint64_t block_low(struct block block)
{
    uint64_t bits = 0;
    for (int i = 0; i < SEPARATORS_BLOCK; i++)
        bits |= (uint64_t)((unsigned char)block.at[i] <= ' ') << i;
    return bits;
}

static inline bool block_quiet(struct block block)
{
    bool any = false;
    for (int i = 0; i < SEPARATORS_BLOCK; i++) {
        unsigned char folded = (unsigned char)block.at[i] | 0x20;
        any |= (folded > 'z' && folded < 0x80) || block.at[i] == '"';
    }
    return !any;
}

#endif

/* The lowest `count` (0 to 64) bits. */
static inline uint64_t below(unsigned count)
{
    return count == 0 ? 0 : ~UINT64_C(0) >> (64 - count);
}

/* Bit `place` of a mask; bit 64 is `carry`. */
static inline bool bit_at(uint64_t mask, unsigned place, bool carry)
{
    return place == 64 ? carry : mask >> place & 1;
}

/* Each bit becomes the parity of the bits up to it: from quotes, the bytes behind an opening one up to a closing one,
 * the opening quote included. */
static inline uint64_t parity(uint64_t mask)
{
    for (int shift = 1; shift < 64; shift *= 2)
        mask ^= mask << shift;
    return mask;
}

/* Backslashes that escape: every other one of a run. Their carry is taken from `separators`, not given back. */
static uint64_t escaping(uint64_t backslashes, bool escaped)
{
    const uint64_t odd = 0xaaaaaaaaaaaaaaaau;
    uint64_t possible = backslashes & ~(uint64_t)escaped;
    return (((possible << 1 | odd) - possible) ^ odd) & backslashes;
}

struct carried {
    uint64_t met; /* the first byte that is no blank behind each item's start, where it is in the block */
    bool fresh;   /* at `cut` the item that began has met none */
};

/* Adding an item's start to the mask of blanks carries it over the run of blanks that it begins. */
static inline struct carried over_blanks(uint64_t ends, bool fresh, uint64_t blanks, unsigned cut)
{
    uint64_t starts = ends << 1 | fresh, sum;
    blanks &= below(cut);
    bool carry = __builtin_add_overflow(starts, blanks, &sum);
    return (struct carried){sum & ~blanks, bit_at(sum, cut, carry || ends >> 63)};
}

/* Follows the brackets of a block that has some: the commas of `commas` at depth 0. */
static uint64_t nest(struct separators *separators, const char *block, uint64_t commas, uint64_t brackets,
                     unsigned *cut)
{
    uint64_t level = 0;
    uint32_t depth = separators->depth;
    unsigned from = 0; /* where depth 0 began */
    for (; brackets != 0; brackets &= brackets - 1) {
        unsigned place = (unsigned)__builtin_ctzll(brackets);
        uint64_t object = (uint64_t)(block[place] >> 5 & 1);
        bool closes = block[place] & 4;
        if (closes) {
            if (depth == separators->floor || (separators->kinds[(depth - 1) / 64] >> (depth - 1) % 64 & 1) != object) {
                *cut = place;
                break;
            }
            if (--depth == 0)
                from = place;
        } else {
            if (depth == TOKEN_DEPTH_MAX) {
                *cut = place;
                break;
            }
            if (depth == 0)
                level |= commas & below(place) & ~below(from);
            uint64_t *kinds = &separators->kinds[depth / 64];
            *kinds = (*kinds & ~(UINT64_C(1) << depth % 64)) | object << depth % 64;
            depth++;
        }
    }
    if (depth == 0)
        level |= commas & below(*cut) & ~below(from);
    separators->depth = depth;
    return level;
}

/* The commas at depth 0 of a JSON block with strings or brackets in it. */
static uint64_t take_nested(struct separators *separators, const char *at, struct block block, uint64_t commas,
                            unsigned *cut)
{
    unsigned size = *cut;
    uint64_t quotes = block_equal(block, 0, '"'), backslashes = block_equal(block, 0, '\\'), escapes = 0;
    if (backslashes != 0 || separators->escaped) {
        escapes = escaping(backslashes, separators->escaped);
        quotes &= ~(escapes << 1 | separators->escaped);
    }
    uint64_t strings = parity(quotes) ^ (separators->in_string ? ~UINT64_C(0) : 0);
    uint64_t brackets = block_equal(block, 0x20, '{') | block_equal(block, 0x20, '}');
    uint64_t outside = backslashes & ~strings & below(size);
    if (outside != 0)
        *cut = (unsigned)__builtin_ctzll(outside);
    commas = nest(separators, at, commas & ~strings, brackets & ~strings & below(*cut), cut);
    /* The byte of a cut stands outside of strings. */
    separators->in_string = *cut == size && strings >> (size - 1) & 1;
    separators->escaped = *cut == size && escapes >> (size - 1) & 1;
    return commas;
}

static uint64_t take_json(struct separators *separators, const char *at, unsigned size, unsigned *cut)
{
    struct block block = block_load(at);
    uint64_t commas = block_equal(block, 0, ',');
    if (!block_quiet(block)) {
        commas = take_nested(separators, at, block, commas, cut);
    } else if (separators->in_string || separators->depth > 0) {
        separators->escaped = false;
        return 0;
    } else {
        commas &= below(size);
    }
    struct carried carried = over_blanks(commas, separators->fresh, block_low(block), *cut);
    uint64_t empty = carried.met & commas;
    if (empty != 0) {
        *cut = (unsigned)__builtin_ctzll(empty);
        commas &= below(*cut);
    }
    separators->fresh = carried.fresh;
    return commas;
}

static uint64_t take_lines(struct separators *separators, const char *at, unsigned size)
{
    struct block block = block_load(at);
    uint64_t newlines = block_equal(block, 0, '\n') & below(size);
    uint64_t blanks = block_equal(block, 0, ' ') | block_equal(block, 0, '\t') | block_equal(block, 0, '\r');
    struct carried carried = over_blanks(newlines, separators->fresh, blanks, size);
    separators->fresh = carried.fresh;
    return newlines & ~carried.met;
}

static uint64_t take_text(struct separators *separators, const char *at, unsigned size)
{
    uint64_t newlines = block_equal(block_load(at), 0, '\n') & below(size);
    separators->fresh = newlines >> (size - 1) & 1;
    return newlines;
}

/* A record ends at a newline with an even number of quotes before it; one of no bytes, or of a CR alone, is blank. */
static uint64_t take_csv(struct separators *separators, const char *at, unsigned size)
{
    struct block block = block_load(at);
    uint64_t newlines = block_equal(block, 0, '\n') & below(size), quotes = block_equal(block, 0, '"');
    uint64_t strings = separators->in_string ? ~UINT64_C(0) : 0;
    if (quotes != 0)
        strings ^= parity(quotes);
    newlines &= ~strings;
    uint64_t starts = newlines << 1 | separators->fresh;
    uint64_t returns = starts & block_equal(block, 0, '\r');
    uint64_t blank = newlines & (starts | returns << 1 | separators->after_return);
    separators->fresh = newlines >> (size - 1) & 1;
    separators->after_return = returns >> (size - 1) & 1;
    separators->in_string = strings >> (size - 1) & 1;
    return newlines & ~blank;
}

void separators_init(struct separators *separators, enum items_format format)
{
    separators->format = format;
    separators->fresh = true;
    separators->after_return = separators->in_string = separators->escaped = false;
    separators->depth = separators->floor = 0;
}

void separators_init_value(struct separators *separators, char bracket)
{
    separators_init(separators, ITEMS_JSON);
    separators->fresh = false;
    separators->depth = separators->floor = 1;
    separators->kinds[0] = bracket == '{';
}

uint64_t separators_take(struct separators *separators, const char *block, unsigned size, unsigned *cut)
{
    *cut = size;
    switch (separators->format) {
    case ITEMS_LINES:
        return take_lines(separators, block, size);
    case ITEMS_TEXT:
        return take_text(separators, block, size);
    case ITEMS_CSV:
    case ITEMS_CSV_HEADER:
        return take_csv(separators, block, size);
    default:
        return take_json(separators, block, size, cut);
    }
}
