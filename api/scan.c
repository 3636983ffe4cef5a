/* scan: see scan.h. A state machine over the envelope's bytes; what is within the items is scan_items.c's.
 *
 * A state's step takes at least one byte or changes the state, and nothing but struct scan remembers where it was: so a
 * body may be cut anywhere. A member's name or value is checked when its last byte is there. */
#include "api/scan.h"

#include "api/scan_items.h"

enum state {
    OPENING,      /* before the '{' or '[' */
    FIRST_NAME,   /* behind '{' */
    NAME,         /* behind a comma */
    NAME_TEXT,    /* within a name's quotes */
    COLON,        /* behind a name */
    VALUE,        /* behind a colon */
    VALUE_TEXT,   /* within a value's quotes */
    VALUE_WORD,   /* within a number, true, false or null */
    VALUE_NESTED, /* within an array or object that is not the items */
    ITEMS,        /* within the items array */
    COMMA,        /* behind a value */
    TRAILER,      /* behind the last bracket */
    LINES,        /* within a body that is lines, text or CSV */
};

/* A longer name is no member's that any request knows, and is refused for that: it need not be compared. */
#define NAME_BYTES_MAX 1024

/* A BOM, as editors and spreadsheets put before UTF-8. */
static const char bom[] = "\xef\xbb\xbf";

void scan_init(struct scan *scan, enum scan_shape shape, const struct scan_limits *limits)
{
    static const struct {
        enum items_format format;
        enum state state;
    } shapes[] = {
        [SCAN_OBJECT] = {ITEMS_JSON, OPENING}, [SCAN_ARRAY] = {ITEMS_JSON, OPENING},
        [SCAN_LINES] = {ITEMS_LINES, LINES},   [SCAN_TEXT] = {ITEMS_TEXT, LINES},
        [SCAN_CSV] = {ITEMS_CSV, LINES},       [SCAN_CSV_HEADER] = {ITEMS_CSV_HEADER, LINES},
    };
    /* All but the members, which are written before they are read: an init is on the path of the smallest request. */
    scan->shape = shape;
    scan->limits = *limits;
    if (scan->limits.item_bytes > SIZE_MAX / 2)
        scan->limits.item_bytes = SIZE_MAX / 2; /* so that sums of it and a place in the body do not wrap */
    scan->member_count = 0;
    scan->items_member = -1;
    items_init(&scan->items, shapes[shape].format);
    scan->items_begun = false;
    scan->fault = SCAN_OK;
    scan->offset = 0;
    scan->why = NULL;
    scan->state = shapes[shape].state;
    scan->plain = scan->escaped = scan->escaped_names = scan->in_header = false;
    scan->position = scan->text_start = scan->item_start = 0;
    if (shape != SCAN_OBJECT)
        scan_items_open(scan, 0);
}

void scan_clear(struct scan *scan)
{
    items_clear(&scan->items);
}

/* The byte at scan->position is not what may stand there. */
static void unexpected(struct scan *scan, const char *body, const char *why)
{
    if (body[scan->position] == '\0')
        why = "a NUL byte: JSON is UTF-8 text";
    scan_fail(scan, SCAN_MALFORMED, scan->position, why);
}

/* Comes to the next byte that is no blank; false: none is there yet. */
static bool next_byte(struct scan *scan, const char *body, size_t length)
{
    while (scan->position < length) {
        char c = body[scan->position];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            return true;
        scan->position++;
    }
    return false;
}

static struct scan_member *member_under_way(struct scan *scan)
{
    return &scan->members[scan->member_count];
}

/* Checks the token of [scan->text_start, end), which must be all of it; `seen` is where the text in view ends.
 * TOKEN_BAD: the scan is over. */
static enum token check(struct scan *scan, const char *body, size_t end, size_t seen)
{
    struct span value;
    const char *cursor = body + scan->text_start, *why = NULL;
    enum token kind = token_read(&cursor, body + seen, &value, &why);
    if (kind != TOKEN_BAD && cursor == body + end)
        return kind;
    scan->position = (size_t)(cursor - body);
    if (scan->position < seen)
        unexpected(scan, body, kind == TOKEN_BAD ? why : "expected ',' or '}'");
    else
        scan_fail(scan, SCAN_MALFORMED, seen, why);
    return TOKEN_BAD;
}

static void value_ends(struct scan *scan, enum token kind, size_t end)
{
    if (kind == TOKEN_BAD)
        return;
    struct scan_member *member = member_under_way(scan);
    member->kind = kind;
    member->value_start = scan->text_start;
    member->value_length = end - scan->text_start;
    scan->member_count++;
    scan->state = COMMA;
}

static void step_opening(struct scan *scan, const char *body, size_t length)
{
    if (length >= 3 && memcmp(body, bom, 3) == 0)
        unexpected(scan, body, "the body begins with a byte order mark: JSON is sent without one");
    else if (!next_byte(scan, body, length))
        return;
    else if (scan->shape == SCAN_ARRAY && body[scan->position] != '[')
        unexpected(scan, body, "expected '['");
    else if (scan->shape == SCAN_OBJECT && body[scan->position] != '{')
        unexpected(scan, body, "expected '{'");
    else if (scan->position++, scan->shape == SCAN_OBJECT)
        scan->state = FIRST_NAME;
    else {
        scan->state = ITEMS;
        scan_items_open(scan, scan->position);
    }
}

static void begin_text(struct scan *scan, enum state state)
{
    scan->state = (uint8_t)state;
    scan->text_start = scan->position++;
    scan->plain = true;
    scan->escaped = false;
}

/* Within quotes, up to the closing one; true: the position is behind it. */
static bool text_ends(struct scan *scan, const char *body, size_t length)
{
    bool plain = scan->plain, escaped = scan->escaped;
    const char *at = body + scan->position, *end = body + length;
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (escaped)
            escaped = false;
        else if (c == '"')
            break;
        else if (c == '\\')
            escaped = true, plain = false;
        plain &= (unsigned)(c - 0x20) < 0x5f;
    }
    scan->plain = plain;
    scan->escaped = escaped;
    scan->position = (size_t)(at - body) + (at < end);
    return at < end;
}

static void step_name(struct scan *scan, const char *body, size_t length)
{
    if (!next_byte(scan, body, length))
        return;
    if (scan->state == FIRST_NAME && body[scan->position] == '}') {
        scan->position++;
        scan->state = TRAILER;
    } else if (body[scan->position] != '"') {
        unexpected(scan, body, scan->state == NAME ? "expected a name in quotes" : "expected a name in quotes or '}'");
    } else if (scan->member_count == SCAN_MEMBERS_MAX) {
        scan_fail(scan, SCAN_TOO_MANY_MEMBERS, scan->position, "more members than any request has");
    } else {
        begin_text(scan, NAME_TEXT);
    }
}

/* Whether a name of the body says the same as one of `length` bytes at `text`, as written or decoded. */
static bool same_name(const char *body, const struct scan_member *member, const char *text, size_t length, bool decode)
{
    if (!decode)
        return member->name_length == length && memcmp(body + member->name_start, text, length) == 0;
    struct buf name;
    buf_init(&name);
    token_decode_string((struct span){body + member->name_start - 1, member->name_length + 2}, &name);
    bool same = name.length == length && (length == 0 || memcmp(buf_start(&name), text, length) == 0);
    buf_clear(&name);
    return same;
}

static bool is_duplicate(const struct scan *scan, const char *body, const char *text, size_t length)
{
    for (size_t i = 0; i < scan->member_count; i++)
        if (scan->members[i].name_length <= NAME_BYTES_MAX &&
            same_name(body, &scan->members[i], text, length, scan->escaped_names))
            return true;
    return false;
}

static void step_name_text(struct scan *scan, const char *body, size_t length)
{
    if (!text_ends(scan, body, length) ||
        (!scan->plain && check(scan, body, scan->position, scan->position) == TOKEN_BAD))
        return;
    struct scan_member *member = member_under_way(scan);
    *member =
        (struct scan_member){.name_start = scan->text_start + 1, .name_length = scan->position - scan->text_start - 2};
    struct span quoted = {body + scan->text_start, scan->position - scan->text_start}, name = {NULL, 0};
    struct buf decoded;
    buf_init(&decoded);
    if (scan->plain || token_plain_string(quoted, &name)) {
        name = (struct span){quoted.at + 1, quoted.length - 2};
    } else {
        scan->escaped_names = true;
        token_decode_string(quoted, &decoded);
        name = (struct span){buf_start(&decoded), decoded.length};
    }
    if (is_duplicate(scan, body, name.at, name.length))
        scan_fail(scan, SCAN_DUPLICATE, scan->text_start, "a member twice");
    else if (name.length == 5 && memcmp(name.at, "items", 5) == 0)
        scan->items_member = (int)scan->member_count;
    buf_clear(&decoded);
    scan->state = COLON;
}

static void step_colon(struct scan *scan, const char *body, size_t length)
{
    if (!next_byte(scan, body, length))
        return;
    if (body[scan->position] != ':') {
        unexpected(scan, body, "expected ':'");
        return;
    }
    scan->position++;
    scan->state = VALUE;
}

static void step_value(struct scan *scan, const char *body, size_t length)
{
    if (!next_byte(scan, body, length))
        return;
    char c = body[scan->position];
    bool is_items = scan->items_member == (int)scan->member_count;
    scan->text_start = scan->position;
    if (c == '[' && is_items) {
        value_ends(scan, TOKEN_ARRAY, scan->text_start);
        scan->state = ITEMS;
        scan_items_open(scan, ++scan->position);
    } else if (c == '"') {
        begin_text(scan, VALUE_TEXT);
    } else if (c == '[' || c == '{') {
        separators_init_value(&scan->separators, c);
        scan->position++;
        scan->state = VALUE_NESTED;
    } else {
        scan->state = VALUE_WORD;
    }
}

static void step_value_text(struct scan *scan, const char *body, size_t length)
{
    if (text_ends(scan, body, length))
        value_ends(scan, scan->plain ? TOKEN_STRING : check(scan, body, scan->position, scan->position),
                   scan->position);
}

static void step_value_word(struct scan *scan, const char *body, size_t length)
{
    for (; scan->position < length; scan->position++) {
        unsigned char c = (unsigned char)body[scan->position];
        if ((unsigned)((c | 0x20) - 'a') >= 26 && (unsigned)(c - '0') >= 10 && c != '-' && c != '+' && c != '.') {
            /* The byte behind it is in view: if the word is cut short, that is the wrong one. */
            value_ends(scan, check(scan, body, scan->position, scan->position + 1), scan->position);
            return;
        }
    }
}

static void step_value_nested(struct scan *scan, const char *body, size_t length)
{
    while (scan->position < length) {
        char room[SEPARATORS_BLOCK];
        unsigned cut, size = SEPARATORS_BLOCK;
        if (length - scan->position < size)
            size = (unsigned)(length - scan->position);
        separators_take(&scan->separators, separators_block(body + scan->position, size, room), size, &cut);
        scan->position += cut;
        if (cut == size)
            continue;
        /* Its end, or something wrong with it: the check says which, and what comes first. */
        size_t end = scan->position + 1;
        enum token kind = check(scan, body, end, end);
        if (kind == TOKEN_BAD && scan->offset + 1 >= end && scan->separators.depth == TOKEN_DEPTH_MAX &&
            (body[end - 1] == '[' || body[end - 1] == '{'))
            scan_fail(scan, SCAN_TOO_DEEP, end - 1, "arrays and objects are nested too deep");
        scan->position = end;
        value_ends(scan, kind, end);
        return;
    }
}

static void step_items(struct scan *scan, const char *body, size_t length)
{
    if (!scan_items_feed(scan, body, length))
        return;
    scan->state = TRAILER;
    if (scan->shape == SCAN_OBJECT) {
        struct scan_member *member = &scan->members[scan->items_member];
        member->value_length = scan->position - member->value_start;
        scan->state = COMMA;
    }
}

static void step_comma(struct scan *scan, const char *body, size_t length)
{
    if (!next_byte(scan, body, length))
        return;
    if (body[scan->position] == ',')
        scan->state = NAME;
    else if (body[scan->position] == '}')
        scan->state = TRAILER;
    else
        unexpected(scan, body, "expected ',' or '}'");
    scan->position++;
}

static void step_trailer(struct scan *scan, const char *body, size_t length)
{
    if (next_byte(scan, body, length))
        unexpected(scan, body, "expected the end of the body");
}

static void step_lines(struct scan *scan, const char *body, size_t length)
{
    if (scan->position == 0 && scan->shape != SCAN_LINES && length >= 3 && memcmp(body, bom, 3) == 0) {
        scan->position = 3;
        scan_items_open(scan, 3);
    } else {
        scan_items_feed(scan, body, length);
    }
}

/* What is wrong with a body that ends in a state; NULL: nothing, or its text says so. */
static const struct {
    void (*step)(struct scan *scan, const char *body, size_t length);
    const char *ends;
} states[] = {
    [OPENING] = {step_opening, "the body ends before its '['"},
    [FIRST_NAME] = {step_name, "the body ends inside the object"},
    [NAME] = {step_name, "the body ends inside the object"},
    [NAME_TEXT] = {step_name_text, "the body ends inside a name"},
    [COLON] = {step_colon, "the body ends inside the object"},
    [VALUE] = {step_value, "the body ends before a value"},
    [VALUE_TEXT] = {step_value_text, "the body ends inside a string"},
    [VALUE_WORD] = {step_value_word, "the body ends inside the object"},
    [VALUE_NESTED] = {step_value_nested, "the body ends inside a value"},
    [ITEMS] = {step_items, "the body ends inside the items"},
    [COMMA] = {step_comma, "the body ends inside the object"},
    [TRAILER] = {step_trailer, NULL},
    [LINES] = {step_lines, NULL},
};

/* The body ends here: the fault is that, unless the text under way is wrong before. */
static void end(struct scan *scan, const char *body, size_t length)
{
    bool whole = scan->state == TRAILER || (scan->state == OPENING && scan->shape == SCAN_OBJECT);
    bool token = scan->state == NAME_TEXT || (scan->state >= VALUE_TEXT && scan->state <= VALUE_NESTED);
    if (scan->state == LINES)
        scan_items_end(scan, length);
    else if (whole || (token && check(scan, body, length, length) == TOKEN_BAD && scan->offset < length))
        return;
    else if (scan->state == ITEMS && scan->separators.in_string)
        scan_fail(scan, SCAN_MALFORMED, length, "the body ends inside a string");
    else
        scan_fail(scan, SCAN_MALFORMED, length, states[scan->state].ends);
}

enum scan_status scan_feed(struct scan *scan, const char *body, size_t length, bool last)
{
    /* The first bytes of what may be a BOM wait for the rest. */
    bool wait = scan->position == 0 && !last && length < 3 && length > 0 && memcmp(body, bom, length) == 0;
    while (!wait && scan->position < length && scan->fault == SCAN_OK)
        states[scan->state].step(scan, body, length);
    if (last && scan->fault == SCAN_OK)
        end(scan, body, length);
    if (scan->fault != SCAN_OK)
        return SCAN_BAD;
    return last ? SCAN_DONE : SCAN_MORE;
}
