/* misnamed: see misnamed.h. */
#include "api/misnamed.h"

#include <stdio.h>

#define NAMES_MAX 64

static const struct {
    enum endpoint endpoint;
    const char *path, *takes;
} endpoints[] = {
    {ENDPOINT_MAP, "/map", "items"},
    {ENDPOINT_STARMAP, "/starmap", "items"},
    {ENDPOINT_APPLY, "/apply", "args"},
    {ENDPOINT_DICE, "/dice", "rolls, dice and sides"},
};
#define ENDPOINTS (sizeof endpoints / sizeof *endpoints)

/* What people and other libraries call our members. Of several rows for a name the first that the endpoint has is
 * meant; `says` is how to tell it where the member's name does not. */
static const struct {
    const char *name, *means, *says;
} synonyms[] = {
    {"timeout_ms", "item_timeout_ms", "item_timeout_ms or deadline_ms"},
    {"timeout_ms", "deadline_ms", NULL},
    {"timeout", "item_timeout_ms", "item_timeout_ms or deadline_ms"},
    {"timeout", "deadline_ms", NULL},
    {"func", "function", NULL},
    {"fn", "function", NULL},
    {"f", "function", NULL},
    {"callable", "function", NULL},
    {"target", "function", NULL},
    {"name", "function", NULL},
    {"data", "items", NULL},
    {"data", "args", NULL},
    {"input", "items", NULL},
    {"input", "args", NULL},
    {"inputs", "items", NULL},
    {"inputs", "args", NULL},
    {"list", "items", NULL},
    {"list", "args", NULL},
    {"values", "items", NULL},
    {"values", "args", NULL},
    {"array", "items", NULL},
    {"iterable", "items", NULL},
    {"range", "items", "\"items\": {\"range\": [start, stop, step]}"},
    {"repeat", "items", "\"items\": {\"repeat\": value, \"count\": n}"},
    {"arguments", "args", NULL},
    {"params", "args", NULL},
    {"parameters", "args", NULL},
    {"chunk", "chunksize", NULL},
    {"workers", "processes", NULL},
    {"max_workers", "processes", NULL},
    {"n_jobs", "processes", NULL},
    {"pool", "processes", NULL},
    {"retries", "crash_retries", NULL},
    {"start_method", "context", NULL},
    {"random_seed", "seed", NULL},
    {"count", "rolls", NULL},
    {"n", "rolls", NULL},
    {"faces", "sides", NULL},
};

const char *endpoint_path(enum endpoint endpoint)
{
    for (size_t i = 0; i < ENDPOINTS; i++)
        if (endpoints[i].endpoint == endpoint)
            return endpoints[i].path;
    return "?";
}

/* Behind what is in the pointer already: "/" and the name, its '~' and '/' as RFC 6901 wants them. */
static void append_pointer(struct problem *problem, struct span name)
{
    size_t at = strlen(problem->pointer), end = sizeof problem->pointer - 3;
    problem->pointer[at++] = '/';
    for (size_t i = 0; i < name.length && at < end; i++) {
        bool special = name.at[i] == '~' || name.at[i] == '/';
        problem->pointer[at++] = special ? '~' : name.at[i];
        if (special)
            problem->pointer[at++] = name.at[i] == '~' ? '0' : '1';
    }
    problem->pointer[at] = '\0';
}

/* "/map, /starmap and /apply" */
static void list_endpoints(unsigned mask, char *to, size_t size)
{
    size_t length = 0;
    to[0] = '\0';
    for (size_t i = 0; i < ENDPOINTS && length < size; i++) {
        if (!(mask & endpoints[i].endpoint))
            continue;
        mask &= ~(unsigned)endpoints[i].endpoint;
        const char *between = length == 0 ? "" : mask == 0 ? " and " : ", ";
        length += (size_t)snprintf(to + length, size - length, "%s%s", between, endpoints[i].path);
    }
}

static bool refuse_elsewhere(const struct member *member, enum endpoint endpoint, struct problem *problem)
{
    char list[64];
    list_endpoints(member->endpoints, list, sizeof list);
    const char *path = endpoint_path(endpoint), *takes = NULL;
    for (size_t i = 0; i < ENDPOINTS && (member->flags & MEMBER_DATA); i++)
        if (endpoints[i].endpoint == endpoint)
            takes = endpoints[i].takes;
    if (takes == NULL)
        return problem_set(problem, PROBLEM_UNKNOWN_MEMBER, "%s is for %s, not for %s", member->name, list, path);
    return problem_set(problem, PROBLEM_UNKNOWN_MEMBER, "%s is for %s; %s takes %s", member->name, list, path, takes);
}

static bool refuse_place(const struct member *member, bool in_query, struct problem *problem)
{
    if (in_query)
        return problem_set(problem, PROBLEM_UNKNOWN_MEMBER, "%s goes into the body, not the query", member->name);
    return problem_set(problem, PROBLEM_UNKNOWN_MEMBER, "%s goes into the query: ?%s=%s", member->name, member->name,
                       member->words[0].name);
}

static const struct member *synonym(enum endpoint endpoint, struct span name, bool in_query, const char **says)
{
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++) {
        if (strlen(synonyms[i].name) != name.length || memcmp(synonyms[i].name, name.at, name.length) != 0)
            continue;
        const char *means = synonyms[i].means;
        const struct member *member = member_find((struct span){means, strlen(means)});
        if (member != NULL && member_belongs(member, endpoint, in_query)) {
            *says = synonyms[i].says != NULL ? synonyms[i].says : means;
            return member;
        }
    }
    return NULL;
}

static bool refuse_unknown(struct span name, const char *whose, const char *meant, const char *says,
                           const char *const *names, size_t count, struct problem *problem)
{
    int shown = name.length > 60 ? 60 : (int)name.length;
    problem_set(problem, PROBLEM_UNKNOWN_MEMBER, "%.*s is no %s%s%s%s", shown, name.at, whose,
                meant != NULL ? "; did you mean " : "", meant != NULL ? says : "", meant != NULL ? "?" : "");
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        size_t need = strlen(names[i]) + 1;
        if (length + need >= sizeof problem->allowed)
            break;
        length += (size_t)snprintf(problem->allowed + length, sizeof problem->allowed - length, "%s%s",
                                   length > 0 ? "," : "", names[i]);
    }
    if (meant != NULL)
        snprintf(problem->did_you_mean, sizeof problem->did_you_mean, "%s", meant);
    return false;
}

bool misnamed(enum endpoint endpoint, struct span name, bool in_query, struct problem *problem)
{
    const struct member *member = member_find(name);
    if (member != NULL && !(member->endpoints & endpoint)) {
        refuse_elsewhere(member, endpoint, problem);
    } else if (member != NULL) {
        refuse_place(member, in_query, problem);
    } else {
        const char *names[NAMES_MAX], *says = NULL, *meant = NULL;
        size_t count = 0;
        for (size_t i = 0; (member = member_row(i)) != NULL && count < NAMES_MAX; i++)
            if (member_belongs(member, endpoint, in_query) && !(member->flags & MEMBER_ABSENT))
                names[count++] = member->name;
        member = synonym(endpoint, name, in_query, &says);
        meant = member != NULL ? member->name : problem_nearest(name.at, name.length, names, count);
        char whose[64];
        snprintf(whose, sizeof whose, "%s of %s", in_query ? "query parameter" : "member", endpoint_path(endpoint));
        refuse_unknown(name, whose, meant, says != NULL ? says : meant, names, count, problem);
    }
    if (!in_query)
        append_pointer(problem, name);
    return false;
}

bool misnamed_in(const char *pointer, struct span name, const char *const *names, size_t count, struct problem *problem)
{
    char whose[160];
    snprintf(whose, sizeof whose, "member of %s", pointer + 1);
    const char *meant = problem_nearest(name.at, name.length, names, count);
    refuse_unknown(name, whose, meant, meant, names, count, problem);
    snprintf(problem->pointer, sizeof problem->pointer, "%s", pointer);
    append_pointer(problem, name);
    return false;
}
