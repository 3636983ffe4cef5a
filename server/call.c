/* call: see call.h. Reading a request into work, and what the pool says of it; call_answer.c makes answers of it. */
#include "server/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "server/call_state.h"
#include "workers/catalog.h"
#include "workers/log.h"

#define FEED_BYTES (64u << 10)      /* a body is scanned in pieces at least so large while it arrives */
#define TASK_BYTES (192u << 10)     /* of a task with `auto` chunks: a few fit a pipe */
#define TASK_BYTES_MOST (48u << 20) /* of any: a frame's limit, and some */
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

static void cancel_work(struct call *call)
{
    if (call->work != NULL)
        scheduler_cancel(call->calls->scheduler, call->work, loop_now(call->calls->loop));
    call->work = NULL;
}

void call_refuse(struct call *call, const struct problem *problem)
{
    cancel_work(call);
    answer_problem(&call->answer, problem, call->start.id);
    call->answer.close = problem->type == PROBLEM_TOO_LARGE;
    call->state = CALL_ENDED;
}

/* --- the body ----------------------------------------------------------------------------------------------------- */

static bool keep_room(struct call *call, size_t capacity)
{
    struct calls *calls = call->calls;
    if (capacity <= call->body_capacity)
        return true;
    char *body = realloc(call->body, capacity);
    if (body == NULL)
        return false;
    calls->body_bytes += capacity - call->body_capacity;
    call->body = body;
    call->body_capacity = capacity;
    return true;
}

static bool refuse_budget(struct call *call, struct problem *problem)
{
    problem_set(problem, PROBLEM_UNAVAILABLE,
                "the bodies of the requests under way take all of max-bodies, %llu bytes; try again shortly",
                (unsigned long long)call->calls->options->max_bodies_bytes);
    problem->retry_after_s = 1;
    return false;
}

static bool is_type(const char *content_type, const char *wanted)
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
    if (is_type(type, "multipart/form-data"))
        return problem_set(problem, PROBLEM_UNSUPPORTED_MEDIA,
                           "forms are not taken here; send the JSON object, or the items with the function in the query");
    if (!named)
        return true;
    *shape = SCAN_LINES;
    if (type == NULL || *type == '\0')
        return true;
    if (is_type(type, "application/json"))
        *shape = SCAN_ARRAY;
    else if (is_type(type, "text/plain"))
        *shape = SCAN_TEXT;
    else if (is_type(type, "text/csv"))
        *shape = call->request.header ? SCAN_CSV_HEADER : SCAN_CSV;
    else
        for (size_t i = 0; i <= sizeof plain / sizeof *plain; i++) {
            if (i == sizeof plain / sizeof *plain)
                return problem_set(problem, PROBLEM_UNSUPPORTED_MEDIA, "items come as %s, not as %.80s",
                                   "application/x-ndjson, application/json, text/plain or text/csv", type);
            if (is_type(type, plain[i]))
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
    else if (calls->body_bytes + length > options->max_bodies_bytes)
        return refuse_budget(call, problem);
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
        calls->body_bytes += capacity;
    }
    call->calls = calls;
    return call;
}

static void call_unmake(struct call *call)
{
    struct calls *calls = call->calls;
    calls->body_bytes -= call->body_capacity;
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
    if (problem->type == PROBLEM_NONE && start->content_length > 0 && !keep_room(call, (size_t)start->content_length))
        refuse_budget(call, problem);
    if (problem->type != PROBLEM_NONE)
        call_refuse(call, problem);
    return call;
}

/* --- from the body to the scheduler ------------------------------------------------------------------------------- */

static void refuse_scan(struct call *call)
{
    const struct scan *scan = &call->scan;
    struct problem problem = {0};
    static const enum problem_type types[] = {
        [SCAN_MALFORMED] = PROBLEM_MALFORMED_JSON,        [SCAN_DUPLICATE] = PROBLEM_MALFORMED_JSON,
        [SCAN_TOO_DEEP] = PROBLEM_MALFORMED_JSON,         [SCAN_TOO_MANY_MEMBERS] = PROBLEM_MALFORMED_JSON,
        [SCAN_ITEM_TOO_LARGE] = PROBLEM_TOO_LARGE,        [SCAN_TOO_MANY_ITEMS] = PROBLEM_TOO_LARGE,
    };
    problem_set(&problem, types[scan->fault], "%s", scan->why);
    if (scan->fault == SCAN_ITEM_TOO_LARGE || scan->fault == SCAN_TOO_MANY_ITEMS) {
        problem.has_limit = true;
        problem.limit = scan->fault == SCAN_ITEM_TOO_LARGE ? scan->limits.item_bytes : scan->limits.items;
        problem.has_index = scan->fault == SCAN_ITEM_TOO_LARGE;
        problem.index = scan->items.count;
    }
    struct scan_position position = scan_position(call->body, call->body_length, scan->offset);
    problem.has_position = true;
    problem.line = position.line;
    problem.column = position.column;
    problem.offset = position.offset;
    call_refuse(call, &problem);
}

static bool take_members(struct call *call)
{
    struct problem *problem = &call->calls->problem;
    size_t from = call->members_taken, to = call->scan.member_count;
    if (from == to)
        return true;
    call->members_taken = to;
    if (request_members(&call->request, &call->scan, call->body, from, to, &call->calls->limits, problem))
        return true;
    call_refuse(call, problem);
    return false;
}

/* Whether work may begin before the body is whole: nothing that may still come can forbid it, only restart it. */
static bool may_begin(const struct call *call)
{
    const struct request *request = &call->request;
    return call->scan.items_begun && request->function != NULL && call->scan.items.count > 0 &&
           (request->endpoint & (ENDPOINT_MAP | ENDPOINT_STARMAP)) && request->isolation == ISOLATION_POOL &&
           request->context != CONTEXT_SPAWN;
}

static bool function_open(struct call *call)
{
    uint32_t number = function_number(call->request.function);
    uint64_t now_ns = loop_now(call->calls->loop);
    uint64_t until_ns = scheduler_breaker_ns(call->calls->scheduler, number, now_ns);
    if (until_ns == 0)
        return true;
    struct problem problem = {0};
    problem_set(&problem, PROBLEM_FUNCTION_UNAVAILABLE,
                "%s crashed its workers five times within 30 s; it is not called for a while",
                call->request.function->name);
    problem.retry_after_s = (unsigned)((until_ns - now_ns) / 1000000000u) + 1;
    call_refuse(call, &problem);
    return false;
}

/* Below 2^53: a JSON reader of doubles can give it back. SplitMix64 (Steele, Lea, Flood 2014) from a random start. */
static uint64_t fresh_seed(struct calls *calls)
{
    uint64_t z = calls->seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) >> 11;
}

static bool begin(struct call *call)
{
    struct calls *calls = call->calls;
    const struct request *request = &call->request;
    if (!function_open(call))
        return false;
    if (!request->has_seed)
        call->request.seed = fresh_seed(calls);
    call->request.has_seed = true;
    uint32_t number = function_number(request->function);
    bool spawn = request->context == CONTEXT_SPAWN;
    struct sched_options options = {
        .owner = call,
        .principal = call->start.principal,
        .function = number,
        .chunksize = request->chunksize,
        .processes = request->processes,
        .crash_retries = request->crash_retries,
        .item_timeout_ns = request->item_timeout_ms * 1000000u,
        .deadline_ns = call->start.now_ns + request->deadline_ms * 1000000u,
        .stop_on_error = request->on_error != ON_ERROR_COLLECT,
        .isolated = request->isolation == ISOLATION_PROCESS,
        .spawn = spawn,
    };
    catalog_hash(request->function, call->function_hash);
    outcome_free(call->outcome);
    call->outcome = outcome_new(request->aggregate, (uint32_t)calls->options->errors_listed);
    call->changed = request->changed;
    call->begun_aggregate = request->aggregate;
    call->begun_deadline_ms = request->deadline_ms;
    call->work = scheduler_call(calls->scheduler, &options, loop_now(calls->loop));
    return true;
}

/* Items so far are the scheduler's. */
static void offer(struct call *call, bool complete)
{
    if (call->work != NULL)
        scheduler_items(call->calls->scheduler, call->work, call->items, complete);
}

/* Looks at what came; false: the call is refused. */
static bool feed(struct call *call, bool last)
{
    enum scan_status status = scan_feed(&call->scan, call->body, call->body_length, last);
    call->fed = call->body_length;
    if (status == SCAN_BAD) {
        refuse_scan(call);
        return false;
    }
    return true;
}

static void begin_early(struct call *call)
{
    if (!feed(call, false) || !call->scan.items_begun || !take_members(call))
        return;
    if (call->ended_early || (call->work == NULL && (!may_begin(call) || !begin(call))))
        return;
    call->items = call->scan.items.count;
    offer(call, false);
}

bool call_body(struct call *call, const char *bytes, size_t length, uint64_t now_ns)
{
    if (call->state == CALL_ENDED)
        return true; /* the answer waits for the end of the upload */
    if (call->body_length + length > call->body_capacity) {
        const struct options *options = call->calls->options;
        size_t capacity = call->body_capacity * 2 > call->body_length + length ? call->body_capacity * 2
                                                                                : call->body_length + length + 4096;
        if (call->body_length + length > options->max_body_bytes ||
            call->calls->body_bytes - call->body_capacity + capacity > options->max_bodies_bytes ||
            !keep_room(call, capacity))
            return false;
    }
    memcpy(call->body + call->body_length, bytes, length);
    call->body_length += length;
    if (call->body_length - call->fed >= FEED_BYTES)
        begin_early(call);
    return true;
}

/* curl -d takes newlines away: then a body of lines is one line of many values. */
static bool lost_newlines(struct call *call)
{
    if (call->scan.shape != SCAN_LINES || call->scan.items.count != 1 ||
        !is_type(call->start.content_type, "application/x-www-form-urlencoded"))
        return false;
    const char *cursor = call->body, *end = call->body + call->body_length, *why;
    struct span value;
    if (token_read(&cursor, end, &value, &why) == TOKEN_BAD || token_skip_blanks(cursor, end) == end)
        return false;
    struct problem problem = {0};
    problem_set(&problem, PROBLEM_MALFORMED_JSON,
                "the body is one line with more than one value: curl -d removes newlines, use --data-binary or -T");
    call_refuse(call, &problem);
    return true;
}

static void count_items(struct call *call)
{
    switch (call->request.endpoint) {
    case ENDPOINT_DICE:
        call->roll = dice_args(&call->request);
        call->items = roll_items(call->request.rolls);
        break;
    case ENDPOINT_APPLY:
        call->items = 1;
        break;
    default:
        call->items = call->scan.items.count;
    }
}

static bool finish_reading(struct call *call)
{
    if (!feed(call, true) || !take_members(call) || lost_newlines(call))
        return false;
    if (!request_finish(&call->request, &call->scan, &call->calls->problem)) {
        call_refuse(call, &call->calls->problem);
        return false;
    }
    return true;
}

static void roll_without_workers(struct call *call)
{
    roll_tally_init(&call->tally, call->request.dice, call->request.sides);
    dice_multinomial(&call->request, call->tally.counts);
}

void call_finish(struct call *call, uint64_t now_ns)
{
    if (call->state == CALL_ENDED || !finish_reading(call))
        return;
    call->read_ns = now_ns;
    call->state = CALL_RUNNING;
    bool begun = call->work != NULL || call->ended_early;
    if (begun && (request_restarts(&call->request, call->changed) || call->begun_aggregate != call->request.aggregate ||
                  call->begun_deadline_ms != call->request.deadline_ms)) {
        cancel_work(call); /* what was computed so far is void */
        call->ended_early = call->lied = false;
    }
    count_items(call);
    if (call->ended_early) {
        call_conclude(call, call->early_ended);
        return;
    }
    if (call->work == NULL && !begin(call))
        return;
    call->calls->made[function_number(call->request.function)]++;
    if (call->request.endpoint == ENDPOINT_DICE) {
        if (call->request.method == DICE_MULTINOMIAL) {
            cancel_work(call);
            roll_without_workers(call);
            call_conclude(call, ENDED_COMPLETE);
            return;
        }
        roll_tally_init(&call->tally, call->request.dice, call->request.sides);
    }
    offer(call, true);
}

void call_free(struct call *call)
{
    if (call == NULL)
        return;
    cancel_work(call);
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

/* --- what the scheduler asks, what the pool tells ----------------------------------------------------------------- */

uint32_t call_fit(void *owner, uint64_t first, uint32_t most, bool chunksize_given)
{
    struct call *call = owner;
    enum items_format format = call->scan.items.format;
    if (call->request.endpoint & (ENDPOINT_APPLY | ENDPOINT_DICE) || format == ITEMS_RANGE || format == ITEMS_REPEAT)
        return most;
    return (uint32_t)items_fitting(&call->scan.items, call->body, first, most,
                                   chunksize_given ? TASK_BYTES_MOST : TASK_BYTES);
}

static struct span text_payload(struct call *call, uint64_t first, uint32_t count)
{
    struct items *items = &call->scan.items;
    size_t start, end;
    items_locate(items, call->body, first, count, &start, &end);
    if (items->format != ITEMS_CSV_HEADER)
        return (struct span){call->body + start, end - start};
    buf_reset(&call->payload);
    buf_append(&call->payload, call->body + items->header_start, items->header_end - items->header_start);
    buf_append_char(&call->payload, '\n');
    buf_append(&call->payload, call->body + start, end - start);
    return (struct span){buf_start(&call->payload), call->payload.length};
}

static void pack_payload(struct call *call, struct task_message *message)
{
    struct items *items = &call->scan.items;
    const struct request *request = &call->request;
    message->format = (uint8_t)items->format;
    if (request->endpoint == ENDPOINT_DICE) {
        message->format = ITEMS_FOLD;
        message->payload = (struct span){(const char *)&call->roll, sizeof call->roll};
    } else if (request->endpoint == ENDPOINT_APPLY) {
        message->format = ITEMS_JSON;
        message->flags |= TASK_STAR;
        message->payload = request->args_length > 0 ? (struct span){call->body + request->args_start, request->args_length}
                                                    : (struct span){"[]", 2};
    } else if (items->format == ITEMS_RANGE) {
        call->range[0] = items->start;
        call->range[1] = items->step;
        message->payload = (struct span){(const char *)call->range, sizeof call->range};
    } else if (items->format == ITEMS_REPEAT) {
        message->payload = (struct span){call->body + items->value_start, items->value_end - items->value_start};
    } else {
        message->payload = text_payload(call, message->first, message->count);
    }
}

static void on_dispatch(void *owner, const struct sched_action *action, struct task_message *message)
{
    struct call *call = owner;
    memcpy(message->function, call->function_hash, sizeof message->function);
    memset(message->common, 0, sizeof message->common);
    message->seed = call->request.seed;
    message->principal = call->start.principal;
    message->separator = ',';
    if (call->request.endpoint == ENDPOINT_STARMAP)
        message->flags |= TASK_STAR;
    pack_payload(call, message);
    if (call->request.trace)
        trace_dispatch(call, action);
}

static void on_result(void *owner, struct pool_result *result)
{
    struct call *call = owner;
    const struct result_message *message = result->message;
    if (call->started_ns == 0)
        call->started_ns = message->started_ns;
    if (message->ended_ns > call->ended_ns)
        call->ended_ns = message->ended_ns;
    if (call->request.trace)
        trace_result(call, result);
    if (call->request.endpoint == ENDPOINT_DICE) {
        uint64_t rolls = roll_rolls(call->request.rolls, result->first, message->count);
        if (message->count > 0 && !roll_tally_merge(&call->tally, message->output, rolls))
            call->lied = true;
        free(result->block);
        return;
    }
    if (message->count > 0 && !outcome_results(call->outcome, result->first, message->count, message->output,
                                               result->block))
        call->lied = true;
    else if (message->count == 0)
        free(result->block);
    struct span errors = message->errors, members;
    uint32_t item;
    enum item_error type;
    for (uint32_t i = 0; i < message->failed; i++) {
        if (!result_error_next(&errors, &item, &type, &members) || item < message->first ||
            item - message->first >= message->count) {
            call->lied = true;
            break;
        }
        outcome_failure(call->outcome, result->first + (item - message->first), type, members, result->attempts);
    }
}

static void on_malformed(void *owner, uint64_t first, const struct malformed_message *malformed)
{
    struct call *call = owner;
    size_t start = 0, end = 0;
    items_locate(&call->scan.items, call->body, first, 1, &start, &end);
    struct scan_position position = scan_position(call->body, call->body_length, start + malformed->offset);
    struct problem problem = {0};
    problem_set(&problem, PROBLEM_MALFORMED_JSON, "%.*s", (int)malformed->why.length, malformed->why.at);
    snprintf(problem.pointer, sizeof problem.pointer, "/items/%llu", (unsigned long long)(first + malformed->item));
    problem.has_position = problem.has_index = true;
    problem.index = first + malformed->item;
    problem.line = position.line;
    problem.column = position.column;
    problem.offset = position.offset;
    bool reading = call->state == CALL_READING;
    call_refuse(call, &problem);
    if (!reading)
        call->calls->answered(call->start.request);
}

static void on_failed(void *owner, const struct sched_action *action)
{
    struct call *call = owner;
    call->lost_error = action->error;
    struct outcome_death death = {
        .attempts = action->attempts,
        .signal = action->signal,
        .exit_code = action->exit_code,
        .by_deadline = action->by_deadline,
        .limit_ms = action->by_deadline ? call->request.deadline_ms : call->request.item_timeout_ms,
        .limit_bytes = call->calls->options->worker_memory_bytes,
    };
    outcome_lost(call->outcome, action->first, action->count, action->error, &death);
}

static void on_ended(void *owner, enum sched_ended ended)
{
    static const enum ended names[] = {[SCHED_COMPLETE] = ENDED_COMPLETE,
                                       [SCHED_STOPPED] = ENDED_STOPPED,
                                       [SCHED_DEADLINE] = ENDED_DEADLINE,
                                       [SCHED_CANCELLED] = ENDED_CANCELLED};
    struct call *call = owner;
    call->work = NULL;
    if (call->state == CALL_READING) { /* its time passed, or it stopped, before the upload ended */
        call->ended_early = true;
        call->early_ended = names[ended];
        return;
    }
    call_conclude(call, names[ended]);
    call->calls->answered(call->start.request);
}

const struct pool_owner calls_pool_owner = {on_dispatch, on_result, on_malformed, on_failed, on_ended};
