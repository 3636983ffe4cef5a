/* outcome: see outcome.h. */
#include "api/outcome.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/aggregate.h"
#include "workers/log.h"

#define BLOCK_LEAST (64u << 10) /* fragments are merged into blocks at least so large, */
#define BLOCK_SHARE 64          /* or the answer so far divided by this: so there are few blocks at any size */
#define HEAD_ROOM 16            /* bytes kept free before the first block's content */

/* Results that came before their turn. */
struct early {
    uint64_t first, count;
    char *data; /* NULL: nulls */
    size_t start, length;
};

struct failure {
    uint64_t item;
    enum item_error type;
    char *text; /* a JSON object; malloc()ed */
};

struct outcome {
    enum aggregate aggregate;
    struct aggregation *aggregation;
    uint64_t next;  /* the first item whose result is not in the blocks */
    struct block *blocks;
    size_t block_count, block_capacity;
    size_t tail_capacity; /* of the last block's memory; 0: it is closed */
    size_t bytes;
    struct early *early; /* a heap, least first on top */
    size_t early_count, early_capacity;
    uint64_t ok, failed;
    uint32_t listed_most;
    struct failure *failures;
    size_t failure_count, failure_capacity;
    struct span_of_items {
        uint64_t first, end;
    } *done; /* aggregates only: which items ended, merged, ascending */
    size_t done_count, done_capacity;
};

static void *grow(void *table, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return table;
    *capacity = *capacity ? *capacity * 2 : 16;
    table = realloc(table, *capacity * size);
    if (table == NULL)
        die("out of memory: %zu entries", *capacity);
    return table;
}

struct outcome *outcome_new(enum aggregate aggregate, uint32_t errors_listed)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);
    if (outcome == NULL)
        die("out of memory");
    outcome->aggregate = aggregate;
    outcome->listed_most = errors_listed > 0 ? errors_listed : 1;
    if (aggregate != AGGREGATE_NONE)
        outcome->aggregation = aggregation_new(aggregate);
    return outcome;
}

void outcome_free(struct outcome *outcome)
{
    if (outcome == NULL)
        return;
    for (size_t i = 0; i < outcome->block_count; i++)
        free(outcome->blocks[i].data);
    for (size_t i = 0; i < outcome->early_count; i++)
        free(outcome->early[i].data);
    free(outcome->blocks);
    free(outcome->early);
    for (size_t i = 0; i < outcome->failure_count; i++)
        free(outcome->failures[i].text);
    free(outcome->failures);
    free(outcome->done);
    aggregation_free(outcome->aggregation);
    free(outcome);
}

/* --- the blocks: results in order --------------------------------------------------------------------------------- */

static struct block *add_block(struct outcome *outcome, char *data, size_t start, size_t length)
{
    outcome->blocks =
        grow(outcome->blocks, outcome->block_count, &outcome->block_capacity, sizeof *outcome->blocks);
    outcome->blocks[outcome->block_count] = (struct block){data, start, length};
    return &outcome->blocks[outcome->block_count++];
}

static size_t block_bytes(const struct outcome *outcome)
{
    size_t share = outcome->bytes / BLOCK_SHARE;
    return share > BLOCK_LEAST ? share : BLOCK_LEAST;
}

/* Room for `length` more bytes at the end of the last block. */
static char *tail_room(struct outcome *outcome, size_t length)
{
    struct block *tail = outcome->block_count > 0 ? &outcome->blocks[outcome->block_count - 1] : NULL;
    if (tail != NULL && tail->start + tail->length + length <= outcome->tail_capacity)
        return tail->data + tail->start + tail->length;
    size_t capacity = block_bytes(outcome);
    if (tail == NULL)
        capacity = 512; /* most answers are short */
    else if (outcome->tail_capacity > 0 && outcome->tail_capacity < capacity) {
        while (outcome->tail_capacity < tail->start + tail->length + length)
            outcome->tail_capacity *= 4;
        tail->data = realloc(tail->data, outcome->tail_capacity);
        if (tail->data == NULL)
            die("out of memory: %zu bytes", outcome->tail_capacity);
        return tail->data + tail->start + tail->length;
    }
    if (capacity < length + HEAD_ROOM)
        capacity = length + HEAD_ROOM;
    char *data = malloc(capacity);
    if (data == NULL)
        die("out of memory: %zu bytes", capacity);
    add_block(outcome, data, outcome->block_count == 0 ? HEAD_ROOM : 0, 0);
    outcome->tail_capacity = capacity;
    return data + outcome->blocks[outcome->block_count - 1].start;
}

static void append(struct outcome *outcome, const char *bytes, size_t length)
{
    memcpy(tail_room(outcome, length), bytes, length);
    outcome->blocks[outcome->block_count - 1].length += length;
    outcome->bytes += length;
}

static void append_nulls(struct outcome *outcome, uint64_t count)
{
    static const char nulls[] = ",null,null,null,null,null,null,null,null,null,null,null,null,null,null,null,null";
    const uint64_t many = (sizeof nulls - 1) / 5;
    for (; count >= many; count -= many)
        append(outcome, nulls, sizeof nulls - 1);
    append(outcome, nulls, count * 5);
}

/* The next results in order; takes `data` if it is not NULL. */
static void append_run(struct outcome *outcome, struct span output, char *data)
{
    if (data != NULL && output.length >= block_bytes(outcome) && outcome->block_count > 0) {
        add_block(outcome, data, (size_t)(output.at - data), output.length);
        outcome->tail_capacity = 0;
        outcome->bytes += output.length;
        return;
    }
    append(outcome, output.at, output.length);
    free(data);
}

static void early_push(struct outcome *outcome, struct early entry)
{
    outcome->early = grow(outcome->early, outcome->early_count, &outcome->early_capacity, sizeof *outcome->early);
    size_t at = outcome->early_count++;
    for (; at > 0 && outcome->early[(at - 1) / 2].first > entry.first; at = (at - 1) / 2)
        outcome->early[at] = outcome->early[(at - 1) / 2];
    outcome->early[at] = entry;
}

static struct early early_pop(struct outcome *outcome)
{
    struct early top = outcome->early[0], last = outcome->early[--outcome->early_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < outcome->early_count) {
        if (child + 1 < outcome->early_count && outcome->early[child + 1].first < outcome->early[child].first)
            child++;
        if (outcome->early[child].first >= last.first)
            break;
        outcome->early[at] = outcome->early[child];
        at = child;
    }
    outcome->early[at] = last;
    return top;
}

static void append_entry(struct outcome *outcome, const struct early *entry)
{
    if (entry->data == NULL)
        append_nulls(outcome, entry->count);
    else
        append_run(outcome, (struct span){entry->data + entry->start, entry->length}, entry->data);
    outcome->next = entry->first + entry->count;
}

static void catch_up(struct outcome *outcome)
{
    while (outcome->early_count > 0 && outcome->early[0].first == outcome->next) {
        struct early entry = early_pop(outcome);
        append_entry(outcome, &entry);
    }
}

/* --- what came ---------------------------------------------------------------------------------------------------- */

/* For aggregates nothing is kept, but which items have ended must be known for not_run. */
static void mark_done(struct outcome *outcome, uint64_t first, uint64_t count)
{
    size_t at = outcome->done_count;
    while (at > 0 && outcome->done[at - 1].first > first)
        at--;
    bool left = at > 0 && outcome->done[at - 1].end == first;
    bool right = at < outcome->done_count && outcome->done[at].first == first + count;
    if (left && right) {
        outcome->done[at - 1].end = outcome->done[at].end;
        memmove(outcome->done + at, outcome->done + at + 1, (--outcome->done_count - at) * sizeof *outcome->done);
    } else if (left) {
        outcome->done[at - 1].end += count;
    } else if (right) {
        outcome->done[at].first = first;
    } else {
        outcome->done = grow(outcome->done, outcome->done_count, &outcome->done_capacity, sizeof *outcome->done);
        memmove(outcome->done + at + 1, outcome->done + at, (outcome->done_count++ - at) * sizeof *outcome->done);
        outcome->done[at].first = first;
        outcome->done[at].end = first + count;
    }
}

bool outcome_results(struct outcome *outcome, uint64_t first, uint32_t count, struct span output, char *block)
{
    outcome->ok += count;
    if (outcome->aggregation != NULL) {
        mark_done(outcome, first, count);
        bool read = aggregation_add(outcome->aggregation, output, count);
        free(block);
        return read;
    }
    if (first == outcome->next) {
        append_run(outcome, output, block);
        outcome->next += count;
        catch_up(outcome);
        return true;
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
    early_push(outcome, entry);
    return true;
}

/* The failures kept are a heap with the highest index on top: the entry at `at` goes to its place among those below. */
static void sift_down(struct outcome *outcome, size_t at)
{
    struct failure *heap = outcome->failures, moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < outcome->failure_count; at = child) {
        if (child + 1 < outcome->failure_count && heap[child + 1].item > heap[child].item)
            child++;
        if (heap[child].item <= moved.item)
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* Keeps the failures of the lowest indices, as many as may be listed and at least one. Takes `text`. */
static void keep_failure(struct outcome *outcome, struct failure failure)
{
    if (outcome->failure_count < outcome->listed_most) {
        outcome->failures =
            grow(outcome->failures, outcome->failure_count, &outcome->failure_capacity, sizeof *outcome->failures);
        outcome->failures[outcome->failure_count++] = failure;
        if (outcome->failure_count == outcome->listed_most)
            for (size_t at = outcome->failure_count / 2; at-- > 0;)
                sift_down(outcome, at);
        return;
    }
    free(outcome->failures[0].text);
    outcome->failures[0] = failure;
    sift_down(outcome, 0);
}

/* Whether a failure of this item would be listed. */
static bool is_listed(const struct outcome *outcome, uint64_t item)
{
    return outcome->failure_count < outcome->listed_most || item < outcome->failures[0].item;
}

static void add_failure(struct outcome *outcome, uint64_t item, enum item_error type, struct span members,
                        uint32_t attempts)
{
    outcome->failed++;
    if (!is_listed(outcome, item))
        return; /* most come in ascending order: past the limit they are only counted */
    struct buf text = {0};
    buf_printf(&text, "{\"index\":%llu,\"type\":\"%s\"", (unsigned long long)item, item_error_name(type));
    if (members.length > 0) {
        buf_append_char(&text, ',');
        buf_append(&text, members.at, members.length);
    }
    buf_printf(&text, ",\"attempts\":%u}", attempts);
    buf_append_char(&text, '\0');
    keep_failure(outcome, (struct failure){item, type, text.data});
}

void outcome_failure(struct outcome *outcome, uint64_t item, enum item_error type, struct span members,
                     uint32_t attempts)
{
    outcome->ok--; /* its null was counted among the results */
    add_failure(outcome, item, type, members, attempts);
}

static void describe_signal(struct buf *to, int number)
{
    const char *name = sigabbrev_np(number);
    buf_printf(to, "\"detail\":\"the worker died by SIG%s while it ran this item\",\"signal\":\"SIG%s\"",
               name ? name : "?", name ? name : "?");
}

static void describe(struct buf *to, enum item_error type, const struct outcome_death *death)
{
    switch (type) {
    case ITEM_WORKER_DIED:
        if (death->signal > 0)
            describe_signal(to, death->signal);
        else if (death->exit_code >= 0)
            buf_printf(to, "\"detail\":\"the worker exited with %d while it ran this item\",\"exit_code\":%d",
                       death->exit_code, death->exit_code);
        else
            buf_append_text(to, "\"detail\":\"the worker was lost while it ran this item\"");
        break;
    case ITEM_TIMEOUT:
        buf_printf(to, "\"detail\":\"%s of %llu ms passed; the item was stopped\",\"limit_ms\":%llu",
                   death->by_deadline ? "the call's deadline_ms" : "item_timeout_ms",
                   (unsigned long long)death->limit_ms, (unsigned long long)death->limit_ms);
        break;
    case ITEM_MEMORY_LIMIT:
        buf_printf(to, "\"detail\":\"the worker used more than its %llu bytes\",\"limit_bytes\":%llu",
                   (unsigned long long)death->limit_bytes, (unsigned long long)death->limit_bytes);
        break;
    case ITEM_UNAVAILABLE:
        buf_append_text(to, "\"detail\":\"the function crashed five times within 30 s and is not called for a while\"");
        break;
    case ITEM_SANDBOX_VIOLATION:
        buf_append_text(to, "\"detail\":\"the item tried a system call that the sandbox refuses\"");
        break;
    default:
        buf_append_text(to, "\"detail\":\"the item was not finished\"");
    }
}

void outcome_lost(struct outcome *outcome, uint64_t first, uint64_t count, enum item_error type,
                  const struct outcome_death *death)
{
    struct buf members;
    buf_init(&members);
    describe(&members, type, death);
    for (uint64_t i = 0; i < count; i++) {
        if (!is_listed(outcome, first + i)) { /* nor is any behind it */
            outcome->failed += count - i;
            break;
        }
        add_failure(outcome, first + i, type, (struct span){buf_start(&members), members.length}, death->attempts);
    }
    buf_clear(&members);
    if (outcome->aggregation != NULL) {
        mark_done(outcome, first, count);
        return;
    }
    early_push(outcome, (struct early){.first = first, .count = count});
    catch_up(outcome);
}

uint64_t outcome_failed(const struct outcome *outcome)
{
    return outcome->failed;
}

const char *outcome_refused(const struct outcome *outcome)
{
    return outcome->aggregation != NULL ? aggregation_refused(outcome->aggregation) : NULL;
}

const char *outcome_first_error(const struct outcome *outcome, uint64_t *index, enum item_error *type)
{
    const struct failure *first = outcome->failures;
    if (outcome->failure_count == 0)
        return NULL;
    for (size_t i = 1; i < outcome->failure_count; i++)
        if (outcome->failures[i].item < first->item)
            first = &outcome->failures[i];
    *index = first->item;
    *type = first->type;
    return first->text;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

struct gaps {
    struct buf *text;
    uint64_t count;
};

static void gap(struct gaps *gaps, uint64_t first, uint64_t end)
{
    if (first >= end)
        return;
    buf_printf(gaps->text, "%s[%llu,%llu]", gaps->count > 0 ? "," : "", (unsigned long long)first,
               (unsigned long long)end - 1);
    gaps->count += end - first;
}

/* Puts nulls for what has no result, and lists those ranges. */
static uint64_t close_gaps(struct outcome *outcome, uint64_t items, struct buf *text)
{
    struct gaps gaps = {.text = text};
    if (outcome->aggregation != NULL) {
        uint64_t at = 0;
        for (size_t i = 0; i < outcome->done_count; at = outcome->done[i++].end)
            gap(&gaps, at, outcome->done[i].first);
        gap(&gaps, at, items);
        return gaps.count;
    }
    while (outcome->next < items) {
        uint64_t end = outcome->early_count > 0 ? outcome->early[0].first : items;
        gap(&gaps, outcome->next, end);
        append_nulls(outcome, end - outcome->next);
        outcome->next = end;
        catch_up(outcome);
    }
    return gaps.count;
}

static int compare_failures(const void *a, const void *b)
{
    const struct failure *x = a, *y = b;
    return (x->item > y->item) - (x->item < y->item);
}

static void print_failures(struct outcome *outcome, struct buf *to, enum ended ended, uint64_t not_run,
                           const struct buf *gaps)
{
    static const char *const names[] = {"complete", "stopped", "deadline", "cancelled"};
    if (outcome->failure_count > 0)
        qsort(outcome->failures, outcome->failure_count, sizeof *outcome->failures, compare_failures);
    buf_printf(to, ",\"ended\":\"%s\",\"ok\":%llu,\"failed\":%llu,\"errors\":[", names[ended],
               (unsigned long long)outcome->ok, (unsigned long long)outcome->failed);
    for (size_t i = 0; i < outcome->failure_count; i++) {
        if (i > 0)
            buf_append_char(to, ',');
        buf_append_text(to, outcome->failures[i].text);
    }
    buf_printf(to, "],\"errors_omitted\":%llu,\"not_run\":[",
               (unsigned long long)(outcome->failed - outcome->failure_count));
    if (not_run > 0)
        buf_append(to, buf_start(gaps), gaps->length);
    buf_append_char(to, ']');
}

struct block *outcome_answer(struct outcome *outcome, uint64_t items, enum ended ended, struct span trace,
                             size_t *count)
{
    struct buf gaps = {0}, foot = {0};
    uint64_t not_run = close_gaps(outcome, items, &gaps);
    static const char head[] = "{\"results\":[";
    _Static_assert(sizeof head - 1 <= HEAD_ROOM, "the head fits before the first block");
    if (outcome->aggregation != NULL) {
        buf_append_char(&foot, '{');
        aggregation_print(outcome->aggregation, &foot);
    } else {
        if (outcome->block_count == 0)
            tail_room(outcome, 0);
        struct block *first = &outcome->blocks[0];
        if (first->length > 0) { /* the first result has a separator that is not wanted */
            first->start++;
            first->length--;
        }
        first->start -= sizeof head - 1;
        first->length += sizeof head - 1;
        memcpy(first->data + first->start, head, sizeof head - 1);
        buf_append_char(&foot, ']');
    }
    if (outcome->failed > 0 || not_run > 0)
        print_failures(outcome, &foot, ended, not_run, &gaps);
    if (trace.length > 0) {
        buf_append_text(&foot, ",\"trace\":");
        buf_append(&foot, trace.at, trace.length);
    }
    buf_append_char(&foot, '}');
    append(outcome, buf_start(&foot), foot.length);
    buf_clear(&gaps);
    buf_clear(&foot);
    struct block *blocks = outcome->blocks;
    *count = outcome->block_count;
    outcome->blocks = NULL;
    outcome->block_count = outcome->block_capacity = 0;
    return blocks;
}

struct span outcome_only(const struct outcome *outcome)
{
    if (outcome->block_count == 0 || outcome->blocks[0].length == 0)
        return (struct span){"null", 4};
    return (struct span){outcome->blocks[0].data + outcome->blocks[0].start + 1, outcome->blocks[0].length - 1};
}
