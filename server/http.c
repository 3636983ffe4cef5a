/* http: see http.h. */
#include "server/http.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "server/gate.h"
#include "server/gzip.h"
#include "server/routes.h"
#include "workers/log.h"

#define POOL_BYTES (16u << 10)       /* of a connection; bodies are read in halves of it */
#define READ_LEAST 2048u              /* a run that brought more of bodies is followed by another, */
#define READS_A_TURN 16u             /* up to so many before workers are looked after */
#define IOVEC_MOST 900               /* the library stalls beyond 1,000 elements */
#define IDLE_S 60u                   /* a connection between requests */
#define PATIENCE_NS 40000u           /* an answer is so near: nearer than the cost of a suspension */
#define SWEEP_NS 100000000ull        /* how often slow and gone clients are looked for */
#define EXTRA_CONNECTIONS 64         /* beyond max-connections, so that a 503 can be said */
#define ID_BYTES 72

enum phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_WAIT, PHASE_SEND };

/* One client connection. */
struct connection {
    struct connection *prev, *next;
    struct http *http;
    int fd;
    enum phase phase;
    uint64_t phase_ns; /* when it entered the phase */
    uint64_t body_bytes;
};

struct exchange {
    struct exchange *prev, *next; /* in http->waiting while suspended, in http->ready once answered */
    struct http *http;
    struct MHD_Connection *mhd;
    struct connection *connection;
    struct call *call;
    struct answer answer; /* of requests without a call */
    char *target;         /* raw, NUL-terminated */
    const char *query;    /* into target, NULL: none */
    bool begun, finished, suspended, resumed, close;
    bool gzip; /* the client takes it */
    uint64_t wait_ns; /* when its body was whole */
    struct loop_watch hangup;
    char id[ID_BYTES];
    char traceparent[64];
    char cors_origin[128];
};

struct http {
    struct loop *loop;
    struct calls *calls;
    const struct options *options;
    struct MHD_Daemon **daemons;
    struct loop_watch *watches;
    size_t daemon_count;
    struct connection *connections;
    size_t connection_count;
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

static void enter(struct exchange *exchange, enum phase phase)
{
    if (exchange->connection == NULL)
        return;
    exchange->connection->phase = phase;
    exchange->connection->phase_ns = exchange->http->now_ns;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void free_block(void *data)
{
    free(data);
}

struct blocks {
    struct block *at;
    size_t count, bytes;
};

static void free_blocks(void *context)
{
    struct blocks *blocks = context;
    for (size_t i = 0; i < blocks->count; i++)
        free(blocks->at[i].data);
    free(blocks->at);
    free(blocks);
}

/* For answers of very many blocks: copies from where they are. */
static ssize_t read_blocks(void *context, uint64_t position, char *to, size_t most)
{
    struct blocks *blocks = context;
    for (size_t i = 0; i < blocks->count; i++) {
        if (position >= blocks->at[i].length) {
            position -= blocks->at[i].length;
            continue;
        }
        size_t length = blocks->at[i].length - (size_t)position;
        if (length > most)
            length = most;
        memcpy(to, blocks->at[i].data + blocks->at[i].start + position, length);
        return (ssize_t)length;
    }
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t read_gzip(void *context, uint64_t position, char *to, size_t most)
{
    size_t length = gzip_read(context, to, most);
    return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_gzip(void *context)
{
    gzip_free(context);
}

static size_t answer_bytes(const struct answer *answer)
{
    size_t bytes = 0;
    for (size_t i = 0; i < answer->block_count; i++)
        bytes += answer->blocks[i].length;
    return bytes;
}

/* The same compressed, if the client wants that and it is long enough; else NULL. */
static struct MHD_Response *make_gzip(const struct exchange *exchange, struct answer *answer)
{
    if (!exchange->gzip || answer->status == 304 || answer_bytes(answer) < GZIP_LEAST)
        return NULL;
    struct gzip *gzip = gzip_new(answer->blocks, answer->block_count);
    if (gzip == NULL)
        return NULL;
    answer->blocks = NULL;
    answer->block_count = 0;
    answer_header(answer, "Content-Encoding", "gzip");
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64u << 10, read_gzip, gzip, free_gzip);
}

/* The library's response; takes the answer's blocks. */
static struct MHD_Response *make_response(const struct exchange *exchange, struct answer *answer)
{
    struct MHD_Response *response = make_gzip(exchange, answer);
    if (response != NULL)
        return response;
    if (answer->block_count == 0) {
        response = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    } else if (answer->block_count == 1) {
        struct block *block = answer->blocks;
        response = MHD_create_response_from_buffer_with_free_callback_cls(block->length, block->data + block->start,
                                                                          free_block, block->data);
        free(answer->blocks);
    } else {
        struct blocks *blocks = malloc(sizeof *blocks);
        if (blocks == NULL)
            die("out of memory");
        *blocks = (struct blocks){answer->blocks, answer->block_count, 0};
        struct MHD_IoVec iov[IOVEC_MOST];
        for (size_t i = 0; i < blocks->count; i++) {
            blocks->bytes += blocks->at[i].length;
            if (i < IOVEC_MOST)
                iov[i] = (struct MHD_IoVec){blocks->at[i].data + blocks->at[i].start, blocks->at[i].length};
        }
        if (blocks->count <= IOVEC_MOST)
            response = MHD_create_response_from_iovec(iov, (unsigned)blocks->count, free_blocks, blocks);
        else
            response =
                MHD_create_response_from_callback(blocks->bytes, 256u << 10, read_blocks, blocks, free_blocks);
    }
    answer->blocks = NULL;
    answer->block_count = 0;
    if (response == NULL)
        die("out of memory: a response");
    return response;
}

static void set_header(struct MHD_Response *response, const char *name, const char *value)
{
    if (MHD_add_response_header(response, name, value) != MHD_YES)
        warning("the header %s is not sent: its value is not one", name);
}

static enum MHD_Result send_answer(struct exchange *exchange, struct answer *answer)
{
    unsigned status = answer->status;
    bool close = answer->close || exchange->close || exchange->http->quiet;
    struct MHD_Response *response = make_response(exchange, answer);
    if (answer->content_type != NULL)
        set_header(response, "Content-Type", answer->content_type);
    for (size_t i = 0; i < answer->header_count; i++)
        set_header(response, answer->headers[i].name, answer->headers[i].value);
    set_header(response, "X-Request-Id", exchange->id);
    if (exchange->traceparent[0] != '\0')
        set_header(response, "traceparent", exchange->traceparent);
    if (exchange->cors_origin[0] != '\0') {
        set_header(response, "Access-Control-Allow-Origin", exchange->cors_origin);
        set_header(response, "Vary", "Origin, Accept-Encoding");
    } else if (exchange->gzip) {
        set_header(response, "Vary", "Accept-Encoding");
    }
    if (close)
        set_header(response, "Connection", "close");
    enter(exchange, PHASE_SEND);
    enum MHD_Result result = MHD_queue_response(exchange->mhd, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Before a body: an answer that is sent at once ends the connection, for what follows would be read as a request; one to
 * a request that has no body waits for the library's last call, and the connection goes on. */
static enum MHD_Result answer_head(struct exchange *exchange, struct answer *answer)
{
    if (answer->close)
        return send_answer(exchange, answer);
    exchange->answer = *answer;
    return MHD_YES;
}

static enum MHD_Result refuse(struct exchange *exchange, const struct problem *problem, bool close)
{
    struct answer answer = {0};
    answer_problem(&answer, problem, exchange->id);
    answer.close = close;
    return answer_head(exchange, &answer);
}

/* --- the head ----------------------------------------------------------------------------------------------------- */

struct head {
    struct gate_header headers[GATE_HEADERS_MAX];
    size_t count;
    struct exchange *exchange;
    const char *content_type, *accept, *if_none_match;
};

static bool is_named(const char *name, size_t length, const char *wanted)
{
    return length == strlen(wanted) && strcasecmp(name, wanted) == 0;
}

static void copy_plain(char *to, size_t room, const char *value, size_t length)
{
    size_t i = 0;
    for (; i < length && i + 1 < room; i++) {
        char c = value[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                     c == '_' || c == '.';
        if (!plain)
            break;
        to[i] = c;
    }
    to[i < length ? 0 : i] = '\0'; /* all of it or nothing */
}

static enum MHD_Result take_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                   const char *value, size_t value_length)
{
    struct head *head = context;
    if (head->count < GATE_HEADERS_MAX)
        head->headers[head->count] = (struct gate_header){name, name_length, value, value_length};
    head->count++;
    switch (name_length) {
    case 6:
        if (is_named(name, name_length, "Accept"))
            head->accept = value;
        break;
    case 11:
        if (is_named(name, name_length, "traceparent"))
            copy_plain(head->exchange->traceparent, sizeof head->exchange->traceparent, value, value_length);
        break;
    case 12:
        if (is_named(name, name_length, "Content-Type"))
            head->content_type = value;
        else if (is_named(name, name_length, "X-Request-Id"))
            copy_plain(head->exchange->id, sizeof head->exchange->id, value, value_length);
        break;
    case 15:
        if (is_named(name, name_length, "Accept-Encoding"))
            head->exchange->gzip = gzip_wanted(value);
        break;
    case 13:
        if (is_named(name, name_length, "If-None-Match"))
            head->if_none_match = value;
        break;
    default:
        break;
    }
    return MHD_YES;
}

static void make_id(struct exchange *exchange)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t id = exchange->http->last_id += 0x9e3779b97f4a7c15u; /* a walk over all 64-bit numbers */
    for (int i = 0; i < 16; i++, id >>= 4)
        exchange->id[i] = hex[id & 15];
    exchange->id[16] = '\0';
}

static bool accepts_json(const char *accept)
{
    return accept == NULL || strstr(accept, "*/*") != NULL || strstr(accept, "application/json") != NULL ||
           strstr(accept, "application/*") != NULL || strstr(accept, "application/problem+json") != NULL;
}

static void tag_of(const struct answer *answer, char tag[24])
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < answer->blocks[0].length; i++)
        hash = (hash ^ (unsigned char)answer->blocks[0].data[answer->blocks[0].start + i]) * 1099511628211u;
    snprintf(tag, 24, "\"%016llx\"", (unsigned long long)hash);
}

static enum MHD_Result show(struct exchange *exchange, const struct route *route, const struct head *head)
{
    struct answer answer = {0};
    route->show(exchange->http->calls, &answer);
    if (route->constant) {
        char tag[24];
        tag_of(&answer, tag);
        answer_header(&answer, "ETag", "%s", tag);
        answer_header(&answer, "Cache-Control", "no-cache");
        if (head->if_none_match != NULL && strstr(head->if_none_match, tag) != NULL)
            answer.status = 304;
    } else {
        answer_header(&answer, "Cache-Control", "no-store");
    }
    answer_header(&answer, "X-Content-Type-Options", "nosniff");
    return answer_head(exchange, &answer);
}

static enum MHD_Result options_answer(struct exchange *exchange, const struct route *route)
{
    struct answer answer = {.status = 204};
    answer_header(&answer, "Allow", "%s", route->allow);
    if (exchange->cors_origin[0] != '\0') {
        answer_header(&answer, "Access-Control-Allow-Methods", "%s", route->allow);
        answer_header(&answer, "Access-Control-Allow-Headers", "Content-Type, Authorization, X-Request-Id");
    }
    return answer_head(exchange, &answer);
}

/* The path without its query; the query keeps its raw bytes, '+' and all. */
static const char *split_target(struct exchange *exchange)
{
    char *mark = strchr(exchange->target, '?');
    if (mark != NULL) {
        *mark = '\0';
        exchange->query = mark + 1;
    }
    return exchange->target;
}

static enum MHD_Result begin(struct exchange *exchange, const char *method, const char *version)
{
    struct http *http = exchange->http;
    struct head head;
    struct problem problem; /* set where it is used: it is large */
    head.count = 0;
    head.exchange = exchange;
    head.content_type = head.accept = head.if_none_match = NULL;
    MHD_get_connection_values_n(exchange->mhd, MHD_HEADER_KIND, take_header, &head);
    if (exchange->id[0] == '\0')
        make_id(exchange);
    struct gate_request gate = {.method = method,
                                .target = exchange->target,
                                .version = version,
                                .headers = head.headers,
                                .header_count = head.count};
    if (!gate_check(&gate, &http->rules, &problem))
        return refuse(exchange, &problem, true);
    exchange->close = gate.close_after;
    if (gate.cors_origin != NULL && gate.cors_origin->value_length < sizeof exchange->cors_origin)
        memcpy(exchange->cors_origin, gate.cors_origin->value, gate.cors_origin->value_length);
    const struct route *route = route_find(split_target(exchange), &problem);
    if (route == NULL)
        return refuse(exchange, &problem, gate.content_length > 0 || gate.chunked);
    if (http->connection_count > http->options->max_connections) {
        problem_set(&problem, PROBLEM_UNAVAILABLE, "there are more than max-connections, %llu, connections",
                    (unsigned long long)http->options->max_connections);
        problem.retry_after_s = 1;
        return refuse(exchange, &problem, true);
    }
    if (strcmp(method, "OPTIONS") == 0)
        return options_answer(exchange, route);
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (route->endpoint == 0 ? !get : strcmp(method, "POST") != 0) {
        route_refuse_method(route, method, &problem);
        return refuse(exchange, &problem, gate.content_length > 0 || gate.chunked);
    }
    if (!accepts_json(head.accept) && route->endpoint != 0) {
        problem_set(&problem, PROBLEM_NOT_ACCEPTABLE, "answers here are application/json, not %.100s", head.accept);
        snprintf(problem.allowed, sizeof problem.allowed, "application/json");
        return refuse(exchange, &problem, gate.content_length > 0 || gate.chunked);
    }
    if (route->endpoint == 0)
        return show(exchange, route, &head);
    struct call_start start = {.endpoint = route->endpoint,
                               .query = exchange->query,
                               .content_type = head.content_type,
                               .content_length = gate.content_length,
                               .principal = http->rules.token != NULL && *http->rules.token != '\0' ? 1 : 0,
                               .id = exchange->id,
                               .request = exchange,
                               .now_ns = http->now_ns};
    exchange->call = call_new(http->calls, &start);
    struct answer *refusal = call_answer(exchange->call);
    if (refusal != NULL) { /* before the upload: nothing of it is read */
        if (gate.content_length > 0 || gate.chunked)
            refusal->close = true;
        return refusal->close ? send_answer(exchange, refusal) : MHD_YES;
    }
    enter(exchange, PHASE_BODY);
    if (exchange->connection != NULL)
        exchange->connection->body_bytes = 0;
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
        enter(exchange, PHASE_WAIT);
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
        if (exchange->connection != NULL)
            exchange->connection->body_bytes += *upload_bytes;
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
    exchange->connection = info != NULL ? info->socket_context : NULL;
    enter(exchange, PHASE_HEAD);
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
    enter(exchange, PHASE_IDLE);
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
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL)
            die("out of memory");
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        *connection = (struct connection){.next = http->connections,
                                          .http = http,
                                          .fd = info != NULL ? info->connect_fd : -1,
                                          .phase = PHASE_HEAD,
                                          .phase_ns = http->now_ns};
        if (http->connections != NULL)
            http->connections->prev = connection;
        http->connections = connection;
        http->connection_count++;
        *state = connection;
        return;
    }
    struct connection *connection = *state;
    if (connection == NULL)
        return;
    if (connection->prev != NULL)
        connection->prev->next = connection->next;
    else
        http->connections = connection->next;
    if (connection->next != NULL)
        connection->next->prev = connection->prev;
    http->connection_count--;
    free(connection);
    *state = NULL;
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
    uint64_t head_ns = http->options->header_timeout_ms * 1000000u;
    for (struct connection *c = http->connections; c != NULL; c = c->next) {
        uint64_t age_ns = now_ns > c->phase_ns ? now_ns - c->phase_ns : 0;
        bool late = c->phase == PHASE_HEAD && age_ns > head_ns;
        late |= c->phase == PHASE_IDLE && age_ns > IDLE_S * 1000000000ull + head_ns;
        if (c->phase == PHASE_BODY && age_ns > head_ns)
            late = c->body_bytes < http->options->min_body_rate * (age_ns / 1000000000u);
        if (late)
            shutdown(c->fd, SHUT_RDWR);
    }
    for (struct exchange *exchange = http->waiting; exchange != NULL; exchange = exchange->next) {
        if (exchange->hangup.fd >= 0 || exchange->connection == NULL)
            continue;
        exchange->hangup.ready = hung_up;
        if (loop_add(http->loop, &exchange->hangup, exchange->connection->fd, EPOLLRDHUP) != 0)
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
    if (http->connections != NULL && http->swept_ns + SWEEP_NS < due_ns)
        due_ns = http->swept_ns + SWEEP_NS;
    return due_ns;
}

static void socket_ready(struct loop_watch *watch, uint32_t events, uint64_t now_ns)
{
    (void)watch; /* the wait is over: http_run() is called every turn */
}

static void start_daemon(struct http *http, int listen_fd)
{
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, http,
        MHD_OPTION_EXTERNAL_LOGGER, log_library, http, MHD_OPTION_LISTEN_SOCKET, listen_fd,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(http->options->max_connections + EXTRA_CONNECTIONS), MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
        MHD_OPTION_URI_LOG_CALLBACK, take_target, http, MHD_OPTION_NOTIFY_COMPLETED, completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, connected, http, MHD_OPTION_END);
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
