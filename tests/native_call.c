/* native_call: see native_call.h. */
#include "tests/native_call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARGS_MAX 4096

static void call_parsed(const struct native *native, const struct span *args, const enum token *kinds, size_t count,
                        uint64_t index, struct buf *out)
{
    struct buf scratch;
    buf_init(&scratch);
    struct native_call call = {
        .args = args, .kinds = kinds, .count = count, .out = out, .scratch = &scratch, .seed = 42, .index = index};
    size_t before = out->length;
    if (!catalog_code(native)->item(&call)) {
        assert_true(call.error > ITEM_OK && call.error < ITEM_ERRORS);
        buf_truncate(out, before);
        buf_printf(out, "%s %s: %s", item_error_name(call.error), call.error_name, call.error_message);
    }
    buf_clear(&scratch);
}

void native_call(const char *name, struct span args, uint64_t index, struct buf *out)
{
    static struct span spans[ARGS_MAX];
    static enum token kinds[ARGS_MAX];
    const struct native *native = catalog_find(name, strlen(name));
    assert_non_null(native);
    char *text = malloc(args.length);
    assert_non_null(text);
    memcpy(text, args.at, args.length);
    const char *cursor = text, *why;
    struct span array;
    assert_int_equal(token_read(&cursor, text + args.length, &array, &why), TOKEN_ARRAY);
    size_t count = 0;
    cursor = array.at;
    while (token_next_element(array, &cursor, &spans[count], &kinds[count]))
        assert_true(++count < ARGS_MAX);
    assert_true((int)count >= native->least_args);
    assert_true(native->most_args < 0 || (int)count <= native->most_args);
    call_parsed(native, spans, kinds, count, index, out);
    free(text);
}

const char *native_result(const char *name, const char *args)
{
    static struct buf out;
    buf_reset(&out);
    native_call(name, (struct span){args, strlen(args)}, 0, &out);
    buf_append_char(&out, '\0');
    return buf_start(&out);
}
