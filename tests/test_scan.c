/* test_scan: what bodies are, what is wrong with those that are none, and where; however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/scan.h"
#include "tests/scan_bodies.h"
#include "tests/scan_feeds.h"
#include "workers/buf.h"

#define MAP "{\"function\":\"squared\",\"items\":"

/* `items`: each with a '|' behind it. `members`: name=value for each, likewise. */
static const struct {
    enum scan_shape shape;
    const char *body, *items, *members;
} valid[] = {
    {SCAN_OBJECT, "", "", ""},
    {SCAN_OBJECT, " \r\n\t", "", ""},
    {SCAN_OBJECT, "{}", "", ""},
    {SCAN_OBJECT, " { } \n", "", ""},
    {SCAN_OBJECT, MAP "[1,2,3]}", "1|2|3|", "function=\"squared\"|items=[1,2,3]|"},
    {SCAN_OBJECT, "{\"items\" : [ ] , \"a\":-1.5e+3}", "", "items=[ ]|a=-1.5e+3|"},
    {SCAN_OBJECT, "{\"items\":[ 1 , 2 ]\n,\"b\" : true }", " 1 | 2 |", "items=[ 1 , 2 ]|b=true|"},
    {SCAN_OBJECT, "{\"it\\u0065ms\":[1]}", "1|", "it\\u0065ms=[1]|"},
    {SCAN_OBJECT, "{\"items\":{\"range\":[0,10,1]}}", "", "items={\"range\":[0,10,1]}|"},
    {SCAN_OBJECT, "{\"js\":\"x => \\\"]}\\\\\\\"\",\"n\":null,\"f\":false,\"z\":0}", "",
     "js=\"x => \\\"]}\\\\\\\"\"|n=null|f=false|z=0|"},
    {SCAN_OBJECT, "{\"common\":{\"items\":[1,\"]\",{}]},\"items\":[[],{\"a\":\"},\"},\"\\\\\",\"\\\",\"]}",
     "[]|{\"a\":\"},\"}|\"\\\\\"|\"\\\",\"|",
     "common={\"items\":[1,\"]\",{}]}|items=[[],{\"a\":\"},\"},\"\\\\\",\"\\\",\"]|"},
    {SCAN_OBJECT, "{\"\":0,\"\xc3\xa9\":\"\xf0\x9f\x98\x80\",\"\\u00e8\":[]}", "",
     "=0|\xc3\xa9=\"\xf0\x9f\x98\x80\"|\\u00e8=[]|"},
    {SCAN_ARRAY, "[]", "", ""},
    {SCAN_ARRAY, "\n[ \t]\n", "", ""},
    {SCAN_ARRAY, "[0]", "0|", ""},
    {SCAN_ARRAY, "[[1,2],[3,[4,5]],{\"a\":[1,{}],\"b\":2}, \"x,y\" ]",
     "[1,2]|[3,[4,5]]|{\"a\":[1,{}],\"b\":2}| \"x,y\" |", ""},
    {SCAN_ARRAY, "[no,token is:checked]", "no|token is:checked|", ""},
    {SCAN_LINES, "", "", ""},
    {SCAN_LINES, "\n \n\r\n", "", ""},
    {SCAN_LINES, "1", "1|", ""},
    {SCAN_LINES, "1\n2", "1|2|", ""},
    {SCAN_LINES, "1\n2\n", "1|2|", ""},
    {SCAN_LINES, "1\r\n\"a\\n\"\r\n", "1\r|\"a\\n\"\r|", ""},
    {SCAN_LINES, "\n\n1\n \t\r\n{\"a\n[,\n \n", "\n\n1| \t\r\n{\"a|[,|", ""},
    {SCAN_LINES, "1\n  ", "1|", ""},
    {SCAN_TEXT, "", "", ""},
    {SCAN_TEXT, "\n", "|", ""},
    {SCAN_TEXT, "a\n\n b,\"\n", "a|| b,\"|", ""},
    {SCAN_TEXT, "a\r\nb", "a\r|b|", ""},
    {SCAN_TEXT,
     "\xef\xbb\xbf"
     "a\nb",
     "a|b|", ""},
    {SCAN_TEXT, "\xef\xbb", "\xef\xbb|", ""},
    {SCAN_CSV, "", "", ""},
    {SCAN_CSV, "\r\n\n\r", "", ""},
    {SCAN_CSV, "a,b\n1,2", "a,b|1,2|", ""},
    {SCAN_CSV, "a,b\r\n1,2\r\n", "a,b\r|1,2\r|", ""},
    {SCAN_CSV, "\"a\n,\"\"\n\"\"\",b\n\n \n\"\"\n", "\"a\n,\"\"\n\"\"\",b|\n |\"\"|", ""},
    {SCAN_CSV, "\r\r\n1\n", "\r\r|1|", ""},
    {SCAN_CSV,
     "\xef\xbb\xbf"
     "1\n",
     "1|", ""},
    {SCAN_CSV_HEADER, "", "", ""},
    {SCAN_CSV_HEADER, "a,b", "", "a,b"},
    {SCAN_CSV_HEADER, "a,b\n", "", "a,b"},
    {SCAN_CSV_HEADER, "a,b\r\n1,2\r\n\r\n3,4", "1,2\r|\r\n3,4|", "a,b\r"},
    {SCAN_CSV_HEADER, "\xef\xbb\xbf\"a\n\",b\n1,\"\n\"\n", "1,\"\n\"|", "\"a\n\",b"},
};

static void describe(const struct outcome *outcome, const char *body, struct buf *items, struct buf *members)
{
    for (uint64_t i = 0; i < outcome->count; i++) {
        const struct place *place = &outcome->places[i];
        buf_append(items, body + place->start, place->end - place->start);
        buf_append_char(items, '|');
    }
    for (size_t i = 0; i < outcome->member_count; i++) {
        const struct scan_member *member = &outcome->members[i];
        buf_append(members, body + member->name_start, member->name_length);
        buf_append_char(members, '=');
        buf_append(members, body + member->value_start, member->value_length);
        buf_append_char(members, '|');
    }
    buf_append(members, body + outcome->header.start, outcome->header.end - outcome->header.start);
    buf_append_char(items, '\0');
    buf_append_char(members, '\0');
}

static void bodies_are_taken_apart(void **state)
{
    for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
        const char *body = valid[i].body;
        struct outcome outcome = scan_every_way(valid[i].shape, &ample_limits, body, strlen(body));
        struct buf items, members;
        buf_init(&items);
        buf_init(&members);
        describe(&outcome, body, &items, &members);
        if (outcome.status != SCAN_DONE)
            print_error("%s\n%s at %zu\n", body, outcome.why, outcome.offset);
        assert_int_equal(outcome.status, SCAN_DONE);
        assert_string_equal(buf_start(&items), valid[i].items);
        assert_string_equal(buf_start(&members), valid[i].members);
        bool has_items = valid[i].shape != SCAN_OBJECT;
        for (size_t k = 0; k < outcome.member_count; k++)
            has_items |= (int)k == outcome.items_member && outcome.members[k].kind == TOKEN_ARRAY;
        assert_int_equal(outcome.items_begun, has_items);
        assert_int_equal(outcome.complete, has_items);
        buf_clear(&items);
        buf_clear(&members);
        outcome_clear(&outcome);
    }
}

#define CUT -1 /* the body's length */

static const struct {
    enum scan_shape shape;
    const char *body;
    enum scan_fault fault;
    int offset;
    const char *why; /* a part of it; NULL: the token room's own words */
} invalid[] = {
    {SCAN_OBJECT, "[1]", SCAN_MALFORMED, 0, "expected '{'"},
    {SCAN_OBJECT, " x", SCAN_MALFORMED, 1, "expected '{'"},
    {SCAN_OBJECT, "\xef\xbb\xbf{}", SCAN_MALFORMED, 0, "byte order mark"},
    {SCAN_OBJECT, "\xef\xbc\xbb", SCAN_MALFORMED, 0, "expected '{'"},
    {SCAN_ARRAY, "\xef\xbb\xbf[]", SCAN_MALFORMED, 0, "byte order mark"},
    {SCAN_OBJECT, "{", SCAN_MALFORMED, CUT, "ends inside the object"},
    {SCAN_OBJECT, "{1:2}", SCAN_MALFORMED, 1, "expected a name in quotes or '}'"},
    {SCAN_OBJECT, "{\"a\":1,}", SCAN_MALFORMED, 7, "expected a name in quotes"},
    {SCAN_OBJECT, "{,}", SCAN_MALFORMED, 1, "expected a name"},
    {SCAN_OBJECT, "{\"a\" 1}", SCAN_MALFORMED, 5, "expected ':'"},
    {SCAN_OBJECT, "{\"a\":}", SCAN_MALFORMED, 5, NULL},
    {SCAN_OBJECT, "{\"a\":tru}", SCAN_MALFORMED, 8, NULL},
    {SCAN_OBJECT, "{\"a\":-}", SCAN_MALFORMED, 6, NULL},
    {SCAN_OBJECT, "{\"a\":01}", SCAN_MALFORMED, 6, NULL},
    {SCAN_OBJECT, "{\"a\":1 2}", SCAN_MALFORMED, 7, "expected ',' or '}'"},
    {SCAN_OBJECT, "{\"a\":12", SCAN_MALFORMED, CUT, "ends inside the object"},
    {SCAN_OBJECT, "{\"a\":tr", SCAN_MALFORMED, CUT, "ends inside the object"},
    {SCAN_OBJECT, "{\"a\":t\xff", SCAN_MALFORMED, 6, NULL},
    {SCAN_OBJECT, "{\"a\":\"x", SCAN_MALFORMED, CUT, "ends inside a string"},
    {SCAN_OBJECT, "{\"a\":\"\n", SCAN_MALFORMED, 6, NULL},
    {SCAN_OBJECT, "{\"a\":\"\\q\"}", SCAN_MALFORMED, 7, NULL},
    {SCAN_OBJECT, "{\"a\":\"\\ud800\"}", SCAN_MALFORMED, -2, NULL},
    {SCAN_OBJECT, "{\"a\xff\":1}", SCAN_MALFORMED, 3, NULL},
    {SCAN_OBJECT, "{\"a", SCAN_MALFORMED, CUT, "ends inside a name"},
    {SCAN_OBJECT, "{\"a\":[1,2", SCAN_MALFORMED, CUT, "ends inside a value"},
    {SCAN_OBJECT, "{\"a\":[1,,2", SCAN_MALFORMED, 8, NULL},
    {SCAN_OBJECT, "{\"a\":[1}", SCAN_MALFORMED, 7, NULL},
    {SCAN_OBJECT, "{\"a\":[x,[1}]}", SCAN_MALFORMED, 6, NULL},
    {SCAN_OBJECT, "{\"a\":{\"b\":1,\"b\":2}}", SCAN_MALFORMED, -2, NULL},
    {SCAN_OBJECT, "{\"a\":[\\]}", SCAN_MALFORMED, 6, NULL},
    {SCAN_OBJECT, "{}x", SCAN_MALFORMED, 2, "expected the end of the body"},
    {SCAN_OBJECT, "{} {}", SCAN_MALFORMED, 3, "expected the end of the body"},
    {SCAN_ARRAY, "[1],", SCAN_MALFORMED, 3, "expected the end of the body"},
    {SCAN_OBJECT, "{\"a\":1,\"b\":2,\"a\":3}", SCAN_DUPLICATE, 13, "twice"},
    {SCAN_OBJECT, "{\"items\":[1],\"\\u0069tems\":[2]}", SCAN_DUPLICATE, 13, "twice"},
    {SCAN_OBJECT, "{\"\\u0061\":1,\"a\":[2]}", SCAN_DUPLICATE, 12, "twice"},
    {SCAN_OBJECT, "{\"\":1,\"\":2}", SCAN_DUPLICATE, 6, "twice"},
    {SCAN_ARRAY, "", SCAN_MALFORMED, CUT, "ends before its '['"},
    {SCAN_ARRAY, "  ", SCAN_MALFORMED, CUT, "ends before its '['"},
    {SCAN_ARRAY, "{}", SCAN_MALFORMED, 0, "expected '['"},
    {SCAN_ARRAY, "[,1]", SCAN_MALFORMED, 1, "expected a value"},
    {SCAN_ARRAY, "[ ,1]", SCAN_MALFORMED, 2, "expected a value"},
    {SCAN_ARRAY, "[1,]", SCAN_MALFORMED, 3, "expected a value"},
    {SCAN_ARRAY, "[1, \n]", SCAN_MALFORMED, 5, "expected a value"},
    {SCAN_ARRAY, "[1,,2]", SCAN_MALFORMED, 3, "expected a value"},
    {SCAN_ARRAY, "[[1], \t ,2]", SCAN_MALFORMED, 8, "expected a value"},
    {SCAN_ARRAY, "[1,\x01 ,2]", SCAN_MALFORMED, 3, "expected a value"},
    {SCAN_ARRAY, "[\x01]", SCAN_MALFORMED, 1, "expected a value"},
    {SCAN_ARRAY, "[1}", SCAN_MALFORMED, 2, "expected ',' or ']'"},
    {SCAN_ARRAY, "[[1}]", SCAN_MALFORMED, 3, "expected ',' or ']'"},
    {SCAN_ARRAY, "[{\"a\":1]]", SCAN_MALFORMED, 7, "expected ',' or '}'"},
    {SCAN_ARRAY, "[{}]]", SCAN_MALFORMED, 4, "expected the end of the body"},
    {SCAN_ARRAY, "[1,\\\"2]", SCAN_MALFORMED, 3, "backslash"},
    {SCAN_ARRAY, "[1,\"2]", SCAN_MALFORMED, CUT, "ends inside a string"},
    {SCAN_ARRAY, "[\"\\\"]", SCAN_MALFORMED, CUT, "ends inside a string"},
    {SCAN_ARRAY, "[1,2", SCAN_MALFORMED, CUT, "ends inside the items"},
    {SCAN_ARRAY, "[1,[2]", SCAN_MALFORMED, CUT, "ends inside the items"},
    {SCAN_OBJECT, "{\"items\":[1,{}", SCAN_MALFORMED, CUT, "ends inside the items"},
    {SCAN_OBJECT, "{\"items\":[1]", SCAN_MALFORMED, CUT, "ends inside the object"},
    {SCAN_OBJECT, "{\"items\":[1,2],,", SCAN_MALFORMED, 15, "expected a name in quotes"},
    {SCAN_CSV, "a,\"b\n", SCAN_MALFORMED, CUT, "quoted field"},
    {SCAN_CSV_HEADER, "\"a\n\"\"", SCAN_MALFORMED, CUT, "quoted field"},
};

static void faults_are_placed(void **state)
{
    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        const char *body = invalid[i].body;
        size_t length = strlen(body);
        struct outcome outcome = scan_every_way(invalid[i].shape, &ample_limits, body, length);
        if (outcome.fault != invalid[i].fault)
            print_error("%s: %s at %zu\n", body, outcome.why, outcome.offset);
        assert_int_equal(outcome.fault, invalid[i].fault);
        if (invalid[i].offset != -2) /* where is the token room's to say */
            assert_int_equal(outcome.offset, invalid[i].offset == CUT ? (int)length : invalid[i].offset);
        if (invalid[i].why != NULL && strstr(outcome.why, invalid[i].why) == NULL)
            fail_msg("%s: '%s' instead of '%s'", body, outcome.why, invalid[i].why);
        outcome_clear(&outcome);
    }
}

static void nul_bytes_are_named(void **state)
{
    static const struct {
        enum scan_shape shape;
        const char *body;
        size_t length, offset;
    } rows[] = {
        {SCAN_OBJECT, "\0{}", 3, 0}, {SCAN_OBJECT, "{\0\"\0a", 5, 1},     {SCAN_OBJECT, "{\"a\"\0:1}", 8, 4},
        {SCAN_ARRAY, "\0[", 2, 0},   {SCAN_OBJECT, "{\"a\":\0 1}", 9, 5}, {SCAN_OBJECT, "{}\0", 3, 2},
        {SCAN_ARRAY, "[]\0", 3, 2},  {SCAN_OBJECT, "{\"a\":1\0}", 8, 6},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outcome outcome = scan_every_way(rows[i].shape, &ample_limits, rows[i].body, rows[i].length);
        assert_int_equal(outcome.fault, SCAN_MALFORMED);
        assert_int_equal(outcome.offset, rows[i].offset);
        assert_non_null(strstr(outcome.why, "NUL"));
        outcome_clear(&outcome);
    }
}

/* Whatever is missing at its end, a request is no other, valid request. */
static void cut_short_is_bad(void **state)
{
    static const char body[] =
        "{\"function\":\"squ\\u0061red\", \"common\": [1, {\"a\": \"\xc3\xa9\"}], \"items\" : [1, "
        "[2.5, \"x\\\"],\"], {\"k\":null}], \"seed\": -12e3 }";
    for (size_t length = 1; length < sizeof body - 1; length++) {
        struct outcome outcome = scan_every_way(SCAN_OBJECT, &ample_limits, body, length);
        assert_int_equal(outcome.status, SCAN_BAD);
        assert_int_equal(outcome.fault, SCAN_MALFORMED);
        assert_int_equal(outcome.offset, length);
        outcome_clear(&outcome);
    }
    struct outcome outcome = scan_every_way(SCAN_OBJECT, &ample_limits, body, sizeof body - 1);
    assert_int_equal(outcome.status, SCAN_DONE);
    assert_int_equal(outcome.count, 3);
    assert_int_equal(outcome.member_count, 4);
    outcome_clear(&outcome);
}

/* Names from a small set: some come twice, some are the same only once decoded. */
static void append_envelope(struct buf *body, uint64_t *random)
{
    static const char *const names[] = {"items", "a", "\\u0061", "\xc3\xa9", "\\u00e9", "js", "b", "seed", "c", "d"};
    buf_append_char(body, '{');
    for (size_t i = 0, count = random_below(random, 5); i < count; i++) {
        if (i > 0)
            buf_append_char(body, ',');
        append_blanks(body, random);
        buf_printf(body, "\"%s\"", names[random_below(random, sizeof names / sizeof *names)]);
        append_blanks(body, random);
        buf_append_char(body, ':');
        append_value(body, random, 4);
    }
    buf_append_char(body, '}');
    append_blanks(body, random);
}

/* Whether the token room takes the body as one object; *wrong is where it does not. */
static bool is_object(const struct buf *body, size_t *wrong)
{
    const char *cursor = buf_start(body), *end = buf_end(body), *why;
    struct span value;
    enum token kind = token_read(&cursor, end, &value, &why);
    if (kind == TOKEN_OBJECT)
        cursor = token_skip_blanks(cursor, end);
    *wrong = (size_t)(cursor - buf_start(body));
    return kind == TOKEN_OBJECT && cursor == end;
}

/* Scan leaves the items' tokens to the workers, and is otherwise of one mind with the room that checks whole values. */
static void random_envelopes_are_as_token_says(void **state)
{
    size_t whole = 0, broken = 0;
    for (uint64_t seed = 0; seed < 800; seed++) {
        uint64_t random = seed;
        struct buf body;
        buf_init(&body);
        append_envelope(&body, &random);
        if (seed % 2)
            wreck(&body, &random);
        struct outcome outcome = scan_every_way(SCAN_OBJECT, &ample_limits, buf_start(&body), body.length);
        size_t wrong;
        if (is_object(&body, &wrong)) {
            assert_int_equal(outcome.status, SCAN_DONE);
            whole++;
        } else if (outcome.status == SCAN_BAD) {
            assert_true(wrong <= outcome.offset || outcome.fault == SCAN_DUPLICATE);
            broken++;
        } else {
            const struct scan_member *items = &outcome.members[outcome.items_member];
            assert_true(outcome.items_begun);
            assert_in_range(wrong, items->value_start, items->value_start + items->value_length - 1);
        }
        buf_clear(&body);
        outcome_clear(&outcome);
    }
    assert_true(whole > 200 && broken > 200);
}

static void positions_count_code_points(void **state)
{
    static const char body[] = "ab\n\xc3\xa9\xf0\x9f\x98\x80x\r\n\ny";
    static const struct {
        size_t offset;
        uint64_t line, column;
    } rows[] = {{0, 1, 1}, {2, 1, 3}, {3, 2, 1}, {5, 2, 2}, {9, 2, 3}, {10, 2, 4}, {12, 3, 1}, {13, 4, 1}, {14, 4, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scan_position position = scan_position(body, sizeof body - 1, rows[i].offset);
        assert_int_equal(position.line, rows[i].line);
        assert_int_equal(position.column, rows[i].column);
        assert_int_equal(position.offset, rows[i].offset);
    }
    assert_int_equal(scan_position(body, sizeof body - 1, 99).offset, sizeof body - 1);
    assert_int_equal(scan_position(NULL, 0, 0).column, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_taken_apart),
        cmocka_unit_test(faults_are_placed),
        cmocka_unit_test(nul_bytes_are_named),
        cmocka_unit_test(cut_short_is_bad),
        cmocka_unit_test(random_envelopes_are_as_token_says),
        cmocka_unit_test(positions_count_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
