/* tree: see tree.h. */
#include "api/tree.h"

#include "workers/log.h"

static json_t *checked(json_t *tree)
{
    if (tree == NULL)
        die("no memory for a JSON value, or a text that is not UTF-8");
    return tree;
}

json_t *tree_text(const char *text, size_t length)
{
    json_t *string = json_stringn(text, length);
    if (string != NULL)
        return string;
    /* jansson refuses what is not UTF-8; as buf quotes it, it is. */
    struct buf quoted = {0};
    buf_append_json(&quoted, text, length);
    string = json_loadb(buf_start(&quoted), quoted.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buf_clear(&quoted);
    return checked(string);
}

json_t *tree_count(uint64_t count)
{
    return checked(json_integer(count < INT64_MAX ? (json_int_t)count : INT64_MAX));
}

json_t *tree_parse(const char *text)
{
    json_t *tree = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return tree != NULL ? tree : tree_text(text, strlen(text));
}

void tree_set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, checked(value)) != 0)
        die("no memory for the JSON member %s", name);
}

void tree_append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, checked(value)) != 0)
        die("no memory for a JSON array");
}

static int add_bytes(const char *bytes, size_t length, void *to)
{
    buf_append(to, bytes, length);
    return 0;
}

static void print(json_t *tree, size_t flags, struct buf *to)
{
    /* 15 digits: 0.1 stays 0.1. */
    flags |= JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15);
    if (json_dump_callback(checked(tree), add_bytes, to, flags) != 0)
        die("no memory to print JSON");
    json_decref(tree);
}

void tree_print(json_t *tree, struct buf *to)
{
    print(tree, 0, to);
}

void tree_print_members(json_t *object, struct buf *to)
{
    print(object, JSON_EMBED, to);
}
