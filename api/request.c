/* request: see request.h. Takes the members one by one, from the query or the body, to their rows (members.c); has the
 * setters that are more than a field: function, items as numbers, args. */
#include "api/request.h"

#include <inttypes.h>
#include <stdio.h>

#include "api/members.h"
#include "api/misnamed.h"
#include "api/query.h"

#define SIMULATE_ROLLS UINT64_C(1000000000000)
#define FUNCTIONS_MAX 256 /* names that are looked at for the nearest */

void request_init(struct request *request, enum endpoint endpoint, const struct request_limits *limits)
{
    *request = (struct request){
        .endpoint = endpoint,
        .item_timeout_ms = limits->item_timeout_ms,
        .deadline_ms = limits->deadline_ms,
        .crash_retries = 1,
        .rolls = 100,
        .dice = 2,
        .sides = 6,
    };
    if (endpoint == ENDPOINT_DICE)
        request->function = catalog_find("dice", 4);
}

static bool callable(const struct native *function, const struct request_limits *limits)
{
    return !(function->flags & NATIVE_HIDDEN) && (limits->demo_functions || !(function->flags & NATIVE_DEMO));
}

static bool refuse_function(struct setting *setting, const struct native *function)
{
    if (function != NULL && (function->flags & NATIVE_DEMO))
        return setting_fail(setting, PROBLEM_UNKNOWN_FUNCTION, "",
                            "%s is a demonstration function: the server offers it when started with --demo-functions",
                            function->name);
    if (function != NULL)
        return setting_fail(setting, PROBLEM_UNKNOWN_FUNCTION, "", "%s is not called by name: POST %s", function->name,
                            function->example_path);
    const char *names[FUNCTIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; count < FUNCTIONS_MAX && (function = catalog_row(i)) != NULL; i++)
        if (callable(function, setting->limits))
            names[count++] = function->name;
    const char *nearest = problem_nearest(setting->text.at, setting->text.length, names, count);
    int shown = setting->text.length > 60 ? 60 : (int)setting->text.length;
    setting_fail(setting, PROBLEM_UNKNOWN_FUNCTION, "", "there is no function %.*s%s%s; GET /functions lists them",
                 shown, setting->text.at, nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
    if (nearest != NULL)
        snprintf(setting->problem->did_you_mean, sizeof setting->problem->did_you_mean, "%s", nearest);
    return false;
}

bool request_set_function(struct setting *setting)
{
    const struct native *function = catalog_find(setting->text.at, setting->text.length);
    if (function == NULL || !callable(function, setting->limits))
        return refuse_function(setting, function);
    setting->request->function = function;
    return true;
}

bool request_set_args(struct setting *setting)
{
    setting->request->args_start = (size_t)(setting->token.at - setting->body);
    setting->request->args_length = setting->token.length;
    return true;
}

static bool too_many(struct setting *setting, const char *below, uint64_t count)
{
    setting_fail(setting, PROBLEM_TOO_LARGE, below,
                 "%" PRIu64 " items are more than the %" PRIu64 " that a call may have", count, setting->limits->items);
    setting->problem->has_limit = true;
    setting->problem->limit = setting->limits->items;
    return false;
}

/* An integer somewhere inside `items`. */
static bool read_integer(struct setting *setting, const char *below, enum token kind, struct span token,
                         int64_t *integer)
{
    enum problem_type type = kind == TOKEN_NUMBER ? setting_integer(token, integer) : PROBLEM_WRONG_TYPE;
    char shown[64];
    if (type == PROBLEM_NONE)
        return true;
    return setting_fail(setting, type, below, "items%s is an integer of 64 bits; got %s", below,
                        setting_show(kind, token, shown));
}

/* How many integers range(start, stop, step) has, as in Python. The differences fit when taken without sign. */
static uint64_t range_count(int64_t start, int64_t stop, int64_t step)
{
    if (step > 0 && start < stop)
        return ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
    if (step < 0 && start > stop)
        return ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
    return 0;
}

static bool set_range(struct setting *setting, enum token kind, struct span range)
{
    static const char wants[] = "range is [stop], [start, stop] or [start, stop, step], as in Python; got %s";
    char below[32], shown[64];
    int64_t numbers[3] = {0, 0, 1};
    size_t count = 0;
    if (kind != TOKEN_ARRAY)
        return setting_fail(setting, PROBLEM_WRONG_TYPE, "/range", wants, setting_show(kind, range, shown));
    struct span element;
    enum token element_kind;
    for (const char *cursor = range.at; token_next_element(range, &cursor, &element, &element_kind); count++) {
        snprintf(below, sizeof below, "/range/%zu", count);
        if (count == 3)
            return setting_fail(setting, PROBLEM_WRONG_VALUE, "/range", wants, "more than three numbers");
        if (!read_integer(setting, below, element_kind, element, &numbers[count]))
            return false;
    }
    if (count == 0)
        return setting_fail(setting, PROBLEM_WRONG_VALUE, "/range", wants, "[]");
    if (count == 1) {
        numbers[1] = numbers[0];
        numbers[0] = 0;
    }
    if (numbers[2] == 0)
        return setting_fail(setting, PROBLEM_OUT_OF_RANGE, "/range/2", "the step of a range is not 0");
    struct items *items = &setting->scan->items;
    uint64_t length = range_count(numbers[0], numbers[1], numbers[2]);
    if (length > setting->limits->items)
        return too_many(setting, "/range", length);
    items->format = ITEMS_RANGE;
    items->start = numbers[0];
    items->step = numbers[2];
    items->count = length;
    return true;
}

static bool set_repeat(struct setting *setting, struct span value, enum token count_kind, struct span count)
{
    char shown[64];
    int64_t integer;
    if (count.at == NULL)
        return setting_fail(setting, PROBLEM_MISSING_MEMBER, "/count",
                            "items has repeat but no count: {\"repeat\": value, \"count\": n}");
    if (!read_integer(setting, "/count", count_kind, count, &integer))
        return false;
    if (integer < 0)
        return setting_fail(setting, PROBLEM_OUT_OF_RANGE, "/count", "count is an integer from 0; got %s",
                            setting_show(count_kind, count, shown));
    if ((uint64_t)integer > setting->limits->items)
        return too_many(setting, "/count", (uint64_t)integer);
    struct items *items = &setting->scan->items;
    items->format = ITEMS_REPEAT;
    items->value_start = (size_t)(value.at - setting->body);
    items->value_end = items->value_start + value.length;
    items->count = (uint64_t)integer;
    return true;
}

/* The text of a string in the body, given without its quotes: as it stands, or unescaped into `decoded`. */
static struct span unescaped(struct span text, struct buf *decoded)
{
    if (text.length == 0 || memchr(text.at, '\\', text.length) == NULL)
        return text;
    token_decode_string((struct span){text.at - 1, text.length + 2}, decoded);
    return (struct span){buf_start(decoded), decoded->length};
}

enum { RANGE, REPEAT, COUNT, FORMS };
static const char *const forms[FORMS] = {"range", "repeat", "count"};

/* Which of `forms` a member's name, in quotes, is; FORMS after a problem. */
static size_t read_form(struct setting *setting, struct span quoted)
{
    struct buf decoded = {0};
    struct span name = unescaped((struct span){quoted.at + 1, quoted.length - 2}, &decoded);
    size_t i = 0;
    while (i < FORMS && (strlen(forms[i]) != name.length || memcmp(forms[i], name.at, name.length) != 0))
        i++;
    if (i == FORMS)
        misnamed_in("/items", name, forms, FORMS, setting->problem);
    buf_clear(&decoded);
    return i;
}

bool request_set_items(struct setting *setting)
{
    setting->request->has_items = true;
    if (setting->kind == TOKEN_ARRAY)
        return true; /* scan has them */
    struct span values[FORMS] = {{0}}, quoted, value;
    enum token kinds[FORMS] = {0}, kind;
    for (const char *cursor = setting->token.at; token_next_member(setting->token, &cursor, &quoted, &value, &kind);) {
        size_t i = read_form(setting, quoted);
        if (i == FORMS)
            return false;
        values[i] = value;
        kinds[i] = kind;
    }
    bool range = values[RANGE].at != NULL, repeat = values[REPEAT].at != NULL, count = values[COUNT].at != NULL;
    if (range && (repeat || count))
        return setting_fail(setting, PROBLEM_WRONG_VALUE, "", "range and %s exclude each other in items",
                            repeat ? "repeat" : "count");
    if (!range && !repeat)
        return setting_fail(setting, PROBLEM_MISSING_MEMBER, "",
                            "items is an object without range or repeat: {\"range\": [start, stop, step]} or "
                            "{\"repeat\": value, \"count\": n}");
    if (range ? !set_range(setting, kinds[RANGE], values[RANGE])
              : !set_repeat(setting, values[REPEAT], kinds[COUNT], values[COUNT]))
        return false;
    setting->scan->items.complete = true;
    return true;
}

static bool take(struct setting *setting, struct span name)
{
    setting->member = member_find(name);
    bool in_query = setting->scan == NULL;
    if (setting->member == NULL || !member_belongs(setting->member, setting->request->endpoint, in_query))
        return misnamed(setting->request->endpoint, name, in_query, setting->problem);
    return member_take(setting);
}

/* A value in the query is what its member takes, if it looks like it; else a string. */
static enum token query_kind(const struct query_pair *pair, unsigned kinds)
{
    static const struct {
        const char *text;
        enum token kind;
    } bools[] = {{"true", TOKEN_TRUE}, {"1", TOKEN_TRUE}, {"", TOKEN_TRUE}, {"false", TOKEN_FALSE}, {"0", TOKEN_FALSE}};
    const char *cursor = pair->value.at, *end = cursor + pair->value.length, *why;
    struct span token;
    if (kinds & KIND_BOOL)
        for (size_t i = 0; i < sizeof bools / sizeof *bools; i++)
            if (strlen(bools[i].text) == pair->value.length && memcmp(bools[i].text, cursor, pair->value.length) == 0)
                return bools[i].kind;
    if ((kinds & KIND(TOKEN_NUMBER)) && token_read(&cursor, end, &token, &why) == TOKEN_NUMBER && cursor == end &&
        token.at == pair->value.at)
        return TOKEN_NUMBER;
    return TOKEN_STRING;
}

bool request_query(struct request *request, const char *query, const struct request_limits *limits, bool *named,
                   struct problem *problem)
{
    *named = false;
    if (query == NULL || *query == '\0')
        return true;
    struct query parsed;
    bool fine = query_parse(&parsed, query, problem);
    for (size_t i = 0; fine && i < parsed.count; i++) {
        const struct query_pair *pair = &parsed.pairs[i];
        const struct member *member = member_find(pair->name);
        struct setting setting = {.request = request, .limits = limits, .problem = problem};
        setting.kind = member != NULL ? query_kind(pair, member->kinds) : TOKEN_STRING;
        setting.token = setting.text = pair->value;
        fine = take(&setting, pair->name);
    }
    *named = request->endpoint != ENDPOINT_DICE && request->function != NULL;
    query_clear(&parsed);
    return fine;
}

static bool take_member(struct setting *setting, const struct scan_member *member)
{
    struct buf name = {0}, text = {0};
    setting->kind = member->kind;
    setting->token = (struct span){setting->body + member->value_start, member->value_length};
    setting->text = setting->token;
    if (member->kind == TOKEN_STRING)
        setting->text = unescaped((struct span){setting->token.at + 1, setting->token.length - 2}, &text);
    struct span written = {setting->body + member->name_start, member->name_length};
    bool fine = take(setting, unescaped(written, &name));
    buf_clear(&name);
    buf_clear(&text);
    return fine;
}

bool request_members(struct request *request, struct scan *scan, const char *body, size_t from, size_t to,
                     const struct request_limits *limits, struct problem *problem)
{
    struct setting setting = {.request = request, .limits = limits, .problem = problem, .scan = scan, .body = body};
    for (size_t i = from; i < to; i++)
        if (!take_member(&setting, &scan->members[i]))
            return false;
    return true;
}

static bool missing(const struct request *request, const char *name, struct problem *problem)
{
    static const struct {
        enum endpoint endpoint;
        const char *example;
    } examples[] = {
        {ENDPOINT_MAP, "{\"function\": \"squared\", \"items\": [1, 2, 3]}"},
        {ENDPOINT_STARMAP, "{\"function\": \"times\", \"items\": [[1, 2, 3], [4, 5, 6]]}"},
        {ENDPOINT_APPLY, "{\"function\": \"times\", \"args\": [1, 2, 3]}"},
    };
    const char *example = "";
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        if (examples[i].endpoint == request->endpoint)
            example = examples[i].example;
    problem_set(problem, PROBLEM_MISSING_MEMBER, "%s is missing: %s", name, example);
    snprintf(problem->pointer, sizeof problem->pointer, "/%s", name);
    return false;
}

bool request_finish(struct request *request, const struct scan *scan, struct problem *problem)
{
    if (request->function == NULL)
        return missing(request, "function", problem);
    if (scan != NULL && scan->shape != SCAN_OBJECT)
        request->has_items = true; /* the body is the items */
    if ((request->endpoint & (ENDPOINT_MAP | ENDPOINT_STARMAP)) && !request->has_items)
        return missing(request, "items", problem);
    if (request->endpoint == ENDPOINT_DICE && request->method == DICE_SIMULATE && request->rolls > SIMULATE_ROLLS) {
        problem_set(problem, PROBLEM_OUT_OF_RANGE,
                    "rolls is an integer from 1 to %" PRIu64 " for \"simulate\"; the method \"multinomial\" takes more",
                    SIMULATE_ROLLS);
        if (scan != NULL && scan->member_count > 0)
            snprintf(problem->pointer, sizeof problem->pointer, "/rolls");
        problem->has_limit = true;
        problem->limit = SIMULATE_ROLLS;
        return false;
    }
    return true;
}

bool request_restarts(const struct request *request, uint64_t changed_before)
{
    return (request->changed & ~changed_before & member_restart_bits()) != 0;
}
