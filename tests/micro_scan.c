/* micro_scan: how fast bodies are scanned, and items found in them. Prints figures, checks only counts. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "api/scan.h"
#include "workers/buf.h"
#include "workers/log.h"

static const struct scan_limits limits = {1 << 20, 10000000};

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void small_integer(struct buf *body, unsigned i)
{
    buf_printf(body, "%u", i * 7919 % 100);
}

static void spaced_integer(struct buf *body, unsigned i)
{
    buf_printf(body, " %u", i * 7919 % 1000);
}

static void real(struct buf *body, unsigned i)
{
    buf_printf(body, "%.17g", (double)i * 0.7310585786300049);
}

static void short_string(struct buf *body, unsigned i)
{
    buf_printf(body, "\"name %u\"", i);
}

static void object(struct buf *body, unsigned i)
{
    buf_printf(body, "{\"id\":%u,\"name\":\"no. %u\",\"at\":[%u,%u]}", i, i, i % 7, i % 11);
}

static void line(struct buf *body, unsigned i)
{
    buf_printf(body, "{\"id\":%u,\"score\":%u.5}", i, i % 100);
}

static void record(struct buf *body, unsigned i)
{
    buf_printf(body, "%u,\"name, %u\",%u", i, i, i % 100);
}

static const struct {
    const char *name;
    enum scan_shape shape;
    void (*append)(struct buf *body, unsigned i);
} bodies[] = {
    {"small integers", SCAN_OBJECT, small_integer},
    {"spaced integers", SCAN_OBJECT, spaced_integer},
    {"doubles", SCAN_OBJECT, real},
    {"short strings", SCAN_OBJECT, short_string},
    {"objects", SCAN_OBJECT, object},
    {"lines", SCAN_LINES, line},
    {"text", SCAN_TEXT, line},
    {"csv", SCAN_CSV_HEADER, record},
};

/* Chunks of 1,000 items, in order, as a call asks for them. */
static double locate_all(struct scan *scan, const char *body)
{
    double start = now_s();
    size_t from, to, sum = 0;
    for (uint64_t first = 0; first + 1000 <= scan->items.count; first += 1000) {
        items_locate(&scan->items, body, first, 1000, &from, &to);
        sum += to - from;
    }
    double took = now_s() - start;
    if (sum > scan->position)
        die("items of more bytes than the body has");
    return took * 1e9 / ((double)scan->items.count / 1000);
}

static void measure(size_t which)
{
    struct buf body;
    buf_init(&body);
    bool object_shape = bodies[which].shape == SCAN_OBJECT;
    if (object_shape)
        buf_append_text(&body, "{\"function\":\"squared\",\"items\":[");
    for (unsigned i = 0; body.length < 3000000; i++) {
        if (i > 0)
            buf_append_char(&body, object_shape ? ',' : '\n');
        bodies[which].append(&body, i);
    }
    if (object_shape)
        buf_append_text(&body, "]}");
    double best = 1e9, locate_ns = 0;
    uint64_t items = 0;
    for (int run = 0; run < 20; run++) {
        struct scan scan;
        double start = now_s();
        scan_init(&scan, bodies[which].shape, &limits);
        enum scan_status status = SCAN_MORE;
        for (size_t length = 65536; status == SCAN_MORE; length += 65536)
            status = length < body.length ? scan_feed(&scan, buf_start(&body), length, false)
                                          : scan_feed(&scan, buf_start(&body), body.length, true);
        double took = now_s() - start;
        if (status != SCAN_DONE)
            die("%s: %s at %zu", bodies[which].name, scan.why, scan.offset);
        best = took < best ? took : best;
        items = scan.items.count;
        locate_ns = locate_all(&scan, buf_start(&body));
        scan_clear(&scan);
    }
    printf("scan %-16s %8" PRIu64 " items  %6.2f GB/s  %7.3f ms  locate a chunk %5.0f ns\n", bodies[which].name, items,
           (double)body.length / best * 1e-9, best * 1e3, locate_ns);
    buf_clear(&body);
}

static void measure_tiny(void)
{
    static const char body[] = "{\"function\":\"squared\",\"items\":[1,2,3]}";
    struct scan scan;
    double best = 1e9;
    for (int run = 0; run < 10; run++) {
        double start = now_s();
        for (int i = 0; i < 20000; i++) {
            scan_init(&scan, SCAN_OBJECT, &limits);
            if (scan_feed(&scan, body, sizeof body - 1, true) != SCAN_DONE || scan.items.count != 3)
                die("tiny: %s", scan.why);
            scan_clear(&scan);
        }
        double took = (now_s() - start) / 20000;
        best = took < best ? took : best;
    }
    printf("scan of a three-item request %.0f ns\n", best * 1e9);
}

int main(void)
{
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        measure(i);
    measure_tiny();
    return 0;
}
