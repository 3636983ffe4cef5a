/* query: decoding, and everything that a query may not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "api/query.h"

/* The pairs as text: name=value, a blank for a bare name, each ended by ';'. */
static void parses(const char *raw, const char *expected)
{
    struct query query;
    struct problem problem = {0};
    struct buf text = {0};
    if (!query_parse(&query, raw, &problem))
        fail_msg("%s: %s", raw, problem.detail);
    for (size_t i = 0; i < query.count; i++) {
        buf_append(&text, query.pairs[i].name.at, query.pairs[i].name.length);
        buf_append_text(&text, query.pairs[i].bare ? " " : "=");
        buf_append(&text, query.pairs[i].value.at, query.pairs[i].value.length);
        buf_append_char(&text, ';');
    }
    buf_append_char(&text, '\0');
    assert_string_equal(buf_start(&text), expected);
    buf_clear(&text);
    query_clear(&query);
}

static void refuses(const char *raw, const char *detail)
{
    struct query query;
    struct problem problem = {0};
    assert_false(query_parse(&query, raw, &problem));
    assert_int_equal(problem.type, PROBLEM_BAD_QUERY);
    assert_string_equal(problem.detail, detail);
    query_clear(&query);
}

static void pairs(void **state)
{
    parses(NULL, "");
    parses("", "");
    parses("a=1", "a=1;");
    parses("a=1&b=2", "a=1;b=2;");
    parses("a", "a ;");
    parses("a=", "a=;");
    parses("a=b=c", "a=b=c;");
    parses("&&a=1&&b&", "a=1;b ;");
    parses("a?b=/c:d@e", "a?b=/c:d@e;");
}

static void decoding(void **state)
{
    parses("js=w=>w.length+1", "js=w=>w.length+1;"); /* a plus sign is itself */
    parses("a=%2B%20%26%3D%25", "a=+ &=%;");
    parses("%61%2f=%c3%A9", "a/=\xc3\xa9;");
    parses("a=\xe2\x82\xac", "a=\xe2\x82\xac;");
    parses("a=%2541", "a=%41;"); /* once */
}

static void malformed(void **state)
{
    refuses("a=%zz", "\"%zz\" in the query is no %XX: a percent sign itself is written %25");
    refuses("a=100%", "\"%\" in the query is no %XX: a percent sign itself is written %25");
    refuses("a=1%2", "\"%2\" in the query is no %XX: a percent sign itself is written %25");
    refuses("a=%2&b=0", "\"%2\" in the query is no %XX: a percent sign itself is written %25");
    refuses("%4g=1", "\"%4g\" in the query is no %XX: a percent sign itself is written %25");
    refuses("=1", "a value in the query has no name: \"=1\"");
    refuses("a=%ff", "the query is not UTF-8 at \"%ff\"");
    refuses("a=%c3&b", "the query is not UTF-8 at \"%c3\"");
    refuses("a=%ed%a0%80", "the query is not UTF-8 at \"%ed%a0%80\"");
    refuses("a=1&b=2&a=1", "a is in the query twice");
    refuses("ab=1&%61b=2", "ab is in the query twice");
}

static void too_many(void **state)
{
    struct buf raw = {0};
    struct query query;
    struct problem problem = {0};
    for (int i = 0; i < QUERY_PAIRS_MAX; i++)
        buf_printf(&raw, "&n%d=%d", i, i);
    buf_append_char(&raw, '\0');
    assert_true(query_parse(&query, buf_start(&raw), &problem));
    assert_int_equal(query.count, QUERY_PAIRS_MAX);
    assert_null(query_find(&query, "n"));
    const struct query_pair *last = query_find(&query, "n47");
    assert_non_null(last);
    assert_memory_equal(last->value.at, "47", 2);
    query_clear(&query);
    buf_truncate(&raw, raw.length - 1);
    buf_append(&raw, "&x", 3);
    refuses(buf_start(&raw), "the query has more than 48 values");
    buf_clear(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(decoding),
        cmocka_unit_test(malformed),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
