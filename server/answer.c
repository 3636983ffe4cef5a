/* answer: see answer.h. */
#include "server/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "workers/log.h"

void answer_clear(struct answer *answer)
{
    for (size_t i = 0; i < answer->block_count; i++)
        free(answer->blocks[i].data);
    free(answer->blocks);
    *answer = (struct answer){0};
}

char *answer_header_room(struct answer *answer, const char *name)
{
    if (answer->header_count == ANSWER_HEADERS_MAX)
        die("an answer has more than %d headers", ANSWER_HEADERS_MAX);
    answer->headers[answer->header_count].name = name;
    return answer->headers[answer->header_count++].value;
}

void answer_header(struct answer *answer, const char *name, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(answer_header_room(answer, name), ANSWER_VALUE_BYTES, format, list);
    va_end(list);
}

void answer_blocks(struct answer *answer, unsigned status, struct block *blocks, size_t count)
{
    answer->status = status;
    answer->content_type = "application/json";
    answer->blocks = blocks;
    answer->block_count = count;
}

void answer_json(struct answer *answer, unsigned status, struct buf *body)
{
    struct block *block = malloc(sizeof *block);
    if (block == NULL)
        die("out of memory");
    *block = (struct block){body->data, body->head, body->length};
    buf_init(body);
    answer_blocks(answer, status, block, 1);
}

void answer_problem(struct answer *answer, const struct problem *problem, const char *instance)
{
    struct buf body;
    buf_init(&body);
    problem_render(problem, instance, &body);
    answer_json(answer, problem_status(problem->type), &body);
    answer->content_type = "application/problem+json";
    if (problem->allow[0] != '\0')
        answer_header(answer, "Allow", "%s", problem->allow);
    if (problem->retry_after_s > 0)
        answer_header(answer, "Retry-After", "%u", problem->retry_after_s);
    if (problem->type == PROBLEM_UNAUTHORIZED)
        answer_header(answer, "WWW-Authenticate", "Bearer");
    if (problem->type == PROBLEM_UNSUPPORTED_MEDIA)
        answer_header(answer, "Accept-Post", "application/json, application/x-ndjson, text/plain, text/csv");
}

size_t answer_bytes(const struct answer *answer)
{
    size_t bytes = 0;
    for (size_t i = 0; i < answer->block_count; i++)
        bytes += answer->blocks[i].length;
    return bytes;
}
