/* asking: see asking.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/asking.h"

const struct request_limits limits = {.max_workers = 8, .items = 1000, .item_timeout_ms = 30000, .deadline_ms = 300000};
struct request request;
struct problem problem;
struct scan scan;

void find_members(const char *body)
{
    const char *cursor = body, *why;
    struct span object, name, value;
    enum token kind;
    memset(&scan, 0, sizeof scan);
    scan.items_member = -1;
    if (token_read(&cursor, body + strlen(body), &object, &why) != TOKEN_OBJECT)
        fail_msg("the test's body is no object: %s", body);
    for (cursor = object.at; token_next_member(object, &cursor, &name, &value, &kind);)
        scan.members[scan.member_count++] = (struct scan_member){(size_t)(name.at + 1 - body), name.length - 2,
                                                                 (size_t)(value.at - body), value.length, kind};
}

bool read_body(enum endpoint endpoint, const char *body)
{
    memset(&problem, 0, sizeof problem);
    request_init(&request, endpoint, &limits);
    find_members(body);
    return request_members(&request, &scan, body, 0, scan.member_count, &limits, &problem) &&
           request_finish(&request, &scan, &problem);
}

bool read_query(enum endpoint endpoint, const char *query)
{
    bool named;
    memset(&problem, 0, sizeof problem);
    request_init(&request, endpoint, &limits);
    return request_query(&request, query, &limits, &named, &problem);
}

void accepted(enum endpoint endpoint, const char *body)
{
    if (!read_body(endpoint, body))
        fail_msg("%s: %s", body, problem.detail);
    assert_int_equal(problem.type, PROBLEM_NONE);
}

void refused(enum endpoint endpoint, const char *body, enum problem_type type, const char *pointer, const char *detail)
{
    if (read_body(endpoint, body))
        fail_msg("accepted: %s", body);
    assert_string_equal(problem.detail, detail);
    assert_int_equal(problem.type, type);
    assert_string_equal(problem.pointer, pointer);
}
