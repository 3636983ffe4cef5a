/* serve_http: see serve_http.h. */
#include "tests/serve_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_client {
    CURL *curl;
    uint16_t port;
    char unix_path[96];
};

struct grown {
    char *at;
    size_t length, capacity;
};

/* --- the client --------------------------------------------------------------------------------------------------- */

static size_t keep(char *bytes, size_t size, size_t count, void *context)
{
    struct grown *grown = context;
    size_t length = size * count;
    if (grown->length + length + 1 > grown->capacity) {
        size_t capacity = (grown->length + length + 1) * 2;
        char *at = realloc(grown->at, capacity);
        if (at == NULL)
            return 0;
        grown->at = at;
        grown->capacity = capacity;
    }
    memcpy(grown->at + grown->length, bytes, length);
    grown->length += length;
    grown->at[grown->length] = '\0';
    return length;
}

struct http_client *client_new(uint16_t port, const char *unix_path)
{
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        abort();
    client->curl = curl_easy_init();
    client->port = port;
    snprintf(client->unix_path, sizeof client->unix_path, "%s", unix_path != NULL ? unix_path : "");
    return client;
}

void client_free(struct http_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client);
}

static void set_request(struct http_client *client, const struct ask *ask, struct curl_slist **headers)
{
    CURL *curl = client->curl;
    char url[4096];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", client->port ? client->port : 80, ask->path);
    curl_easy_reset(curl); /* keeps the connections */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ask->timeout_ms > 0 ? ask->timeout_ms : (long)wait_bound_ms());
    if (client->unix_path[0] != '\0')
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->unix_path);
    if (ask->fresh)
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    if (ask->body != NULL) {
        size_t length = ask->length > 0 ? ask->length : strlen(ask->body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ask->body);
        if (ask->announce)
            curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, (long)wait_bound_ms());
        else
            *headers = curl_slist_append(*headers, "Expect:");
    }
    if (ask->method != NULL && strcmp(ask->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (ask->method != NULL)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, ask->method);
    for (size_t i = 0; ask->headers != NULL && ask->headers[i] != NULL; i++)
        *headers = curl_slist_append(*headers, ask->headers[i]);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, *headers);
}

struct reply client_ask(struct http_client *client, const struct ask *ask)
{
    struct reply reply = {0};
    struct grown head = {0}, body = {0};
    struct curl_slist *headers = NULL;
    char error[CURL_ERROR_SIZE] = "";
    long status = 0;
    set_request(client, ask, &headers);
    curl_easy_setopt(client->curl, CURLOPT_HEADERFUNCTION, keep);
    curl_easy_setopt(client->curl, CURLOPT_HEADERDATA, &head);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, error);
    CURLcode code = curl_easy_perform(client->curl);
    keep("", 1, 0, &head);
    keep("", 1, 0, &body);
    if (code == CURLE_OK) {
        curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    } else {
        body.length = 0;
        keep(error, 1, strlen(error), &body);
    }
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    reply.status = (unsigned)status;
    reply.headers = head.at;
    reply.body = body.at;
    reply.length = body.length;
    reply.continued = strncmp(head.at, "HTTP/1.1 100", 12) == 0;
    return reply;
}

void reply_clear(struct reply *reply)
{
    free(reply->headers);
    free(reply->body);
    *reply = (struct reply){0};
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char values[4][512];
    static unsigned next;
    size_t length = strlen(name);
    for (const char *line = reply->headers; line != NULL && *line != '\0';) {
        const char *end = strstr(line, "\r\n");
        if (end == NULL)
            break;
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            char *value = values[next++ % 4];
            line += length + 1;
            line += strspn(line, " ");
            snprintf(value, sizeof values[0], "%.*s", (int)(end - line), line);
            return value;
        }
        line = end + 2;
    }
    return NULL;
}

/* --- asserting ---------------------------------------------------------------------------------------------------- */

struct reply http_ask(struct server *server, const struct ask *ask)
{
    struct reply reply = client_ask(server->client, ask);
    if (reply.status == 0)
        fail_msg("no answer to %s: %s", ask->path, reply.body);
    return reply;
}

struct reply http_post(struct server *server, const char *path, const char *body)
{
    char *quoted = json_quoted(body);
    struct reply reply = http_ask(server, &(struct ask){.path = path, .body = quoted});
    free(quoted);
    return reply;
}

struct reply http_get(struct server *server, const char *path)
{
    return http_ask(server, &(struct ask){.path = path});
}

json_t *reply_json(struct reply *reply, unsigned status)
{
    json_error_t error;
    if (reply->status != status)
        fail_msg("status %u, not %u: %.1000s", reply->status, status, reply->body);
    json_t *json = json_loadb(reply->body, reply->length, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("no JSON (%s at %d): %.1000s", error.text, error.position, reply->body);
    reply_clear(reply);
    return json;
}

json_t *post_json(struct server *server, const char *path, const char *body, unsigned status)
{
    struct reply reply = http_post(server, path, body);
    return reply_json(&reply, status);
}

json_t *json_at(json_t *json, const char *path)
{
    char name[64];
    json_t *at = json;
    for (const char *rest = path; *rest != '\0' && at != NULL;) {
        size_t length = strcspn(rest, "/");
        snprintf(name, sizeof name, "%.*s", (int)length, rest);
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
        rest += length + (rest[length] == '/');
    }
    if (at == NULL) {
        char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
        fail_msg("there is no %s in %.1000s", path, text);
    }
    return at;
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

char *json_quoted(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    for (char *at = copy; *at != '\0'; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

static bool holds_string(json_t *got, const char *wanted)
{
    if (strcmp(wanted, "*") == 0)
        return got != NULL;
    if (strcmp(wanted, "-") == 0)
        return got == NULL;
    if (!json_is_string(got))
        return false;
    return wanted[0] == '~' ? strstr(json_string_value(got), wanted + 1) != NULL
                            : strcmp(json_string_value(got), wanted) == 0;
}

static bool holds(json_t *got, json_t *wanted)
{
    const char *name;
    json_t *value;
    size_t i;
    if (json_is_string(wanted))
        return holds_string(got, json_string_value(wanted));
    if (got == NULL || (!json_is_number(wanted) && json_typeof(got) != json_typeof(wanted)))
        return false;
    if (json_is_number(wanted))
        return json_is_number(got) && json_number_value(got) == json_number_value(wanted);
    if (json_is_array(wanted)) {
        if (json_array_size(got) != json_array_size(wanted))
            return false;
        json_array_foreach(wanted, i, value) if (!holds(json_array_get(got, i), value)) return false;
    } else if (json_is_object(wanted)) {
        json_object_foreach(wanted, name, value) if (!holds(json_object_get(got, name), value)) return false;
    }
    return true;
}

bool json_holds(json_t *got, const char *wanted)
{
    char *quoted = json_quoted(wanted);
    json_error_t error;
    json_t *json = json_loads(quoted, JSON_DECODE_ANY, &error);
    if (json == NULL)
        fail_msg("the test is wrong: %s in %s", error.text, quoted);
    bool right = holds(got, json);
    json_decref(json);
    free(quoted);
    return right;
}

void assert_json(json_t *got, const char *wanted)
{
    if (json_holds(got, wanted))
        return;
    char *text = json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY);
    print_error("got    %.2000s\nwanted %s\n", text, wanted);
    free(text);
    fail_msg("the answer is not what it should be");
}
