/* names: see names.h. */
#include "workers/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "workers/log.h"

/* The kernel gives each executed program 16 random bytes; reading them needs no system call, which a sandboxed worker
 * might not be allowed. */
static uint64_t secret[2];

static void secret_load(void)
{
    unsigned long random = getauxval(AT_RANDOM);
    if (random != 0)
        memcpy(secret, (const void *)random, sizeof secret);
    secret[0] = secret[0] * 0x9e3779b97f4a7c15u + secret[1];
    secret[1] |= 1;
}

void names_init(struct names *names)
{
    names->count = 0;
    names->capacity = 0;
    names->list = NULL;
    names->slots = NULL;
    buf_init(&names->decoded[0]);
    buf_init(&names->decoded[1]);
}

void names_clear(struct names *names)
{
    if (names->capacity > NAMES_INLINE) {
        free(names->list);
        free(names->slots);
    }
    buf_clear(&names->decoded[0]);
    buf_clear(&names->decoded[1]);
    names_init(names);
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load(const char *at, size_t bytes)
{
    uint64_t eight = 0;
    uint32_t low, high;
    if (bytes >= 8) {
        memcpy(&eight, at, 8);
    } else if (bytes >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + bytes - 4, 4);
        eight = (uint64_t)high << 32 | low;
    } else if (bytes > 0) {
        eight = (uint64_t)(unsigned char)at[0] << 16 | (uint64_t)(unsigned char)at[bytes / 2] << 8 |
                (unsigned char)at[bytes - 1];
    }
    return eight;
}

/* `first` goes in so that equal names of nested objects do not pile up in one place. */
static inline uint32_t hash_text(const char *at, size_t length, size_t first)
{
    uint64_t hash = secret[0] ^ length;
    for (; length > 8; at += 8, length -= 8)
        hash = fold(hash ^ load(at, 8), secret[1]);
    hash = fold(hash ^ load(at, length), secret[1]);
    return (uint32_t)(hash ^ hash >> 32) + (uint32_t)first * 0x9e3779b1u;
}

/* What a name means: the bytes between its quotes, or their decoded form in `space`. */
static struct span meaning(const struct name *name, struct buf *space)
{
    if (!name->escaped)
        return (struct span){name->text.at + 1, name->text.length - 2};
    buf_reset(space);
    token_decode_string(name->text, space);
    return (struct span){space->length > 0 ? buf_start(space) : "", space->length};
}

static bool same(struct names *names, const struct name *a, const struct name *b)
{
    if (a->hash != b->hash)
        return false;
    struct span one = meaning(a, &names->decoded[0]), other = meaning(b, &names->decoded[1]);
    return one.length == other.length && memcmp(one.at, other.at, one.length) == 0;
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        die("out of memory: %zu member names", count);
    return memory;
}

static void insert(struct names *names, size_t index)
{
    uint32_t mask = (uint32_t)(2 * names->capacity - 1), slot = names->list[index].hash & mask;
    while (names->slots[slot] != 0)
        slot = (slot + 1) & mask;
    names->slots[slot] = (uint32_t)index + 1;
    names->list[index].slot = slot;
}

static void grow(struct names *names)
{
    if (names->capacity == 0) {
        if (secret[1] == 0)
            secret_load();
        names->capacity = NAMES_INLINE;
        names->list = names->inline_list;
        names->slots = names->inline_slots;
        memset(names->inline_slots, 0, sizeof names->inline_slots);
        return;
    }
    if (names->capacity > UINT32_MAX / 8)
        die("too many member names: %zu", names->count);
    struct name *list = allocate(2 * names->capacity, sizeof *list);
    memcpy(list, names->list, names->count * sizeof *list);
    if (names->capacity > NAMES_INLINE) {
        free(names->list);
        free(names->slots);
    }
    names->capacity *= 2;
    names->list = list;
    names->slots = allocate(2 * names->capacity, sizeof *names->slots);
    for (size_t i = 0; i < names->count; i++)
        insert(names, i);
}

bool names_add(struct names *names, size_t first, struct span text, bool escaped)
{
    if (names->count == names->capacity)
        grow(names);
    struct name *name = &names->list[names->count];
    *name = (struct name){.text = text, .escaped = escaped};
    struct span plain = {text.at + 1, text.length - 2};
    if (escaped)
        plain = meaning(name, &names->decoded[0]);
    name->hash = hash_text(plain.at, plain.length, first);
    uint32_t mask = (uint32_t)(2 * names->capacity - 1), slot = name->hash & mask;
    for (; names->slots[slot] != 0; slot = (slot + 1) & mask) {
        size_t index = names->slots[slot] - 1;
        if (index >= first && same(names, &names->list[index], name))
            return false;
    }
    name->slot = slot;
    names->slots[slot] = (uint32_t)++names->count;
    return true;
}

/* Names leave in the reverse of the order in which they came, so a freed slot never breaks another one's chain. */
void names_drop(struct names *names, size_t first)
{
    while (names->count > first)
        names->slots[names->list[--names->count].slot] = 0;
}
