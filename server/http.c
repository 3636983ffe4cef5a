/* http: see http.h. Connections and requests; http_send.c makes the library's responses. Its callbacks and its turns
 * stand in this one file, because they share its daemon and its exchanges and nobody else may. */
#include "server/http.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "server/clients.h"
#include "server/gate.h"
#include "server/head.h"
#include "server/http_send.h"
#include "server/routes.h"
#include "workers/log.h"

#define POOL_BYTES (16u << 10)      /* of a connection; bodies are read in halves of it */
#define READ_LEAST 2048u            /* a run that brought more of bodies is followed by another, */
#define READS_A_TURN 16u            /* up to so many before workers are looked after */
#define IDLE_S 60u                  /* a connection between requests */
#define PATIENCE_NS 40000u          /* an answer is so near: nearer than the cost of a suspension */
#define SWEEP_NS 100000000ull       /* how often slow and gone clients are looked for */
#define EXTRA_CONNECTIONS 64        /* beyond max-connections, so that a 503 can be said */
#define ID_STEP 0x9e3779b97f4a7c15u /* a walk over all 64-bit numbers */

struct exchange {
    struct exchange *prev, *next; /* in http->waiting while suspended, in http->ready once answered */
    struct http *http;
    struct MHD_Connection *mhd;
    struct client *client;
    struct call *call;
    struct answer answer; /* of requests without a call */
    char *target;         /* raw, NUL-terminated */
    bool begun, finished, suspended, resumed, close;
    uint64_t wait_ns; /* when its body was whole */
    struct loop_watch hangup;
    struct echo echo;
};

struct http {
    struct loop *loop;
    struct calls *calls;
    const struct options *options;
    struct MHD_Daemon **daemons;
    struct loop_watch *watches;
    size_t daemon_count;
    struct clients clients;
    struct exchange *waiting, *ready;
    size_t requests, fresh;
    uint64_t now_ns, swept_ns, last_id;
    size_t uploaded; /* bytes of bodies, ever */
    struct gate_rules rules;
    bool quiet;
};

/* --- lists -------------------------------------------------------------------------------------------------------- */

static void list_add(struct exchange **list, struct exchange *exchange)
{
    exchange->prev = NULL;
    exchange->next = *list;
    if (*list != NULL)
        (*list)->prev = exchange;
    *list = exchange;
}

static void list_remove(struct exchange **list, struct exchange *exchange)
{
    if (exchange->prev != NULL)
        exchange->prev->next = exchange->next;
    else if (*list == exchange)
        *list = exchange->next;
    if (exchange->next != NULL)
        exchange->next->prev = exchange->prev;
    exchange->prev = exchange->next = NULL;
}

static void enter(struct exchange *exchange, enum client_phase phase)
{
    client_enter(exchange->client, phase, exchange->http->now_ns);
}

/* --- the head ----------------------------------------------------------------------------------------------------- */

static enum MHD_Result send_answer(struct exchange *exchange, struct answer *answer)
{
    unsigned status = answer->status;
    bool close = answer->close || exchange->close || exchange->http->quiet;
    enter(exchange, CLIENT_SEND);
    if (exchange->client != NULL)
        exchange->client->body_bytes = answer_bytes(answer);
    struct MHD_Response *response = http_response(&exchange->echo, answer, close);
    enum MHD_Result result = MHD_queue_response(exchange->mhd, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                   const char *value, size_t value_length)
{
    head_take(context, name, name_length, value, value_length);
    return MHD_YES;
}

/* An answer that is sent before a body ends the connection, for what follows would be read as a request; one to a
 * request without a body waits for the library's last call, and the connection goes on. */
static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    struct http *http = exchange->http;
    struct head head;
    head_init(&head, &exchange->echo);
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, take_header, &head);
    struct head_rules rules = {.gate = &http->rules,
                               .calls = http->calls,
                               .id = http->last_id += ID_STEP,
                               .full = http->clients.count > http->options->max_connections};
    const struct route *route = head_decide(&head, &rules, method, exchange->target, version, &exchange->answer);
    if (route == NULL)
        return exchange->answer.close ? send_answer(exchange, &exchange->answer) : MHD_YES;
    exchange->close = head.close_after;
    struct call_start start = {.endpoint = route->endpoint,
                               .query = head.query,
                               .content_type = head.content_type,
                               .content_length = head.content_length,
                               .principal = http->rules.token != NULL && *http->rules.token != '\0' ? 1 : 0,
                               .id = exchange->echo.id,
                               .request = exchange,
                               .now_ns = http->now_ns};
    exchange->call = call_new(http->calls, &start);
    struct answer *refusal = call_answer(exchange->call);
    if (refusal != NULL) { /* before the upload: nothing of it is read */
        refusal->close |= head.has_body;
        return refusal->close ? send_answer(exchange, refusal) : MHD_YES;
    }
    enter(exchange, CLIENT_BODY);
    return MHD_YES;
}

/* --- the handler -------------------------------------------------------------------------------------------------- */

static void hung_up(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    struct exchange *exchange = (struct exchange *)(void *)((char *)watch - offsetof(struct exchange, hangup));
    loop_remove(exchange->http->loop, watch);
    if (!exchange->suspended || exchange->resumed)
        return;
    call_free(exchange->call); /* its client has left; the library sees that once it is resumed */
    exchange->call = NULL;
    http_answered(exchange);
}

/* Its body is whole, its answer is not there. */
static enum MHD_Result wait_for_answer(struct exchange *exchange)
{
    struct http *http = exchange->http;
    if (exchange->wait_ns == 0) {
        exchange->wait_ns = http->now_ns;
        enter(exchange, CLIENT_WAIT);
    }
    if (http->now_ns - exchange->wait_ns < PATIENCE_NS) {
        http->fresh++; /* the library asks again in the next run */
        return MHD_YES;
    }
    MHD_suspend_connection(exchange->mhd);
    exchange->suspended = true;
    list_add(&http->waiting, exchange);
    return MHD_YES;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *mhd, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_bytes, void **state)
{
    struct http *http = context;
    struct exchange *exchange = *state;
    if (exchange == NULL)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        return begin(exchange, method, version);
    }
    if (exchange->answer.status != 0)
        return send_answer(exchange, &exchange->answer);
    if (exchange->call == NULL)
        return MHD_NO; /* it left while it waited */
    if (*upload_bytes > 0) {
        if (exchange->client != NULL)
            exchange->client->body_bytes += *upload_bytes;
        http->uploaded += *upload_bytes;
        bool fits = call_body(exchange->call, upload, *upload_bytes, http->now_ns);
        *upload_bytes = 0;
        return fits ? MHD_YES : MHD_NO;
    }
    if (!exchange->finished) {
        exchange->finished = true;
        call_finish(exchange->call, http->now_ns);
    }
    struct answer *answer = call_answer(exchange->call);
    return answer != NULL ? send_answer(exchange, answer) : wait_for_answer(exchange);
}

static void *take_target(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct http *http = context;
    struct exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL)
        die("out of memory");
    exchange->http = http;
    exchange->mhd = mhd;
    exchange->hangup.fd = -1;
    exchange->target = strdup(uri);
    if (exchange->target == NULL)
        die("out of memory");
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    exchange->client = info != NULL ? info->socket_context : NULL;
    enter(exchange, CLIENT_HEAD);
    http->requests++;
    return exchange;
}

static void completed(void *context, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode code)
{
    struct http *http = context;
    struct exchange *exchange = *state;
    if (exchange == NULL)
        return;
    *state = NULL;
    loop_remove(http->loop, &exchange->hangup);
    if (exchange->suspended)
        list_remove(exchange->resumed ? &http->ready : &http->waiting, exchange);
    enter(exchange, CLIENT_IDLE);
    call_free(exchange->call);
    answer_clear(&exchange->answer);
    free(exchange->target);
    free(exchange);
    http->requests--;
}

static void connected(void *context, struct MHD_Connection *mhd, void **state, enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *state = clients_add(&http->clients, info != NULL ? info->connect_fd : -1, http->now_ns);
    } else if (*state != NULL) {
        clients_remove(&http->clients, *state);
        *state = NULL;
    }
}

static void log_library(void *context, const char *format, va_list list)
{
    char line[300];
    vsnprintf(line, sizeof line, format, list);
    line[strcspn(line, "\n")] = '\0';
    notice("http: %s", line);
}

/* --- turns -------------------------------------------------------------------------------------------------------- */

/* Clients that send too slowly are cut off; those that may have left while they wait are watched. */
static void sweep(struct http *http, uint64_t now_ns)
{
    http->swept_ns = now_ns;
    struct client_limits limits = {.head_ns = http->options->header_timeout_ms * 1000000u,
                                   .idle_ns = IDLE_S * 1000000000ull,
                                   .min_body_rate = http->options->min_body_rate};
    clients_sweep(&http->clients, &limits, now_ns);
    for (struct exchange *exchange = http->waiting; exchange != NULL; exchange = exchange->next) {
        if (exchange->hangup.fd >= 0 || exchange->client == NULL)
            continue;
        exchange->hangup.ready = hung_up;
        if (loop_add(http->loop, &exchange->hangup, exchange->client->fd, EPOLLRDHUP) != 0)
            exchange->hangup.fd = -1; /* tried again at the next sweep */
    }
}

void http_answered(void *context)
{
    struct exchange *exchange = context;
    if (!exchange->suspended || exchange->resumed)
        return;
    list_remove(&exchange->http->waiting, exchange);
    exchange->resumed = true;
    list_add(&exchange->http->ready, exchange);
}

static void resume_answered(struct http *http)
{
    while (http->ready != NULL) {
        struct exchange *exchange = http->ready;
        list_remove(&http->ready, exchange);
        loop_remove(http->loop, &exchange->hangup);
        exchange->suspended = exchange->resumed = false;
        MHD_resume_connection(exchange->mhd);
    }
}

void http_run(struct http *http, uint64_t now_ns)
{
    http->now_ns = now_ns;
    http->fresh = 0;
    if (now_ns - http->swept_ns >= SWEEP_NS)
        sweep(http, now_ns);
    resume_answered(http);
    for (size_t i = 0; i < http->daemon_count; i++) {
        size_t uploaded, runs = 0;
        do { /* a large body comes in small reads: some of them a turn */
            uploaded = http->uploaded;
            MHD_run(http->daemons[i]);
        } while (http->uploaded - uploaded > READ_LEAST && ++runs < READS_A_TURN);
    }
}

uint64_t http_due_ns(struct http *http, uint64_t now_ns)
{
    uint64_t due_ns = UINT64_MAX;
    if (http->fresh > 0 || http->ready != NULL)
        return 0;
    for (size_t i = 0; i < http->daemon_count; i++) {
        MHD_UNSIGNED_LONG_LONG wait_ms;
        if (MHD_get_timeout(http->daemons[i], &wait_ms) != MHD_YES)
            continue;
        if (wait_ms == 0)
            return 0;
        if (now_ns + wait_ms * 1000000u < due_ns)
            due_ns = now_ns + wait_ms * 1000000u;
    }
    if (http->clients.first != NULL && http->swept_ns + SWEEP_NS < due_ns)
        due_ns = http->swept_ns + SWEEP_NS;
    return due_ns;
}

static void socket_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    (void)watch; /* the wait is over: http_run() is called every turn */
}

static void start_daemon(struct http *http, int listen_fd)
{
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG, 0, NULL, NULL,
                         handle, http, MHD_OPTION_EXTERNAL_LOGGER, log_library, http, MHD_OPTION_LISTEN_SOCKET,
                         listen_fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)(http->options->max_connections + EXTRA_CONNECTIONS), MHD_OPTION_CONNECTION_TIMEOUT,
                         IDLE_S, MHD_OPTION_URI_LOG_CALLBACK, take_target, http, MHD_OPTION_NOTIFY_COMPLETED, completed,
                         http, MHD_OPTION_NOTIFY_CONNECTION, connected, http, MHD_OPTION_END);
    if (daemon == NULL)
        die("libmicrohttpd does not start on descriptor %d", listen_fd);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct loop_watch *watch = &http->watches[http->daemon_count];
    watch->ready = socket_ready;
    if (info == NULL || loop_add(http->loop, watch, info->epoll_fd, EPOLLIN) != 0)
        die("libmicrohttpd's epoll cannot be watched");
    http->daemons[http->daemon_count++] = daemon;
}

struct http *http_new(struct loop *loop, struct calls *calls, const struct options *options, const int *listen_fds,
                      size_t listen_count)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL)
        die("out of memory");
    http->loop = loop;
    http->calls = calls;
    http->options = options;
    http->now_ns = loop_now(loop);
    http->rules = (struct gate_rules){.max_body_bytes = options->max_body_bytes,
                                      .allowed_hosts = options->allowed_hosts.at,
                                      .allowed_host_count = options->allowed_hosts.count,
                                      .cors_origins = options->cors_origins.at,
                                      .cors_origin_count = options->cors_origins.count,
                                      .token = options->token};
    if (getrandom(&http->last_id, sizeof http->last_id, GRND_NONBLOCK) < 0)
        http->last_id = http->now_ns;
    http->daemons = calloc(listen_count, sizeof(struct MHD_Daemon *));
    http->watches = calloc(listen_count, sizeof *http->watches);
    if (http->daemons == NULL || http->watches == NULL)
        die("out of memory");
    for (size_t i = 0; i < listen_count; i++)
        start_daemon(http, listen_fds[i]);
    return http;
}

void http_quiesce(struct http *http)
{
    http->quiet = true;
    for (size_t i = 0; i < http->daemon_count; i++)
        MHD_quiesce_daemon(http->daemons[i]);
}

size_t http_requests(const struct http *http)
{
    return http->requests;
}

void http_free(struct http *http)
{
    if (http == NULL)
        return;
    while (http->waiting != NULL) { /* the library cannot stop with suspended connections */
        struct exchange *exchange = http->waiting;
        call_free(exchange->call);
        exchange->call = NULL;
        http_answered(exchange);
    }
    resume_answered(http);
    for (size_t i = 0; i < http->daemon_count; i++) {
        MHD_run(http->daemons[i]);
        loop_remove(http->loop, &http->watches[i]);
        MHD_stop_daemon(http->daemons[i]);
    }
    free(http->daemons);
    free(http->watches);
    free(http);
}
