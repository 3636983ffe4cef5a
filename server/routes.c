/* routes: see routes.h. */
#include "server/routes.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "api/tree.h"
#include "workers/catalog.h"

static void show_root(struct calls *calls, struct answer *answer);
static void show_functions(struct calls *calls, struct answer *answer);
static void show_workers(struct calls *calls, struct answer *answer);
static void show_live(struct calls *calls, struct answer *answer);
static void show_ready(struct calls *calls, struct answer *answer);

static const struct route routes[] = {
    {"/", "GET, HEAD, OPTIONS", 0, show_root, true, "this: links, version and every limit in force", "/"},
    {"/map", "POST, OPTIONS", ENDPOINT_MAP, NULL, false, "a function over a list of items",
     "/map -d '{\"function\": \"squared\", \"items\": [1, 2, 3]}'"},
    {"/starmap", "POST, OPTIONS", ENDPOINT_STARMAP, NULL, false, "the same, each item an array of arguments",
     "/starmap -d '{\"function\": \"times\", \"items\": [[1, 2, 3], [4, 5, 6]]}'"},
    {"/apply", "POST, OPTIONS", ENDPOINT_APPLY, NULL, false, "one call of a function",
     "/apply -d '{\"function\": \"times\", \"args\": [1, 2, 3]}'"},
    {"/dice", "POST, OPTIONS", ENDPOINT_DICE, NULL, false, "dice rolled, counted and compared with what is expected",
     "/dice -d '{\"rolls\": 1000000}'"},
    {"/functions", "GET, HEAD, OPTIONS", 0, show_functions, false, "the functions, each with an example that works",
     "/functions"},
    {"/workers", "GET, HEAD, OPTIONS", 0, show_workers, false, "the worker processes and what they do", "/workers"},
    {"/livez", "GET, HEAD, OPTIONS", 0, show_live, false, "200 while the process answers", "/livez"},
    {"/readyz", "GET, HEAD, OPTIONS", 0, show_ready, false, "200 while calls are taken, never 503 because of load",
     "/readyz"},
    {"/healthz", "GET, HEAD, OPTIONS", 0, show_ready, false, "the same as /readyz", "/healthz"},
};
#define ROUTES (sizeof routes / sizeof *routes)

const struct route *route_find(const char *path, struct problem *problem)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    const char *names[ROUTES];
    for (size_t i = 0; i < ROUTES; i++)
        names[i] = routes[i].path;
    const char *nearest = problem_nearest(path, strlen(path), names, ROUTES);
    problem_set(problem, PROBLEM_NOT_FOUND, "there is no %.100s here; GET / lists what there is", path);
    if (nearest != NULL)
        snprintf(problem->did_you_mean, sizeof problem->did_you_mean, "%s", nearest);
    return NULL;
}

void route_refuse_method(const struct route *route, const char *method, struct problem *problem)
{
    problem_set(problem, PROBLEM_METHOD_NOT_ALLOWED, "%s takes %s, not %.20s; try: curl localhost:8080%s", route->path,
                route->allow, method, route->curl);
    snprintf(problem->allow, sizeof problem->allow, "%s", route->allow);
}

static void answer_tree(struct answer *answer, unsigned status, json_t *tree)
{
    struct buf body = {0};
    tree_print(tree, &body);
    answer_json(answer, status, &body);
}

static void show_root(struct calls *calls, struct answer *answer)
{
    json_t *links = json_array();
    for (size_t i = 0; i < ROUTES; i++)
        tree_append(links, json_pack("{s:s,s:s,s:s,s:s+}", "path", routes[i].path, "methods", routes[i].allow, "text",
                                     routes[i].text, "try", "curl localhost:8080", routes[i].curl));
    answer_tree(answer, 200,
                json_pack("{s:s,s:s,s:o,s:o}", "service", "forkmap", "version", FORKMAP_VERSION, "links", links,
                          "limits", options_json(calls->options)));
}

static json_t *mean_us(double item_ns)
{
    return item_ns > 0 ? json_real(round(item_ns) / 1000) : json_null();
}

static void print_function(struct calls *calls, uint32_t number, const struct native *row, struct buf *to)
{
    buf_append_char(to, '{');
    tree_print_members(json_pack("{s:s,s:s,s:s,s:s}", "name", row->name, "kind", "native", "signature", row->signature,
                                 "text", row->text),
                       to);
    /* The example is told as it is written, since its answer holds to the byte: parsed and printed again, 1e23 and a
     * long integer would be other texts. */
    buf_printf(to, ",\"example\":{\"path\":\"%s\",\"body\":%s,\"answer\":%s},", row->example_path, row->example,
               row->example_answer != NULL ? row->example_answer : "null");
    tree_print_members(json_pack("{s:o,s:o}", "calls", tree_count(calls->made[number]), "mean_item_us",
                                 mean_us(scheduler_item_ns(calls->scheduler, number))),
                       to);
    buf_append_char(to, '}');
}

static void show_functions(struct calls *calls, struct answer *answer)
{
    struct buf body = {0};
    const char *before = "{\"functions\":[";
    const struct native *row;
    for (uint32_t i = 0; (row = catalog_row(i)) != NULL; i++) {
        if ((row->flags & NATIVE_HIDDEN) || ((row->flags & NATIVE_DEMO) && !calls->options->demo_functions))
            continue;
        buf_append_text(&body, before);
        print_function(calls, i, row, &body);
        before = ",";
    }
    buf_append_text(&body, "]}");
    answer_json(answer, 200, &body);
}

static json_t *last_end(const struct pool_worker *worker)
{
    if (!worker->has_died)
        return json_null();
    if (!WIFSIGNALED(worker->last_status))
        return json_sprintf("exit %d", WEXITSTATUS(worker->last_status));
    const char *name = sigabbrev_np(WTERMSIG(worker->last_status));
    return json_sprintf("SIG%s", name != NULL ? name : "?");
}

static json_t *worker_json(uint32_t slot, const struct pool_worker *worker)
{
    json_t *row = json_object();
    tree_set(row, "slot", tree_count(slot));
    tree_set(row, "pid", worker->pid > 0 ? json_integer(worker->pid) : json_null());
    tree_set(row, "state", json_string(slot_state_name(worker->state)));
    tree_set(row, "generation", tree_count(worker->generation));
    tree_set(row, "principal", json_null());
    tree_set(row, "items", tree_count(worker->items));
    tree_set(row, "memory_bytes", tree_count(worker->memory_bytes));
    tree_set(row, "deaths", tree_count(worker->deaths));
    tree_set(row, "last_end", last_end(worker));
    return row;
}

static void show_workers(struct calls *calls, struct answer *answer)
{
    const char *sized_by = calls->options->workers_reason;
    struct scheduler *scheduler = calls->scheduler;
    json_t *body = json_object(), *workers = json_array();
    tree_set(body, "live", tree_count(scheduler_live(scheduler)));
    tree_set(body, "target", tree_count(scheduler_target(scheduler)));
    tree_set(body, "max", tree_count(calls->limits.max_workers));
    tree_set(body, "calls", tree_count(scheduler_calls(scheduler)));
    tree_set(body, "sized_by", tree_text(sized_by, strlen(sized_by)));
    tree_set(body, "sandbox", json_string("no_new_privs+rlimits"));
    tree_set(body, "workers", workers);
    for (uint32_t i = 0; i < scheduler_slots(scheduler); i++) {
        struct pool_worker worker = pool_worker(calls->pool, i);
        if (worker.state != SLOT_EMPTY || worker.deaths > 0)
            tree_append(workers, worker_json(i, &worker));
    }
    answer_tree(answer, 200, body);
}

static void show_live(struct calls *calls, struct answer *answer)
{
    answer_tree(answer, 200, json_pack("{s:s}", "status", "live"));
}

static void show_ready(struct calls *calls, struct answer *answer)
{
    unsigned live = scheduler_live(calls->scheduler);
    bool workers = live > 0 || loop_now(calls->loop) - calls->live_ns < CALLS_NO_WORKER_NS;
    const char *status = calls->draining ? "draining" : workers ? "ready" : "no live worker";
    answer_tree(answer, calls->draining || !workers ? 503 : 200,
                json_pack("{s:s,s:o}", "status", status, "workers", tree_count(live)));
    if (answer->status == 503)
        answer_header(answer, "Retry-After", "1");
}
