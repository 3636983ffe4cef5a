/* Tests of api/outcome.h: what a call's items became, told in random order, against an answer written from the plan in
 * item order; then how many blocks large answers are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "api/outcome.h"

#define ITEMS_MOST 400
#define ANSWER_BLOCKS_MOST 900 /* what is sent without being copied once more */

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* --- a call as it is planned -------------------------------------------------------------------------------------- */

enum fate { FATE_RESULT, FATE_ERROR, FATE_LOST, FATE_NOT_RUN };

struct part {
    uint64_t first;
    uint32_t count;
    bool lost, run, owned; /* owned: the outcome gets the memory */
};

struct story {
    uint64_t items;
    enum fate fate[ITEMS_MOST];
    struct part parts[ITEMS_MOST];
    size_t part_count;
    uint32_t errors_listed;
};

/* What item i gives: numbers of many lengths, now and then a long one. */
static void print_value(struct buf *to, uint64_t item)
{
    buf_printf(to, "%llu", (unsigned long long)(item * item * (item % 7 == 0 ? 1000003 : 1)));
    for (uint64_t zeros = item % 50 == 49 ? 3000 : 0; zeros > 0; zeros--)
        buf_append_char(to, '0');
}

static void story_draw(struct story *story, uint64_t *seed)
{
    memset(story, 0, sizeof *story);
    story->items = draw(seed) % (ITEMS_MOST + 1);
    story->errors_listed = (uint32_t)(draw(seed) % 4 == 0 ? 1 + draw(seed) % 10 : 1000);
    unsigned calm = draw(seed) % 3; /* 0: nothing fails */
    unsigned longest = draw(seed) % 2 ? 40 : 4;
    for (uint64_t item = 0; item < story->items;) {
        struct part *part = &story->parts[story->part_count++];
        *part = (struct part){.first = item, .run = true, .owned = draw(seed) % 2};
        part->count = 1 + (uint32_t)(draw(seed) % longest);
        if (part->count > story->items - item)
            part->count = (uint32_t)(story->items - item);
        unsigned chance = calm == 0 ? 9 : draw(seed) % 10;
        part->run = chance != 0;
        part->lost = chance == 1;
        for (uint32_t i = 0; i < part->count; i++, item++)
            story->fate[item] = !part->run                                  ? FATE_NOT_RUN
                                : part->lost                                ? FATE_LOST
                                : calm != 0 && draw(seed) % (4 * calm) == 0 ? FATE_ERROR
                                                                            : FATE_RESULT;
    }
}

static void shuffle(struct part *parts, size_t count, uint64_t *seed)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = draw(seed) % i;
        struct part swap = parts[i - 1];
        parts[i - 1] = parts[other];
        parts[other] = swap;
    }
}

static void tell_results(struct outcome *outcome, const struct story *story, const struct part *part)
{
    struct buf text = {0};
    buf_append_text(&text, "head"); /* a frame has more than the output */
    for (uint32_t i = 0; i < part->count; i++) {
        buf_append_char(&text, ',');
        if (story->fate[part->first + i] == FATE_RESULT)
            print_value(&text, part->first + i);
        else
            buf_append_text(&text, "null");
    }
    buf_exact(&text, text.length); /* a byte read or written behind it is seen */
    struct span output = {buf_start(&text) + 4, text.length - 4};
    assert_true(outcome_results(outcome, part->first, part->count, output, part->owned ? text.data : NULL));
    if (!part->owned)
        buf_clear(&text);
    for (uint32_t i = 0; i < part->count; i++)
        if (story->fate[part->first + i] == FATE_ERROR)
            outcome_failure(outcome, part->first + i, ITEM_FUNCTION_ERROR, (struct span){"\"detail\":\"odd\"", 14}, 1);
}

static void tell(struct outcome *outcome, const struct story *story, uint64_t *seed)
{
    static const struct outcome_death death = {.attempts = 2, .signal = SIGSEGV, .exit_code = -1};
    struct part parts[ITEMS_MOST];
    memcpy(parts, story->parts, sizeof parts);
    if (draw(seed) % 4 > 0)
        shuffle(parts, story->part_count, seed);
    for (size_t i = 0; i < story->part_count; i++) {
        if (parts[i].lost)
            outcome_lost(outcome, parts[i].first, parts[i].count, ITEM_WORKER_DIED, &death);
        else if (parts[i].run)
            tell_results(outcome, story, &parts[i]);
    }
}

/* --- the answer as it must be ------------------------------------------------------------------------------------- */

static uint64_t failures(const struct story *story)
{
    uint64_t failed = 0;
    for (uint64_t i = 0; i < story->items; i++)
        failed += story->fate[i] == FATE_ERROR || story->fate[i] == FATE_LOST;
    return failed;
}

static void write_errors(const struct story *story, struct buf *to)
{
    uint32_t listed = 0;
    buf_append_text(to, "\"errors\":[");
    for (uint64_t i = 0; i < story->items && listed < story->errors_listed; i++) {
        if (story->fate[i] != FATE_ERROR && story->fate[i] != FATE_LOST)
            continue;
        buf_printf(to, "%s{\"index\":%llu,", listed++ > 0 ? "," : "", (unsigned long long)i);
        buf_append_text(to, story->fate[i] == FATE_ERROR
                                ? "\"type\":\"function_error\",\"detail\":\"odd\",\"attempts\":1}"
                                : "\"type\":\"worker_died\",\"detail\":\"the worker died by SIGSEGV while it ran this "
                                  "item\",\"signal\":\"SIGSEGV\",\"attempts\":2}");
    }
    buf_printf(to, "],\"errors_omitted\":%llu", (unsigned long long)(failures(story) - listed));
}

static void write_not_run(const struct story *story, struct buf *to)
{
    const char *comma = "";
    buf_append_text(to, ",\"not_run\":[");
    for (uint64_t i = 0, end; i < story->items; i = end) {
        for (end = i; end < story->items && story->fate[end] == FATE_NOT_RUN; end++)
            ;
        if (end > i) {
            buf_printf(to, "%s[%llu,%llu]", comma, (unsigned long long)i, (unsigned long long)end - 1);
            comma = ",";
        } else {
            end++;
        }
    }
    buf_append_char(to, ']');
}

static void write_results(const struct story *story, struct buf *to)
{
    buf_append_text(to, "\"results\":[");
    for (uint64_t i = 0; i < story->items; i++) {
        if (i > 0)
            buf_append_char(to, ',');
        if (story->fate[i] == FATE_RESULT)
            print_value(to, i);
        else
            buf_append_text(to, "null");
    }
    buf_append_char(to, ']');
}

/* The values are 0, 1, 4, …: ascending, but for those of every seventh and fiftieth item; the greatest is the last long
 * one, or the last of every seventh. */
static void write_max(const struct story *story, struct buf *to)
{
    struct buf best = {0}, value = {0};
    for (uint64_t i = 0; i < story->items; i++) {
        if (story->fate[i] != FATE_RESULT)
            continue;
        buf_reset(&value);
        print_value(&value, i);
        if (value.length < best.length ||
            (value.length == best.length && memcmp(buf_start(&value), buf_start(&best), value.length) < 0))
            continue;
        buf_reset(&best);
        buf_append(&best, buf_start(&value), value.length);
    }
    buf_append_text(to, "\"aggregate\":");
    if (best.length > 0)
        buf_append(to, buf_start(&best), best.length);
    else
        buf_append_text(to, "null");
    buf_clear(&best);
    buf_clear(&value);
}

static void write_answer(const struct story *story, enum aggregate aggregate, struct buf *to)
{
    uint64_t failed = failures(story), left = 0;
    for (uint64_t i = 0; i < story->items; i++)
        left += story->fate[i] == FATE_NOT_RUN;
    buf_append_char(to, '{');
    (aggregate == AGGREGATE_NONE ? write_results : write_max)(story, to);
    if (failed > 0 || left > 0) {
        buf_printf(to, ",\"ended\":\"deadline\",\"ok\":%llu,\"failed\":%llu,",
                   (unsigned long long)(story->items - failed - left), (unsigned long long)failed);
        write_errors(story, to);
        write_not_run(story, to);
    }
    buf_append_text(to, ",\"trace\":[7]}");
}

/* --- one against the other ---------------------------------------------------------------------------------------- */

/* Joins the blocks and frees them. */
static size_t join(struct outcome *outcome, uint64_t items, struct span trace, struct buf *to)
{
    size_t count;
    struct block *blocks = outcome_answer(outcome, items, ENDED_DEADLINE, trace, &count);
    for (size_t i = 0; i < count; i++) {
        buf_append(to, blocks[i].data + blocks[i].start, blocks[i].length);
        free(blocks[i].data);
    }
    free(blocks);
    return count;
}

static void check_first_error(struct outcome *outcome, const struct story *story)
{
    uint64_t index = 0, first = 0;
    enum item_error type = ITEM_OK;
    const char *error = outcome_first_error(outcome, &index, &type);
    if (failures(story) == 0) {
        assert_null(error);
        return;
    }
    while (story->fate[first] != FATE_ERROR && story->fate[first] != FATE_LOST)
        first++;
    assert_non_null(error);
    assert_int_equal(index, first);
    assert_int_equal(type, story->fate[first] == FATE_ERROR ? ITEM_FUNCTION_ERROR : ITEM_WORKER_DIED);
    assert_int_equal(strncmp(error, "{\"index\":", 9), 0);
    assert_int_equal(error[strlen(error) - 1], '}');
}

static void stories_are_told_in_any_order(enum aggregate aggregate, uint64_t seed, int times)
{
    for (int i = 0; i < times; i++) {
        struct story story;
        struct buf wanted = {0}, given = {0};
        story_draw(&story, &seed);
        struct outcome *outcome = outcome_new(aggregate, story.errors_listed);
        tell(outcome, &story, &seed);
        assert_int_equal(outcome_failed(outcome), failures(&story));
        assert_null(outcome_refused(outcome));
        check_first_error(outcome, &story);
        write_answer(&story, aggregate, &wanted);
        join(outcome, story.items, (struct span){"[7]", 3}, &given);
        outcome_free(outcome);
        assert_int_equal(given.length, wanted.length);
        assert_memory_equal(buf_start(&given), buf_start(&wanted), wanted.length);
        buf_clear(&wanted);
        buf_clear(&given);
    }
}

static void results_are_put_in_order(void **state)
{
    stories_are_told_in_any_order(AGGREGATE_NONE, 21, 1500);
}

static void aggregates_keep_nothing_but_tell_the_same(void **state)
{
    stories_are_told_in_any_order(AGGREGATE_MAX, 22, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_put_in_order),
        cmocka_unit_test(aggregates_keep_nothing_but_tell_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
