/* call_work: a call's half of the conversation with the pool: tasks to pack, results and failures to take in. See
 * call.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/call_state.h"

#define TASK_BYTES (192u << 10)     /* of a task with `auto` chunks: a few fit a pipe */
#define TRACE_BYTES 160             /* of a chunk's line in the trace, about */
#define TASK_BYTES_MOST (48u << 20) /* of any: a frame's limit, and some */

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
        message->payload = request->args_length > 0
                               ? (struct span){call->body + request->args_start, request->args_length}
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

/* Refuses the call while the pool tells of it: http learns of it, unless the body is still being read. */
static void refuse_now(struct call *call, const struct problem *problem)
{
    bool reading = call->state == CALL_READING;
    call_refuse(call, problem);
    if (!reading)
        call->calls->answered(call->start.request);
}

/* Counts the results kept; where they are more than may be, the call is over. */
static void count_results(struct call *call)
{
    struct calls *calls = call->calls;
    struct problem problem = {0};
    size_t bytes = outcome_bytes(call->outcome) + call->trace_count * TRACE_BYTES;
    calls->kept_bytes += bytes - call->answer_bytes;
    call->answer_bytes = bytes;
    if (bytes > calls->options->max_answer_bytes) {
        problem_set(&problem, PROBLEM_TOO_LARGE,
                    "the answer grew beyond max-answer, %llu bytes; ask for fewer items at once, or aggregate",
                    (unsigned long long)calls->options->max_answer_bytes);
        problem.has_limit = true;
        problem.limit = calls->options->max_answer_bytes;
    } else if (calls->kept_bytes > calls->options->max_bodies_bytes) {
        call_over_budget(call, &problem);
    } else {
        return;
    }
    refuse_now(call, &problem);
}

/* To be done before the results: the errors lie in the same memory, which goes with them. */
static void take_failures(struct call *call, const struct pool_result *result)
{
    const struct result_message *message = result->message;
    struct span errors = message->errors, members;
    uint32_t item;
    enum item_error type;
    while (result_error_next(&errors, &item, &type, &members))
        outcome_failure(call->outcome, result->first + (item - message->first), type, members, result->attempts);
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
    take_failures(call, result);
    if (message->count > 0 &&
        !outcome_results(call->outcome, result->first, message->count, message->output, result->block))
        call->lied = true;
    else if (message->count == 0)
        free(result->block);
    count_results(call);
}

static void on_malformed(void *owner, uint64_t first, const struct malformed_message *malformed)
{
    struct call *call = owner;
    struct problem problem = {0};
    bool listed = call->request.endpoint & (ENDPOINT_MAP | ENDPOINT_STARMAP);
    if (!listed || call->scan.items.format != ITEMS_JSON) { /* nothing else can be: it was looked at here */
        problem_set(&problem, PROBLEM_INTERNAL, "a worker called malformed what is not");
        refuse_now(call, &problem);
        return;
    }
    size_t start = 0, end = 0;
    items_locate(&call->scan.items, call->body, first, 1, &start, &end);
    struct scan_position position = scan_position(call->body, call->body_length, start + malformed->offset);
    problem_set(&problem, PROBLEM_MALFORMED_JSON, "%.*s", (int)malformed->why.length, malformed->why.at);
    snprintf(problem.pointer, sizeof problem.pointer, "/items/%llu", (unsigned long long)(first + malformed->item));
    problem.has_position = problem.has_index = true;
    problem.index = first + malformed->item;
    problem.line = position.line;
    problem.column = position.column;
    problem.offset = position.offset;
    refuse_now(call, &problem);
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
