/* The catalogue: its rows are whole, are found, have their code beside them, and every example gives its answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/native_call.h"
#include "workers/catalog.h"

static void rows_are_whole(void **state)
{
    size_t rows = 0;
    for (const struct native *row; (row = catalog_row(rows)) != NULL; rows++) {
        assert_ptr_equal(row, catalog_row(0) + rows);
        assert_true(strlen(row->name) > 0 && strlen(row->name) < 32);
        assert_int_equal(strncmp(row->signature, row->name, strlen(row->name)), 0);
        assert_int_equal(row->signature[strlen(row->name)], '(');
        assert_true(strlen(row->text) > 20 && row->text[strlen(row->text) - 1] == '.');
        assert_non_null(row->example);
        assert_true(row->least_args >= 0);
        assert_true(row->most_args == -1 || row->most_args >= row->least_args);
        assert_int_equal(row->example_path[0], '/');
    }
    assert_true(rows >= 19);
    assert_null(catalog_row(rows + 1));
    assert_null(catalog_row(SIZE_MAX));
}

static void code_stands_beside_each_row(void **state)
{
    size_t i = 0;
    for (const struct native *row; (row = catalog_row(i)) != NULL; i++) {
        assert_non_null(catalog_code_name(i));
        assert_string_equal(catalog_code_name(i), row->name);
        const struct native_code *code = catalog_code(row);
        bool fold = row->flags & NATIVE_FOLD;
        assert_int_equal(code->fold != NULL, fold);
        assert_int_equal(code->item != NULL, !fold);
    }
    assert_null(catalog_code_name(i));
}

static void names_are_found(void **state)
{
    for (size_t i = 0; catalog_row(i) != NULL; i++) {
        const char *name = catalog_row(i)->name;
        assert_ptr_equal(catalog_find(name, strlen(name)), catalog_row(i));
        assert_null(catalog_find(name, strlen(name) - 1));
    }
    assert_null(catalog_find("", 0));
    assert_null(catalog_find("squareD", 7));
    assert_null(catalog_find("squared\0", 8));
    assert_ptr_equal(catalog_find("squared and more", 7), catalog_row(0));
    assert_true(catalog_find("crash", 5)->flags & NATIVE_DEMO);
    assert_true(catalog_find("dice", 4)->flags & NATIVE_HIDDEN);
}

static void hashes_are_found(void **state)
{
    /* printf 'native\0squared' | sha256sum */
    static const uint8_t squared[32] = {0x2c, 0x02, 0xa2, 0x20, 0x49, 0xcd, 0xd6, 0x78, 0x1b, 0xbf, 0x70,
                                        0x06, 0x6a, 0x4f, 0x66, 0x3c, 0x90, 0x3c, 0xfe, 0x9f, 0x8f, 0x2e,
                                        0x61, 0x0c, 0x24, 0xd8, 0x40, 0x5a, 0x0c, 0x5d, 0x95, 0xe1};
    uint8_t hash[32];
    catalog_hash(catalog_row(0), hash);
    assert_memory_equal(hash, squared, 32);
    for (size_t i = 0; catalog_row(i) != NULL; i++) {
        catalog_hash(catalog_row(i), hash);
        assert_ptr_equal(catalog_by_hash(hash), catalog_row(i));
        hash[31] ^= 1;
        assert_null(catalog_by_hash(hash));
        hash[31] ^= 1;
        hash[0] ^= 1;
        assert_null(catalog_by_hash(hash));
    }
    memset(hash, 0, sizeof hash);
    assert_null(catalog_by_hash(hash));
}

/* A member of an example's body; false: it has none. */
static bool find_member(struct span object, const char *wanted, struct span *value)
{
    const char *cursor = object.at;
    struct span name;
    enum token kind;
    while (token_next_member(object, &cursor, &name, value, &kind))
        if (name.length == strlen(wanted) + 2 && memcmp(name.at + 1, wanted, name.length - 2) == 0)
            return true;
    return false;
}

static struct span read_example(const struct native *row)
{
    struct span body, function;
    const char *cursor = row->example, *why = NULL, *end = row->example + strlen(row->example);
    assert_int_equal(token_read(&cursor, end, &body, &why), TOKEN_OBJECT);
    assert_ptr_equal(cursor, end);
    if (row->flags & NATIVE_HIDDEN)
        return body;
    assert_true(find_member(body, "function", &function));
    assert_int_equal(function.length, strlen(row->name) + 2);
    assert_memory_equal(function.at + 1, row->name, strlen(row->name));
    return body;
}

/* The answer that a server makes of the example's items. */
static void answer_example(const struct native *row, struct span body, struct buf *answer)
{
    struct span items, item;
    enum token kind;
    uint64_t index = 0;
    assert_true(find_member(body, "items", &items));
    buf_append_text(answer, "{\"results\":[");
    const char *cursor = items.at;
    while (token_next_element(items, &cursor, &item, &kind)) {
        struct buf args;
        buf_init(&args);
        if (strcmp(row->example_path, "/starmap") == 0) {
            assert_int_equal(kind, TOKEN_ARRAY);
            buf_append(&args, item.at, item.length);
        } else {
            buf_append_char(&args, '[');
            buf_append(&args, item.at, item.length);
            buf_append_char(&args, ']');
        }
        if (index > 0)
            buf_append_char(answer, ',');
        native_call(row->name, (struct span){buf_start(&args), args.length}, index++, answer);
        buf_clear(&args);
    }
    buf_append_text(answer, "]}");
    assert_true(index > 0);
}

static void examples_give_their_answers(void **state)
{
    size_t answered = 0;
    for (size_t i = 0; catalog_row(i) != NULL; i++) {
        const struct native *row = catalog_row(i);
        struct span body = read_example(row);
        if (row->example_answer == NULL)
            continue;
        struct buf answer;
        buf_init(&answer);
        answer_example(row, body, &answer);
        buf_append_char(&answer, '\0');
        assert_string_equal(buf_start(&answer), row->example_answer);
        buf_clear(&answer);
        answered++;
    }
    assert_true(answered >= 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(code_stands_beside_each_row),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(hashes_are_found),
        cmocka_unit_test(examples_give_their_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
