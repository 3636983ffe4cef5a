/* The real front and the real zygote with workers that lie (liar.h). Whatever a worker does, the front lives, the call
 * ends, other calls that run meanwhile are answered rightly, and nothing is left over. This program is its own
 * forkmap-worker: it lies beside a copy of forkmap under that name. */
#include "tests/serve.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/liar.h"
#include "tests/serve_http.h"
#include "workers/zygote.h"

#define BREACH "broke the protocol"

static char folder[64];

/* The zygote's code calls it: here in the place of the real one. */
_Noreturn void worker_main(const struct worker_settings *settings)
{
    liar_serve(settings);
}

/* --- the folder of programs --------------------------------------------------------------------------------------- */

static void path_in(const char *name, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/%s", folder, name);
}

/* A link would lead the program to its old place. */
static void copy_program(const char *from, const char *name)
{
    char to[128];
    struct stat status;
    path_in(name, to, sizeof to);
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    assert_true(in >= 0 && out >= 0 && fstat(in, &status) == 0);
    for (off_t left = status.st_size; left > 0;) {
        ssize_t n = sendfile(out, in, NULL, (size_t)left);
        assert_true(n > 0);
        left -= n;
    }
    close(in);
    close(out);
}

static void drop_word(const char *name)
{
    char path[128];
    path_in(name, path, sizeof path);
    unlink(path);
}

static void put_word(const char *name, const char *word)
{
    char path[128];
    drop_word(name);
    path_in(name, path, sizeof path);
    assert_int_equal(symlink(word, path), 0);
}

static int make_folder(void **state)
{
    const char *build = getenv("FORKMAP_BUILD");
    char program[512];
    snprintf(program, sizeof program, "%s/forkmap", build != NULL && *build != '\0' ? build : "build");
    /* serve knows by the folder's name that all is slow. */
    snprintf(folder, sizeof folder, "/tmp/forkmap-liar-%sXXXXXX", is_sanitized() ? "san-" : "");
    if (mkdtemp(folder) == NULL)
        return -1;
    copy_program(program, "forkmap");
    copy_program("/proc/self/exe", "forkmap-worker");
    return setenv("FORKMAP_BUILD", folder, 1);
}

static int drop_folder(void **state)
{
    static const char *const names[] = {"forkmap", "forkmap-worker", "once", "task", "start"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        drop_word(names[i]);
    return rmdir(folder);
}

/* --- a call that is lied to, and others beside it ----------------------------------------------------------------- */

static struct server *start(void)
{
    drop_word("start"); /* a test that failed may have left it */
    struct server *server = server_start((const char *const[]){"--item-timeout-ms", "250", NULL});
    server_expect(server, BREACH);
    return server;
}

static unsigned lines_with(const struct server *server, const char *text)
{
    char path[128], line[2048];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/err", server->folder);
    FILE *log = fopen(path, "r");
    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        count += strstr(line, text) != NULL;
    if (log != NULL)
        fclose(log);
    return count;
}

struct lied_to {
    struct server *server;
    const char *path, *body;
    struct reply reply;
    atomic_bool over;
};

static void *ask_to_be_lied_to(void *data)
{
    struct lied_to *call = data;
    struct http_client *client = client_new(call->server->port, "");
    char *quoted = json_quoted(call->body);
    call->reply = client_ask(client, &(struct ask){.path = call->path, .body = quoted});
    free(quoted);
    client_free(client);
    call->over = true;
    return NULL;
}

/* Makes the call; others go on beside it, and the front stays the same. */
static struct reply lied_to(struct server *server, const char *path, const char *body)
{
    struct lied_to call = {.server = server, .path = path, .body = body};
    pid_t front = server_front(server);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask_to_be_lied_to, &call), 0);
    unsigned wrong = 0;
    do {
        struct reply reply = http_post(server, "/map", "{'function':'echo','items':[5,6,7,8],'chunksize':1}");
        wrong += reply.status != 200 || strstr(reply.body, "[5,6,7,8]") == NULL;
        reply_clear(&reply);
        nap_ms(1);
    } while (!call.over);
    pthread_join(thread, NULL);
    if (call.reply.status == 0)
        fail_msg("no answer to %s: %s", body, call.reply.body);
    if (wrong > 0)
        fail_msg("%s: %u calls beside it were answered wrongly", body, wrong);
    if (server_front(server) != front || front == 0)
        fail_msg("%s: the front died of it", body);
    return call.reply;
}

static void assert_told(struct server *server, const char *lie, struct reply *reply, unsigned status,
                        const char *answer)
{
    if (reply->status != status)
        fail_msg("%s: status %u: %.500s", lie, reply->status, reply->body);
    json_t *json = reply_json(reply, status);
    if (!json_holds(json, answer))
        print_error("%s:\n", lie);
    assert_json(json, answer);
    json_decref(json);
    WAIT_UNTIL(server_is_quiet(server));
}

/* --- lies about items --------------------------------------------------------------------------------------------- */

#define KILLED \
    "{'results':[1,null,3],'failed':1,'errors':[{'index':1,'type':'worker_died','signal':'SIGKILL','attempts':2}]}"
#define EXITED(code) \
    "{'results':[1,null,3],'errors':[{'index':1,'type':'worker_died','exit_code':" code ",'attempts':2}]}"
#define LATE "{'results':[1,null,3],'failed':1,'errors':[{'index':1,'type':'timeout','attempts':1}]}"
#define RIGHT NULL /* it comes too late to do harm */

static const struct {
    const char *lie;
    const char *always; /* the answer if it is told every time */
    bool breach;        /* the log says so */
} lies[] = {
    {"garbage", KILLED, true},
    {"oversized", KILLED, true},
    {"unaligned", KILLED, true},
    {"padded", KILLED, true},
    {"version", KILLED, true},
    {"unknown_type", KILLED, true},
    {"short_result", KILLED, true},
    {"output_longer", KILLED, true},
    {"twice", KILLED, true},
    {"ready_again", KILLED, true},
    {"question", KILLED, true},
    {"task_back", KILLED, true},
    {"other_task", KILLED, true},
    {"task_zero", KILLED, true},
    {"gap", KILLED, true},
    {"too_many", KILLED, true},
    {"far_too_many", KILLED, true},
    {"failed_without_errors", KILLED, true},
    {"failed_beyond", KILLED, true},
    {"errors_without_failed", KILLED, true},
    {"errors_torn", KILLED, true},
    {"errors_of_no_type", KILLED, true},
    {"errors_outside", KILLED, true},
    {"errors_too_few", KILLED, true},
    {"errors_and_more", KILLED, true},
    {"backwards", KILLED, true},
    {"stopped_at_nothing", KILLED, true},
    {"yielded_at_nothing", KILLED, true},
    {"after_last", RIGHT, true},
    {"all_times", RIGHT, false},
    {"empty_results", RIGHT, false},
    {"close_results", KILLED, false},
    {"exit_3", EXITED("3"), false},
    {"half_then_leave", EXITED("0"), false},
    {"half_then_stop", LATE, false},
    {"close_tasks", LATE, false},
    {"nothing", LATE, false},
    {"empty_results_for_ever", LATE, false},
};
#define LIES (sizeof lies / sizeof *lies)

/* `mark` is '!' or '?'. */
static struct reply map_with(struct server *server, char mark, const char *lie)
{
    char body[256];
    snprintf(body, sizeof body, "{'function':'echo','items':[1,'%c%s',3],'chunksize':3,'trace':true}", mark, lie);
    return lied_to(server, "/map", body);
}

/* The item that is lied about is the only one that suffers. */
static void told_every_time(void **state)
{
    struct server *server = start();
    for (size_t i = 0; i < LIES; i++) {
        char right[128];
        snprintf(right, sizeof right, "{'results':[1,'!%s',3],'errors':'-'}", lies[i].lie);
        unsigned lines = lines_with(server, BREACH);
        struct reply reply = map_with(server, '!', lies[i].lie);
        assert_told(server, lies[i].lie, &reply, 200, lies[i].always != RIGHT ? lies[i].always : right);
        if ((lines_with(server, BREACH) > lines) != lies[i].breach)
            fail_msg("%s: %u lines in the log", lies[i].lie, lines_with(server, BREACH) - lines);
    }
    server_stop(server);
}

/* Told once: another worker has the item, and all is right. (An item that ran too long is not tried again.) */
static void told_once(void **state)
{
    struct server *server = start();
    for (size_t i = 0; i < LIES; i++) {
        char right[128];
        if (lies[i].always != RIGHT && strcmp(lies[i].always, LATE) == 0)
            continue;
        snprintf(right, sizeof right, "{'results':[1,'?%s',3],'errors':'-'}", lies[i].lie);
        put_word("once", "unused");
        struct reply reply = map_with(server, '?', lies[i].lie);
        assert_told(server, lies[i].lie, &reply, 200, right);
    }
    server_stop(server);
}

/* Who has said BYE has nothing more to say; its item is run again by another. */
static void bye_and_more(void **state)
{
    struct server *server = start();
    put_word("once", "unused");
    struct reply reply = map_with(server, '?', "bye_then_more");
    assert_told(server, "bye_then_more", &reply, 200, "{'results':[1,'?bye_then_more',3],'errors':'-'}");
    assert_int_equal(lines_with(server, BREACH), 1);
    server_stop(server);
}

/* The blame goes where its page points, and that item is tried again: so nothing is lost by one such lie. */
static void pages_that_lie(void **state)
{
    struct server *server = start();
    put_word("once", "unused");
    struct reply reply = map_with(server, '?', "wrong_item");
    assert_told(server, "wrong_item", &reply, 200, "{'results':[1,'?wrong_item',3],'errors':'-'}");
    /* One that shows no item is no worker: it is replaced, and nobody is blamed. */
    put_word("once", "unused");
    reply = map_with(server, '?', "nothing_at_all");
    assert_told(server, "nothing_at_all", &reply, 200, "{'results':[1,'?nothing_at_all',3],'errors':'-'}");
    /* One that always shows something new is caught by the call's deadline at the latest. */
    reply = lied_to(server, "/map", "{'function':'echo','items':['!busy_page'],'deadline_ms':300}");
    assert_told(server, "busy_page", &reply, 200, "{'results':[null],'ended':'deadline','ok':0}");
    server_stop(server);
}

/* --- lies about other things -------------------------------------------------------------------------------------- */

/* Lies that a task's items cannot say; the front lives, and says of the call what it can. */
static const struct {
    const char *word, *path, *body;
    unsigned status;
    const char *answer;
} others[] = {
    {"?garbage", "/dice", "{'rolls':1000,'seed':42}", 200, "{'rolls':1000,'seed':42,'unique':11}"},
    {"?tally", "/dice", "{'rolls':1000,'seed':42}", 500, "{'status':500}"},
    {"?malformed", "/dice", "{'rolls':1000000000,'seed':42}", 500, "{'status':500}"},
    {"?malformed", "/map", "{'function':'echo','items':{'repeat':1,'count':10000}}", 500, "{'status':500}"},
    {"!nothing", "/dice", "{'rolls':1000,'deadline_ms':200}", 504, "{'status':504}"},
    {NULL, "/map", "{'function':'echo','items':[1,'!malformed',3],'chunksize':1}", 400, "{'status':400}"},
    {NULL, "/map", "{'function':'echo','items':[1,'!garbage',3],'aggregate':'counts'}", 200,
     "{'unique':2,'errors':[{'index':1,'type':'worker_died'}]}"},
    {NULL, "/map", "{'function':'echo','items':[1,'!garbage',3],'isolation':'process'}", 200, KILLED},
    {NULL, "/map", "{'function':'echo','items':[1,'!garbage',3],'context':'spawn','chunksize':3}", 200, KILLED},
    {NULL, "/map", "{'function':'echo','items':[1,'!garbage',3],'on_error':'fail'}", 422,
     "{'index':1,'error':{'type':'worker_died'}}"},
    {NULL, "/apply", "{'function':'echo','args':['!garbage']}", 422, "{'error':{'type':'worker_died'}}"},
    {NULL, "/map", "{'function':'echo','items':['!garbage','!gap','!exit_3','!nothing'],'crash_retries':0}", 200,
     "{'results':[null,null,null,null],'failed':4}"},
};

static void calls_of_every_kind(void **state)
{
    struct server *server = start();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i].word != NULL)
            put_word("task", others[i].word);
        struct reply reply = lied_to(server, others[i].path, others[i].body);
        drop_word("task");
        assert_told(server, others[i].body, &reply, others[i].status, others[i].answer);
    }
    server_stop(server);
}

/* Workers that never get ready: those that serve go on, and new ones are tried at growing intervals. */
static void bad_beginnings(void **state)
{
    static const char *const words[] = {"!exit", "!version", "!result", "!bye"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct server *server = start();
        put_word("start", words[i]);
        struct view before = server_view(server);
        assert_int_equal(before.count, 2);
        kill(before.pids[0], SIGKILL);
        WAIT_UNTIL(server_view(server).deaths >= before.deaths + 3);
        uint64_t until_ms = clock_ms() + 200;
        while (clock_ms() < until_ms)
            json_decref(post_json(server, "/map", "{'function':'echo','items':[1,2],'chunksize':1}", 200));
        uint64_t deaths = server_view(server).deaths - before.deaths;
        if (deaths > 20) /* 50, 100, 200, 400, ... ms apart: at any pace of this test far fewer; without, hundreds */
            fail_msg("%s: %llu deaths in a moment", words[i], (unsigned long long)deaths);
        drop_word("start");
        WAIT_UNTIL(server_is_quiet(server));
        server_stop(server);
    }
}

/* No lie: errors that came with so much output that its memory is passed on. */
static void large_results_with_errors(void **state)
{
    static const char error[] = "{'failed':1,'errors':[{'index':2,'type':'function_error','detail':'behind much'}]}";
    struct server *server = start();
    struct reply reply = map_with(server, '!', "large");
    assert_true(reply.length > 40000);
    assert_told(server, "large", &reply, 200, error);
    reply = lied_to(server, "/map", "{'function':'echo','items':[1,'!large',3],'chunksize':3,'aggregate':'counts'}");
    assert_told(server, "large, counted", &reply, 200, error);
    server_stop(server);
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    if (strcmp(slash != NULL ? slash + 1 : argv[0], "forkmap-worker") == 0) {
        if (argc > 1 && strcmp(argv[1], "zygote") == 0)
            zygote_main();
        signal(SIGPIPE, SIG_IGN);
        worker_main(&(struct worker_settings){.generation = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0});
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_every_time),
        cmocka_unit_test(told_once),
        cmocka_unit_test(bye_and_more),
        cmocka_unit_test(pages_that_lie),
        cmocka_unit_test(calls_of_every_kind),
        cmocka_unit_test(bad_beginnings),
        cmocka_unit_test(large_results_with_errors),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
