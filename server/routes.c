/* routes: see routes.h. */
#include "server/routes.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

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

static void show_root(struct calls *calls, struct answer *answer)
{
    struct buf body = {0};
    buf_printf(&body, "{\"service\":\"forkmap\",\"version\":\"%s\",\"links\":[", FORKMAP_VERSION);
    for (size_t i = 0; i < ROUTES; i++) {
        buf_printf(&body, "%s{\"path\":\"%s\",\"methods\":\"%s\",\"text\":\"%s\",\"try\":", i ? "," : "",
                   routes[i].path, routes[i].allow, routes[i].text);
        char line[200];
        int length = snprintf(line, sizeof line, "curl localhost:8080%s", routes[i].curl);
        buf_append_json(&body, line, (size_t)length);
        buf_append_char(&body, '}');
    }
    buf_append_text(&body, "],\"limits\":");
    options_print_json(calls->options, &body);
    buf_append_char(&body, '}');
    answer_json(answer, 200, &body);
}

static void print_text(struct buf *to, const char *name, const char *text)
{
    buf_printf(to, ",\"%s\":", name);
    buf_append_json(to, text, strlen(text));
}

static void show_functions(struct calls *calls, struct answer *answer)
{
    struct buf body = {0};
    bool any = false;
    buf_append_text(&body, "{\"functions\":[");
    const struct native *row;
    for (uint32_t i = 0; (row = catalog_row(i)) != NULL; i++) {
        if ((row->flags & NATIVE_HIDDEN) || ((row->flags & NATIVE_DEMO) && !calls->options->demo_functions))
            continue;
        buf_printf(&body, "%s{\"name\":\"%s\",\"kind\":\"native\"", any ? "," : "", row->name);
        any = true;
        print_text(&body, "signature", row->signature);
        print_text(&body, "text", row->text);
        buf_printf(&body, ",\"example\":{\"path\":\"%s\",\"body\":%s,\"answer\":%s}", row->example_path, row->example,
                   row->example_answer != NULL ? row->example_answer : "null");
        double item_ns = scheduler_item_ns(calls->scheduler, i);
        buf_printf(&body, ",\"calls\":%llu,\"mean_item_us\":", (unsigned long long)calls->made[i]);
        if (item_ns > 0)
            buf_printf(&body, "%.3f}", item_ns / 1000);
        else
            buf_append_text(&body, "null}");
    }
    buf_append_text(&body, "]}");
    answer_json(answer, 200, &body);
}

static void print_last_end(struct buf *to, const struct pool_worker *worker)
{
    if (!worker->has_died) {
        buf_append_text(to, ",\"last_end\":null");
    } else if (WIFSIGNALED(worker->last_status)) {
        const char *name = sigabbrev_np(WTERMSIG(worker->last_status));
        buf_printf(to, ",\"last_end\":\"SIG%s\"", name != NULL ? name : "?");
    } else {
        buf_printf(to, ",\"last_end\":\"exit %d\"", WEXITSTATUS(worker->last_status));
    }
}

static void show_workers(struct calls *calls, struct answer *answer)
{
    struct buf body = {0};
    struct scheduler *scheduler = calls->scheduler;
    buf_printf(&body, "{\"live\":%u,\"target\":%u,\"max\":%u,\"calls\":%zu", scheduler_live(scheduler),
               scheduler_target(scheduler), calls->limits.max_workers, scheduler_calls(scheduler));
    print_text(&body, "sized_by", calls->options->workers_reason);
    buf_append_text(&body, ",\"sandbox\":\"no_new_privs+rlimits\",\"workers\":[");
    bool any = false;
    for (uint32_t i = 0; i < scheduler_slots(scheduler); i++) {
        struct pool_worker worker = pool_worker(calls->pool, i);
        if (worker.state == SLOT_EMPTY && worker.deaths == 0)
            continue;
        buf_printf(&body, "%s{\"slot\":%u,\"pid\":", any ? "," : "", i);
        any = true;
        if (worker.pid > 0)
            buf_printf(&body, "%d", worker.pid);
        else
            buf_append_text(&body, "null");
        buf_printf(&body,
                   ",\"state\":\"%s\",\"generation\":%u,\"principal\":null,\"items\":%llu,\"memory_bytes\":%llu,"
                   "\"deaths\":%llu",
                   slot_state_name(worker.state), worker.generation, (unsigned long long)worker.items,
                   (unsigned long long)worker.memory_bytes, (unsigned long long)worker.deaths);
        print_last_end(&body, &worker);
        buf_append_char(&body, '}');
    }
    buf_append_text(&body, "]}");
    answer_json(answer, 200, &body);
}

static void show_live(struct calls *calls, struct answer *answer)
{
    struct buf body = {0};
    buf_append_text(&body, "{\"status\":\"live\"}");
    answer_json(answer, 200, &body);
}

static void show_ready(struct calls *calls, struct answer *answer)
{
    struct buf body = {0};
    bool workers = scheduler_live(calls->scheduler) > 0 || loop_now(calls->loop) - calls->live_ns < CALLS_NO_WORKER_NS;
    const char *status = calls->draining ? "draining" : workers ? "ready" : "no live worker";
    buf_printf(&body, "{\"status\":\"%s\",\"workers\":%u}", status, scheduler_live(calls->scheduler));
    answer_json(answer, calls->draining || !workers ? 503 : 200, &body);
    if (answer->status == 503)
        answer_header(answer, "Retry-After", "1");
}
