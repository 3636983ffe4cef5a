/* head: see head.h. */
#include "server/head.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "server/gzip.h"

void head_init(struct head *head, struct echo *echo)
{
    head->count = 0; /* the headers are written before they are read: this is on the path of every request */
    head->content_type = head->accept = head->if_none_match = head->query = NULL;
    head->echo = echo;
}

static bool is_named(const char *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && strcasecmp(name, wanted) == 0;
}

static void copy_plain(char *to, size_t room, const char *value, size_t length)
{
    size_t i = 0;
    for (; i < length && i + 1 < room; i++) {
        char c = value[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_' || c == '.';
        if (!plain)
            break;
        to[i] = c;
    }
    to[i < length ? 0 : i] = '\0'; /* all of it or nothing */
}

void head_take(struct head *head, const char *name, size_t name_length, const char *value, size_t value_length)
{
    if (head->count < GATE_HEADERS_MAX)
        head->headers[head->count] = (struct gate_header){name, name_length, value, value_length};
    head->count++;
    switch (name_length) {
    case 6:
        if (is_named(name, name_length, "Accept"))
            head->accept = value;
        break;
    case 11:
        if (is_named(name, name_length, "traceparent"))
            copy_plain(head->echo->traceparent, sizeof head->echo->traceparent, value, value_length);
        break;
    case 12:
        if (is_named(name, name_length, "Content-Type"))
            head->content_type = value;
        else if (is_named(name, name_length, "X-Request-Id"))
            copy_plain(head->echo->id, sizeof head->echo->id, value, value_length);
        break;
    case 15:
        if (is_named(name, name_length, "Accept-Encoding"))
            head->echo->gzip = gzip_wanted(value);
        break;
    case 13:
        if (is_named(name, name_length, "If-None-Match"))
            head->if_none_match = value;
        break;
    default:
        break;
    }
}

static void make_id(struct echo *echo, uint64_t id)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++, id >>= 4)
        echo->id[i] = hex[id & 15];
    echo->id[16] = '\0';
}

static bool accepts_json(const char *accept)
{
    return accept == NULL || strstr(accept, "*/*") != NULL || strstr(accept, "application/json") != NULL ||
           strstr(accept, "application/*") != NULL || strstr(accept, "application/problem+json") != NULL;
}

static void tag_of(const struct answer *answer, char tag[24])
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < answer->blocks[0].length; i++)
        hash = (hash ^ (unsigned char)answer->blocks[0].data[answer->blocks[0].start + i]) * 1099511628211u;
    snprintf(tag, 24, "\"%016llx\"", (unsigned long long)hash);
}

static void show(const struct head *head, const struct route *route, struct calls *calls, struct answer *answer)
{
    route->show(calls, answer);
    if (route->constant) {
        char tag[24];
        tag_of(answer, tag);
        answer_header(answer, "ETag", "%s", tag);
        answer_header(answer, "Cache-Control", "no-cache");
        if (head->if_none_match != NULL && strstr(head->if_none_match, tag) != NULL)
            answer->status = 304;
    } else {
        answer_header(answer, "Cache-Control", "no-store");
    }
    answer_header(answer, "X-Content-Type-Options", "nosniff");
}

static void show_options(const struct head *head, const struct route *route, struct answer *answer)
{
    answer->status = 204;
    answer_header(answer, "Allow", "%s", route->allow);
    if (head->echo->cors_origin[0] != '\0') {
        answer_header(answer, "Access-Control-Allow-Methods", "%s", route->allow);
        answer_header(answer, "Access-Control-Allow-Headers", "Content-Type, Authorization, X-Request-Id");
    }
}

/* The path without its query; the query keeps its raw bytes, '+' and all. */
static const char *split_target(struct head *head, char *target)
{
    char *mark = strchr(target, '?');
    if (mark != NULL) {
        *mark = '\0';
        head->query = mark + 1;
    }
    return target;
}

/* Route and method and what is accepted; NULL with a problem, or with `answer` set where no call is needed. */
static const struct route *find_route(struct head *head, const struct head_rules *rules, const char *method,
                                      const char *path, struct answer *answer, struct problem *problem)
{
    const struct route *route = route_find(path, problem);
    if (route == NULL)
        return NULL;
    if (strcmp(method, "OPTIONS") == 0) {
        show_options(head, route, answer);
        return NULL;
    }
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (route->endpoint == 0 ? !get : strcmp(method, "POST") != 0) {
        route_refuse_method(route, method, problem);
        return NULL;
    }
    if (route->endpoint == 0) {
        show(head, route, rules->calls, answer);
        return NULL;
    }
    if (!accepts_json(head->accept)) {
        problem_set(problem, PROBLEM_NOT_ACCEPTABLE, "answers here are application/json, not %.100s", head->accept);
        snprintf(problem->allowed, sizeof problem->allowed, "application/json");
        return NULL;
    }
    return route;
}

const struct route *head_decide(struct head *head, const struct head_rules *rules, const char *method, char *target,
                                const char *version, struct answer *answer)
{
    struct problem problem; /* set where it is used: it is large */
    struct echo *echo = head->echo;
    if (echo->id[0] == '\0')
        make_id(echo, rules->id);
    struct gate_request gate = {
        .method = method, .target = target, .version = version, .headers = head->headers, .header_count = head->count};
    bool passed = gate_check(&gate, rules->gate, &problem);
    if (passed && rules->full) {
        passed = problem_set(&problem, PROBLEM_UNAVAILABLE, "there are more than max-connections, %llu, connections",
                             (unsigned long long)rules->calls->options->max_connections);
        problem.retry_after_s = 1;
    }
    if (!passed) {
        answer_problem(answer, &problem, echo->id);
        answer->close = true;
        return NULL;
    }
    head->content_length = gate.content_length;
    head->has_body = gate.content_length > 0 || gate.chunked;
    head->close_after = gate.close_after;
    if (gate.cors_origin != NULL && gate.cors_origin->value_length < sizeof echo->cors_origin)
        memcpy(echo->cors_origin, gate.cors_origin->value, gate.cors_origin->value_length);
    const struct route *route = find_route(head, rules, method, split_target(head, target), answer, &problem);
    if (route != NULL)
        return route;
    if (answer->status == 0)
        answer_problem(answer, &problem, echo->id);
    answer->close |= head->has_body;
    return NULL;
}
