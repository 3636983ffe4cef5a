/* members: see members.h. The table, then how a value is held against its row. */
#include "api/members.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "workers/number.h"

static member_set set_field, set_seed, set_context, set_absent, set_js;

#define MAPS (ENDPOINT_MAP | ENDPOINT_STARMAP)
#define CALLS (MAPS | ENDPOINT_APPLY)
#define DICE ENDPOINT_DICE
#define ALL (CALLS | DICE)

#define RESTARTS MEMBER_RESTARTS
#define DATA (MEMBER_DATA | MEMBER_IN_BODY)
#define DICE_DATA (MEMBER_DATA | MEMBER_RESTARTS)

#define NUMBER KIND(TOKEN_NUMBER)
#define STRING KIND(TOKEN_STRING)
#define ARRAY KIND(TOKEN_ARRAY)
#define OBJECT KIND(TOKEN_OBJECT)

/* A member that is a field has the field's name. */
#define FIELD(name) .field = offsetof(struct request, name), .field_bytes = sizeof((struct request *)NULL)->name
#define MEMBER(member, who, what, takes, setter) \
    .name = #member, .endpoints = who, .flags = what, .kinds = takes, .set = setter
#define INTEGER(member, who, what, from, to)                                                   \
    {                                                                                          \
        MEMBER(member, who, what, NUMBER, set_field), .least = from, .most = to, FIELD(member) \
    }
#define LIMITED(member, who, what, by)                                                       \
    {                                                                                        \
        MEMBER(member, who, what, NUMBER, set_field), .least = 1, .bound = by, FIELD(member) \
    }
#define WORDS(member, who, what)                                                             \
    {                                                                                        \
        MEMBER(member, who, what, STRING, set_field), .words = member##_words, FIELD(member) \
    }
#define BOOL(member, who, what)                                        \
    {                                                                  \
        MEMBER(member, who, what, KIND_BOOL, set_field), FIELD(member) \
    }
#define OTHER(member, who, what, takes, text)                                 \
    {                                                                         \
        MEMBER(member, who, what, takes, request_set_##member), .wants = text \
    }
#define ABSENT(member, who, why)                                          \
    {                                                                     \
        MEMBER(member, who, MEMBER_ABSENT, ~0u, set_absent), .wants = why \
    }

static const struct word chunksize_words[] = {{"auto", 0}, {NULL, 0}};
static const struct word on_error_words[] = {
    {"collect", ON_ERROR_COLLECT}, {"stop", ON_ERROR_STOP}, {"fail", ON_ERROR_FAIL}, {NULL, 0}};
static const struct word isolation_words[] = {{"pool", ISOLATION_POOL}, {"process", ISOLATION_PROCESS}, {NULL, 0}};
static const struct word context_words[] = {
    {"fork", CONTEXT_FORK}, {"forkserver", CONTEXT_FORKSERVER}, {"spawn", CONTEXT_SPAWN}, {NULL, 0}};
static const struct word aggregate_words[] = {{"counts", AGGREGATE_COUNTS}, {"sum", AGGREGATE_SUM},
                                              {"mean", AGGREGATE_MEAN},     {"min", AGGREGATE_MIN},
                                              {"max", AGGREGATE_MAX},       {NULL, 0}};
static const struct word header_words[] = {{"present", true}, {"absent", false}, {NULL, 0}};
static const struct word method_words[] = {{"simulate", DICE_SIMULATE}, {"multinomial", DICE_MULTINOMIAL}, {NULL, 0}};

static const struct member rows[] = {
    /* These two are looked up for nearly every request. */
    OTHER(function, CALLS, RESTARTS, STRING, "a string, the name of a function (GET /functions lists them)"),
    OTHER(items, MAPS, DATA, ARRAY | OBJECT,
          "an array, {\"range\": [start, stop, step]} or {\"repeat\": value, \"count\": n}"),
    OTHER(args, ENDPOINT_APPLY, DATA, ARRAY, "an array, the function's arguments"),
    {MEMBER(chunksize, MAPS | DICE, RESTARTS, NUMBER | STRING, set_field), .words = chunksize_words, .least = 1,
     FIELD(chunksize)},
    LIMITED(processes, MAPS | DICE, RESTARTS, BOUND_WORKERS),
    LIMITED(item_timeout_ms, CALLS, RESTARTS, BOUND_ITEM_TIMEOUT),
    LIMITED(deadline_ms, ALL, 0, BOUND_DEADLINE),
    INTEGER(crash_retries, CALLS, RESTARTS, 0, 10),
    WORDS(on_error, MAPS, RESTARTS),
    WORDS(isolation, ALL, RESTARTS),
    {MEMBER(context, ALL, RESTARTS, STRING | ARRAY | OBJECT, set_context), .words = context_words, FIELD(context)},
    WORDS(aggregate, MAPS, 0),
    BOOL(trace, ALL, RESTARTS),
    {MEMBER(seed, ALL, RESTARTS, NUMBER, set_seed), .most = INT64_MAX, FIELD(seed)},
    WORDS(header, MAPS, MEMBER_IN_QUERY),
    INTEGER(rolls, DICE, DICE_DATA, 1, UINT64_C(1) << 53),
    INTEGER(dice, DICE, DICE_DATA, 1, 100),
    INTEGER(sides, DICE, DICE_DATA, 2, 1000),
    WORDS(method, DICE, RESTARTS),
    {MEMBER(js, CALLS, MEMBER_ABSENT, ~0u, set_js),
     .wants = "js needs the script worker, which this server does not have; name a native function with function"},
    ABSENT(js_export, CALLS, "js_export goes with js, which needs the script worker; this server does not have it"),
    ABSENT(reduce, MAPS,
           "reduce is js, which needs the script worker; this server does not have it. aggregate does "
           "counts, sum, mean, min and max"),
    ABSENT(common, CALLS, "native functions take no common"),
    ABSENT(queue, CALLS, "native functions put nothing into a queue"),
    ABSENT(locks, CALLS, "native functions take no locks"),
    ABSENT(big_integers, CALLS, "big_integers is for js; the integers of native functions are exact at any size"),
    ABSENT(order, MAPS,
           "order is for streamed answers, which this server does not have; results stand in the items' order"),
    ABSENT(errors, MAPS,
           "errors is for streamed answers, which this server does not have; the answer lists them by index"),
};
#define ROWS (sizeof rows / sizeof *rows)
_Static_assert(ROWS <= 64, "request.changed has a bit for each row");

const struct member *member_find(struct span name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (name.length > 0 && rows[i].name[0] == name.at[0] && strncmp(rows[i].name, name.at, name.length) == 0 &&
            rows[i].name[name.length] == '\0')
            return &rows[i];
    return NULL;
}

const struct member *member_row(size_t index)
{
    return index < ROWS ? &rows[index] : NULL;
}

uint64_t member_bit(const struct member *member)
{
    return UINT64_C(1) << (member - rows);
}

uint64_t member_restart_bits(void)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].flags & MEMBER_RESTARTS)
            bits |= member_bit(&rows[i]);
    return bits;
}

bool member_belongs(const struct member *member, enum endpoint endpoint, bool in_query)
{
    return (member->endpoints & endpoint) && !(member->flags & (in_query ? MEMBER_IN_BODY : MEMBER_IN_QUERY));
}

bool setting_fail(struct setting *setting, enum problem_type type, const char *below, const char *format, ...)
{
    char detail[sizeof setting->problem->detail];
    va_list list;
    va_start(list, format);
    vsnprintf(detail, sizeof detail, format, list);
    va_end(list);
    problem_set(setting->problem, type, "%s", detail);
    if (setting->scan != NULL)
        snprintf(setting->problem->pointer, sizeof setting->problem->pointer, "/%s%s", setting->member->name, below);
    return false;
}

enum problem_type setting_integer(struct span number, int64_t *integer)
{
    static const double exact = 9007199254740992.0; /* beyond it a double says no longer which integer was meant */
    double real;
    switch (number_read(number, integer, &real)) {
    case NUMBER_INT64:
        return PROBLEM_NONE;
    case NUMBER_DOUBLE:
        if (!(real >= -exact && real <= exact))
            return PROBLEM_OUT_OF_RANGE;
        *integer = (int64_t)real;
        return (double)*integer == real ? PROBLEM_NONE : PROBLEM_WRONG_TYPE;
    default:
        return PROBLEM_OUT_OF_RANGE;
    }
}

const char *setting_show(enum token kind, struct span token, char to[64])
{
    if (kind == TOKEN_ARRAY || kind == TOKEN_OBJECT)
        return kind == TOKEN_ARRAY ? "an array" : "an object";
    size_t length = token.length;
    if (length > 40)
        for (length = 40; length > 0 && ((unsigned char)token.at[length] & 0xc0) == 0x80;)
            length--;
    snprintf(to, 64, "%.*s%s", (int)length, token.at, length < token.length ? "\u2026" : "");
    return to;
}

static uint64_t most_of(const struct setting *setting)
{
    switch (setting->member->bound) {
    case BOUND_WORKERS:
        return setting->limits->max_workers;
    case BOUND_ITEM_TIMEOUT:
        return setting->limits->item_timeout_ms;
    case BOUND_DEADLINE:
        return setting->limits->deadline_ms;
    default:
        return setting->member->most > 0 ? setting->member->most : UINT64_MAX;
    }
}

static void append_words(struct buf *text, const struct word *words, const char *quote, const char *between)
{
    for (const struct word *word = words; word->name != NULL; word++)
        buf_printf(text, "%s%s%s%s", word == words ? "" : between, quote, word->name, quote);
}

/* "an integer from 1, or "auto"" */
static void append_wants(struct buf *text, const struct setting *setting)
{
    const struct member *member = setting->member;
    bool number = member->kinds & NUMBER;
    uint64_t most = most_of(setting);
    if (member->wants != NULL)
        buf_append_text(text, member->wants);
    else if (member->kinds == KIND_BOOL)
        buf_append_text(text, "true or false");
    else if (number)
        buf_printf(text, "an integer from %" PRIu64, member->least);
    if (number && most < UINT64_MAX)
        buf_printf(text, " to %" PRIu64 "%s", most, member->bound == BOUND_WORKERS ? " (--max-workers)" : "");
    if (member->words != NULL) {
        buf_append_text(text, number ? ", or " : member->words[1].name != NULL ? "one of " : "");
        append_words(text, member->words, "\"", ", ");
    }
    buf_append_char(text, '\0');
}

/* "chunksize is an integer from 1, or "auto"; got 0" */
static bool refuse_value(struct setting *setting, enum problem_type type)
{
    const struct member *member = setting->member;
    struct problem *problem = setting->problem;
    char shown[64];
    struct buf text = {0};
    append_wants(&text, setting);
    setting_fail(setting, type, "", "%s is %s; got %s", member->name, buf_start(&text),
                 setting_show(setting->kind, setting->token, shown));
    buf_reset(&text);
    if (member->words != NULL && !(member->kinds & NUMBER)) {
        append_words(&text, member->words, "", ",");
        snprintf(problem->allowed, sizeof problem->allowed, "%.*s", (int)text.length, buf_start(&text));
    }
    buf_clear(&text);
    return false;
}

static void store(struct setting *setting, uint64_t value)
{
    char *field = (char *)setting->request + setting->member->field;
    if (setting->member->field_bytes == sizeof value)
        memcpy(field, &value, sizeof value);
    else if (setting->member->field_bytes == sizeof(uint32_t))
        memcpy(field, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    else
        memcpy(field, &(bool){value != 0}, sizeof(bool));
}

static bool set_integer(struct setting *setting)
{
    int64_t integer;
    enum problem_type type = setting_integer(setting->token, &integer);
    uint64_t most = most_of(setting);
    bool below = type == PROBLEM_NONE ? integer < (int64_t)setting->member->least : setting->token.at[0] == '-';
    if (type == PROBLEM_NONE && (below || (uint64_t)integer > most))
        type = PROBLEM_OUT_OF_RANGE;
    if (type == PROBLEM_NONE) {
        store(setting, (uint64_t)integer);
        return true;
    }
    refuse_value(setting, type);
    if (type == PROBLEM_OUT_OF_RANGE && !below && most < UINT64_MAX) {
        setting->problem->has_limit = true;
        setting->problem->limit = most;
    }
    return false;
}

static bool set_word(struct setting *setting)
{
    const char *names[8];
    size_t count = 0;
    for (const struct word *word = setting->member->words; word->name != NULL; word++) {
        if (strlen(word->name) == setting->text.length &&
            memcmp(word->name, setting->text.at, setting->text.length) == 0) {
            store(setting, word->value);
            return true;
        }
        names[count++] = word->name;
    }
    refuse_value(setting, PROBLEM_WRONG_VALUE);
    const char *nearest = problem_nearest(setting->text.at, setting->text.length, names, count);
    if (nearest != NULL)
        snprintf(setting->problem->did_you_mean, sizeof setting->problem->did_you_mean, "%s", nearest);
    return false;
}

static bool set_field(struct setting *setting)
{
    if (setting->kind == TOKEN_NUMBER)
        return set_integer(setting);
    if (setting->kind == TOKEN_STRING)
        return set_word(setting);
    store(setting, setting->kind == TOKEN_TRUE);
    return true;
}

static bool set_seed(struct setting *setting)
{
    setting->request->has_seed = set_field(setting);
    return setting->request->has_seed;
}

static bool set_context(struct setting *setting)
{
    if (setting->kind == TOKEN_STRING)
        return set_field(setting);
    refuse_value(setting, PROBLEM_WRONG_TYPE);
    snprintf(setting->problem->detail, sizeof setting->problem->detail,
             "context is how workers start; data for the function goes in common");
    return false;
}

static bool set_absent(struct setting *setting)
{
    return setting_fail(setting, PROBLEM_WRONG_VALUE, "", "%s", setting->member->wants);
}

static bool set_js(struct setting *setting)
{
    if (setting->request->function == NULL)
        return set_absent(setting);
    return setting_fail(setting, PROBLEM_WRONG_VALUE, "", "function and js exclude each other");
}

bool member_take(struct setting *setting)
{
    if (!(setting->member->kinds & KIND(setting->kind)))
        return refuse_value(setting, PROBLEM_WRONG_TYPE);
    if (setting->request->changed & member_bit(setting->member)) /* neither of the two holds a name twice */
        return setting_fail(setting, PROBLEM_WRONG_VALUE, "", "%s stands in the query and in the body: give it once",
                            setting->member->name);
    if (!setting->member->set(setting))
        return false;
    setting->request->changed |= member_bit(setting->member);
    return true;
}
