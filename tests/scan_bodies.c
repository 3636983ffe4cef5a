/* scan_bodies: see scan_bodies.h. */
#include "tests/scan_bodies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- the obvious scanner ------------------------------------------------------------------------------------------ */

struct reference reference;

static void reference_fail(enum scan_fault fault, size_t offset)
{
    reference.fault = fault;
    reference.offset = offset;
}

static void reference_add(size_t start, size_t end)
{
    assert_true(reference.count < sizeof reference.places / sizeof *reference.places);
    reference.places[reference.count++] = (struct place){start, end};
}

/* An item of an array ends before `end`; control characters alone are none, and the first of them is wrong. */
static void reference_item(const char *body, size_t start, size_t end)
{
    size_t at = start;
    while (at < end && strchr(" \t\r\n", body[at]) != NULL && body[at] != '\0')
        at++;
    size_t wrong = at;
    while (at < end && (unsigned char)body[at] <= ' ')
        at++;
    if (at < end)
        reference_add(start, end);
    else if (body[end] == ',' || reference.count > 0 || wrong < end)
        reference_fail(SCAN_MALFORMED, wrong);
}

/* `body` begins with the '['. */
static void reference_array(const char *body, size_t length)
{
    static char open[TOKEN_DEPTH_MAX];
    size_t depth = 0, start = 1;
    bool in_string = false, escaped = false;
    for (size_t at = 1; reference.fault == SCAN_OK; at++) {
        char c = at < length ? body[at] : '\0';
        if (at == length) {
            reference_fail(SCAN_MALFORMED, at);
        } else if (escaped) {
            escaped = false;
        } else if (c == '\\') {
            escaped = true;
            if (!in_string)
                reference_fail(SCAN_MALFORMED, at);
        } else if (c == '"') {
            in_string = !in_string;
        } else if (in_string) {
            continue;
        } else if ((c == '[' || c == '{') && depth == TOKEN_DEPTH_MAX) {
            reference_fail(SCAN_TOO_DEEP, at);
        } else if (c == '[' || c == '{') {
            open[depth++] = c;
        } else if (depth == 0 && (c == ',' || c == ']')) {
            reference_item(body, start, at);
            start = at + 1;
            if (c == ']' && reference.fault == SCAN_OK) {
                while (++at < length && strchr(" \t\r\n", body[at]) != NULL && body[at] != '\0')
                    ;
                if (at < length)
                    reference_fail(SCAN_MALFORMED, at);
                return;
            }
        } else if ((c == ']' || c == '}') && (depth == 0 || open[--depth] != c - 2)) {
            reference_fail(SCAN_MALFORMED, at);
        }
    }
}

/* An item's place begins behind the item before it, blank lines and all. */
static void reference_lines(enum scan_shape shape, const char *body, size_t length)
{
    size_t start = 0;
    bool quoted = false;
    for (size_t line = 0, at = 0; at <= length; at++) {
        quoted ^= shape == SCAN_CSV && at < length && body[at] == '"';
        if (at < length && (body[at] != '\n' || quoted))
            continue;
        size_t text = at - line, blanks = 0;
        while (blanks < text && strchr(" \t\r", body[line + blanks]) != NULL && body[line + blanks] != '\0')
            blanks++;
        bool blank = shape == SCAN_LINES ? blanks == text
                     : shape == SCAN_CSV ? text == 0 || (text == 1 && body[line] == '\r')
                                         : text == 0 && at == length;
        line = at + 1;
        if (at == length && quoted) {
            reference_fail(SCAN_MALFORMED, length);
        } else if (!blank) {
            reference_add(start, at);
            start = line;
        }
    }
}

void reference_scan(enum scan_shape shape, const char *body, size_t length)
{
    reference.fault = SCAN_OK;
    reference.offset = reference.count = 0;
    if (shape == SCAN_ARRAY)
        reference_array(body, length);
    else
        reference_lines(shape, body, length);
}

/* --- random bodies ------------------------------------------------------------------------------------------------ */

void append_blanks(struct buf *body, uint64_t *random)
{
    size_t run = random_below(random, 12);
    for (size_t i = run == 0 ? random_below(random, 100) : 0; i > 0; i--)
        buf_append_char(body, " \n\t\r"[random_below(random, 4)]);
    if (run == 1)
        buf_append_char(body, ' ');
}

void append_string(struct buf *body, uint64_t *random)
{
    static const char *const pieces[] = {"a", "[", "]", "{", "}", ",", "\\\"", "\\\\", " ", "\xc3\xa9", "\\n", ":"};
    buf_append_char(body, '"');
    for (size_t i = random_below(random, random_below(random, 8) ? 6 : 100); i > 0; i--)
        buf_append_text(body, pieces[random_below(random, sizeof pieces / sizeof *pieces)]);
    buf_append_char(body, '"');
}

void append_value(struct buf *body, uint64_t *random, unsigned depth)
{
    size_t kind = random_below(random, depth > 0 ? 9 : 6);
    append_blanks(body, random);
    if (kind < 4) {
        buf_printf(body, "%zu", random_below(random, 1000));
    } else if (kind < 6) {
        append_string(body, random);
    } else {
        bool object = kind == 7;
        buf_append_char(body, object ? '{' : '[');
        for (size_t i = random_below(random, 4), first = 1; i > 0; i--, first = 0) {
            if (!first)
                buf_append_char(body, ',');
            if (object)
                append_string(body, random);
            if (object)
                buf_append_char(body, ':');
            append_value(body, random, depth - 1);
        }
        buf_append_char(body, object ? '}' : ']');
    }
    append_blanks(body, random);
}

void append_body(struct buf *body, enum scan_shape shape, uint64_t *random)
{
    static const char *const lines[] = {"",    "\r",           " \t", "1",    "{\"a\":2}",
                                        "\"x", "\"a\n\"\"b\"", ",",   "\r\r", "\n\n\n"};
    size_t count = random_below(random, random_below(random, 4) ? 12 : 300);
    unsigned depth = (unsigned)random_below(random, 5);
    if (shape == SCAN_ARRAY)
        buf_append_char(body, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_text(body, shape == SCAN_ARRAY ? "," : random_below(random, 3) ? "\n" : "\r\n");
        if (shape == SCAN_ARRAY)
            append_value(body, random, depth);
        else
            buf_append_text(body, lines[random_below(random, sizeof lines / sizeof *lines)]);
    }
    if (shape == SCAN_ARRAY)
        buf_append_char(body, ']');
}

void wreck(struct buf *body, uint64_t *random)
{
    static const char bytes[] = "[]{},,,\"\\\n\r a\x01\0";
    for (size_t i = random_below(random, 4); i > 0 && body->length > 1; i--) {
        size_t at = 1 + random_below(random, body->length - 1);
        if (random_below(random, 3) == 0)
            buf_truncate(body, at);
        else
            buf_start(body)[at] = bytes[random_below(random, sizeof bytes - 1)];
    }
}
