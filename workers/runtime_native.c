/* runtime_native: runs the catalogue's functions over a task's items. Whatever form the items come in, a function sees
 * checked JSON values: ranges and repeats are written out as text a batch at a time, lines and records one by one. */
#include "workers/runtime.h"

#include <stdio.h>
#include <stdlib.h>

#include "workers/catalog.h"
#include "workers/log.h"
#include "workers/natives.h"
#include "workers/number.h"
#include "workers/record.h"
#include "workers/token.h"

#define BATCH_BYTES (64u << 10)

/* The arguments of the item under way; grows to the longest item seen. */
static struct {
    struct span *args;
    enum token *kinds;
    size_t capacity;
} arguments;
static struct buf scratch, item_text;

static bool native_knows(const uint8_t hash[32])
{
    return catalog_by_hash(hash) != NULL;
}

static void argument_set(size_t index, struct span value, enum token kind)
{
    if (index >= arguments.capacity) {
        arguments.capacity = arguments.capacity ? arguments.capacity * 2 : 16;
        arguments.args = realloc(arguments.args, arguments.capacity * sizeof *arguments.args);
        arguments.kinds = realloc(arguments.kinds, arguments.capacity * sizeof *arguments.kinds);
        if (arguments.args == NULL || arguments.kinds == NULL)
            die("out of memory: %zu arguments", arguments.capacity);
    }
    arguments.args[index] = value;
    arguments.kinds[index] = kind;
}

static size_t spread_arguments(struct span array)
{
    const char *cursor = array.at;
    struct span element;
    enum token kind;
    size_t count = 0;
    while (token_next_element(array, &cursor, &element, &kind))
        argument_set(count++, element, kind);
    return count;
}

static void fail_arity(struct chunk *chunk, const struct native *native, size_t count)
{
    char message[160];
    const char *most = native->most_args < 0 ? "at least " : "";
    int wanted = native->least_args;
    if (native->most_args > native->least_args && count > (size_t)native->least_args) {
        most = "at most ";
        wanted = native->most_args;
    }
    snprintf(message, sizeof message, "%s() takes %s%d argument%s, got %zu", native->name, most, wanted,
             wanted == 1 ? "" : "s", count);
    chunk_fail(chunk, ITEM_BAD_ARGUMENTS, "TypeError", message);
}

/* One checked value: the item number chunk->done. */
static void run_item(struct chunk *chunk, const struct native *native, struct span value, enum token kind)
{
    size_t count = 1;
    if (chunk->task->flags & TASK_STAR) {
        if (kind != TOKEN_ARRAY) {
            chunk_fail(chunk, ITEM_BAD_ARGUMENTS, "TypeError", "starmap wants each item to be an array of arguments");
            return;
        }
        count = spread_arguments(value);
    } else {
        argument_set(0, value, kind);
    }
    if (count < (size_t)native->least_args || (native->most_args >= 0 && count > (size_t)native->most_args)) {
        fail_arity(chunk, native, count);
        return;
    }
    struct native_call call = {.args = arguments.args,
                               .kinds = arguments.kinds,
                               .count = count,
                               .out = chunk->output,
                               .scratch = &scratch,
                               .seed = chunk->task->seed,
                               .index = chunk->task->first + chunk->done};
    size_t before = chunk->output->length;
    buf_append_char(chunk->output, (char)chunk->task->separator);
    buf_reset(&scratch);
    if (catalog_code(native)->item(&call)) {
        chunk->done++;
    } else {
        buf_truncate(chunk->output, before);
        chunk_fail(chunk, call.error, call.error_name, call.error_message);
    }
}

static void malformed(struct chunk *chunk, size_t offset, const char *why)
{
    chunk->malformed = true;
    chunk->bad_offset = offset;
    chunk->bad_why = why;
}

/* Runs `count` items of comma-separated text up to `end`; offsets of what is malformed count from `text`. */
static void run_values(struct chunk *chunk, const struct native *native, const char *text, const char *end,
                       uint32_t count)
{
    native_run *run = chunk->task->flags & TASK_STAR ? NULL : catalog_code(native)->run;
    const char *cursor = text;
    uint32_t last = chunk->done + count;
    while (chunk->done < last && !chunk->stop) {
        uint32_t left = chunk->batch < last - chunk->done ? chunk->batch : last - chunk->done;
        while (left > 0 && !chunk->stop) {
            chunk->page->item = chunk->done;
            if (run != NULL) {
                size_t ran = run(&cursor, end, left, (char)chunk->task->separator, chunk->output, &chunk->page->item);
                chunk->done += (uint32_t)ran;
                left -= (uint32_t)ran;
                if (left == 0)
                    break;
                chunk->page->item = chunk->done;
            }
            struct span value;
            const char *why = NULL;
            enum token kind = token_read(&cursor, end, &value, &why);
            if (kind == TOKEN_BAD) {
                malformed(chunk, (size_t)(cursor - text), why);
                return;
            }
            cursor = token_skip_blanks(cursor, end);
            if (chunk->done + 1 < last) {
                if (cursor == end || *cursor != ',') {
                    malformed(chunk, (size_t)(cursor - text), "expected ',' or ']'");
                    return;
                }
                cursor = token_skip_blanks(cursor + 1, end);
            }
            run_item(chunk, native, value, kind);
            left--;
        }
        chunk_tick(chunk);
    }
    if (chunk->done == last && (cursor = token_skip_blanks(cursor, end)) != end)
        malformed(chunk, (size_t)(cursor - text), "expected ',' or ']'");
}

static void run_range(struct chunk *chunk, const struct native *native)
{
    static struct buf text;
    int64_t start, step;
    if (chunk->task->payload.length != 16)
        die("a range task with %zu bytes", chunk->task->payload.length);
    memcpy(&start, chunk->task->payload.at, 8);
    memcpy(&step, chunk->task->payload.at + 8, 8);
    while (chunk->done < chunk->task->count && !chunk->stop && !chunk->malformed) {
        uint32_t left = chunk->task->count - chunk->done, count = left < 1024 ? left : 1024;
        buf_reset(&text);
        char *to = buf_room(&text, (size_t)count * (NUMBER_TEXT_MAX + 1)), *from = to;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t value = (uint64_t)start + (chunk->task->first + chunk->done + i) * (uint64_t)step;
            to += number_print_int64((int64_t)value, to);
            *to++ = ',';
        }
        uint32_t before = chunk->done;
        run_values(chunk, native, from, to - 1, count);
        if (chunk->done == before)
            break;
    }
}

static void run_repeat(struct chunk *chunk, const struct native *native)
{
    static struct buf text;
    struct span value = chunk->task->payload;
    while (chunk->done < chunk->task->count && !chunk->stop && !chunk->malformed) {
        uint32_t left = chunk->task->count - chunk->done;
        size_t fits = BATCH_BYTES / (value.length + 1);
        uint32_t count = fits < 1 ? 1 : fits < left ? (uint32_t)fits : left;
        buf_reset(&text);
        for (uint32_t i = 0; i < count; i++) {
            buf_append(&text, value.at, value.length);
            buf_append_char(&text, ',');
        }
        uint32_t before = chunk->done;
        run_values(chunk, native, buf_start(&text), buf_end(&text) - 1, count);
        if (chunk->done == before)
            break;
    }
}

/* One line or record: an item, malformed or not. */
static void run_record(struct chunk *chunk, const struct native *native, struct record_reader *reader)
{
    struct span text, value;
    const char *why = "the chunk has fewer lines than items";
    enum record record = record_next(reader, &item_text, &text);
    if (record != RECORD_ITEM) {
        chunk_fail(chunk, ITEM_BAD_ITEM, NULL, record == RECORD_BAD ? reader->why : why);
        return;
    }
    const char *cursor = text.at, *end = text.at + text.length;
    enum token kind = token_read(&cursor, end, &value, &why);
    if (kind != TOKEN_BAD && token_skip_blanks(cursor, end) != end) {
        kind = TOKEN_BAD;
        why = "expected the end of the line behind the value";
    }
    if (kind != TOKEN_BAD) {
        run_item(chunk, native, value, kind);
        return;
    }
    char message[256];
    snprintf(message, sizeof message, "malformed JSON at column %zu: %s", (size_t)(cursor - text.at) + 1, why);
    chunk_fail(chunk, ITEM_BAD_ITEM, NULL, message);
}

static void run_records(struct chunk *chunk, const struct native *native)
{
    struct record_reader reader;
    record_open(&reader, (enum items_format)chunk->task->format, chunk->task->payload);
    while (chunk->done < chunk->task->count && !chunk->stop) {
        uint32_t left = chunk->task->count - chunk->done;
        if (left > chunk->batch)
            left = chunk->batch;
        while (left-- > 0 && !chunk->stop) {
            chunk->page->item = chunk->done;
            run_record(chunk, native, &reader);
        }
        chunk_tick(chunk);
    }
    record_close(&reader);
}

static void run_fold(struct chunk *chunk, const struct native *native)
{
    while (chunk->done < chunk->task->count && !chunk->stop) {
        uint32_t left = chunk->task->count - chunk->done, count = left < chunk->batch ? left : chunk->batch;
        chunk->page->item = chunk->done;
        if (!catalog_code(native)->fold(chunk->task->payload, chunk->task->first + chunk->done, count, chunk->output))
            die("%s: a fold task that cannot be read", native->name);
        chunk->done += count;
        chunk_tick(chunk);
    }
}

static void native_run_chunk(struct chunk *chunk)
{
    const struct native *native = catalog_by_hash(chunk->task->function);
    struct span payload = chunk->task->payload;
    if (((native->flags & NATIVE_FOLD) != 0) != (chunk->task->format == ITEMS_FOLD))
        die("%s: items of a form it does not take", native->name);
    switch (chunk->task->format) {
    case ITEMS_JSON:
        run_values(chunk, native, payload.at, payload.at + payload.length, chunk->task->count);
        break;
    case ITEMS_RANGE:
        run_range(chunk, native);
        break;
    case ITEMS_REPEAT:
        run_repeat(chunk, native);
        break;
    case ITEMS_FOLD:
        run_fold(chunk, native);
        break;
    default:
        run_records(chunk, native);
    }
}

const struct runtime runtime_native = {"native", native_knows, native_run_chunk};
