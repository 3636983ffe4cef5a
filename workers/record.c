/* record: see record.h. */
#include "workers/record.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "workers/utf8.h"

#define ONES (~(uint64_t)0 / 255)
#define HIGHS (ONES * 0x80)

/* High bits where a byte of `word` is zero; bits above the lowest such byte may be wrong, none is set without one. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return (word - ONES) & ~word & HIGHS;
}

static inline uint64_t load(const unsigned char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Bytes that stand for themselves in a JSON string and are ASCII. */
static inline bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static const unsigned char *skip_plain(const unsigned char *at, const unsigned char *end)
{
    for (; end - at >= 8; at += 8) {
        uint64_t word = load(at);
        uint64_t control = (word - ONES * 0x20) & ~word & HIGHS;
        if ((word & HIGHS) | control | zero_bytes(word ^ ONES * '"') | zero_bytes(word ^ ONES * '\\'))
            break;
    }
    while (at < end && plain(*at))
        at++;
    return at;
}

size_t record_utf8(struct span text)
{
    const unsigned char *start = (const unsigned char *)text.at, *end = start + text.length, *at = start;
    while (at < end) {
        if (end - at >= 8 && (load(at) & HIGHS) == 0) {
            at += 8;
            continue;
        }
        size_t length = utf8_length(at, end);
        if (length == 0)
            break;
        at += length;
    }
    return (size_t)(at - start);
}

static void append_escape(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                     {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++)
        if (c == (unsigned char)shorts[i][0]) {
            buf_append(out, (char[]){'\\', shorts[i][1]}, 2);
            return;
        }
    buf_append(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

/* What stands between the quotes of a JSON string. */
static bool append_content(struct span text, struct buf *out, size_t *bad)
{
    const unsigned char *start = (const unsigned char *)text.at, *end = start + text.length, *at = start;
    while (at < end) {
        const unsigned char *run = at;
        size_t length = 1;
        while ((at = skip_plain(at, end)) < end && *at >= 0x80 && (length = utf8_length(at, end)) > 0)
            at += length;
        buf_append(out, run, (size_t)(at - run));
        if (at == end)
            break;
        if (length == 0) {
            *bad = (size_t)(at - start);
            return false;
        }
        append_escape(out, *at++);
    }
    return true;
}

bool record_string(struct span text, struct buf *out, size_t *bad)
{
    buf_append_char(out, '"');
    if (!append_content(text, out, bad))
        return false;
    buf_append_char(out, '"');
    return true;
}

/* Takes the text up to `stop`, which is the newline or the payload's end, off the reader. */
static struct span take(struct record_reader *reader, const char *stop)
{
    struct span record = {reader->at, (size_t)(stop - reader->at)};
    reader->more = stop < reader->end;
    reader->at = reader->more ? stop + 1 : stop;
    if (record.length > 0 && stop[-1] == '\r')
        record.length--;
    return record;
}

static struct span take_line(struct record_reader *reader)
{
    const char *stop = reader->at;
    if (reader->at < reader->end) {
        stop = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
        if (stop == NULL)
            stop = reader->end;
    }
    return take(reader, stop);
}

/* A record ends at the first newline that is not in quotes. */
static struct span take_csv(struct record_reader *reader)
{
    const char *at = reader->at, *end = reader->end;
    for (;;) {
        const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        const char *stop = newline != NULL ? newline : end;
        const char *quote = at < stop ? memchr(at, '"', (size_t)(stop - at)) : NULL;
        if (quote == NULL)
            return take(reader, stop);
        const char *closing = memchr(quote + 1, '"', (size_t)(end - quote - 1));
        if (closing == NULL)
            return take(reader, end);
        at = closing + 1;
    }
}

/* The quoted field that begins at *at, as a JSON string; *at comes to stand behind its closing quote. NULL, or why not.
 */
static const char *append_quoted(const char **at, const char *end, struct buf *out, size_t *bad)
{
    buf_append_char(out, '"');
    for (const char *from = *at + 1;;) {
        const char *quote = from < end ? memchr(from, '"', (size_t)(end - from)) : NULL;
        if (quote == NULL)
            return "its quote is not closed";
        if (!append_content((struct span){from, (size_t)(quote - from)}, out, bad))
            return "it is not UTF-8";
        if (quote + 1 == end || quote[1] != '"') {
            *at = quote + 1;
            buf_append_char(out, '"');
            return NULL;
        }
        buf_append(out, "\\\"", 2);
        from = quote + 2;
    }
}

static const char *append_field(const char **at, const char *end, struct buf *out)
{
    size_t bad = 0;
    if (*at < end && **at == '"') {
        const char *why = append_quoted(at, end, out, &bad);
        if (why == NULL && *at < end && **at != ',')
            why = "text follows its closing quote (a quote inside is written twice)";
        return why;
    }
    size_t length = (size_t)(end - *at);
    const char *comma = length > 0 ? memchr(*at, ',', length) : NULL;
    struct span field = {*at, comma != NULL ? (size_t)(comma - *at) : length};
    if (field.length > 0 && memchr(field.at, '"', field.length) != NULL)
        return "it holds a quote but does not begin with one";
    *at += field.length;
    return record_string(field, out, &bad) ? NULL : "it is not UTF-8";
}

/* Appends an array, or with a header an object. */
static bool append_record(struct record_reader *reader, struct span record, bool named, struct buf *out)
{
    const struct span *columns = (const struct span *)(const void *)buf_start(&reader->columns);
    const char *at = record.at, *end = record.at + record.length;
    size_t count = 0;
    for (;;) {
        buf_append_char(out, count > 0 ? ',' : named ? '{' : '[');
        if (named && count < reader->column_count)
            buf_append(out, columns[count].at, columns[count].length);
        count++;
        const char *why = append_field(&at, end, out);
        if (why != NULL) {
            snprintf(reader->why, sizeof reader->why, "field %zu: %s", count, why);
            return false;
        }
        if (at == end)
            break;
        at++;
    }
    buf_append_char(out, named ? '}' : ']');
    if (named && count != reader->column_count) {
        snprintf(reader->why, sizeof reader->why, "has %zu field%s, the header %zu", count, count == 1 ? "" : "s",
                 reader->column_count);
        return false;
    }
    return true;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *one = a, *other = b;
    size_t both = one->length < other->length ? one->length : other->length;
    int order = memcmp(one->at, other->at, both);
    return order != 0 ? order : (one->length > other->length) - (one->length < other->length);
}

static void find_twins(struct record_reader *reader)
{
    size_t bytes = reader->columns.length;
    struct buf sorted = {0};
    buf_append(&sorted, buf_start(&reader->columns), bytes);
    struct span *names = (struct span *)(void *)buf_start(&sorted);
    qsort(names, reader->column_count, sizeof *names, compare_spans);
    for (size_t i = 1; i < reader->column_count; i++)
        if (compare_spans(&names[i - 1], &names[i]) == 0) {
            int shown = names[i].length > 62 ? 60 : (int)names[i].length - 1; /* the colon is not the name's */
            snprintf(reader->bad_head, sizeof reader->bad_head, "the header has the name %.*s twice", shown,
                     names[i].at);
            break;
        }
    buf_clear(&sorted);
}

static bool read_names(struct record_reader *reader, struct span record)
{
    const char *at = record.at, *end = record.at + record.length;
    for (bool more = true; more; more = at++ < end) {
        size_t before = reader->names.length;
        const char *why = append_field(&at, end, &reader->names);
        if (why != NULL) {
            snprintf(reader->bad_head, sizeof reader->bad_head, "the header's field %zu: %s", reader->column_count + 1,
                     why);
            return false;
        }
        buf_append_char(&reader->names, ':');
        buf_append(&reader->columns, &(struct span){NULL, reader->names.length - before}, sizeof(struct span));
        reader->column_count++;
    }
    return true;
}

static void read_header(struct record_reader *reader)
{
    static const char bom[] = "\xef\xbb\xbf"; /* spreadsheets begin a file with one */
    if (reader->end - reader->at >= 3 && memcmp(reader->at, bom, 3) == 0)
        reader->at += 3;
    struct span record = {reader->at, 0};
    while (record.length == 0 && reader->more)
        record = take_csv(reader);
    if (!read_names(reader, record))
        return;
    /* Only now does the text of the names move no more. */
    struct span *columns = (struct span *)(void *)buf_start(&reader->columns);
    const char *from = buf_start(&reader->names);
    for (size_t i = 0; i < reader->column_count; from += columns[i++].length)
        columns[i].at = from;
    find_twins(reader);
}

void record_open(struct record_reader *reader, enum items_format format, struct span text)
{
    *reader = (struct record_reader){.format = format, .at = text.at, .end = text.at + text.length, .more = true};
    if (format == ITEMS_CSV_HEADER)
        read_header(reader);
}

void record_close(struct record_reader *reader)
{
    buf_clear(&reader->names);
    buf_clear(&reader->columns);
}

static enum record next_line(struct record_reader *reader, struct span *item)
{
    while (reader->more) {
        struct span line = take_line(reader);
        if (token_skip_blanks(line.at, line.at + line.length) == line.at + line.length)
            continue;
        *item = line;
        return RECORD_ITEM;
    }
    return RECORD_END;
}

static enum record next_text(struct record_reader *reader, struct buf *out)
{
    if (!reader->more)
        return RECORD_END;
    size_t bad;
    if (record_string(take_line(reader), out, &bad))
        return RECORD_ITEM;
    snprintf(reader->why, sizeof reader->why, "the line is not UTF-8 at its byte %zu", bad + 1);
    return RECORD_BAD;
}

static enum record next_csv(struct record_reader *reader, struct buf *out)
{
    while (reader->more) {
        struct span record = take_csv(reader);
        if (record.length == 0)
            continue;
        if (reader->bad_head[0] != '\0') {
            memcpy(reader->why, reader->bad_head, sizeof reader->why);
            return RECORD_BAD;
        }
        return append_record(reader, record, reader->format == ITEMS_CSV_HEADER, out) ? RECORD_ITEM : RECORD_BAD;
    }
    return RECORD_END;
}

enum record record_next(struct record_reader *reader, struct buf *out, struct span *item)
{
    if (reader->format == ITEMS_LINES)
        return next_line(reader, item);
    buf_reset(out);
    enum record record = reader->format == ITEMS_TEXT ? next_text(reader, out) : next_csv(reader, out);
    if (record == RECORD_ITEM) {
        buf_append_char(out, '\n'); /* a byte to look at behind the item, as the fast loops want */
        *item = (struct span){buf_start(out), out->length - 1};
    }
    return record;
}
