/* micro_natives: what an item costs in the fast loop and in the functions, in ns. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workers/natives.h"

#define COUNT 100000u
#define ROUNDS 7
#define BATCH 4096u

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* One pass over the items as a worker makes it, the loop first where there is one. */
static void pass(const struct native_code *code, bool loop, struct buf *text, struct buf *out, struct buf *scratch)
{
    const char *cursor = buf_start(text), *end = buf_end(text), *why;
    volatile uint32_t progress = 0;
    buf_reset(out);
    for (size_t done = 0; done < COUNT;) {
        size_t most = COUNT - done < BATCH ? COUNT - done : BATCH, ran = 0;
        progress = (uint32_t)done;
        if (loop)
            ran = code->run(&cursor, end, most, ',', out, &progress);
        done += ran;
        if (ran == most)
            continue;
        struct span value;
        enum token kind = token_read(&cursor, end, &value, &why);
        cursor = token_skip_blanks(cursor, end) + 1;
        struct native_call call = {.args = &value, .kinds = &kind, .count = 1, .out = out, .scratch = scratch};
        buf_append_char(out, ',');
        buf_reset(scratch);
        if (kind == TOKEN_BAD || !code->item(&call))
            abort();
        done++;
    }
}

static void measure(const char *function, const char *items, struct buf *text)
{
    const struct native_code *code = catalog_code(catalog_find(function, strlen(function)));
    struct buf out, scratch;
    buf_init(&out);
    buf_init(&scratch);
    for (int loop = 0; loop <= (code->run != NULL); loop++) {
        double best_ns = 1e18;
        for (int round = 0; round < ROUNDS; round++) {
            double start_ns = now_ns();
            pass(code, loop, text, &out, &scratch);
            double took_ns = now_ns() - start_ns;
            best_ns = took_ns < best_ns ? took_ns : best_ns;
        }
        printf("%-8s %-16s %-8s %7.1f ns/item\n", function, items, loop ? "loop" : "function", best_ns / COUNT);
    }
    buf_clear(&out);
    buf_clear(&scratch);
}

static void fill(struct buf *text, const char *before, uint32_t below, const char *after)
{
    uint32_t random = 1;
    buf_reset(text);
    for (uint32_t i = 0; i < COUNT; i++) {
        random = random * 1664525 + 1013904223;
        if (i > 0)
            buf_append_char(text, ',');
        buf_append_text(text, before);
        buf_printf(text, "%u", (uint32_t)(((uint64_t)random * below) >> 32));
        buf_append_text(text, after);
    }
}

int main(void)
{
    static const struct {
        const char *function, *items, *before;
        uint32_t below;
        const char *after;
    } cases[] = {
        {"squared", "below 100", "", 100, ""},
        {"squared", "below 1000000", "", 1000000, ""},
        {"squared", "with blanks", " ", 1000000, ""},
        {"squared", "9 or 10 digits", "", UINT32_MAX, ""},
        {"squared", "doubles", "", 1000000, ".125"},
        {"is_prime", "below 1000000", "", 1000000, ""},
        {"echo", "short strings", "\"word ", 100000, "\""},
        {"length", "short strings", "\"word ", 100000, "\""},
        {"upper", "short strings", "\"word ", 100000, "\""},
        {"upper", "Cyrillic", "\"\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb2\xd0\xbe ", 100000, "\""},
        {"length", "objects", "{\"id\": ", 100000, ", \"name\": \"user\", \"ok\": true}"},
    };
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fill(&text, cases[i].before, cases[i].below, cases[i].after);
        measure(cases[i].function, cases[i].items, &text);
    }
    buf_clear(&text);
    return 0;
}
