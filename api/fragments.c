/* fragments: see fragments.h. */
#include "api/fragments.h"

#include <stdlib.h>

#include "api/outcome.h"
#include "api/table.h"
#include "workers/log.h"

#define BLOCK_LEAST (64u << 10) /* fragments are merged into blocks at least so large, */
#define BLOCK_SHARE 64          /* or the answer so far divided by this: so there are few blocks at any size */

/* Results that came before their turn. */
struct early {
    uint64_t first, count;
    char *data; /* NULL: nulls */
    size_t start, length;
};

void fragments_clear(struct fragments *fragments)
{
    for (size_t i = 0; i < fragments->block_count; i++)
        free(fragments->blocks[i].data);
    for (size_t i = 0; i < fragments->early_count; i++)
        free(fragments->early[i].data);
    free(fragments->blocks);
    free(fragments->early);
}

/* --- the blocks: results in order --------------------------------------------------------------------------------- */

static struct block *add_block(struct fragments *fragments, char *data, size_t start, size_t length)
{
    fragments->blocks =
        table_grow(fragments->blocks, fragments->block_count, &fragments->block_capacity, sizeof *fragments->blocks);
    fragments->blocks[fragments->block_count] = (struct block){data, start, length};
    return &fragments->blocks[fragments->block_count++];
}

static size_t block_bytes(const struct fragments *fragments)
{
    size_t share = fragments->bytes / BLOCK_SHARE;
    return share > BLOCK_LEAST ? share : BLOCK_LEAST;
}

/* Room for `length` more bytes at the end of the last block. */
static char *tail_room(struct fragments *fragments, size_t length)
{
    struct block *tail = fragments->block_count > 0 ? &fragments->blocks[fragments->block_count - 1] : NULL;
    if (tail != NULL && tail->start + tail->length + length <= fragments->tail_capacity)
        return tail->data + tail->start + tail->length;
    size_t capacity = block_bytes(fragments);
    if (tail == NULL)
        capacity = 512; /* most answers are short */
    else if (fragments->tail_capacity > 0 && fragments->tail_capacity < capacity) {
        while (fragments->tail_capacity < tail->start + tail->length + length)
            fragments->tail_capacity *= 4;
        tail->data = realloc(tail->data, fragments->tail_capacity);
        if (tail->data == NULL)
            die("out of memory: %zu bytes", fragments->tail_capacity);
        return tail->data + tail->start + tail->length;
    }
    if (capacity < length + FRAGMENTS_HEAD_ROOM)
        capacity = length + FRAGMENTS_HEAD_ROOM;
    char *data = malloc(capacity);
    if (data == NULL)
        die("out of memory: %zu bytes", capacity);
    add_block(fragments, data, fragments->block_count == 0 ? FRAGMENTS_HEAD_ROOM : 0, 0);
    fragments->tail_capacity = capacity;
    return data + fragments->blocks[fragments->block_count - 1].start;
}

static void append(struct fragments *fragments, const char *bytes, size_t length)
{
    memcpy(tail_room(fragments, length), bytes, length);
    fragments->blocks[fragments->block_count - 1].length += length;
    fragments->bytes += length;
}

static void append_nulls(struct fragments *fragments, uint64_t count)
{
    static const char nulls[] = ",null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null";
    const uint64_t many = (sizeof nulls - 1) / 5;
    for (; count >= many; count -= many)
        append(fragments, nulls, sizeof nulls - 1);
    append(fragments, nulls, count * 5);
}

/* The next results in order; takes `data` if it is not NULL. */
static void append_run(struct fragments *fragments, struct span output, char *data)
{
    if (data != NULL && output.length >= block_bytes(fragments) && fragments->block_count > 0) {
        add_block(fragments, data, (size_t)(output.at - data), output.length);
        fragments->tail_capacity = 0;
        fragments->bytes += output.length;
        return;
    }
    append(fragments, output.at, output.length);
    free(data);
}

/* --- the heap: results before their turn -------------------------------------------------------------------------- */

static void early_push(struct fragments *fragments, struct early entry)
{
    fragments->early_bytes += entry.length;
    fragments->early =
        table_grow(fragments->early, fragments->early_count, &fragments->early_capacity, sizeof *fragments->early);
    size_t at = fragments->early_count++;
    for (; at > 0 && fragments->early[(at - 1) / 2].first > entry.first; at = (at - 1) / 2)
        fragments->early[at] = fragments->early[(at - 1) / 2];
    fragments->early[at] = entry;
}

static struct early early_pop(struct fragments *fragments)
{
    struct early top = fragments->early[0], last = fragments->early[--fragments->early_count];
    fragments->early_bytes -= top.length;
    size_t at = 0, child;
    while ((child = 2 * at + 1) < fragments->early_count) {
        if (child + 1 < fragments->early_count && fragments->early[child + 1].first < fragments->early[child].first)
            child++;
        if (fragments->early[child].first >= last.first)
            break;
        fragments->early[at] = fragments->early[child];
        at = child;
    }
    fragments->early[at] = last;
    return top;
}

static void append_entry(struct fragments *fragments, const struct early *entry)
{
    if (entry->data == NULL)
        append_nulls(fragments, entry->count);
    else
        append_run(fragments, (struct span){entry->data + entry->start, entry->length}, entry->data);
    fragments->next = entry->first + entry->count;
}

static void catch_up(struct fragments *fragments)
{
    while (fragments->early_count > 0 && fragments->early[0].first == fragments->next) {
        struct early entry = early_pop(fragments);
        append_entry(fragments, &entry);
    }
}

/* --- what comes and what goes ------------------------------------------------------------------------------------- */

void fragments_add(struct fragments *fragments, uint64_t first, uint64_t count, struct span output, char *block)
{
    if (first == fragments->next) {
        append_run(fragments, output, block);
        fragments->next += count;
        catch_up(fragments);
        return;
    }
    struct early entry = {.first = first, .count = count, .data = block, .length = output.length};
    if (block != NULL) {
        entry.start = (size_t)(output.at - block);
    } else {
        entry.data = malloc(output.length + 1);
        if (entry.data == NULL)
            die("out of memory: %zu bytes", output.length);
        memcpy(entry.data, output.at, output.length);
    }
    early_push(fragments, entry);
}

void fragments_add_nulls(struct fragments *fragments, uint64_t first, uint64_t count)
{
    early_push(fragments, (struct early){.first = first, .count = count});
    catch_up(fragments);
}

bool fragments_fill(struct fragments *fragments, uint64_t items, uint64_t *first, uint64_t *end)
{
    if (fragments->next >= items)
        return false;
    *first = fragments->next;
    *end = fragments->early_count > 0 ? fragments->early[0].first : items;
    append_nulls(fragments, *end - *first);
    fragments->next = *end;
    catch_up(fragments);
    return true;
}

void fragments_begin(struct fragments *fragments, struct span head)
{
    if (fragments->block_count == 0)
        tail_room(fragments, 0);
    struct block *first = &fragments->blocks[0];
    if (first->length > 0) { /* the first result has a separator that is not wanted */
        first->start++;
        first->length--;
    }
    first->start -= head.length;
    first->length += head.length;
    memcpy(first->data + first->start, head.at, head.length);
}

struct block *fragments_end(struct fragments *fragments, struct span foot, size_t *count)
{
    append(fragments, foot.at, foot.length);
    struct block *blocks = fragments->blocks;
    *count = fragments->block_count;
    fragments->blocks = NULL;
    fragments->block_count = fragments->block_capacity = 0;
    return blocks;
}

struct span fragments_only(const struct fragments *fragments)
{
    if (fragments->block_count == 0 || fragments->blocks[0].length == 0)
        return (struct span){"null", 4};
    return (struct span){fragments->blocks[0].data + fragments->blocks[0].start + 1, fragments->blocks[0].length - 1};
}
