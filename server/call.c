/* call: see call.h. A call's beginning and end: whether it is taken at all, and its memory. call_read.c turns its body
 * into work, call_work.c does its business with the pool, call_answer.c makes its answer. */
#include "server/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "server/call_state.h"
#include "workers/catalog.h"
#include "workers/log.h"

#define BACKLOG_EVERY_NS 10000000ull
#define CALLS_KEPT 256
#define BODY_KEPT 4096u /* a kept call's body keeps its memory up to this */

uint32_t functions_count(void)
{
    uint32_t count = 0;
    while (catalog_row(count) != NULL)
        count++;
    return count;
}

uint32_t function_number(const struct native *native)
{
    uint32_t number = 0;
    while (catalog_row(number) != native)
        number++;
    return number;
}

void calls_init(struct calls *calls, const struct options *options)
{
    *calls = (struct calls){.options = options};
    calls->limits = (struct request_limits){.max_workers = (uint32_t)options->max_workers,
                                            .items = options->max_items,
                                            .item_timeout_ms = options->item_timeout_ms,
                                            .deadline_ms = options->deadline_ms,
                                            .demo_functions = options->demo_functions};
    if (getrandom(&calls->seed, sizeof calls->seed, 0) != sizeof calls->seed)
        die("no randomness");
    calls->made = calloc(functions_count(), sizeof *calls->made);
    if (calls->made == NULL)
        die("out of memory");
}

void calls_clear(struct calls *calls)
{
    while (calls->kept != NULL) {
        struct call *call = calls->kept;
        calls->kept = call->next_kept;
        free(call->body);
        free(call);
    }
    free(calls->made);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

void call_cancel_work(struct call *call)
{
    if (call->work != NULL)
        scheduler_cancel(call->calls->scheduler, call->work, loop_now(call->calls->loop));
    call->work = NULL;
}

void call_refuse(struct call *call, const struct problem *problem)
{
    call_cancel_work(call);
    answer_problem(&call->answer, problem, call->start.id);
    outcome_free(call->outcome);
    call->outcome = NULL;
    call->calls->kept_bytes -= call->answer_bytes;
    call->answer_bytes = 0;
    call->answer.close = problem->type == PROBLEM_TOO_LARGE;
    call->state = CALL_ENDED;
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

bool call_keep_room(struct call *call, size_t capacity)
{
    struct calls *calls = call->calls;
    if (capacity <= call->body_capacity)
        return true;
    char *body = realloc(call->body, capacity);
    if (body == NULL)
        return false;
    calls->kept_bytes += capacity - call->body_capacity;
    call->body = body;
    call->body_capacity = capacity;
    return true;
}

bool call_over_budget(struct call *call, struct problem *problem)
{
    problem_set(problem, PROBLEM_UNAVAILABLE,
                "the bodies and answers under way take all of max-bodies, %llu bytes; try again shortly",
                (unsigned long long)call->calls->options->max_bodies_bytes);
    problem->retry_after_s = 1;
    return false;
}

bool call_is_type(const char *content_type, const char *wanted)
{
    size_t length = strlen(wanted);
    return content_type != NULL && strncasecmp(content_type, wanted, length) == 0 &&
           strchr("; \t", content_type[length]) != NULL;
}

/* What the body is, by the query and the Content-Type. */
static bool body_shape(const struct call *call, bool named, enum scan_shape *shape, struct problem *problem)
{
    const char *type = call->start.content_type;
    static const char *const plain[] = {"application/x-www-form-urlencoded", "application/octet-stream",
                                        "application/x-ndjson", "application/jsonl", "application/json"};
    *shape = SCAN_OBJECT;
    if (call_is_type(type, "multipart/form-data"))
        return problem_set(
            problem, PROBLEM_UNSUPPORTED_MEDIA,
            "forms are not taken here; send the JSON object, or the items with the function in the query");
    if (!named)
        return true;
    *shape = SCAN_LINES;
    if (type == NULL || *type == '\0')
        return true;
    if (call_is_type(type, "application/json"))
        *shape = SCAN_ARRAY;
    else if (call_is_type(type, "text/plain"))
        *shape = SCAN_TEXT;
    else if (call_is_type(type, "text/csv"))
        *shape = call->request.header ? SCAN_CSV_HEADER : SCAN_CSV;
    else
        for (size_t i = 0; i <= sizeof plain / sizeof *plain; i++) {
            if (i == sizeof plain / sizeof *plain)
                return problem_set(problem, PROBLEM_UNSUPPORTED_MEDIA, "items come as %s, not as %.80s",
                                   "application/x-ndjson, application/json, text/plain or text/csv", type);
            if (call_is_type(type, plain[i]))
                break;
        }
    return true;
}

/* The estimate looks at every call: a fresh one each 10 ms is good enough. */
static uint64_t backlog_ns(struct calls *calls, uint64_t now_ns)
{
    if (now_ns - calls->backlog_at_ns >= BACKLOG_EVERY_NS) {
        calls->backlog_ns = scheduler_backlog_ns(calls->scheduler);
        calls->backlog_at_ns = now_ns;
    }
    return calls->backlog_ns;
}

static bool admit(struct call *call, struct problem *problem)
{
    struct calls *calls = call->calls;
    const struct options *options = calls->options;
    uint64_t length = call->start.content_length > 0 ? (uint64_t)call->start.content_length : 0;
    if (calls->draining)
        problem_set(problem, PROBLEM_UNAVAILABLE, "the service is stopping; it takes no new calls");
    else if (scheduler_live(calls->scheduler) == 0 && call->start.now_ns - calls->live_ns > CALLS_NO_WORKER_NS)
        problem_set(problem, PROBLEM_UNAVAILABLE, "no worker is alive; they are being started");
    else if (backlog_ns(calls, call->start.now_ns) / 1000000 > options->max_queue_ms)
        problem_set(problem, PROBLEM_UNAVAILABLE,
                    "the calls under way will take longer than max-queue-ms, %llu ms, by estimate",
                    (unsigned long long)options->max_queue_ms);
    else if (calls->kept_bytes + length > options->max_bodies_bytes)
        return call_over_budget(call, problem);
    else
        return true;
    problem->retry_after_s = 1;
    return false;
}

/* A zeroed call, with the body's memory of one before it: most requests are short, and many. */
static struct call *call_make(struct calls *calls)
{
    struct call *call = calls->kept;
    if (call == NULL) {
        call = calloc(1, sizeof *call);
        if (call == NULL)
            die("out of memory");
    } else {
        calls->kept = call->next_kept;
        calls->kept_count--;
        char *body = call->body;
        size_t capacity = call->body_capacity;
        memset(call, 0, offsetof(struct call, scan));
        memset(&call->request, 0, sizeof *call - offsetof(struct call, request));
        call->body = body;
        call->body_capacity = capacity;
        calls->kept_bytes += capacity;
    }
    call->calls = calls;
    return call;
}

static void call_unmake(struct call *call)
{
    struct calls *calls = call->calls;
    calls->kept_bytes -= call->body_capacity + call->answer_bytes;
    if (calls->kept_count == CALLS_KEPT || call->body_capacity > BODY_KEPT) {
        free(call->body);
        free(call);
        return;
    }
    call->next_kept = calls->kept;
    calls->kept = call;
    calls->kept_count++;
}

struct call *call_new(struct calls *calls, const struct call_start *start)
{
    struct call *call = call_make(calls);
    call->start = *start;
    struct problem *problem = &calls->problem; /* scratch: large, and needed by few */
    problem->type = PROBLEM_NONE;
    bool named = false;
    enum scan_shape shape = SCAN_OBJECT;
    request_init(&call->request, start->endpoint, &calls->limits);
    struct scan_limits limits = {.item_bytes = calls->options->max_item_bytes, .items = calls->options->max_items};
    if (admit(call, problem) &&
        (start->query == NULL || request_query(&call->request, start->query, &calls->limits, &named, problem)))
        body_shape(call, named, &shape, problem);
    scan_init(&call->scan, shape, &limits);
    if (problem->type == PROBLEM_NONE && named && (start->endpoint & (ENDPOINT_APPLY | ENDPOINT_DICE)))
        problem_set(problem, PROBLEM_WRONG_VALUE, "only /map and /starmap take their function in the query");
    if (problem->type == PROBLEM_NONE && start->content_length > 0 &&
        !call_keep_room(call, (size_t)start->content_length))
        call_over_budget(call, problem);
    if (problem->type != PROBLEM_NONE)
        call_refuse(call, problem);
    return call;
}

void call_free(struct call *call)
{
    if (call == NULL)
        return;
    call_cancel_work(call);
    outcome_free(call->outcome);
    answer_clear(&call->answer);
    scan_clear(&call->scan);
    roll_tally_clear(&call->tally);
    buf_clear(&call->payload);
    free(call->trace);
    call_unmake(call);
}

struct answer *call_answer(struct call *call)
{
    return call->state == CALL_ENDED ? &call->answer : NULL;
}
