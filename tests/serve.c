/* serve: see serve.h. */
#include "tests/serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/serve_http.h"

#define OPTIONS_MOST 40

static struct server *running; /* there is one at a time: a failed test may have left it */

/* --- time --------------------------------------------------------------------------------------------------------- */

static const char *build_folder(void)
{
    const char *folder = getenv("FORKMAP_BUILD");
    return folder != NULL && *folder != '\0' ? folder : "build";
}

bool is_sanitized(void)
{
    return strstr(build_folder(), "san") != NULL;
}

uint64_t wait_bound_ms(void)
{
    return is_sanitized() ? 60000 : 20000;
}

uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void nap_ms(unsigned ms)
{
    struct timespec nap = {ms / 1000, (long)(ms % 1000) * 1000000};
    nanosleep(&nap, NULL);
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

/* Reads a small file of /proc; returns its length, 0 if there is none. */
static size_t read_proc(pid_t pid, const char *name, char *to, size_t capacity)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, to, capacity - 1) : 0;
    if (fd >= 0)
        close(fd);
    to[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

char process_state(pid_t pid)
{
    char text[512];
    if (read_proc(pid, "stat", text, sizeof text) == 0)
        return 0;
    const char *after_name = strrchr(text, ')');
    return after_name != NULL && after_name[1] == ' ' ? after_name[2] : 0;
}

size_t process_rss_bytes(pid_t pid)
{
    char text[128];
    unsigned long size = 0, resident = 0;
    if (read_proc(pid, "statm", text, sizeof text) == 0 || sscanf(text, "%lu %lu", &size, &resident) != 2)
        return 0;
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

size_t process_fds(pid_t pid)
{
    char path[64], target[256];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        count += length > 0 && strstr(target, "forkmap-page") == NULL;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

size_t children_of(pid_t pid, const char *name, pid_t *pids, size_t most)
{
    char path[64], text[8192], comm[64];
    size_t count = 0;
    snprintf(path, sizeof path, "task/%d/children", (int)pid);
    read_proc(pid, path, text, sizeof text);
    char *rest = text;
    for (char *word; (word = strsep(&rest, " ")) != NULL && count < most;) {
        pid_t child = (pid_t)strtol(word, NULL, 10);
        if (child <= 0 || process_state(child) == 'Z')
            continue;
        size_t length = read_proc(child, "comm", comm, sizeof comm);
        if (length > 0 && (name == NULL || (length - 1 == strlen(name) && memcmp(comm, name, length - 1) == 0)))
            pids[count++] = child;
    }
    return count;
}

pid_t server_front(const struct server *server)
{
    pid_t pid = 0;
    return children_of(server->pid, "forkmap-front", &pid, 1) == 1 ? pid : 0;
}

pid_t server_zygote(const struct server *server)
{
    pid_t pids[8];
    pid_t front = server_front(server);
    size_t count = children_of(server->pid, NULL, pids, 8);
    for (size_t i = 0; i < count; i++)
        if (front != 0 && pids[i] != front)
            return pids[i];
    return 0;
}

/* --- start -------------------------------------------------------------------------------------------------------- */

static void file_in(const struct server *server, const char *name, char *path, size_t capacity)
{
    snprintf(path, capacity, "%s/%s", server->folder, name);
}

static void run_server(const struct server *server, const char *const *options)
{
    char program[512], port_file[96], out[96], err[96];
    snprintf(program, sizeof program, "%s/forkmap", build_folder());
    file_in(server, "port", port_file, sizeof port_file);
    file_in(server, "out", out, sizeof out);
    file_in(server, "err", err, sizeof err);
    const char *argv[OPTIONS_MOST + 16] = {
        program, "serve", "--port-file", port_file, "--workers", "2", "--demo-functions", "--idle-shrink-ms", "100"};
    size_t count = 9;
    if (server->unix_path[0] == '\0') {
        argv[count++] = "--listen";
        argv[count++] = "127.0.0.1:0";
    }
    for (size_t i = 0; options != NULL && options[i] != NULL && i < OPTIONS_MOST; i++)
        argv[count++] = options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it shall not outlive a test that crashed */
    if (freopen("/dev/null", "r", stdin) == NULL || freopen(out, "w", stdout) == NULL ||
        freopen(err, "w", stderr) == NULL)
        _exit(126);
    char *args[OPTIONS_MOST + 16];
    memcpy(args, argv, sizeof args);
    execv(program, args);
    _exit(127);
}

/* Reads the port file: a port and a newline, or the path of a unix socket. */
static bool read_port(struct server *server)
{
    char path[96], text[128];
    file_in(server, "port", path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    assert_true(length > 1);
    assert_int_equal(text[length - 1], '\n'); /* it is whole when it is there */
    text[length - 1] = '\0';
    if (text[0] == '/' || text[0] == 'u') {
        assert_non_null(strstr(text, server->unix_path));
        return true;
    }
    char *end;
    long port = strtol(text, &end, 10);
    assert_true(*end == '\0' && port > 0 && port < 65536);
    server->port = (uint16_t)port;
    return true;
}

static bool is_expected(const struct server *server, const char *line)
{
    for (size_t i = 0; i < server->expected_count; i++)
        if (strstr(line, server->expected[i]) != NULL)
            return true;
    return false;
}

/* Prints the lines on stderr that nobody expected, returns how many there are, and removes the files. */
static unsigned read_log(const struct server *server)
{
    char path[96], line[2048];
    unsigned unexpected = 0;
    file_in(server, "err", path, sizeof path);
    FILE *log = fopen(path, "r");
    while (log != NULL && fgets(line, sizeof line, log) != NULL)
        if (!is_expected(server, line) && unexpected++ < 40)
            print_error("server said: %s", line);
    if (log != NULL)
        fclose(log);
    static const char *const names[] = {"err", "out", "port", "token", "socket"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        file_in(server, names[i], path, sizeof path);
        unlink(path);
    }
    rmdir(server->folder);
    return unexpected;
}

/* Children of ours that are no server: what it left behind. They are waited for a moment, then ended. */
static unsigned left_behind(void)
{
    uint64_t bound_ms = clock_ms() + wait_bound_ms() / 4;
    pid_t pids[64];
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        size_t count = children_of(getpid(), NULL, pids, 64);
        if (count == 0 || clock_ms() > bound_ms) {
            for (size_t i = 0; i < count; i++) {
                print_error("left behind: %d, state %c\n", (int)pids[i], process_state(pids[i]));
                kill(pids[i], SIGKILL);
            }
            return (unsigned)count;
        }
        nap_ms(5);
    }
}

/* Ends what a test that failed could not. */
static void abandon(void)
{
    if (running == NULL)
        return;
    client_free(running->client);
    kill(running->pid, SIGKILL);
    waitpid(running->pid, NULL, 0);
    left_behind();
    read_log(running);
    free(running);
    running = NULL;
}

struct server *server_start(const char *const *options)
{
    return server_start_guarded(options, NULL);
}

struct server *server_start_guarded(const char *const *options, const char *authorization)
{
    abandon();
    struct server *server = running = calloc(1, sizeof *server);
    assert_non_null(server);
    static bool registered;
    if (!registered && atexit(abandon) == 0)
        registered = true;
    server->token = authorization;
    snprintf(server->folder, sizeof server->folder, "/tmp/forkmap-serve-XXXXXX");
    assert_non_null(mkdtemp(server->folder));
    for (size_t i = 0; options != NULL && options[i] != NULL; i++)
        if (strncmp(options[i], "unix:", 5) == 0)
            snprintf(server->unix_path, sizeof server->unix_path, "%s", options[i] + 5);
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what the server leaves behind becomes ours, and is found */
    fflush(NULL);
    server->pid = fork();
    if (server->pid == 0)
        run_server(server, options);
    assert_true(server->pid > 0);
    WAIT_UNTIL(read_port(server) || waitpid(server->pid, NULL, WNOHANG) != 0);
    if (process_state(server->pid) == 0)
        fail_msg("%s/forkmap did not start; %s/err says why", build_folder(), server->folder);
    server->client = client_new(server->port, server->unix_path);
    WAIT_UNTIL(server_is_quiet(server));
    client_free(server->client);
    server->client = client_new(server->port, server->unix_path);
    size_t fds = 0; /* until the connection is gone, and nothing moves any more */
    for (unsigned same = 0; same < 5; nap_ms(2)) {
        size_t now = process_fds(server_front(server));
        same = now == fds ? same + 1 : 0;
        fds = now;
    }
    server->front_fds = fds;
    return server;
}

void server_expect(struct server *server, const char *text)
{
    assert_true(server->expected_count < sizeof server->expected / sizeof *server->expected);
    server->expected[server->expected_count++] = text;
}

/* --- looking at it ------------------------------------------------------------------------------------------------ */

struct view server_view(struct server *server)
{
    struct view view = {0};
    const char *const headers[] = {server->token, NULL};
    struct reply reply = client_ask(server->client, &(struct ask){.path = "/workers", .headers = headers});
    if (reply.status != 200) {
        reply_clear(&reply);
        return view;
    }
    json_t *json = reply_json(&reply, 200), *worker;
    size_t i;
    view.live = (unsigned)json_integer_value(json_at(json, "live"));
    view.target = (unsigned)json_integer_value(json_at(json, "target"));
    view.max = (unsigned)json_integer_value(json_at(json, "max"));
    view.calls = (unsigned)json_integer_value(json_at(json, "calls"));
    json_array_foreach(json_at(json, "workers"), i, worker)
    {
        view.deaths += (uint64_t)json_integer_value(json_at(worker, "deaths"));
        pid_t pid = (pid_t)json_integer_value(json_at(worker, "pid"));
        if (pid == 0)
            continue;
        view.busy += strcmp(json_string_value(json_at(worker, "state")), "ready") != 0;
        if (view.count < VIEW_WORKERS)
            view.pids[view.count++] = pid;
    }
    json_decref(json);
    return view;
}

bool server_is_quiet(struct server *server)
{
    struct view view = server_view(server);
    return view.live > 0 && view.live == view.target && view.count == view.live && view.busy == 0 && view.calls == 0;
}

void server_settle(struct server *server)
{
    WAIT_UNTIL(server_is_quiet(server));
    client_free(server->client); /* its connection is a descriptor too */
    server->client = client_new(server->port, server->unix_path);
    WAIT_UNTIL(process_fds(server_front(server)) <= server->front_fds);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

int server_end(struct server *server, int signal_number)
{
    int status = -1;
    client_free(server->client);
    server->client = NULL;
    kill(server->pid, signal_number);
    uint64_t bound_ms = clock_ms() + wait_bound_ms() * 2;
    while (waitpid(server->pid, &status, WNOHANG) == 0 && clock_ms() < bound_ms)
        nap_ms(2);
    bool late = process_state(server->pid) != 0;
    if (late) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    char port_file[96];
    file_in(server, "port", port_file, sizeof port_file);
    bool stale = signal_number == SIGTERM && access(port_file, F_OK) == 0;
    unsigned left = left_behind(), unexpected = read_log(server);
    free(server);
    running = NULL;
    if (late)
        fail_msg("the server did not end");
    if (stale)
        fail_msg("the server left its port file behind");
    if (left > 0)
        fail_msg("the server left %u processes behind", left);
    if (unexpected > 0)
        fail_msg("the server said %u lines on stderr that it should not", unexpected);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void server_stop(struct server *server)
{
    server_settle(server);
    assert_int_equal(server_end(server, SIGTERM), 0);
}
