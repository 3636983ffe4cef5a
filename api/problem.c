/* problem: see problem.h. */
#include "api/problem.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/tree.h"

#define NAME_MAX_BYTES 64 /* longer names are not compared: nobody misspells a name that long */

static const struct {
    unsigned status;
    const char *uri;
    const char *title;
} rows[PROBLEM_TYPES] = {
    [PROBLEM_NONE] = {200, "/problems/none", "No problem"},
    [PROBLEM_MALFORMED_JSON] = {400, "/problems/malformed-json", "Malformed JSON"},
    [PROBLEM_BAD_FRAMING] = {400, "/problems/bad-framing", "Bad framing"},
    [PROBLEM_BAD_QUERY] = {400, "/problems/bad-query", "Malformed query string"},
    [PROBLEM_UNAUTHORIZED] = {401, "/problems/unauthorized", "Authentication required"},
    [PROBLEM_FORBIDDEN_ORIGIN] = {403, "/problems/forbidden-origin", "Origin not allowed"},
    [PROBLEM_NOT_FOUND] = {404, "/problems/not-found", "Not found"},
    [PROBLEM_METHOD_NOT_ALLOWED] = {405, "/problems/method-not-allowed", "Method not allowed"},
    [PROBLEM_NOT_ACCEPTABLE] = {406, "/problems/not-acceptable", "No acceptable representation"},
    [PROBLEM_REQUEST_TIMEOUT] = {408, "/problems/request-timeout", "The request took too long to arrive"},
    [PROBLEM_TOO_LARGE] = {413, "/problems/too-large", "Too large"},
    [PROBLEM_UNSUPPORTED_MEDIA] = {415, "/problems/unsupported-media-type", "Unsupported media type"},
    [PROBLEM_MISDIRECTED] = {421, "/problems/misdirected", "Host not allowed"},
    [PROBLEM_UNKNOWN_FUNCTION] = {422, "/problems/unknown-function", "Unknown function"},
    [PROBLEM_UNKNOWN_MEMBER] = {422, "/problems/unknown-member", "Unknown member"},
    [PROBLEM_MISSING_MEMBER] = {422, "/problems/missing-member", "Missing member"},
    [PROBLEM_WRONG_TYPE] = {422, "/problems/wrong-type", "Wrong type"},
    [PROBLEM_OUT_OF_RANGE] = {422, "/problems/out-of-range", "Out of range"},
    [PROBLEM_WRONG_VALUE] = {422, "/problems/wrong-value", "Wrong value"},
    [PROBLEM_ITEM_FAILED] = {422, "/problems/item-failed", "An item failed"},
    [PROBLEM_TOO_MANY_REQUESTS] = {429, "/problems/too-many-requests", "Too many requests"},
    [PROBLEM_INTERNAL] = {500, "/problems/internal", "Internal error"},
    [PROBLEM_NOT_IMPLEMENTED] = {501, "/problems/not-implemented", "Not implemented"},
    [PROBLEM_UNAVAILABLE] = {503, "/problems/unavailable", "Service unavailable"},
    [PROBLEM_FUNCTION_UNAVAILABLE] = {503, "/problems/function-unavailable", "Function unavailable"},
    [PROBLEM_DEADLINE] = {504, "/problems/deadline", "Deadline exceeded"},
};

unsigned problem_status(enum problem_type type)
{
    return rows[type].status;
}

/* A sentence cut by its array's size must not end inside a UTF-8 sequence. */
static void trim_partial_utf8(char *text, size_t length)
{
    size_t start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
        unsigned char lead = (unsigned char)text[start - 1];
        size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (length - (start - 1) < need)
            text[start - 1] = '\0';
    }
}

bool problem_set(struct problem *problem, enum problem_type type, const char *format, ...)
{
    struct problem fresh = {.type = type}; /* the arguments may point into the old one */
    va_list list;
    va_start(list, format);
    int need = vsnprintf(fresh.detail, sizeof fresh.detail, format, list);
    va_end(list);
    if (need >= (int)sizeof fresh.detail)
        trim_partial_utf8(fresh.detail, sizeof fresh.detail - 1);
    *problem = fresh;
    return false;
}

static void set_text(json_t *body, const char *name, const char *text)
{
    if (*text != '\0')
        tree_set(body, name, tree_text(text, strlen(text)));
}

/* "a,b" becomes ["a","b"]. */
static json_t *array_of(const char *allowed)
{
    json_t *array = json_array();
    for (const char *at = allowed;; at++) {
        size_t length = strcspn(at, ",");
        tree_append(array, tree_text(at, length));
        at += length;
        if (*at == '\0')
            return array;
    }
}

void problem_render(const struct problem *problem, const char *instance, struct buf *out)
{
    json_t *body = json_object();
    set_text(body, "type", rows[problem->type].uri);
    set_text(body, "title", rows[problem->type].title);
    tree_set(body, "status", tree_count(rows[problem->type].status));
    set_text(body, "detail", problem->detail);
    set_text(body, "instance", instance != NULL ? instance : "");
    set_text(body, "pointer", problem->pointer);
    if (problem->has_position)
        tree_set(body, "position",
                 json_pack("{s:o,s:o,s:o}", "line", tree_count(problem->line), "column", tree_count(problem->column),
                           "offset", tree_count(problem->offset)));
    if (problem->has_index)
        tree_set(body, "index", tree_count(problem->index));
    if (problem->has_limit)
        tree_set(body, "limit", tree_count(problem->limit));
    if (problem->allowed[0] != '\0')
        tree_set(body, "allowed", array_of(problem->allowed));
    set_text(body, "did_you_mean", problem->did_you_mean);
    if (problem->error != NULL)
        tree_set(body, "error", tree_parse(problem->error));
    tree_print(body, out);
}

static unsigned char folded(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours that make `a` of `b`; cases are equal. Three rows of the usual
 * table are enough: a swap looks back two. Both are at most NAME_MAX_BYTES long. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    uint8_t table[3][NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b_length; j++)
        table[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a_length; i++) {
        uint8_t *row = table[i % 3], *above = table[(i + 2) % 3], *over = table[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);
            size_t cost = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1u);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                cost = least(cost, over[j - 2] + 1u);
            row[j] = (uint8_t)cost;
        }
    }
    return table[a_length % 3][b_length];
}

const char *problem_nearest(const char *name, size_t length, const char *const *names, size_t count)
{
    if (length == 0 || length > NAME_MAX_BYTES)
        return NULL;
    size_t bound = length / 3 > 1 ? length / 3 : 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        size_t other = strlen(names[i]);
        if (other > NAME_MAX_BYTES || other > length + bound || other + bound < length)
            continue;
        size_t distance = edit_distance(name, length, names[i], other);
        /* A name of which nothing is left was not meant. */
        if (distance > bound || distance == (length > other ? length : other))
            continue;
        if (distance == 0)
            return names[i];
        nearest = names[i];
        bound = distance - 1;
    }
    /* Half a name is meant too: "squar". */
    for (size_t i = 0; i < count && nearest == NULL && length >= 3; i++)
        if (strncasecmp(name, names[i], length) == 0)
            nearest = names[i];
    return nearest;
}
