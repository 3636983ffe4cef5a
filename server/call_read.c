/* call_read: a call's body, from its bytes to items that the scheduler hands out. See call.h. */
#include <stdlib.h>
#include <string.h>

#include "server/call_state.h"
#include "workers/catalog.h"

#define FEED_BYTES (64u << 10) /* a body is scanned in pieces at least so large while it arrives */

static void refuse_scan(struct call *call)
{
    const struct scan *scan = &call->scan;
    struct problem problem = {0};
    static const enum problem_type types[] = {
        [SCAN_MALFORMED] = PROBLEM_MALFORMED_JSON, [SCAN_DUPLICATE] = PROBLEM_MALFORMED_JSON,
        [SCAN_TOO_DEEP] = PROBLEM_MALFORMED_JSON,  [SCAN_TOO_MANY_MEMBERS] = PROBLEM_MALFORMED_JSON,
        [SCAN_ITEM_TOO_LARGE] = PROBLEM_TOO_LARGE, [SCAN_TOO_MANY_ITEMS] = PROBLEM_TOO_LARGE,
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

static void settle_seed(struct call *call)
{
    if (!call->request.has_seed)
        call->request.seed = fresh_seed(call->calls);
    call->request.has_seed = true;
}

static bool begin(struct call *call)
{
    struct calls *calls = call->calls;
    const struct request *request = &call->request;
    if (!function_open(call))
        return false;
    settle_seed(call);
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
            call->calls->kept_bytes - call->body_capacity + capacity > options->max_bodies_bytes ||
            !call_keep_room(call, capacity))
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
        !call_is_type(call->start.content_type, "application/x-www-form-urlencoded"))
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
        call_cancel_work(call); /* what was computed so far is void */
        call->ended_early = call->lied = false;
    }
    settle_seed(call);
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
            call_cancel_work(call);
            roll_without_workers(call);
            call_conclude(call, ENDED_COMPLETE);
            return;
        }
        roll_tally_init(&call->tally, call->request.dice, call->request.sides);
    }
    offer(call, true);
}
