/* tally: see tally.h. */
#include "api/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "api/numeral.h"
#include "workers/log.h"

#define ENTRIES_LEAST 32

void tally_clear(struct tally *tally)
{
    free(tally->entries);
    free(tally->slots);
    buf_clear(&tally->texts);
    *tally = (struct tally){0};
}

size_t tally_bytes(const struct tally *tally)
{
    return tally->capacity * (sizeof *tally->entries + 2 * sizeof *tally->slots) + tally->texts.capacity;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

/* The kernel gives each executed program 16 random bytes. */
static const uint64_t *secret(void)
{
    static uint64_t words[2];
    if (words[1] == 0) {
        unsigned long random = getauxval(AT_RANDOM);
        if (random != 0)
            memcpy(words, (const void *)random, sizeof words);
        words[1] |= 1;
    }
    return words;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash_text(struct span text)
{
    const uint64_t *key = secret();
    uint64_t hash = key[0] ^ text.length, word;
    for (; text.length > sizeof word; text.at += sizeof word, text.length -= sizeof word) {
        memcpy(&word, text.at, sizeof word);
        hash = fold(hash ^ word, key[1]);
    }
    word = 0;
    for (size_t i = 0; i < text.length; i++)
        word = word << 8 | (unsigned char)text.at[i];
    hash = fold(hash ^ word, key[1]);
    return (uint32_t)(hash ^ hash >> 32);
}

static void *resize(void *table, size_t count, size_t size)
{
    table = realloc(table, count * size);
    if (table == NULL)
        die("out of memory: %zu distinct values", count);
    return table;
}

static void grow(struct tally *tally)
{
    tally->capacity = tally->capacity > 0 ? 2 * tally->capacity : ENTRIES_LEAST;
    if (tally->capacity > UINT32_MAX / 2)
        die("too many distinct values: %zu", tally->count);
    tally->entries = resize(tally->entries, tally->capacity, sizeof *tally->entries);
    tally->slots = resize(tally->slots, 2 * tally->capacity, sizeof *tally->slots);
    memset(tally->slots, 0, 2 * tally->capacity * sizeof *tally->slots);
    size_t mask = 2 * tally->capacity - 1;
    for (size_t i = 0; i < tally->count; i++) {
        size_t slot = tally->entries[i].hash & mask;
        while (tally->slots[slot] != 0)
            slot = (slot + 1) & mask;
        tally->slots[slot] = (uint32_t)i + 1;
    }
}

void tally_add(struct tally *tally, struct span text)
{
    if (tally->count == tally->capacity)
        grow(tally);
    uint32_t hash = hash_text(text);
    size_t mask = 2 * tally->capacity - 1, slot = hash & mask;
    for (; tally->slots[slot] != 0; slot = (slot + 1) & mask) {
        struct tally_entry *entry = &tally->entries[tally->slots[slot] - 1];
        if (entry->hash == hash && entry->length == text.length &&
            memcmp(buf_start(&tally->texts) + entry->text, text.at, text.length) == 0) {
            entry->count++;
            return;
        }
    }
    tally->entries[tally->count++] = (struct tally_entry){1, tally->texts.length, (uint32_t)text.length, hash};
    tally->slots[slot] = (uint32_t)tally->count;
    buf_append(&tally->texts, text.at, text.length);
}

/* --- printing ----------------------------------------------------------------------------------------------------- */

/* Sorted by what is cheap to compare; small enough for qsort() to move them and not pointers to them. */
struct ranked {
    uint64_t count;
    double about; /* the number's value, as near as a double within int64's range is; infinity: it is no number */
    const char *text;
    uint32_t length;
};

static double about(struct span text)
{
    if (token_kind(*text.at) != TOKEN_NUMBER)
        return INFINITY;
    struct numeral numeral = numeral_read(text);
    if (numeral.kind == NUMBER_INT64)
        return (double)numeral.integer;
    if (numeral.kind == NUMBER_BIG)
        return *text.at == '-' ? -0x1p63 : 0x1p63;
    return numeral.real < -0x1p63 ? -0x1p63 : numeral.real > 0x1p63 ? 0x1p63 : numeral.real;
}

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    if (x->about != y->about)
        return x->about < y->about ? -1 : 1;
    struct span text = {x->text, x->length}, other = {y->text, y->length};
    if (isinf(x->about))
        return text_compare(text, other);
    struct numeral number = numeral_read(text), other_number = numeral_read(other);
    return numeral_compare(&number, &other_number);
}

static struct ranked *rank(const struct tally *tally)
{
    struct ranked *ranked = resize(NULL, tally->count + 1, sizeof *ranked);
    for (size_t i = 0; i < tally->count; i++) {
        const struct tally_entry *entry = &tally->entries[i];
        struct span text = {buf_start(&tally->texts) + entry->text, entry->length};
        ranked[i] = (struct ranked){entry->count, about(text), text.at, entry->length};
    }
    qsort(ranked, tally->count, sizeof *ranked, compare_ranked);
    return ranked;
}

void tally_print(const struct tally *tally, struct buf *out)
{
    struct ranked *ranked = rank(tally);
    buf_append_char(out, '[');
    for (size_t i = 0; i < tally->count; i++) {
        buf_append_text(out, i > 0 ? ",{\"value\":" : "{\"value\":");
        buf_append(out, ranked[i].text, ranked[i].length);
        buf_append_text(out, ",\"count\":");
        buf_added(out, number_print_uint64(ranked[i].count, buf_room(out, NUMBER_TEXT_MAX)));
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
    free(ranked);
}
