/* failures: see failures.h. */
#include "api/failures.h"

#include <signal.h>
#include <stdlib.h>

#include "api/outcome.h"
#include "api/table.h"

struct failure {
    uint64_t item;
    enum item_error type;
    char *text; /* a JSON object; malloc()ed */
};

void failures_init(struct failures *failures, uint32_t listed_most)
{
    *failures = (struct failures){.listed_most = listed_most > 0 ? listed_most : 1};
}

void failures_clear(struct failures *failures)
{
    for (size_t i = 0; i < failures->count; i++)
        free(failures->listed[i].text);
    free(failures->listed);
}

/* --- those that are listed ---------------------------------------------------------------------------------------- */

/* The failures kept are a heap with the highest index on top: the entry at `at` goes to its place among those below. */
static void sift_down(struct failures *failures, size_t at)
{
    struct failure *heap = failures->listed, moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < failures->count; at = child) {
        if (child + 1 < failures->count && heap[child + 1].item > heap[child].item)
            child++;
        if (heap[child].item <= moved.item)
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* Keeps the failures of the lowest indices, as many as may be listed and at least one. Takes `text`. */
static void keep_failure(struct failures *failures, struct failure failure)
{
    if (failures->count < failures->listed_most) {
        failures->listed = table_grow(failures->listed, failures->count, &failures->capacity, sizeof *failures->listed);
        failures->listed[failures->count++] = failure;
        if (failures->count == failures->listed_most)
            for (size_t at = failures->count / 2; at-- > 0;)
                sift_down(failures, at);
        return;
    }
    free(failures->listed[0].text);
    failures->listed[0] = failure;
    sift_down(failures, 0);
}

/* Whether a failure of this item would be listed. */
static bool is_listed(const struct failures *failures, uint64_t item)
{
    return failures->count < failures->listed_most || item < failures->listed[0].item;
}

void failures_add(struct failures *failures, uint64_t item, enum item_error type, struct span members,
                  uint32_t attempts)
{
    failures->failed++;
    if (!is_listed(failures, item))
        return; /* most come in ascending order: past the limit they are only counted */
    struct buf text = {0};
    buf_printf(&text, "{\"index\":%llu,\"type\":\"%s\"", (unsigned long long)item, item_error_name(type));
    if (members.length > 0) {
        buf_append_char(&text, ',');
        buf_append(&text, members.at, members.length);
    }
    buf_printf(&text, ",\"attempts\":%u}", attempts);
    buf_append_char(&text, '\0');
    keep_failure(failures, (struct failure){item, type, text.data});
}

/* --- how items failed that their worker says nothing of ----------------------------------------------------------- */

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

void failures_add_lost(struct failures *failures, uint64_t first, uint64_t count, enum item_error type,
                       const struct outcome_death *death)
{
    struct buf members;
    buf_init(&members);
    describe(&members, type, death);
    for (uint64_t i = 0; i < count; i++) {
        if (!is_listed(failures, first + i)) { /* nor is any behind it */
            failures->failed += count - i;
            break;
        }
        failures_add(failures, first + i, type, (struct span){buf_start(&members), members.length}, death->attempts);
    }
    buf_clear(&members);
}

/* --- what is told of them ----------------------------------------------------------------------------------------- */

const char *failures_first(const struct failures *failures, uint64_t *index, enum item_error *type)
{
    const struct failure *first = failures->listed;
    if (failures->count == 0)
        return NULL;
    for (size_t i = 1; i < failures->count; i++)
        if (failures->listed[i].item < first->item)
            first = &failures->listed[i];
    *index = first->item;
    *type = first->type;
    return first->text;
}

static int compare_failures(const void *a, const void *b)
{
    const struct failure *x = a, *y = b;
    return (x->item > y->item) - (x->item < y->item);
}

void failures_print(struct failures *failures, struct buf *to)
{
    if (failures->count > 0)
        qsort(failures->listed, failures->count, sizeof *failures->listed, compare_failures);
    buf_append_text(to, "\"errors\":[");
    for (size_t i = 0; i < failures->count; i++) {
        if (i > 0)
            buf_append_char(to, ',');
        buf_append_text(to, failures->listed[i].text);
    }
    buf_printf(to, "],\"errors_omitted\":%llu", (unsigned long long)(failures->failed - failures->count));
}
