/* call_answer: what became of a call's items, made into its answer. See call.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/call_state.h"
#include "workers/log.h"
#include "workers/number.h"

/* --- trace -------------------------------------------------------------------------------------------------------- */

void trace_dispatch(struct call *call, const struct sched_action *action)
{
    if (call->trace_count == call->trace_capacity) {
        call->trace_capacity = call->trace_capacity ? call->trace_capacity * 2 : 16;
        call->trace = realloc(call->trace, call->trace_capacity * sizeof *call->trace);
        if (call->trace == NULL)
            die("out of memory: %zu traces", call->trace_capacity);
    }
    call->trace[call->trace_count++] = (struct trace){.task = action->task,
                                                      .first = action->first,
                                                      .queued_ns = loop_now(call->calls->loop),
                                                      .slot = action->slot,
                                                      .pid = pool_pid(call->calls->pool, action->slot)};
}

void trace_result(struct call *call, const struct pool_result *result)
{
    const struct result_message *message = result->message;
    for (size_t i = call->trace_count; i-- > 0;) {
        struct trace *trace = &call->trace[i];
        if (trace->task != message->task)
            continue;
        if (trace->started_ns == 0)
            trace->started_ns = message->started_ns;
        trace->ended_ns = message->ended_ns;
        trace->count += message->count;
        trace->pid = pool_pid(call->calls->pool, result->slot);
        return;
    }
}

static double since_ms(const struct call *call, uint64_t at_ns)
{
    return at_ns > call->start.now_ns ? (double)(at_ns - call->start.now_ns) / 1e6 : 0;
}

static void print_trace(const struct call *call, struct buf *to)
{
    static const char *const contexts[] = {"forkserver", "forkserver", "spawn", "forkserver"};
    enum context context = call->request.context;
    if (context == CONTEXT_DEFAULT && call->calls->options->start_method == START_SPAWN)
        context = CONTEXT_SPAWN;
    buf_printf(to, "{\"context\":\"%s\",\"isolation\":\"%s\",\"seed\":%llu,\"chunks\":[", contexts[context],
               call->request.isolation == ISOLATION_PROCESS ? "process" : "pool",
               (unsigned long long)call->request.seed);
    bool any = false;
    for (size_t i = 0; i < call->trace_count; i++) {
        const struct trace *trace = &call->trace[i];
        if (trace->ended_ns == 0)
            continue; /* its worker died first: the items stand in a later chunk */
        buf_printf(to,
                   "%s{\"worker\":%d,\"parent\":%d,\"slot\":%u,\"first\":%llu,\"count\":%u,\"queued_ms\":%.3f,"
                   "\"started_ms\":%.3f,\"ended_ms\":%.3f}",
                   any ? "," : "", trace->pid, pool_zygote_pid(call->calls->pool), trace->slot,
                   (unsigned long long)trace->first, trace->count, since_ms(call, trace->queued_ns),
                   since_ms(call, trace->started_ns), since_ms(call, trace->ended_ns));
        any = true;
    }
    buf_append_text(to, "]}");
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* The first failure as a problem: for /apply, and for on_error fail. */
static void refuse_failed(struct call *call, enum ended ended)
{
    struct problem problem = {0};
    uint64_t index = 0;
    enum item_error type = ITEM_OK;
    const char *error = outcome_first_error(call->outcome, &index, &type);
    bool late = ended == ENDED_DEADLINE || type == ITEM_TIMEOUT;
    bool apply = call->request.endpoint == ENDPOINT_APPLY;
    if (error == NULL)
        problem_set(&problem, late ? PROBLEM_DEADLINE : PROBLEM_ITEM_FAILED, "%s of %llu ms passed before %s began",
                    "deadline_ms", (unsigned long long)call->request.deadline_ms, apply ? "the call" : "every item");
    else if (apply)
        problem_set(&problem, late ? PROBLEM_DEADLINE : PROBLEM_ITEM_FAILED, "the call failed: %s",
                    item_error_name(type));
    else
        problem_set(&problem, late ? PROBLEM_DEADLINE : PROBLEM_ITEM_FAILED,
                    "item %llu failed: %s; with on_error fail the call fails with it", (unsigned long long)index,
                    item_error_name(type));
    problem.error = error;
    problem.has_index = error != NULL && !apply;
    problem.index = index;
    if (type == ITEM_UNAVAILABLE)
        problem.type = PROBLEM_FUNCTION_UNAVAILABLE;
    call_refuse(call, &problem);
}

static void conclude_dice(struct call *call, enum ended ended)
{
    struct problem problem = {0};
    struct buf body = {0};
    if (ended == ENDED_DEADLINE || call->lost_error == ITEM_TIMEOUT) {
        problem_set(&problem, PROBLEM_DEADLINE,
                    "the dice were not all rolled within deadline_ms, %llu ms; \"method\": \"multinomial\" draws the "
                    "counts at once",
                    (unsigned long long)call->request.deadline_ms);
        call_refuse(call, &problem);
        return;
    }
    if (ended != ENDED_COMPLETE || call->lost_error != ITEM_OK) {
        problem_set(&problem, PROBLEM_INTERNAL, "the dice could not be rolled: %s",
                    call->lost_error != ITEM_OK ? item_error_name(call->lost_error) : "the call was stopped");
        call_refuse(call, &problem);
        return;
    }
    dice_answer(&call->request, call->tally.counts, &body);
    if (call->request.trace) {
        buf_truncate(&body, body.length - 1); /* its closing brace */
        buf_append_text(&body, ",\"trace\":");
        print_trace(call, &body);
        buf_append_char(&body, '}');
    }
    answer_json(&call->answer, 200, &body);
}

static void conclude_apply(struct call *call, enum ended ended)
{
    if (outcome_failed(call->outcome) > 0 || ended != ENDED_COMPLETE) {
        refuse_failed(call, ended);
        return;
    }
    struct span result = outcome_only(call->outcome);
    struct buf body = {0};
    buf_append_text(&body, "{\"result\":");
    buf_append(&body, result.at, result.length);
    if (call->request.trace) {
        buf_append_text(&body, ",\"trace\":");
        print_trace(call, &body);
    }
    buf_append_char(&body, '}');
    answer_json(&call->answer, 200, &body);
}

static void conclude_map(struct call *call, enum ended ended)
{
    uint64_t failed = outcome_failed(call->outcome);
    if (call->request.on_error == ON_ERROR_FAIL && (failed > 0 || ended != ENDED_COMPLETE)) {
        refuse_failed(call, ended);
        return;
    }
    const char *refused = outcome_refused(call->outcome);
    if (refused != NULL) {
        struct problem problem = {0};
        problem_set(&problem, PROBLEM_WRONG_VALUE,
                    "%s gives results of type %s; sum, mean, min and max are of numbers, counts of anything",
                    call->request.function->name, refused);
        snprintf(problem.pointer, sizeof problem.pointer, "/aggregate");
        call_refuse(call, &problem);
        return;
    }
    struct buf trace = {0};
    if (call->request.trace)
        print_trace(call, &trace);
    size_t count;
    struct block *blocks =
        outcome_answer(call->outcome, call->items, ended, (struct span){buf_start(&trace), trace.length}, &count);
    buf_clear(&trace);
    answer_blocks(&call->answer, 200, blocks, count);
    if (failed > 0)
        answer_header(&call->answer, "X-Failed-Items", "%llu", (unsigned long long)failed);
}

/* Milliseconds with three digits behind the point. */
static char *print_ms(char *to, uint64_t ns)
{
    uint64_t us = (ns + 500) / 1000;
    to += number_print_uint64(us / 1000, to);
    *to++ = '.';
    *to++ = (char)('0' + us / 100 % 10);
    *to++ = (char)('0' + us / 10 % 10);
    *to++ = (char)('0' + us % 10);
    return to;
}

/* parse: until the body was whole; queue: until the first item began; compute: until the last ended; merge: the rest.
 */
static void add_timing(struct call *call, uint64_t now_ns)
{
    static const char *const names[] = {"parse;dur=", ", queue;dur=", ", compute;dur=", ", merge;dur="};
    uint64_t started_ns = call->started_ns > call->read_ns ? call->started_ns : call->read_ns;
    uint64_t ended_ns = call->ended_ns > started_ns ? call->ended_ns : started_ns;
    uint64_t parts[] = {call->read_ns - call->start.now_ns, started_ns - call->read_ns, ended_ns - started_ns,
                        now_ns > ended_ns ? now_ns - ended_ns : 0};
    char *to = answer_header_room(&call->answer, "Server-Timing");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t length = strlen(names[i]);
        memcpy(to, names[i], length);
        to = print_ms(to + length, parts[i]);
    }
    *to = '\0';
}

void call_conclude(struct call *call, enum ended ended)
{
    call->state = CALL_ENDED;
    if (call->lied) {
        struct problem problem;
        problem_set(&problem, PROBLEM_INTERNAL, "a worker's results were not what it said they were");
        call_refuse(call, &problem);
    } else if (call->request.endpoint == ENDPOINT_DICE) {
        conclude_dice(call, ended);
    } else if (call->request.endpoint == ENDPOINT_APPLY) {
        conclude_apply(call, ended);
    } else {
        conclude_map(call, ended);
    }
    add_timing(call, clock_now_ns());
}
