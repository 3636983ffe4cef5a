/* gzip: who takes it, and that what zlib unpacks is what the blocks held, however they are cut and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/gzip.h"

static void wanted_as_the_header_says(void **state)
{
    static const struct {
        const char *accept;
        bool wanted;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"GZip", true},
        {"*", true},
        {"deflate, gzip", true},
        {"deflate,br,\tgzip , zstd", true},
        {"gzip;q=1", true},
        {"gzip ; q=0.5", true},
        {"gzip; q=0.001, identity", true},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"gzip; Q=0, br", false},
        {"*;q=0", false},
        {"identity", false},
        {"gzipped", false},
        {"x-gzip", false},
        {"br;q=1.0, deflate", false},
        {",,gzip", true},
        {" , ", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (gzip_wanted(rows[i].accept) != rows[i].wanted)
            fail_msg("'%s' should %sbe gzip", rows[i].accept, rows[i].wanted ? "" : "not ");
}

/* Bytes of which zlib can make little (odd `kind`) or much. */
static char *content_of(size_t length, unsigned kind)
{
    char *content = malloc(length + 1);
    uint32_t random = 12345 + kind;
    for (size_t i = 0; i < length; i++) {
        random = random * 1664525u + 1013904223u;
        content[i] = kind % 2 ? (char)(random >> 24) : "[1,2]"[i % 5];
    }
    return content;
}

/* Blocks of the given lengths, each with `start` bytes in front that are not of it. */
static struct block *blocks_of(const char *content, const size_t *lengths, size_t count, size_t start)
{
    struct block *blocks = malloc((count + 1) * sizeof *blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = (struct block){malloc(start + lengths[i] + 1), start, lengths[i]};
        memset(blocks[i].data, '!', start + lengths[i] + 1);
        memcpy(blocks[i].data + start, content, lengths[i]);
        content += lengths[i];
    }
    return blocks;
}

static void unpacks_to(const struct buf *packed, const char *content, size_t length)
{
    char *unpacked = malloc(length + 1);
    z_stream stream = {.next_in = (unsigned char *)buf_start(packed),
                       .avail_in = (unsigned)packed->length,
                       .next_out = (unsigned char *)unpacked,
                       .avail_out = (unsigned)length + 1};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK); /* gzip's framing alone */
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, length);
    assert_memory_equal(unpacked, content, length);
    inflateEnd(&stream);
    free(unpacked);
}

#define BLOCKS_MAX 6

static const struct {
    size_t count, lengths[BLOCKS_MAX];
} shapes[] = {
    {0, {0}},
    {1, {0}},
    {1, {1}},
    {1, {1000}},
    {1, {64 << 10}}, /* just a piece for zlib */
    {1, {(64 << 10) + 1}},
    {3, {10, 200000, 3}},
    {6, {0, 0, 5, 0, 70000, 0}},
    {2, {300000, 300000}},
};

static void what_is_read_unpacks_to_what_was_given(void **state)
{
    static const size_t reads[] = {1 << 20, 4096, 100, 7, 1};
    static char piece[1 << 20];
    for (size_t shape = 0; shape < sizeof shapes / sizeof *shapes; shape++)
        for (unsigned kind = 0; kind < 2; kind++)
            for (size_t read = 0; read < sizeof reads / sizeof *reads; read++) {
                size_t total = 0, count = shapes[shape].count, got;
                for (size_t i = 0; i < count; i++)
                    total += shapes[shape].lengths[i];
                char *content = content_of(total, kind);
                struct gzip *gzip = gzip_new(blocks_of(content, shapes[shape].lengths, count, shape % 3 * 5), count);
                struct buf packed = {0};
                while ((got = gzip_read(gzip, piece, reads[read])) > 0) {
                    assert_in_range(got, 1, reads[read]);
                    buf_append(&packed, piece, got);
                }
                assert_int_equal(gzip_read(gzip, piece, reads[read]), 0); /* and it stays at its end */
                unpacks_to(&packed, content, total);
                if (kind == 0 && total >= GZIP_LEAST)
                    assert_true(packed.length < total / 10);
                gzip_free(gzip);
                buf_clear(&packed);
                free(content);
            }
}

/* The leak checker sees what is forgotten, ASan what is freed twice. */
static void may_be_left_anywhere(void **state)
{
    static const size_t lengths[] = {100000, 0, 100000, 100000};
    char *content = content_of(300000, 1), piece[50000];
    for (int reads = 0; reads < 9; reads++) {
        struct gzip *gzip = gzip_new(blocks_of(content, lengths, 4, 3), 4);
        for (int i = 0; i < reads; i++)
            gzip_read(gzip, piece, sizeof piece);
        gzip_free(gzip);
    }
    gzip_free(NULL);
    free(content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wanted_as_the_header_says),
        cmocka_unit_test(what_is_read_unpacks_to_what_was_given),
        cmocka_unit_test(may_be_left_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
