/* micro_number: what a number costs to read and to print, and how fast token_read() goes over objects and strings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "workers/buf.h"
#include "workers/number.h"
#include "workers/token.h"

#define COUNT 200000u
#define ROUNDS 5

static uint64_t state = 1;
static uint64_t sink;

static uint64_t draw(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* What is measured: `text` holds `count` values with a comma behind each, `numbers` the same as they are in memory. */
struct work {
    struct buf text;
    size_t count;
    int64_t *integers;
    double *doubles;
    struct span *spans; /* of the values in text, once it is complete */
};

static void read_ints(struct work *work)
{
    const char *at = buf_start(&work->text), *end = buf_end(&work->text);
    int64_t value;
    for (; at < end && (at = number_scan_int64(at, end, &value)) != NULL; at++)
        sink += (uint64_t)value;
}

static void print_ints(struct work *work)
{
    char text[NUMBER_TEXT_MAX];
    for (size_t i = 0; i < work->count; i++)
        sink += number_print_int64(work->integers[i], text);
}

static void read_doubles(struct work *work)
{
    int64_t integer;
    double value = 0;
    for (size_t i = 0; i < work->count; i++) {
        number_read(work->spans[i], &integer, &value);
        sink += value > 0;
    }
}

static void print_doubles(struct work *work)
{
    char text[NUMBER_TEXT_MAX];
    for (size_t i = 0; i < work->count; i++)
        sink += number_print_double(work->doubles[i], text);
}

static void print_doubles_js(struct work *work)
{
    char text[NUMBER_TEXT_MAX];
    for (size_t i = 0; i < work->count; i++)
        sink += number_print_double_js(work->doubles[i], text);
}

static void read_tokens(struct work *work)
{
    const char *at = buf_start(&work->text), *end = buf_end(&work->text), *why = "";
    struct span value;
    for (; at < end; at++) {
        if (token_read(&at, end, &value, &why) == TOKEN_BAD) {
            fprintf(stderr, "micro_number: %s\n", why);
            exit(1);
        }
        sink += value.length;
    }
}

static void make_ints(struct work *work, size_t i)
{
    work->integers[i] = (int64_t)(draw() >> (40 + draw() % 20)) * (draw() % 4 == 0 ? -1 : 1);
    buf_printf(&work->text, "%lld,", (long long)work->integers[i]);
}

static void make_doubles(struct work *work, size_t i)
{
    work->doubles[i] = (double)(draw() >> 11) * 0x1p-53 * pow(10, (double)(draw() % 7));
    buf_printf(&work->text, "%.17g,", work->doubles[i]);
}

static void make_prices(struct work *work, size_t i)
{
    work->doubles[i] = (double)(draw() % 1000000) / 100;
    buf_printf(&work->text, "%.2f,", work->doubles[i]);
}

static void make_objects(struct work *work, size_t i)
{
    buf_printf(&work->text,
               "{\"id\":%zu,\"name\":\"user %u\",\"active\":%s,\"score\":%.3f,\"tags\":[\"a\",\"bc\",\"def\"],"
               "\"address\":{\"street\":\"Main Street %u\",\"city\":\"Springfield\",\"zip\":\"%05u\"}},",
               i, (unsigned)(draw() % 100000), draw() % 2 ? "true" : "false", (double)(draw() % 100000) / 7,
               (unsigned)(draw() % 100), (unsigned)(draw() % 100000));
}

static void make_strings(struct work *work, size_t i)
{
    buf_append_char(&work->text, '"');
    for (uint64_t words = 4 + draw() % 20; words > 0; words--)
        buf_append_text(&work->text, draw() % 2 ? "lorem ipsum " : "dolor ");
    buf_append_text(&work->text, "\",");
}

static void make_short_strings(struct work *work, size_t i)
{
    buf_printf(&work->text, "\"word%u\",", (unsigned)(draw() >> 44));
}

static void make_cyrillic(struct work *work, size_t i)
{
    buf_append_char(&work->text, '"');
    for (uint64_t words = 2 + draw() % 10; words > 0; words--)
        buf_append_text(&work->text, draw() % 2 ? "добрый " : "вечер ");
    buf_append_text(&work->text, "\",");
}

static const struct {
    const char *name;
    size_t count;
    void (*make)(struct work *work, size_t i);
    void (*run)(struct work *work);
    bool bytes; /* tell GB/s, else ns a value */
} rows[] = {
    {"read int", COUNT, make_ints, read_ints, false},
    {"print int", COUNT, make_ints, print_ints, false},
    {"read double, 17 digits", COUNT, make_doubles, read_doubles, false},
    {"read double, 2 decimals", COUNT, make_prices, read_doubles, false},
    {"print double, 17 digits", COUNT, make_doubles, print_doubles, false},
    {"print double, 2 decimals", COUNT, make_prices, print_doubles, false},
    {"print double, js", COUNT, make_doubles, print_doubles_js, false},
    {"token_read objects", COUNT / 10, make_objects, read_tokens, true},
    {"token_read strings", COUNT / 10, make_strings, read_tokens, true},
    {"token_read short strings", COUNT, make_short_strings, read_tokens, true},
    {"token_read cyrillic", COUNT / 10, make_cyrillic, read_tokens, true},
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        exit(1);
    return memory;
}

static void prepare(struct work *work, void (*make)(struct work *work, size_t i))
{
    work->integers = allocate(work->count, sizeof *work->integers);
    work->doubles = allocate(work->count, sizeof *work->doubles);
    work->spans = allocate(work->count, sizeof *work->spans);
    for (size_t i = 0; i < work->count; i++)
        make(work, i);
    const char *at = buf_start(&work->text);
    for (size_t i = 0; i < work->count; i++, at++) {
        const char *start = at;
        at = memchr(at, ',', (size_t)(buf_end(&work->text) - at));
        work->spans[i] = (struct span){start, (size_t)(at - start)};
    }
}

static void release(struct work *work)
{
    free(work->integers);
    free(work->doubles);
    free(work->spans);
    buf_clear(&work->text);
}

int main(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work work = {.count = rows[i].count};
        prepare(&work, rows[i].make);
        double best_ns = HUGE_VAL;
        for (int round = 0; round < ROUNDS; round++) {
            double start_ns = now_ns();
            rows[i].run(&work);
            best_ns = fmin(best_ns, now_ns() - start_ns);
        }
        if (rows[i].bytes)
            printf("%-26s %8.2f GB/s\n", rows[i].name, (double)work.text.length / best_ns);
        else
            printf("%-26s %8.1f ns\n", rows[i].name, best_ns / (double)work.count);
        release(&work);
    }
    return sink == 0;
}
