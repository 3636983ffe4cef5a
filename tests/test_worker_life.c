/* worker: the real one, over its pipes: what it does when it is told to leave, when its front is gone, and when it is
 * sent what may not be. */
#include "tests/rig.h"

#include <string.h>
#include <unistd.h>

#include "workers/frame.h"

static void assert_bye(struct rig *rig, uint64_t task)
{
    struct bye_message bye;
    uint16_t padding;
    assert_true(message_unpack_bye(rig_frame(rig, MESSAGE_BYE, &padding), &bye));
    assert_true(bye.task == task);
}

static void assert_output(struct rig *rig, uint64_t task, uint32_t count, const char *output)
{
    struct rig_sum sum;
    rig_sum(rig, task, count, &sum);
    assert_string_equal(buf_start(&sum.output), output);
    assert_int_equal(sum.count, count);
    rig_sum_clear(&sum);
}

static void end_of_file(void **state)
{
    struct rig rig;
    rig_start(&rig, 1, 0);
    assert_int_equal(rig_end(&rig, 0), 0); /* without ever having had a task */
    rig_start(&rig, 1, 0);
    rig_send(&rig, "squared", &(struct task_message){.task = 1, .count = 2, .payload = {"4,5", 0}});
    rig_close(&rig); /* what was sent before is done */
    assert_output(&rig, 1, 2, ",16,25");
    assert_int_equal(rig_end(&rig, 0), 0);
}

/* Cut at every place of a frame: it leaves, and makes nothing of the half. */
static void end_of_file_within_a_frame(void **state)
{
    struct buf frame = {0};
    rig_pack(&frame, "squared", &(struct task_message){.task = 1, .count = 2, .payload = {"4,5", 0}});
    static const size_t cuts[] = {1, 7, 8, 9, 50, 111, 112, 115, 119};
    assert_int_equal(frame.length, 120);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct rig rig;
        rig_start(&rig, 1, 0);
        rig_write(&rig, buf_start(&frame), cuts[i]);
        assert_int_equal(rig_end(&rig, 0), 0);
    }
    buf_clear(&frame);
}

static void nobody_reads_its_results(void **state)
{
    struct rig rig;
    rig_start(&rig, 1, 0);
    int null[2];
    assert_int_equal(pipe(null), 0);
    assert_int_equal(dup2(null[0], rig.results), rig.results); /* the worker's pipe has no reader any more */
    close(null[0]);
    close(null[1]);
    rig_send(&rig, "squared", &(struct task_message){.task = 1, .payload = {"4", 0}});
    assert_int_equal(rig_end(&rig, 0), 0);
}

static void leaves_when_told(void **state)
{
    struct rig rig;
    struct buf both = {0};
    rig_start(&rig, 1, 0);
    rig_pack(&both, "squared",
             &(struct task_message){.task = 1, .count = 2, .flags = TASK_LEAVE, .payload = {"4,5", 0}});
    rig_pack(&both, "squared", &(struct task_message){.task = 2, .payload = {"6", 0}});
    rig_write(&rig, buf_start(&both), both.length);
    assert_output(&rig, 1, 2, ",16,25");
    assert_bye(&rig, 1);
    assert_int_equal(rig_end(&rig, 0), 0); /* the second one is unread: nothing comes of it */
    buf_clear(&both);
}

/* Leaves after a body that was no JSON, too, and with the results of tasks before it told. */
static void leaves_after_a_malformed_task(void **state)
{
    struct rig rig;
    struct buf both = {0};
    struct malformed_message malformed;
    uint16_t padding;
    rig_start(&rig, 1, 0);
    rig_pack(&both, "squared", &(struct task_message){.task = 1, .payload = {"6", 0}});
    rig_pack(&both, "squared",
             &(struct task_message){.task = 2, .flags = TASK_LEAVE | TASK_QUICK, .payload = {"@", 0}});
    rig_write(&rig, buf_start(&both), both.length);
    assert_output(&rig, 1, 1, ",36");
    struct span payload = rig_frame(&rig, MESSAGE_MALFORMED, &padding);
    assert_true(message_unpack_malformed(payload, padding, &malformed));
    assert_bye(&rig, 2);
    assert_int_equal(rig_end(&rig, 0), 0);
    buf_clear(&both);
}

/* Items are counted, not tasks; a task is not broken off for it. */
static void is_recycled_after_so_many_items(void **state)
{
    struct rig rig;
    rig_start(&rig, 1, 5);
    for (uint64_t task = 1; task <= 3; task++) {
        rig_send(&rig, "squared", &(struct task_message){.task = task, .count = 2, .payload = {"4,5", 0}});
        assert_output(&rig, task, 2, ",16,25");
    }
    assert_bye(&rig, 3);
    assert_int_equal(rig_end(&rig, 0), 0);
}

/* --- what may not be ---------------------------------------------------------------------------------------------- */

static const struct {
    struct frame_header header; /* `length` zero bytes follow */
} breaches[] = {
    {{8, MESSAGE_TASK, PROTOCOL_VERSION + 1, 0}},
    {{9, MESSAGE_TASK, PROTOCOL_VERSION, 0}},
    {{FRAME_MAX + 8, MESSAGE_TASK, PROTOCOL_VERSION, 0}},
    {{104, MESSAGE_TASK, PROTOCOL_VERSION, 8}},
    {{96, MESSAGE_TASK, PROTOCOL_VERSION, 0}},  /* too short */
    {{104, MESSAGE_TASK, PROTOCOL_VERSION, 0}}, /* task 0 */
    {{8, 0, PROTOCOL_VERSION, 0}},
    {{8, MESSAGE_LAST + 1, PROTOCOL_VERSION, 0}},
    {{8, MESSAGE_READY, PROTOCOL_VERSION, 0}}, /* the worker's own */
    {{56, MESSAGE_RESULT, PROTOCOL_VERSION, 0}},
    {{24, MESSAGE_LOAD, PROTOCOL_VERSION, 0}}, /* no whole hash */
};

/* It says so in one line and exits with 70; what it had done before is told. */
static void breaches_of_the_front(void **state)
{
    for (size_t i = 0; i < sizeof breaches / sizeof *breaches; i++) {
        static const char zeros[128];
        struct rig rig;
        rig_start(&rig, 1, 0);
        rig_send(&rig, "squared", &(struct task_message){.task = 1, .payload = {"4", 0}});
        assert_output(&rig, 1, 1, ",16");
        rig_write(&rig, &breaches[i].header, sizeof breaches[i].header);
        size_t length = breaches[i].header.length;
        ssize_t written = write(rig.tasks, zeros, length < sizeof zeros ? length : sizeof zeros);
        (void)written; /* it may have left already */
        int status = rig_end(&rig, 1);
        if (status != 70)
            fail_msg("breach %zu: exit status %d", i, status);
    }
}

static const struct {
    const char *function;
    struct task_message task;
} impossible[] = {
    {"there is none", {.task = 1, .payload = {"1", 0}}},
    {"squared", {.task = 1, .format = ITEMS_FOLD, .payload = {"1", 0}}},
    {"dice", {.task = 1, .format = ITEMS_JSON, .payload = {"1", 0}}},
    {"dice", {.task = 1, .format = ITEMS_FOLD, .payload = {"short", 0}}},
    {"squared", {.task = 1, .format = ITEMS_RANGE, .payload = {"short", 0}}},
    {"squared", {.task = 1, .format = ITEMS_FORMATS, .payload = {"1", 0}}},
};

static void tasks_that_cannot_be(void **state)
{
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        struct rig rig;
        rig_start(&rig, 1, 0);
        rig_send(&rig, impossible[i].function, &impossible[i].task);
        int status = rig_end(&rig, 1);
        if (status != 70)
            fail_msg("task %zu: exit status %d", i, status);
    }
}

/* Noise of any length is a breach or, while it could still be the beginning of a frame, the end of one that was cut. */
static void noise(void **state)
{
    uint32_t random = 12345;
    for (unsigned round = 0; round < 30; round++) {
        char bytes[64];
        size_t length = 1 + round * 2;
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (char)(random >> 24);
        }
        struct rig rig;
        rig_start(&rig, 1, 0);
        rig_write(&rig, bytes, length);
        bool whole = length >= sizeof(struct frame_header);
        assert_int_equal(rig_end(&rig, whole ? 1 : 0), whole ? 70 : 0);
    }
}

/* --- messages of later ---------------------------------------------------------------------------------------------
 */

static void native_workers_load_nothing(void **state)
{
    struct rig rig;
    struct content_message load = {.content = {"x => x", 6}}, got;
    struct buf frame = {0};
    uint16_t padding;
    memset(load.hash, 0x5c, sizeof load.hash);
    rig_start(&rig, 1, 0);
    message_pack_content(&frame, MESSAGE_LOAD, &load);
    message_pack_upcall(&frame, MESSAGE_TELL, &(struct upcall_message){.task = 1}); /* an answer nobody asked for */
    rig_write(&rig, buf_start(&frame), frame.length);
    struct span payload = rig_frame(&rig, MESSAGE_LOAD_FAILED, &padding);
    assert_true(message_unpack_content(payload, padding, &got));
    assert_memory_equal(got.hash, load.hash, sizeof got.hash);
    assert_true(got.content.length > 2 && got.content.at[0] == '{');
    rig_send(&rig, "squared", &(struct task_message){.task = 2, .payload = {"4", 0}});
    assert_output(&rig, 2, 1, ",16");
    buf_clear(&frame);
    assert_int_equal(rig_end(&rig, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_of_file),
        cmocka_unit_test(end_of_file_within_a_frame),
        cmocka_unit_test(nobody_reads_its_results),
        cmocka_unit_test(leaves_when_told),
        cmocka_unit_test(leaves_after_a_malformed_task),
        cmocka_unit_test(is_recycled_after_so_many_items),
        cmocka_unit_test(breaches_of_the_front),
        cmocka_unit_test(tasks_that_cannot_be),
        cmocka_unit_test(noise),
        cmocka_unit_test(native_workers_load_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
