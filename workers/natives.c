/* natives: see natives.h. Which C functions stand behind each row of the catalogue, in the catalogue's order, and how
 * the functions read arguments, return and fail. */
#include "workers/natives.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    struct native_code code;
} codes[] = {
    {"squared", {.item = native_squared, .run = native_run_squared}},
    {"times", {.item = native_times}},
    {"roll", {.item = native_roll}},
    {"is_prime", {.item = native_is_prime}},
    {"factorize", {.item = native_factorize}},
    {"gcd", {.item = native_gcd}},
    {"collatz_steps", {.item = native_collatz_steps}},
    {"length", {.item = native_length}},
    {"upper", {.item = native_upper}},
    {"sha256", {.item = native_sha256}},
    {"levenshtein", {.item = native_levenshtein}},
    {"echo", {.item = native_echo}},
    {"sleep_ms", {.item = native_sleep_ms}},
    {"crash", {.item = native_crash}},
    {"exit_code", {.item = native_exit_code}},
    {"hang", {.item = native_hang}},
    {"spin", {.item = native_spin}},
    {"leak", {.item = native_leak}},
    {"dice", {.fold = native_fold_dice}},
};

const struct native_code *catalog_code(const struct native *native)
{
    return &codes[native - catalog_row(0)].code;
}

const char *catalog_code_name(size_t index)
{
    return index < sizeof codes / sizeof *codes ? codes[index].name : NULL;
}

bool native_fail(struct native_call *call, enum item_error type, const char *name, const char *format, ...)
{
    call->error = type;
    snprintf(call->error_name, sizeof call->error_name, "%s", name);
    va_list list;
    va_start(list, format);
    vsnprintf(call->error_message, sizeof call->error_message, format, list);
    va_end(list);
    return false;
}

static const char *kind_name(enum token kind)
{
    static const char *const names[] = {
        [TOKEN_NULL] = "null",        [TOKEN_FALSE] = "false",     [TOKEN_TRUE] = "true",
        [TOKEN_NUMBER] = "a number",  [TOKEN_STRING] = "a string", [TOKEN_ARRAY] = "an array",
        [TOKEN_OBJECT] = "an object",
    };
    return kind > TOKEN_BAD && kind <= TOKEN_OBJECT ? names[kind] : "nothing";
}

bool native_wants(struct native_call *call, const char *function, const char *wanted, size_t i)
{
    const char *got = kind_name(call->kinds[i]);
    if (call->count == 1)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "TypeError", "%s() wants %s, got %s", function, wanted, got);
    return native_fail(call, ITEM_BAD_ARGUMENTS, "TypeError", "%s() wants %s as argument %zu, got %s", function, wanted,
                       i + 1, got);
}

/* A number's text is the caller's: as much of it as a sentence bears. */
#define SHOWN 40
#define SHOW(text) (int)((text).length < SHOWN ? (text).length : SHOWN), (text).at, (text).length > SHOWN ? "..." : ""

bool native_number(struct native_call *call, const char *function, size_t i, struct native_number *number)
{
    if (call->kinds[i] != TOKEN_NUMBER)
        return native_wants(call, function, "a number", i);
    *number = (struct native_number){.text = call->args[i]};
    number->kind = number_read(number->text, &number->integer, &number->real);
    if (number->kind == NUMBER_INVALID)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError",
                           "%s() got %.*s%s, which is beyond the range of a double", function, SHOW(number->text));
    return true;
}

bool native_integer(struct native_call *call, const char *function, size_t i, struct native_number *number)
{
    if (call->kinds[i] != TOKEN_NUMBER)
        return native_wants(call, function, "an integer", i);
    if (!native_number(call, function, i, number))
        return false;
    if (number->kind == NUMBER_DOUBLE)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "TypeError", "%s() wants an integer, got the double %.*s%s",
                           function, SHOW(number->text));
    return true;
}

bool native_string(struct native_call *call, const char *function, size_t i)
{
    return call->kinds[i] == TOKEN_STRING || native_wants(call, function, "a string", i);
}

void native_return_int64(struct native_call *call, int64_t value)
{
    buf_added(call->out, number_print_int64(value, buf_room(call->out, NUMBER_TEXT_MAX)));
}

void native_return_uint64(struct native_call *call, uint64_t value)
{
    buf_added(call->out, number_print_uint64(value, buf_room(call->out, NUMBER_TEXT_MAX)));
}

bool native_return_double(struct native_call *call, const char *function, double value)
{
    if (!isfinite(value))
        return native_fail(call, ITEM_ENCODE_ERROR, "ValueError", "%s() gave %s, which JSON cannot write", function,
                           isnan(value) ? "NaN"
                           : value > 0  ? "Infinity"
                                        : "-Infinity");
    buf_added(call->out, number_print_double(value, buf_room(call->out, NUMBER_TEXT_MAX)));
    return true;
}

void native_return_argument(struct native_call *call, size_t i)
{
    const struct span text = call->args[i];
    char *to = buf_room(call->out, text.length);
    memcpy(to, text.at, text.length);
    buf_added(call->out, text.length);
    if (call->kinds[i] != TOKEN_ARRAY && call->kinds[i] != TOKEN_OBJECT)
        return;
    /* A line break between tokens would break an answer of one result a line. Inside a string there is none. */
    for (size_t k = 0; k < text.length; k++)
        if (to[k] == '\n' || to[k] == '\r')
            to[k] = ' ';
}
