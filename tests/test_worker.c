/* worker: the real one, driven over its pipes: every form of items, every flag, what the status page shows, how frames
 * may be cut, how it leaves. */
#include "tests/rig.h"

#include <string.h>

#include "tests/serve.h"
#include "workers/roll.h"

static const struct {
    const char *function;
    struct task_message task;
    const char *output;
    uint32_t failed;
    const char *error; /* in the error records */
} tasks[] = {
    {"squared", {.count = 3, .payload = {"1, 2 ,3", 0}}, ",1,4,9", 0, NULL},
    {"squared", {.count = 3, .separator = '\n', .payload = {"1,2,3", 0}}, "\n1\n4\n9", 0, NULL},
    {"echo", {.count = 2, .payload = {"[1, \"a,b\"],{\"c\":[]}", 0}}, ",[1, \"a,b\"],{\"c\":[]}", 0, NULL},
    {"squared", {.count = 3, .payload = {"1,\"x\",3", 0}}, ",1,null,9", 1, "\"name\":\"TypeError\""},
    {"squared", {.count = 3, .format = ITEMS_LINES, .payload = {"1\r\n\n2\n3\n", 0}}, ",1,4,9", 0, NULL},
    {"squared", {.count = 3, .format = ITEMS_LINES, .payload = {"1\n2 2\n3", 0}}, ",1,null,9", 1, "malformed JSON"},
    {"length", {.count = 3, .format = ITEMS_TEXT, .payload = {"a\n\nb \"c\"\r", 0}}, ",1,0,5", 0, NULL},
    {"echo",
     {.count = 2, .format = ITEMS_CSV, .payload = {"a,\"b\"\"c\"\n1,2\n", 0}},
     ",[\"a\",\"b\\\"c\"],[\"1\",\"2\"]",
     0,
     NULL},
    {"echo",
     {.count = 2, .format = ITEMS_CSV_HEADER, .payload = {"x,y\n1,2\n3,4", 0}},
     ",{\"x\":\"1\",\"y\":\"2\"},{\"x\":\"3\",\"y\":\"4\"}",
     0,
     NULL},
    {"squared", {.count = 3, .format = ITEMS_REPEAT, .payload = {"12", 0}}, ",144,144,144", 0, NULL},
    {"times", {.count = 2, .flags = TASK_STAR, .payload = {"[2,3],[4,5,6]", 0}}, ",6,120", 0, NULL},
    {"times", {.count = 2, .flags = TASK_STAR, .payload = {"[2,3],4", 0}}, ",6,null", 1, "array of arguments"},
    {"levenshtein", {.count = 1, .flags = TASK_STAR, .payload = {"[\"a\"]", 0}}, ",null", 1, "got 1"},
    {"times", {.count = 2, .flags = TASK_STAR, .format = ITEMS_REPEAT, .payload = {"[2,3]", 0}}, ",6,6", 0, NULL},
    {"times",
     {.count = 2, .flags = TASK_STAR, .format = ITEMS_LINES, .payload = {"[2,3]\n[4,5]", 0}},
     ",6,20",
     0,
     NULL},
};
#define TASKS (sizeof tasks / sizeof *tasks)

static void assert_sum(struct rig *rig, uint64_t number, size_t row)
{
    struct rig_sum sum;
    rig_sum(rig, number, tasks[row].task.count, &sum);
    if (strcmp(buf_start(&sum.output), tasks[row].output) != 0 || sum.failed != tasks[row].failed)
        fail_msg("row %zu: %u failed, %s", row, sum.failed, buf_start(&sum.output));
    assert_int_equal(sum.count, tasks[row].task.count);
    assert_int_equal(sum.flags, RESULT_LAST);
    if (tasks[row].error != NULL &&
        memmem(buf_start(&sum.errors), sum.errors.length, tasks[row].error, strlen(tasks[row].error)) == NULL)
        fail_msg("row %zu: %.*s", row, (int)sum.errors.length, buf_start(&sum.errors));
    rig_sum_clear(&sum);
}

/* One after the other, then all in one write, then byte by byte: the same answers, in order. */
static void items_of_every_form(void **state)
{
    struct rig rig;
    struct buf all = {0};
    rig_start(&rig, 3, 0);
    for (size_t i = 0; i < TASKS; i++) {
        struct task_message task = tasks[i].task;
        task.task = i + 1;
        rig_send(&rig, tasks[i].function, &task);
        assert_sum(&rig, i + 1, i);
        task.task = 100 + i;
        rig_pack(&all, tasks[i].function, &task);
    }
    rig_write(&rig, buf_start(&all), all.length);
    for (size_t i = 0; i < TASKS; i++)
        assert_sum(&rig, 100 + i, i);
    rig_write_slowly(&rig, buf_start(&all), all.length);
    for (size_t i = 0; i < TASKS; i++)
        assert_sum(&rig, 100 + i, i);
    buf_clear(&all);
    assert_int_equal(rig_end(&rig, 0), 0);
}

/* Item i of the call is start + i·step, so what a task computes hangs on its `first`. */
static void ranges(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    const int64_t range[2] = {10, -3};
    rig_start(&rig, 1, 0);
    rig_send(
        &rig, "echo",
        &(struct task_message){
            .task = 1, .first = 2, .count = 4, .format = ITEMS_RANGE, .payload = {(const char *)range, sizeof range}});
    rig_sum(&rig, 1, 4, &sum);
    assert_string_equal(buf_start(&sum.output), ",4,1,-2,-5");
    rig_sum_clear(&sum);
    rig_send(&rig, "echo",
             &(struct task_message){
                 .task = 2, .count = 5000, .format = ITEMS_RANGE, .payload = {(const char *)range, sizeof range}});
    rig_sum(&rig, 2, 5000, &sum);
    assert_int_equal(sum.count, 5000);
    assert_non_null(strstr(buf_start(&sum.output), ",-14984,-14987"));
    rig_sum_clear(&sum);
    assert_int_equal(rig_end(&rig, 0), 0);
}

static void folds(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    struct roll_args args = {.seed = 42, .dice = 2, .sides = 6, .rolls = 2 * ROLL_ITEM + 100};
    struct roll_tally tally;
    uint64_t counts[11] = {0};
    rig_start(&rig, 1, 0);
    rig_send(&rig, "dice",
             &(struct task_message){
                 .task = 1, .first = 1, .count = 2, .format = ITEMS_FOLD, .payload = {(char *)&args, sizeof args}});
    rig_sum(&rig, 1, 2, &sum);
    assert_int_equal(sum.frames, 1); /* a fold has one output */
    roll_tally_init(&tally, 2, 6);
    assert_true(roll_tally_merge(&tally, (struct span){buf_start(&sum.output), sum.output.length}, ROLL_ITEM + 100));
    roll_count(42, 2, 6, ROLL_ITEM, ROLL_ITEM + 100, counts);
    assert_memory_equal(tally.counts, counts, sizeof counts);
    roll_tally_clear(&tally);
    rig_sum_clear(&sum);
    assert_int_equal(rig_end(&rig, 0), 0);
}

/* A worker draws by the call's seed and the item's index in the call, not by its place in the task. */
static void seeds(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    rig_start(&rig, 1, 0);
    rig_send(&rig, "roll", &(struct task_message){.task = 1, .seed = 42, .count = 5, .payload = {"1,2,3,4,5", 0}});
    rig_sum(&rig, 1, 5, &sum);
    assert_string_equal(buf_start(&sum.output), ",11,8,6,7,6");
    rig_sum_clear(&sum);
    rig_send(&rig, "roll",
             &(struct task_message){.task = 2, .seed = 42, .first = 3, .count = 2, .payload = {"0,0", 0}});
    rig_sum(&rig, 2, 2, &sum);
    assert_string_equal(buf_start(&sum.output), ",7,6");
    rig_sum_clear(&sum);
    assert_int_equal(rig_end(&rig, 0), 0);
}

static const struct {
    const char *payload;
    uint32_t count, item, offset;
} malformed[] = {
    {"1,2,@,4", 4, 2, 4}, {"@", 1, 0, 0},    {"1 2", 2, 0, 2}, {"1,2 3", 2, 2, 4},
    {"1,", 2, 1, 2},      {"[1,]", 1, 0, 3}, {"1,2", 3, 1, 3},
};

static void bodies_that_are_no_json(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    rig_start(&rig, 1, 0);
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        struct malformed_message got;
        uint16_t padding;
        rig_send(&rig, "echo",
                 &(struct task_message){
                     .task = 2 * i + 1, .count = malformed[i].count, .payload = {malformed[i].payload, 0}});
        struct span payload = rig_frame(&rig, MESSAGE_MALFORMED, &padding);
        assert_true(message_unpack_malformed(payload, padding, &got));
        assert_true(got.task == 2 * i + 1 && got.why.length > 0);
        if (got.item != malformed[i].item || got.offset != malformed[i].offset)
            fail_msg("%s: item %u, offset %u", malformed[i].payload, got.item, got.offset);
        rig_send(&rig, "echo", &(struct task_message){.task = 2 * i + 2, .payload = {"7", 0}});
        rig_sum(&rig, 2 * i + 2, 1, &sum); /* it goes on, and nothing of the bad one comes along */
        assert_string_equal(buf_start(&sum.output), ",7");
        rig_sum_clear(&sum);
    }
    assert_int_equal(rig_end(&rig, 0), 0);
}

static void stops_on_an_error(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    rig_start(&rig, 1, 0);
    rig_send(&rig, "squared",
             &(struct task_message){.task = 1, .count = 4, .flags = TASK_STOP_ON_ERROR, .payload = {"1,2,\"x\",4", 0}});
    rig_sum(&rig, 1, 4, &sum);
    assert_string_equal(buf_start(&sum.output), ",1,4,null");
    assert_int_equal(sum.failed, 1);
    assert_int_equal(sum.flags, RESULT_LAST | RESULT_STOPPED);
    rig_sum_clear(&sum);
    rig_send(&rig, "squared",
             &(struct task_message){.task = 2, .count = 2, .flags = TASK_STOP_ON_ERROR, .payload = {"1,\"x\"", 0}});
    rig_sum(&rig, 2, 2, &sum);
    assert_int_equal(sum.flags, RESULT_LAST); /* nothing is left that was not begun */
    rig_sum_clear(&sum);
    assert_int_equal(rig_end(&rig, 0), 0);
}

/* Its time is over after a few items: the others are given back. Without a limit all of them are done. */
static void yields_when_its_budget_is_used(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    rig_start(&rig, 1, 0);
    for (uint64_t task = 1; task <= 2; task++) {
        rig_send(&rig, "sleep_ms",
                 &(struct task_message){.task = task,
                                        .count = 30,
                                        .budget_us = task == 1 ? 2000 : 0,
                                        .format = ITEMS_REPEAT,
                                        .payload = {"1", 0}});
        rig_sum(&rig, task, 30, &sum);
        if (task == 1)
            assert_true(sum.count > 0 && sum.count < 30 && sum.flags == (RESULT_LAST | RESULT_YIELDED));
        else
            assert_true(sum.count == 30 && sum.flags == RESULT_LAST);
        assert_int_equal(sum.output.length, 2 * sum.count);
        rig_sum_clear(&sum);
    }
    assert_int_equal(rig_end(&rig, 0), 0);
}

/* What is done is told while a later item runs, as far as the items before it took some time. */
static void results_do_not_wait_for_a_long_item(void **state)
{
    struct rig rig;
    rig_start(&rig, 9, 0);
    rig_send(&rig, "sleep_ms",
             &(struct task_message){.task = 5, .count = 10, .payload = {"2,2,2,2,2,2,2,2,999999999,2", 0}});
    struct result_message result = rig_result(&rig);
    assert_true(result.task == 5 && result.first == 0 && result.flags == 0);
    assert_true(result.count > 0 && result.count <= 8);
    WAIT_UNTIL(rig.page->item == 8);
    assert_true(rig.page->task == 5);
    assert_int_equal(rig.page->phase, PAGE_RUNNING);
    rig_kill(&rig);
}

/* Nor do those of a task before it, unless it is told to be a quick one. */
static void results_do_not_wait_for_the_next_task(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    struct buf both = {0};
    rig_start(&rig, 1, 0);
    rig_pack(&both, "squared", &(struct task_message){.task = 1, .payload = {"3", 0}});
    rig_pack(&both, "hang", &(struct task_message){.task = 2, .payload = {"true", 0}});
    rig_write(&rig, buf_start(&both), both.length);
    rig_sum(&rig, 1, 1, &sum);
    assert_string_equal(buf_start(&sum.output), ",9");
    WAIT_UNTIL(rig.page->task == 2);
    rig_sum_clear(&sum);
    buf_clear(&both);
    rig_kill(&rig);
}

static void the_page_shows_what_is_done(void **state)
{
    struct rig rig;
    struct rig_sum sum;
    rig_start(&rig, 77, 0);
    rig_send(&rig, "squared", &(struct task_message){.task = 8, .count = 3, .payload = {"1,2,3", 0}});
    rig_sum(&rig, 8, 3, &sum);
    rig_sum_clear(&sum);
    WAIT_UNTIL(rig.page->task == 0 && rig.page->phase == PAGE_IDLE);
    assert_int_equal(rig.page->item, 3);
    rig_send(&rig, "hang", &(struct task_message){.task = 9, .count = 4, .payload = {"1,2,true,4", 0}});
    WAIT_UNTIL(rig.page->task == 9 && rig.page->item == 2);
    assert_int_equal(rig.page->phase, PAGE_RUNNING);
    assert_int_equal(rig.page->generation, 77);
    rig_kill(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_of_every_form),
        cmocka_unit_test(ranges),
        cmocka_unit_test(folds),
        cmocka_unit_test(seeds),
        cmocka_unit_test(bodies_that_are_no_json),
        cmocka_unit_test(stops_on_an_error),
        cmocka_unit_test(yields_when_its_budget_is_used),
        cmocka_unit_test(results_do_not_wait_for_a_long_item),
        cmocka_unit_test(results_do_not_wait_for_the_next_task),
        cmocka_unit_test(the_page_shows_what_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
