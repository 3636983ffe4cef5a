/* outcome: see outcome.h. Here is what ties its parts together: fragments (results in order) or an aggregation of them,
 * failures, and which items nothing came for. */
#include "api/outcome.h"

#include <stdlib.h>

#include "api/aggregate.h"
#include "api/failures.h"
#include "api/fragments.h"
#include "api/table.h"
#include "workers/log.h"

struct outcome {
    struct aggregation *aggregation; /* NULL: the results themselves are asked for */
    struct fragments fragments;
    struct failures failures;
    uint64_t ok;
    struct span_of_items {
        uint64_t first, end;
    } * done; /* aggregates only: which items ended, merged, ascending */
    size_t done_count, done_capacity;
};

struct outcome *outcome_new(enum aggregate aggregate, uint32_t errors_listed)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);
    if (outcome == NULL)
        die("out of memory");
    failures_init(&outcome->failures, errors_listed);
    if (aggregate != AGGREGATE_NONE)
        outcome->aggregation = aggregation_new(aggregate);
    return outcome;
}

void outcome_free(struct outcome *outcome)
{
    if (outcome == NULL)
        return;
    fragments_clear(&outcome->fragments);
    failures_clear(&outcome->failures);
    free(outcome->done);
    aggregation_free(outcome->aggregation);
    free(outcome);
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
        outcome->done = table_grow(outcome->done, outcome->done_count, &outcome->done_capacity, sizeof *outcome->done);
        memmove(outcome->done + at + 1, outcome->done + at, (outcome->done_count++ - at) * sizeof *outcome->done);
        outcome->done[at].first = first;
        outcome->done[at].end = first + count;
    }
}

bool outcome_results(struct outcome *outcome, uint64_t first, uint32_t count, struct span output, char *block)
{
    outcome->ok += count;
    if (outcome->aggregation == NULL) {
        fragments_add(&outcome->fragments, first, count, output, block);
        return true;
    }
    mark_done(outcome, first, count);
    bool read = aggregation_add(outcome->aggregation, output, count);
    free(block);
    return read;
}

void outcome_failure(struct outcome *outcome, uint64_t item, enum item_error type, struct span members,
                     uint32_t attempts)
{
    outcome->ok--; /* its null was counted among the results */
    failures_add(&outcome->failures, item, type, members, attempts);
}

void outcome_lost(struct outcome *outcome, uint64_t first, uint64_t count, enum item_error type,
                  const struct outcome_death *death)
{
    failures_add_lost(&outcome->failures, first, count, type, death);
    if (outcome->aggregation != NULL)
        mark_done(outcome, first, count);
    else
        fragments_add_nulls(&outcome->fragments, first, count);
}

uint64_t outcome_failed(const struct outcome *outcome)
{
    return outcome->failures.failed;
}

size_t outcome_bytes(const struct outcome *outcome)
{
    if (outcome->aggregation != NULL)
        return aggregation_bytes(outcome->aggregation);
    return outcome->fragments.bytes + outcome->fragments.early_bytes;
}

const char *outcome_refused(const struct outcome *outcome)
{
    return outcome->aggregation != NULL ? aggregation_refused(outcome->aggregation) : NULL;
}

const char *outcome_first_error(const struct outcome *outcome, uint64_t *index, enum item_error *type)
{
    return failures_first(&outcome->failures, index, type);
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
    uint64_t first = 0, end;
    if (outcome->aggregation == NULL) {
        while (fragments_fill(&outcome->fragments, items, &first, &end))
            gap(&gaps, first, end);
        return gaps.count;
    }
    for (size_t i = 0; i < outcome->done_count; first = outcome->done[i++].end)
        gap(&gaps, first, outcome->done[i].first);
    gap(&gaps, first, items);
    return gaps.count;
}

static void print_failures(struct outcome *outcome, struct buf *to, enum ended ended, uint64_t not_run,
                           const struct buf *gaps)
{
    static const char *const names[] = {"complete", "stopped", "deadline", "cancelled"};
    buf_printf(to, ",\"ended\":\"%s\",\"ok\":%llu,\"failed\":%llu,", names[ended], (unsigned long long)outcome->ok,
               (unsigned long long)outcome->failures.failed);
    failures_print(&outcome->failures, to);
    buf_append_text(to, ",\"not_run\":[");
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
    _Static_assert(sizeof head - 1 <= FRAGMENTS_HEAD_ROOM, "the head fits before the first block");
    if (outcome->aggregation != NULL) {
        buf_append_char(&foot, '{');
        aggregation_print(outcome->aggregation, &foot);
    } else {
        fragments_begin(&outcome->fragments, (struct span){head, sizeof head - 1});
        buf_append_char(&foot, ']');
    }
    if (outcome->failures.failed > 0 || not_run > 0)
        print_failures(outcome, &foot, ended, not_run, &gaps);
    if (trace.length > 0) {
        buf_append_text(&foot, ",\"trace\":");
        buf_append(&foot, trace.at, trace.length);
    }
    buf_append_char(&foot, '}');
    struct block *blocks = fragments_end(&outcome->fragments, (struct span){buf_start(&foot), foot.length}, count);
    buf_clear(&gaps);
    buf_clear(&foot);
    return blocks;
}

struct span outcome_only(const struct outcome *outcome)
{
    return fragments_only(&outcome->fragments);
}
