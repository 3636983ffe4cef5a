/* Tests of api/outcome.h: answers made of large fragments, of how few blocks they are and who owns them; and the cases
 * at the edges that test_outcome.c has no dice for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "api/outcome.h"

#define BLOCKS_MOST 900             /* what is sent without being copied once more */
#define OWNED_LEAST ((size_t)33000) /* fragments from about this size on come with their memory */
#define MIB ((size_t)1 << 20)

/* --- large answers ------------------------------------------------------------------------------------------------ */

typedef size_t size_of_fragment(size_t index, size_t before);

static size_t small_ones(size_t index, size_t before)
{
    return 700;
}

static size_t just_owned(size_t index, size_t before)
{
    return OWNED_LEAST;
}

static size_t as_workers_send(size_t index, size_t before)
{
    return 256 << 10;
}

static size_t mixed(size_t index, size_t before)
{
    static const size_t sizes[] = {MIB, 40000, 9};
    return sizes[index % 3];
}

static size_t one_large_then_small(size_t index, size_t before)
{
    return index == 0 ? 20 * MIB : 3000;
}

/* Items that grow with the answer, whose results come one by one with short ones between them. */
static size_t growing(size_t index, size_t before)
{
    size_t share = before / 256 + 100;
    return index % 2 ? 10 : share > OWNED_LEAST ? share : OWNED_LEAST;
}

static size_t growing_twice_as_fast(size_t index, size_t before)
{
    return 2 * growing(index, before);
}

static char byte_of(size_t index)
{
    return (char)('0' + index % 10);
}

/* A comma, then the same digit over and over. */
static void add_fragment(struct outcome *outcome, size_t index, size_t size)
{
    char *data = malloc(size + 8), *output = data + 8; /* a frame's header before it */
    assert_non_null(data);
    memset(output, byte_of(index), size);
    *output = ',';
    bool owned = size >= OWNED_LEAST;
    assert_true(outcome_results(outcome, index, 1, (struct span){output, size}, owned ? data : NULL));
    if (!owned)
        free(data);
}

/* Reads the blocks as one text. */
struct reader {
    struct block *blocks;
    size_t count, at, offset;
};

static void expect(struct reader *reader, const char *text, size_t length, char fill)
{
    while (length > 0) {
        assert_true(reader->at < reader->count);
        const struct block *block = &reader->blocks[reader->at];
        size_t most = block->length - reader->offset, taken = length < most ? length : most;
        const char *data = block->data + block->start + reader->offset;
        if (text != NULL) {
            assert_memory_equal(data, text, taken);
            text += taken;
        } else if (taken > 0) { /* all the same: the first is right, and each is as the one before */
            assert_int_equal(*data, fill);
            assert_true(memcmp(data, data + 1, taken - 1) == 0);
        }
        length -= taken;
        reader->offset += taken;
        if (reader->offset == block->length) {
            reader->at++;
            reader->offset = 0;
        }
    }
}

static void check_large(size_of_fragment *size, size_t bytes, bool reversed)
{
    struct outcome *outcome = outcome_new(AGGREGATE_NONE, 1000);
    size_t fragments = 0, before = 0;
    for (; before < bytes; fragments++)
        before += size(fragments, before);
    before = 0;
    for (size_t i = 0; i < fragments; i++) {
        size_t index = reversed ? fragments - 1 - i : i, length = size(index, before);
        add_fragment(outcome, index, length);
        before += length;
    }
    struct reader reader = {0};
    reader.blocks = outcome_answer(outcome, fragments, ENDED_COMPLETE, (struct span){0}, &reader.count);
    outcome_free(outcome); /* the blocks are ours */
    assert_true(reader.count <= BLOCKS_MOST);
    before = 0;
    expect(&reader, "{\"results\":[", 12, 0);
    for (size_t i = 0; i < fragments; i++) {
        size_t length = size(i, before);
        if (i > 0)
            expect(&reader, ",", 1, 0);
        expect(&reader, NULL, length - 1, byte_of(i));
        before += length;
    }
    expect(&reader, "]}", 2, 0);
    assert_int_equal(reader.at, reader.count);
    for (size_t i = 0; i < reader.count; i++)
        free(reader.blocks[i].data);
    free(reader.blocks);
}

static void large_answers_are_a_few_blocks(void **state)
{
    check_large(small_ones, 24 * MIB, false);
    check_large(just_owned, 64 * MIB, false);
    check_large(as_workers_send, 96 * MIB, false);
    check_large(mixed, 64 * MIB, false);
    check_large(one_large_then_small, 32 * MIB, false);
}

static void what_came_early_is_put_behind(void **state)
{
    check_large(small_ones, 2 * MIB, true);
    check_large(just_owned, 16 * MIB, true);
    check_large(as_workers_send, 16 * MIB, true);
    check_large(mixed, 16 * MIB, true);
}

static void no_sizes_make_many_blocks(void **state)
{
    check_large(growing, 64 * MIB, false);
    check_large(growing_twice_as_fast, 64 * MIB, false);
}

/* --- edges -------------------------------------------------------------------------------------------------------- */

static void assert_answer(struct outcome *outcome, uint64_t items, enum ended ended, const char *wanted)
{
    struct buf given = {0};
    size_t count;
    struct block *blocks = outcome_answer(outcome, items, ended, (struct span){0}, &count);
    for (size_t i = 0; i < count; i++) {
        buf_append(&given, blocks[i].data + blocks[i].start, blocks[i].length);
        free(blocks[i].data);
    }
    free(blocks);
    outcome_free(outcome);
    buf_append_char(&given, '\0');
    assert_string_equal(buf_start(&given), wanted);
    buf_clear(&given);
}

static void nothing_is_an_answer_too(void **state)
{
    assert_answer(outcome_new(AGGREGATE_NONE, 10), 0, ENDED_COMPLETE, "{\"results\":[]}");
    assert_answer(outcome_new(AGGREGATE_COUNTS, 10), 0, ENDED_COMPLETE, "{\"counts\":[],\"unique\":0}");
    assert_answer(outcome_new(AGGREGATE_SUM, 10), 0, ENDED_COMPLETE, "{\"aggregate\":0}");
    assert_answer(outcome_new(AGGREGATE_NONE, 10), 3, ENDED_STOPPED,
                  "{\"results\":[null,null,null],\"ended\":\"stopped\",\"ok\":0,\"failed\":0,\"errors\":[],"
                  "\"errors_omitted\":0,\"not_run\":[[0,2]]}");
    assert_answer(outcome_new(AGGREGATE_MEAN, 10), 3, ENDED_CANCELLED,
                  "{\"aggregate\":null,\"ended\":\"cancelled\",\"ok\":0,\"failed\":0,\"errors\":[],"
                  "\"errors_omitted\":0,\"not_run\":[[0,2]]}");
    outcome_free(NULL);
}

static void the_only_result_has_no_separator(void **state)
{
    struct outcome *outcome = outcome_new(AGGREGATE_NONE, 10);
    assert_int_equal(outcome_only(outcome).length, 4);
    assert_true(outcome_results(outcome, 0, 1, (struct span){",[1,2]", 6}, NULL));
    struct span only = outcome_only(outcome);
    assert_int_equal(only.length, 5);
    assert_memory_equal(only.at, "[1,2]", 5);
    outcome_free(outcome);
}

/* From the last to the first, each takes the place of the highest listed so far. */
static void the_first_failures_are_listed(void **state)
{
    struct outcome *outcome = outcome_new(AGGREGATE_NONE, 2);
    for (uint64_t item = 5; item-- > 0;) {
        assert_true(outcome_results(outcome, item, 1, (struct span){",null", 5}, NULL));
        outcome_failure(outcome, item, ITEM_BAD_ITEM, (struct span){0}, 1);
    }
    assert_int_equal(outcome_failed(outcome), 5);
    assert_answer(
        outcome, 5, ENDED_COMPLETE,
        "{\"results\":[null,null,null,null,null],\"ended\":\"complete\",\"ok\":0,\"failed\":5,\"errors\":["
        "{\"index\":0,\"type\":\"bad_item\",\"attempts\":1},{\"index\":1,\"type\":\"bad_item\",\"attempts\":1}"
        "],\"errors_omitted\":3,\"not_run\":[]}");
}

static void a_great_loss_is_counted_not_listed(void **state)
{
    enum { LOST = 300000 };
    static const struct outcome_death deadline = {.attempts = 1, .exit_code = -1, .by_deadline = true, .limit_ms = 250};
    struct outcome *outcome = outcome_new(AGGREGATE_COUNTS, 1);
    assert_true(outcome_results(outcome, LOST, 2, (struct span){"\n7\n7", 4}, NULL));
    outcome_lost(outcome, 0, LOST, ITEM_TIMEOUT, &deadline);
    assert_int_equal(outcome_failed(outcome), LOST);
    assert_answer(outcome, LOST + 4, ENDED_DEADLINE,
                  "{\"counts\":[{\"value\":7,\"count\":2}],\"unique\":1,\"ended\":\"deadline\",\"ok\":2,"
                  "\"failed\":300000,\"errors\":[{\"index\":0,\"type\":\"timeout\",\"detail\":\"the call's deadline_ms "
                  "of 250 ms passed; the item was stopped\",\"limit_ms\":250,\"attempts\":1}],"
                  "\"errors_omitted\":299999,\"not_run\":[[300002,300003]]}");
}

static void a_death_says_how(void **state)
{
    static const struct {
        enum item_error type;
        struct outcome_death death;
        const char *says;
    } rows[] = {
        {ITEM_WORKER_DIED, {.signal = SIGKILL, .exit_code = -1}, "\"signal\":\"SIGKILL\""},
        {ITEM_WORKER_DIED, {.exit_code = 3}, "\"exit_code\":3"},
        {ITEM_WORKER_DIED, {.exit_code = -1}, "the worker was lost"},
        {ITEM_TIMEOUT, {.exit_code = -1, .limit_ms = 30000}, "item_timeout_ms of 30000 ms passed"},
        {ITEM_MEMORY_LIMIT, {.exit_code = -1, .limit_bytes = 1 << 20}, "\"limit_bytes\":1048576"},
        {ITEM_UNAVAILABLE, {.exit_code = -1}, "\"type\":\"unavailable\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outcome *outcome = outcome_new(AGGREGATE_NONE, 10);
        outcome_lost(outcome, 0, 1, rows[i].type, &rows[i].death);
        uint64_t index;
        enum item_error type;
        const char *error = outcome_first_error(outcome, &index, &type);
        assert_int_equal(type, rows[i].type);
        assert_non_null(strstr(error, rows[i].says));
        outcome_free(outcome);
    }
}

static void what_an_aggregate_cannot_take_is_told(void **state)
{
    struct outcome *outcome = outcome_new(AGGREGATE_SUM, 10);
    assert_true(outcome_results(outcome, 0, 2, (struct span){",1,\"a\"", 6}, NULL));
    assert_string_equal(outcome_refused(outcome), "string");
    char *block = malloc(4); /* taken, though its text is a lie */
    assert_non_null(block);
    memcpy(block, ",1,2", 4);
    assert_false(outcome_results(outcome, 2, 3, (struct span){block, 4}, block));
    outcome_free(outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_answers_are_a_few_blocks),
        cmocka_unit_test(what_came_early_is_put_behind),
        cmocka_unit_test(no_sizes_make_many_blocks),
        cmocka_unit_test(nothing_is_an_answer_too),
        cmocka_unit_test(the_only_result_has_no_separator),
        cmocka_unit_test(the_first_failures_are_listed),
        cmocka_unit_test(a_great_loss_is_counted_not_listed),
        cmocka_unit_test(a_death_says_how),
        cmocka_unit_test(what_an_aggregate_cannot_take_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
