/* The real server while its processes are killed: every answer right, in order and complete, or an error; never a hang;
 * and nothing left over afterwards. STORM_KILLS says how many workers die in the first test. */
#include "tests/serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/serve_http.h"

#define CLIENTS 4
#define ITEMS_MOST 4000

/* What the clients share. They do not assert: the first that is wrong says so here. */
struct load {
    struct server *server;
    bool errors_allowed; /* answers other than 200, and none at all */
    bool slow;           /* items that take a millisecond each */
    atomic_bool stop, wrong;
    atomic_uint right, refused, lost;
    char why[400];
};

struct load_client {
    struct load *load;
    pthread_t thread;
    unsigned seed;
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16 & 0x7fff;
}

static void complain(struct load *load, const char *what, const char *body)
{
    if (!atomic_exchange(&load->wrong, true))
        snprintf(load->why, sizeof load->why, "%s: %.300s", what, body);
}

/* Exactly {"results":[...]} with the squares of first, first + 1, ... */
static bool is_right(const char *body, unsigned first, unsigned count)
{
    static const char head[] = "{\"results\":[";
    if (strncmp(body, head, sizeof head - 1) != 0)
        return false;
    const char *at = body + sizeof head - 1;
    for (unsigned i = 0; i < count; i++) {
        char *end;
        unsigned long long value = strtoull(at, &end, 10);
        if (end == at || value != (unsigned long long)(first + i) * (first + i))
            return false;
        at = end + (*end == ',');
    }
    return strcmp(at, "]}") == 0;
}

static bool is_right_sleep(const char *body, unsigned count)
{
    unsigned values = 0;
    for (const char *at = strchr(body, '['); at != NULL && *at != ']' && *at != '\0'; at = strpbrk(at + 1, ",]"))
        values += at[1] == '1';
    return strncmp(body, "{\"results\":[", 12) == 0 && values == count && strstr(body, "]}") != NULL;
}

static void ask_once(struct load_client *self, struct http_client *client)
{
    struct load *load = self->load;
    char body[300];
    unsigned first = next_random(&self->seed), count = next_random(&self->seed) % ITEMS_MOST;
    if (load->slow)
        snprintf(body, sizeof body,
                 "{\"function\":\"sleep_ms\",\"items\":{\"repeat\":1,\"count\":%u},\"crash_retries\":5}",
                 count = 1 + count % 40);
    else
        snprintf(body, sizeof body,
                 "{\"function\":\"squared\",\"items\":{\"range\":[%u,%u]},\"crash_retries\":5,\"chunksize\":%s}", first,
                 first + count, next_random(&self->seed) % 2 ? "\"auto\"" : "50");
    struct reply reply = client_ask(client, &(struct ask){.path = "/map", .body = body});
    if (reply.status == 200 && (load->slow ? is_right_sleep(reply.body, count) : is_right(reply.body, first, count)))
        atomic_fetch_add(&load->right, 1);
    else if (reply.status == 200)
        complain(load, "a wrong answer", reply.body);
    else if (!load->errors_allowed)
        complain(load, reply.status == 0 ? "no answer" : "an error", reply.body);
    else if (strstr(reply.body, "refused") != NULL || strstr(reply.body, "timed out") != NULL)
        complain(load, "refused or late", reply.body);
    else
        atomic_fetch_add(reply.status == 0 ? &load->lost : &load->refused, 1);
    reply_clear(&reply);
}

static void *run_client(void *context)
{
    struct load_client *self = context;
    struct http_client *client = client_new(self->load->server->port, NULL);
    while (!atomic_load(&self->load->stop) && !atomic_load(&self->load->wrong))
        ask_once(self, client);
    client_free(client);
    return NULL;
}

static void load_start(struct load *load, struct load_client clients[CLIENTS])
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct load_client){.load = load, .seed = 1000 + i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
}

static void load_stop(struct load *load, struct load_client clients[CLIENTS])
{
    atomic_store(&load->stop, true);
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    print_message("%u right, %u refused, %u lost\n", load->right, load->refused, load->lost);
    if (load->wrong)
        fail_msg("%s", load->why);
}

/* Waits until so many more answers came, or something was wrong. */
static void more_answers(struct load *load, unsigned more)
{
    unsigned until = atomic_load(&load->right) + more;
    WAIT_UNTIL(atomic_load(&load->right) >= until || atomic_load(&load->wrong));
}

static unsigned storm_kills(void)
{
    const char *text = getenv("STORM_KILLS");
    return text != NULL ? (unsigned)strtoul(text, NULL, 10) : is_sanitized() ? 60 : 500;
}

/* Whether the zygote's children are the live workers: no zombie, nobody that is not known. */
static bool has_only_live_workers(struct server *server)
{
    pid_t pids[VIEW_WORKERS];
    char path[64], text[4096] = "";
    unsigned children = 0;
    pid_t zygote = server_zygote(server);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)zygote, (int)zygote);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    if (fgets(text, sizeof text, file) == NULL)
        text[0] = '\0';
    fclose(file);
    for (const char *at = text; (at = strchr(at, ' ')) != NULL; at++)
        children++;
    return children == server_view(server).live && children_of(zygote, NULL, pids, VIEW_WORKERS) == children;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void workers_die_all_the_time(void **state)
{
    for (unsigned slow = 0; slow < 2; slow++) {
        struct server *server = server_start(NULL);
        struct load load = {.server = server, .slow = slow};
        struct load_client clients[CLIENTS];
        unsigned kills = storm_kills() / (1 + slow), seed = 42;
        size_t rss_bytes = process_rss_bytes(server_front(server));
        load_start(&load, clients);
        for (unsigned killed = 0; killed < kills && !load.wrong; nap_ms(20)) {
            pid_t pids[VIEW_WORKERS];
            size_t count = children_of(server_zygote(server), NULL, pids, VIEW_WORKERS);
            if (count > 0 && kill(pids[next_random(&seed) % count], SIGKILL) == 0)
                killed++;
        }
        more_answers(&load, 20);
        load_stop(&load, clients);
        WAIT_UNTIL(server_is_quiet(server));
        WAIT_UNTIL(has_only_live_workers(server));
        struct view view = server_view(server);
        assert_int_equal(view.live, view.target);
        assert_true(view.deaths > kills / 2);
        assert_true(process_rss_bytes(server_front(server)) < rss_bytes + (is_sanitized() ? 512u : 32u) * (1u << 20));
        server_stop(server);
    }
}

static void the_zygote_dies(void **state)
{
    struct server *server = server_start(NULL);
    struct load load = {.server = server, .errors_allowed = true};
    struct load_client clients[CLIENTS];
    server_expect(server, "the zygote");
    load_start(&load, clients);
    for (unsigned round = 0; round < 5; round++) {
        more_answers(&load, 30);
        pid_t zygote = server_zygote(server);
        assert_true(zygote > 0);
        kill(zygote, SIGKILL);
        WAIT_UNTIL(server_zygote(server) != zygote && server_zygote(server) > 0);
    }
    more_answers(&load, 30);
    load_stop(&load, clients);
    server_stop(server);
}

/* The listening socket is not the front's: nobody is refused, though what it had in hand is lost. */
static void the_front_dies(void **state)
{
    struct server *server = server_start(NULL);
    struct load load = {.server = server, .errors_allowed = true};
    struct load_client clients[CLIENTS];
    server_expect(server, "the front");
    server_expect(server, "the zygote");
    load_start(&load, clients);
    for (unsigned round = 0; round < 8; round++) {
        more_answers(&load, 20);
        pid_t front = server_front(server);
        assert_true(front > 0);
        kill(front, SIGKILL);
        WAIT_UNTIL(server_front(server) != front && server_front(server) > 0);
    }
    more_answers(&load, 20);
    load_stop(&load, clients);
    server_stop(server);
}

/* What was accepted is answered: no client loses its request, some are told that the service is stopping. */
static void stopped_under_load(void **state)
{
    struct server *server = server_start(NULL);
    struct load load = {.server = server, .errors_allowed = true, .slow = true};
    struct load_client clients[CLIENTS];
    load_start(&load, clients);
    more_answers(&load, 10);
    atomic_store(&load.stop, true); /* each client has one under way, and asks no more */
    kill(server->pid, SIGTERM);
    load_stop(&load, clients);
    assert_int_equal(load.lost, 0);
    assert_int_equal(server_end(server, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workers_die_all_the_time),
        cmocka_unit_test(the_zygote_dies),
        cmocka_unit_test(the_front_dies),
        cmocka_unit_test(stopped_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
