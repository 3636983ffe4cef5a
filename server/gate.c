/* gate: see gate.h. One pass over the headers finds the few that matter; everything else looks at those alone. This
 * runs for every request, so it takes a few hundred nanoseconds at most. */
#include "server/gate.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum known {
    OTHER,
    HOST,
    ORIGIN,
    EXPECT,
    AUTHORIZATION,
    CONTENT_LENGTH,
    SEC_FETCH_SITE,
    CONTENT_ENCODING,
    TRANSFER_ENCODING,
    KNOWN,
    GLUED, /* begins as a framing header does: a folded line, which libmicrohttpd glues to the name */
};

struct text {
    const char *at;
    size_t length;
};

/* Each of these may come once. */
static const struct text known_names[KNOWN] = {
    [HOST] = {"host", 4},
    [ORIGIN] = {"origin", 6},
    [EXPECT] = {"expect", 6},
    [AUTHORIZATION] = {"authorization", 13},
    [CONTENT_LENGTH] = {"content-length", 14},
    [SEC_FETCH_SITE] = {"sec-fetch-site", 14},
    [CONTENT_ENCODING] = {"content-encoding", 16},
    [TRANSFER_ENCODING] = {"transfer-encoding", 17},
};

/* RFC 9110 token characters. */
static const bool token_character[256] = {
    ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1,         ['&'] = 1,         ['\''] = 1,
    ['*'] = 1, ['+'] = 1, ['-'] = 1, ['.'] = 1,         ['^'] = 1,         ['_'] = 1,
    ['`'] = 1, ['|'] = 1, ['~'] = 1, ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1,
};

static bool is_token(const char *text, size_t length)
{
    bool right = length > 0;
    for (size_t i = 0; i < length; i++)
        right &= token_character[(unsigned char)text[i]];
    return right;
}

static bool is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

/* Eight bytes at a time; a block that may hold one (a tab looks like it) is looked at again byte by byte. */
static bool has_control(const char *text, size_t length)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t block, deletes;
        memcpy(&block, text + i, 8);
        deletes = block ^ (ones * 0x7f);
        if (((((block - ones * 0x20) & ~block) | ((deletes - ones) & ~deletes)) & highs) != 0)
            for (size_t j = i; j < i + 8; j++)
                if (is_control((unsigned char)text[j]))
                    return true;
    }
    for (; i < length; i++)
        if (is_control((unsigned char)text[i]))
            return true;
    return false;
}

static bool same(const char *text, size_t length, const char *other, size_t other_length)
{
    return length == other_length && strncasecmp(text, other, length) == 0;
}

/* Which of the known headers a name, already known to be a token, is. */
static enum known which(const char *name, size_t length)
{
    enum known known = OTHER;
    switch (length << 8 | (size_t)(name[0] | 0x20)) {
    case 4 << 8 | 'h':
        known = HOST;
        break;
    case 6 << 8 | 'o':
        known = ORIGIN;
        break;
    case 6 << 8 | 'e':
        known = EXPECT;
        break;
    case 13 << 8 | 'a':
        known = AUTHORIZATION;
        break;
    case 14 << 8 | 'c':
        known = CONTENT_LENGTH;
        break;
    case 14 << 8 | 's':
        known = SEC_FETCH_SITE;
        break;
    case 16 << 8 | 'c':
        known = CONTENT_ENCODING;
        break;
    case 17 << 8 | 't':
        known = TRANSFER_ENCODING;
        break;
    }
    if (known != OTHER && strncasecmp(name, known_names[known].at, length) == 0)
        return known;
    if ((length > 14 && strncasecmp(name, "content-length", 14) == 0) ||
        (length > 17 && strncasecmp(name, "transfer-encoding", 17) == 0))
        return GLUED;
    return OTHER;
}

struct found {
    const struct gate_header *at[KNOWN]; /* NULL: not there */
};

static bool find(const struct gate_request *request, struct found *found, struct problem *problem)
{
    if (request->header_count > GATE_HEADERS_MAX)
        return problem_set(problem, PROBLEM_BAD_FRAMING, "more than %d header fields", GATE_HEADERS_MAX);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct gate_header *header = &request->headers[i];
        if (!is_token(header->name, header->name_length))
            return problem_set(
                problem, PROBLEM_BAD_FRAMING,
                "the name of header field %zu is no token: blanks before the colon, folded lines and other "
                "characters are not allowed",
                i + 1);
        if (has_control(header->value, header->value_length))
            return problem_set(problem, PROBLEM_BAD_FRAMING, "the value of %.*s holds a control character",
                               (int)header->name_length, header->name);
        enum known known = which(header->name, header->name_length);
        if (known == OTHER)
            continue;
        if (known == GLUED)
            return problem_set(problem, PROBLEM_BAD_FRAMING, "%.*s is no header field; was it folded?",
                               (int)header->name_length, header->name);
        if (found->at[known] != NULL)
            return problem_set(problem, PROBLEM_BAD_FRAMING, "%s is given twice", known_names[known].at);
        found->at[known] = header;
    }
    return true;
}

static bool check_line(const struct gate_request *request, bool *newest, struct problem *problem)
{
    *newest = strcmp(request->version, "HTTP/1.1") == 0;
    if (!*newest && strcmp(request->version, "HTTP/1.0") != 0)
        return problem_set(problem, PROBLEM_BAD_FRAMING, "the version is not HTTP/1.1 or HTTP/1.0");
    const char *target = request->target;
    if (target[0] != '/' && !(strcmp(target, "*") == 0 && strcmp(request->method, "OPTIONS") == 0))
        return problem_set(problem, PROBLEM_BAD_FRAMING, "the request target is not a path");
    for (const char *at = target; *at != '\0'; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f)
            return problem_set(problem, PROBLEM_BAD_FRAMING, "the request target holds a blank or control character");
        if (at[0] == '%' && at[1] == '0' && at[2] == '0')
            return problem_set(problem, PROBLEM_BAD_FRAMING, "the request target holds %%00");
    }
    return true;
}

static bool may_have_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

/* Saturates: a length of more digits than there are bytes in the world is too large, not wrong. */
static bool parse_length(const struct gate_header *header, int64_t *length)
{
    *length = 0;
    for (size_t i = 0; i < header->value_length; i++) {
        unsigned digit = (unsigned)(unsigned char)header->value[i] - '0';
        if (digit > 9)
            return false;
        if (__builtin_mul_overflow(*length, 10, length) || __builtin_add_overflow(*length, (int64_t)digit, length))
            *length = INT64_MAX / 16;
    }
    return header->value_length > 0;
}

static bool check_framing(struct gate_request *request, bool newest, const struct found *found, struct problem *problem)
{
    const struct gate_header *length = found->at[CONTENT_LENGTH], *coding = found->at[TRANSFER_ENCODING];
    if (length != NULL && coding != NULL)
        return problem_set(problem, PROBLEM_BAD_FRAMING, "Content-Length and Transfer-Encoding exclude each other");
    if (length != NULL && !parse_length(length, &request->content_length))
        return problem_set(problem, PROBLEM_BAD_FRAMING, "Content-Length is not a number of bytes");
    if (coding != NULL) {
        if (!same(coding->value, coding->value_length, "chunked", 7)) {
            bool name =
                is_token(coding->value, coding->value_length) || memchr(coding->value, ',', coding->value_length);
            return problem_set(problem, name ? PROBLEM_NOT_IMPLEMENTED : PROBLEM_BAD_FRAMING,
                               "Transfer-Encoding can only be chunked, once and alone");
        }
        if (!newest)
            return problem_set(problem, PROBLEM_BAD_FRAMING, "HTTP/1.0 has no Transfer-Encoding");
        request->chunked = request->close_after = true;
    }
    if ((request->chunked || request->content_length > 0) && !may_have_body(request->method))
        return problem_set(problem, PROBLEM_BAD_FRAMING, "a %.16s request has no body here", request->method);
    const struct gate_header *expect = found->at[EXPECT];
    request->expect_continue = expect != NULL && same(expect->value, expect->value_length, "100-continue", 12);
    return true;
}

/* "host[:port]" → its name; false if it is none. A name is letters, digits, '-', '.', '_'; an IPv6 address stands in
 * brackets. */
static bool split_host(const struct gate_header *host, struct text *name)
{
    const char *at = host->value, *end = at + host->value_length, *from = at;
    if (at < end && *at == '[') {
        while (at < end && (isxdigit((unsigned char)*at) || *at == ':' || *at == '.' || at == from))
            at++;
        if (at == end || *at++ != ']' || at - from < 4)
            return false;
    } else {
        while (at < end && (isalnum((unsigned char)*at) || *at == '-' || *at == '.' || *at == '_'))
            at++;
    }
    *name = (struct text){from, (size_t)(at - from)};
    if (name->length == 0)
        return false;
    unsigned port = 0;
    if (at < end && *at == ':')
        for (at++; at < end && isdigit((unsigned char)*at) && port <= 65535; at++)
            port = port * 10 + (unsigned)(*at - '0');
    return at == end && port <= 65535;
}

static bool is_ipv4(struct text name)
{
    unsigned parts = 1, value = 0, digits = 0;
    for (size_t i = 0; i < name.length; i++) {
        if (name.at[i] == '.') {
            if (digits == 0)
                return false;
            parts++;
            value = digits = 0;
        } else if (isdigit((unsigned char)name.at[i])) {
            value = value * 10 + (unsigned)(name.at[i] - '0');
            if (++digits > 3 || value > 255)
                return false;
        } else {
            return false;
        }
    }
    return parts == 4 && digits > 0;
}

static bool ends_with(struct text name, const char *tail)
{
    size_t length = strlen(tail);
    return name.length > length && strncasecmp(name.at + name.length - length, tail, length) == 0;
}

/* A page of another site can make its own name resolve to this machine (DNS rebinding), so only names that the public
 * DNS cannot hold are let in unasked: addresses, localhost, *.localhost, *.local, names of one label. */
static bool host_allowed(struct text name, const struct gate_rules *rules)
{
    if (name.at[0] == '[' || is_ipv4(name))
        return true;
    if (name.length > 1 && name.at[name.length - 1] == '.')
        name.length--;
    if (memchr(name.at, '.', name.length) == NULL || ends_with(name, ".localhost") || ends_with(name, ".local"))
        return true;
    for (size_t i = 0; i < rules->allowed_host_count; i++) {
        const char *allowed = rules->allowed_hosts[i];
        if (strcmp(allowed, "*") == 0 || same(name.at, name.length, allowed, strlen(allowed)) ||
            (strncmp(allowed, "*.", 2) == 0 && ends_with(name, allowed + 1)))
            return true;
    }
    return false;
}

static bool check_host(bool newest, const struct found *found, const struct gate_rules *rules, struct problem *problem)
{
    struct text name;
    if (found->at[HOST] == NULL)
        return !newest || problem_set(problem, PROBLEM_BAD_FRAMING, "HTTP/1.1 asks for a Host header");
    if (!split_host(found->at[HOST], &name))
        return problem_set(problem, PROBLEM_BAD_FRAMING, "Host is not a name or address with an optional port");
    if (host_allowed(name, rules))
        return true;
    return problem_set(problem, PROBLEM_MISDIRECTED,
                       "this service is not known as %.*s; to allow that name, start it with --allowed-host %.*s",
                       name.length > 128 ? 128 : (int)name.length, name.at, name.length > 128 ? 128 : (int)name.length,
                       name.at);
}

static bool same_origin(const struct gate_header *origin, const struct gate_header *host)
{
    size_t scheme = 0;
    if (origin->value_length > 7 && strncasecmp(origin->value, "http://", 7) == 0)
        scheme = 7;
    else if (origin->value_length > 8 && strncasecmp(origin->value, "https://", 8) == 0)
        scheme = 8;
    return scheme > 0 && host != NULL &&
           same(origin->value + scheme, origin->value_length - scheme, host->value, host->value_length);
}

/* Browsers put Origin or Sec-Fetch-Site on what a page sends; others send neither. Content types are no guard, since
 * text/plain is sent without asking first. "none" is the user's own doing: an address typed, a bookmark. */
static bool check_origin(struct gate_request *request, const struct found *found, const struct gate_rules *rules,
                         struct problem *problem)
{
    const struct gate_header *origin = found->at[ORIGIN], *site = found->at[SEC_FETCH_SITE];
    if (origin != NULL && !same_origin(origin, found->at[HOST])) {
        for (size_t i = 0; i < rules->cors_origin_count; i++)
            if (strcmp(rules->cors_origins[i], "*") == 0 ||
                same(origin->value, origin->value_length, rules->cors_origins[i], strlen(rules->cors_origins[i]))) {
                request->cors_origin = origin;
                return true;
            }
        int shown = origin->value_length > 128 ? 128 : (int)origin->value_length;
        return problem_set(problem, PROBLEM_FORBIDDEN_ORIGIN,
                           "pages of %.*s may not call this service; to let them, start it with --cors-origin %.*s",
                           shown, origin->value, shown, origin->value);
    }
    if (site != NULL && !same(site->value, site->value_length, "same-origin", 11) &&
        !same(site->value, site->value_length, "none", 4))
        return problem_set(problem, PROBLEM_FORBIDDEN_ORIGIN,
                           "pages of other sites may not call this service; --cors-origin lets some");
    return true;
}

/* How long it takes depends on what was sent only, never on how much of it is right. */
static bool token_equal(const char *token, const char *sent, size_t sent_length)
{
    size_t length = strlen(token);
    volatile unsigned char differences = length != sent_length;
    for (size_t i = 0; i < sent_length; i++)
        differences |= (unsigned char)(token[i % length] ^ sent[i]);
    return differences == 0;
}

/* Health is asked by those who cannot carry a token, and tells nothing; a browser's preflight never carries one. */
static bool needs_token(const struct gate_request *request)
{
    static const char *const open[] = {"/livez", "/readyz", "/healthz"};
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        if (strcmp(request->target, open[i]) == 0)
            return false;
    return request->cors_origin == NULL || strcmp(request->method, "OPTIONS") != 0;
}

static bool check_token(const struct gate_request *request, const struct found *found, const struct gate_rules *rules,
                        struct problem *problem)
{
    if (rules->token == NULL || rules->token[0] == '\0' || !needs_token(request))
        return true;
    const struct gate_header *sent = found->at[AUTHORIZATION];
    if (sent == NULL)
        return problem_set(problem, PROBLEM_UNAUTHORIZED, "send the header Authorization: Bearer TOKEN");
    if (sent->value_length > 7 && strncasecmp(sent->value, "Bearer ", 7) == 0 &&
        token_equal(rules->token, sent->value + 7, sent->value_length - 7))
        return true;
    return problem_set(problem, PROBLEM_UNAUTHORIZED, "the token of the Authorization header is not the right one");
}

static bool check_body(const struct gate_request *request, const struct found *found, const struct gate_rules *rules,
                       struct problem *problem)
{
    const struct gate_header *encoding = found->at[CONTENT_ENCODING];
    if (encoding != NULL && !same(encoding->value, encoding->value_length, "identity", 8))
        return problem_set(problem, PROBLEM_UNSUPPORTED_MEDIA,
                           "bodies with a Content-Encoding are not read; send it as it is");
    if (request->content_length <= 0 || (uint64_t)request->content_length <= rules->max_body_bytes)
        return true;
    problem_set(problem, PROBLEM_TOO_LARGE, "the body is of %lld bytes; --max-body allows %llu",
                (long long)request->content_length, (unsigned long long)rules->max_body_bytes);
    problem->has_limit = true;
    problem->limit = rules->max_body_bytes;
    return false;
}

bool gate_check(struct gate_request *request, const struct gate_rules *rules, struct problem *problem)
{
    struct found found = {0};
    bool newest;
    request->content_length = -1;
    request->chunked = request->expect_continue = request->close_after = false;
    request->cors_origin = NULL;
    return check_line(request, &newest, problem) && find(request, &found, problem) &&
           check_framing(request, newest, &found, problem) && check_host(newest, &found, rules, problem) &&
           check_origin(request, &found, rules, problem) && check_token(request, &found, rules, problem) &&
           check_body(request, &found, rules, problem);
}
