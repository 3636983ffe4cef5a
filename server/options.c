/* options: see options.h. Reads what the rows of option_rows.c describe. */
#include "server/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "api/problem.h"
#include "server/listener.h"
#include "server/option_rows.h"
#include "workers/log.h"

static void *member(const struct options *options, const struct option_row *row)
{
    return (char *)(uintptr_t)options + row->offset;
}

static bool is_list(enum option_kind kind)
{
    return kind == ADDRESSES || kind == HOSTS || kind == ORIGINS;
}

/* Digits, and where `suffix` one letter of KMGT; UINT64_MAX, which is out of every range, for what is too big. */
static bool parse_number(const char *text, bool suffix, uint64_t *value)
{
    static const char letters[] = "KMGT";
    bool over = false;
    *value = 0;
    if (!isdigit((unsigned char)*text))
        return false;
    for (; isdigit((unsigned char)*text); text++)
        over |= __builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *text - '0', value);
    if (suffix && *text != '\0') {
        const char *letter = strchr(letters, toupper((unsigned char)*text));
        if (letter == NULL)
            return false;
        unsigned shift = 10 * (unsigned)(letter - letters + 1);
        over |= *value > UINT64_MAX >> shift;
        *value <<= shift;
        text++;
    }
    if (over)
        *value = UINT64_MAX;
    return *text == '\0';
}

static bool parse_flag(const char *text, bool *value)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    return false;
}

/* NULL, or what is wrong with one element of a list. */
static const char *element_fault(enum option_kind kind, const char *text)
{
    const char *why = NULL;
    struct listener listener;
    if (kind == ADDRESSES) {
        listener_parse(&listener, text, &why);
    } else if (kind == HOSTS) {
        const char *name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
        if (strcmp(text, "*") != 0 && (*name == '\0' || name[strspn(name, "-._0123456789abcdefghijklmnopqrstuvwxyz"
                                                                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0'))
            why = "is no host name";
    } else if (strcmp(text, "*") != 0 && strcmp(text, "null") != 0) {
        const char *name = strstr(text, "://");
        if (name == NULL || name == text || name[3] == '\0' || strpbrk(name + 3, "/?#@ ") != NULL)
            why = "is no web origin";
    }
    return why;
}

static void *checked(void *memory)
{
    if (memory == NULL)
        die("out of memory while reading the options");
    return memory;
}

static void list_clear(struct option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
    list->count = 0;
}

static bool wrong(struct buf *error, const struct option_row *row, const char *where, const char *text, const char *why)
{
    buf_printf(error, "%s: '%s' %s; it takes ", where, text, why);
    option_row_takes(row, error);
    return false;
}

static bool set_list(struct option_list *list, const struct option_row *row, const char *where, const char *text,
                     struct buf *error)
{
    char *copy = checked(strdup(text)), *rest = copy;
    bool right = true;
    for (char *element; right && (element = strsep(&rest, ",")) != NULL;) {
        const char *why = list->count == OPTION_LIST_MAX ? "is one too many (32)" : element_fault(row->kind, element);
        if (why == NULL)
            list->at[list->count++] = checked(strdup(element));
        else
            right = wrong(error, row, where, element, why);
    }
    free(copy);
    return right;
}

static bool set_number(uint64_t *value, const struct option_row *row, const char *where, const char *text,
                       struct buf *error)
{
    uint64_t number;
    if (!parse_number(text, row->kind == BYTES, &number))
        return wrong(error, row, where, text, row->kind == BYTES ? "is no size" : "is no whole number");
    if (number < row->least || number > row->most)
        return wrong(error, row, where, text, "is out of range");
    *value = number;
    return true;
}

/* Sets a row from its written form. What a list got from a lower source is replaced, from the same one added to. */
static bool set(struct options *options, size_t index, enum option_source source, const char *where, const char *text,
                struct buf *error)
{
    const struct option_row *row = &option_rows[index];
    void *value = member(options, row);
    if (is_list(row->kind) && source > options->source[index])
        list_clear(value);
    options->source[index] = source;
    switch (row->kind) {
    case COUNT:
    case BYTES:
    case MILLISECONDS:
        return set_number(value, row, where, text, error);
    case CHOICE:
        for (uint64_t i = 0; row->choices[i] != NULL; i++)
            if (strcmp(text, row->choices[i]) == 0) {
                *(uint64_t *)value = i;
                return true;
            }
        return wrong(error, row, where, text, "is unknown");
    case FLAG:
        return parse_flag(text, value) || wrong(error, row, where, text, "is neither");
    case TEXT:
        if (*text == '\0')
            return wrong(error, row, where, text, "is empty");
        free(*(char **)value);
        *(char **)value = checked(strdup(text));
        return true;
    case ADDRESSES:
    case HOSTS:
    case ORIGINS:
        return set_list(value, row, where, text, error);
    }
    return false;
}

void options_init(struct options *options)
{
    *options = (struct options){0};
    struct buf error = {0};
    for (size_t i = 0; i < option_row_count; i++)
        if (option_rows[i].preset != NULL &&
            !set(options, i, SOURCE_DEFAULT, option_rows[i].name, option_rows[i].preset, &error))
            die("the default of --%s is wrong", option_rows[i].name);
}

void options_clear(struct options *options)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (is_list(option_rows[i].kind))
            list_clear(member(options, &option_rows[i]));
        else if (option_rows[i].kind == TEXT)
            free(*(char **)member(options, &option_rows[i]));
    explicit_bzero(options, sizeof *options);
}

/* FORKMAP_MAX_BODY for max-body. */
static void variable_name(const struct option_row *row, char name[64])
{
    size_t length = (size_t)snprintf(name, 64, "FORKMAP_%s", row->name);
    for (size_t i = 0; i < length; i++)
        name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
}

/* An empty variable counts as none, as compose files write it. Unknown ones are let be: Kubernetes makes some of its
 * own (FORKMAP_SERVICE_HOST) for a service of this name. */
static bool take_environment(struct options *options, char *const *environment, struct buf *error)
{
    for (size_t i = 0; i < option_row_count; i++) {
        char name[64];
        variable_name(&option_rows[i], name);
        size_t length = strlen(name);
        for (char *const *at = environment; *at != NULL; at++)
            if (strncmp(*at, name, length) == 0 && (*at)[length] == '=' && (*at)[length + 1] != '\0' &&
                !set(options, i, SOURCE_ENVIRONMENT, name, *at + length + 1, error))
                return false;
    }
    return true;
}

static bool unknown(const char *argument, size_t length, struct buf *error)
{
    const char *names[OPTIONS_MAX];
    for (size_t i = 0; i < option_row_count; i++)
        names[i] = option_rows[i].name;
    if (strncmp(argument, "--", 2) != 0) {
        buf_printf(error, "'%s' is no option; options begin with --", argument);
        return false;
    }
    const char *nearest = problem_nearest(argument + 2, length, names, option_row_count);
    buf_printf(error, "--%.*s is no option", (int)length, argument + 2);
    if (nearest != NULL)
        buf_printf(error, "; did you mean --%s?", nearest);
    else
        buf_append_text(error, "; `forkmap help serve` lists them");
    return false;
}

/* Takes the option at argv[0] and, where it is not behind a '=', its value at argv[1]; returns how many it took. */
static int take_argument(struct options *options, int count, char *const *argv, struct buf *error)
{
    const char *name = strncmp(argv[0], "--", 2) == 0 ? argv[0] + 2 : "";
    size_t length = strcspn(name, "="), i = 0;
    while (i < option_row_count &&
           (strlen(option_rows[i].name) != length || memcmp(option_rows[i].name, name, length) != 0))
        i++;
    if (i == option_row_count)
        return unknown(argv[0], length, error);
    const struct option_row *row = &option_rows[i];
    char where[64];
    snprintf(where, sizeof where, "--%s", row->name);
    const char *value = name[length] == '=' ? name + length + 1 : row->kind == FLAG ? "true" : NULL;
    if (value != NULL)
        return set(options, i, SOURCE_FLAG, where, value, error) ? 1 : 0;
    if (count < 2) {
        buf_printf(error, "%s has no value; it takes ", where);
        option_row_takes(row, error);
        return 0;
    }
    return set(options, i, SOURCE_FLAG, where, argv[1], error) ? 2 : 0;
}

enum options_result options_parse(struct options *options, int count, char *const *argv, char *const *environment,
                                  struct buf *error)
{
    if (count > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
        return OPTIONS_HELP;
    if (environment != NULL && !take_environment(options, environment, error))
        return OPTIONS_WRONG;
    for (int at = 0, taken; at < count; at += taken) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
            return OPTIONS_HELP;
        taken = take_argument(options, count - at, argv + at, error);
        if (taken == 0)
            return OPTIONS_WRONG;
    }
    return OPTIONS_OK;
}

enum option_source options_source(const struct options *options, const void *value)
{
    for (size_t i = 0; i < option_row_count; i++)
        if (member(options, &option_rows[i]) == value)
            return options->source[i];
    die("options_source() of something that is no option");
}
