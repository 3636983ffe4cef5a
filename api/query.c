/* query: see query.h. */
#include "api/query.h"

#include "workers/record.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `raw` behind the text, which has the room: a decoded string is never longer. */
static bool decode(struct buf *text, struct span raw, struct span *decoded, struct problem *problem)
{
    char *to = buf_end(text), *start = to;
    const char *at = raw.at, *end = raw.at + raw.length;
    while (at < end) {
        if (*at != '%') {
            *to++ = *at++;
            continue;
        }
        int high = end - at > 2 ? hex_digit(at[1]) : -1;
        int low = high >= 0 ? hex_digit(at[2]) : -1;
        if (low < 0)
            return problem_set(problem, PROBLEM_BAD_QUERY,
                               "\"%.*s\" in the query is no %%XX: a percent sign itself is written %%25",
                               (int)(end - at < 3 ? end - at : 3), at);
        *to++ = (char)(high * 16 + low);
        at += 3;
    }
    *decoded = (struct span){start, (size_t)(to - start)};
    buf_added(text, decoded->length);
    if (record_utf8(*decoded) < decoded->length)
        return problem_set(problem, PROBLEM_BAD_QUERY, "the query is not UTF-8 at \"%.*s\"",
                           (int)(raw.length < 60 ? raw.length : 60), raw.at);
    return true;
}

static const struct query_pair *find(const struct query *query, struct span name)
{
    for (size_t i = 0; i < query->count; i++)
        if (query->pairs[i].name.length == name.length && memcmp(query->pairs[i].name.at, name.at, name.length) == 0)
            return &query->pairs[i];
    return NULL;
}

static bool add_pair(struct query *query, struct span raw, struct problem *problem)
{
    struct query_pair pair = {.bare = true};
    struct span name = raw, value = {raw.at + raw.length, 0};
    const char *equals = memchr(raw.at, '=', raw.length);
    if (equals != NULL) {
        pair.bare = false;
        name.length = (size_t)(equals - raw.at);
        value = (struct span){equals + 1, raw.length - name.length - 1};
    }
    if (name.length == 0)
        return problem_set(problem, PROBLEM_BAD_QUERY, "a value in the query has no name: \"%.*s\"",
                           (int)(raw.length < 60 ? raw.length : 60), raw.at);
    if (!decode(&query->text, name, &pair.name, problem) || !decode(&query->text, value, &pair.value, problem))
        return false;
    if (find(query, pair.name) != NULL)
        return problem_set(problem, PROBLEM_BAD_QUERY, "%.*s is in the query twice",
                           (int)(pair.name.length < 60 ? pair.name.length : 60), pair.name.at);
    if (query->count == QUERY_PAIRS_MAX) {
        problem_set(problem, PROBLEM_BAD_QUERY, "the query has more than %d values", QUERY_PAIRS_MAX);
        problem->has_limit = true;
        problem->limit = QUERY_PAIRS_MAX;
        return false;
    }
    query->pairs[query->count++] = pair;
    return true;
}

bool query_parse(struct query *query, const char *raw, struct problem *problem)
{
    query->count = 0;
    buf_init(&query->text);
    if (raw == NULL || *raw == '\0')
        return true;
    buf_room(&query->text, strlen(raw));
    for (;;) {
        size_t length = strcspn(raw, "&");
        if (length > 0 && !add_pair(query, (struct span){raw, length}, problem))
            return false;
        if (raw[length] == '\0')
            return true;
        raw += length + 1;
    }
}

void query_clear(struct query *query)
{
    buf_clear(&query->text);
    query->count = 0;
}

const struct query_pair *query_find(const struct query *query, const char *name)
{
    return find(query, (struct span){name, strlen(name)});
}
