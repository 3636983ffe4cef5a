/* main: a table of contents: each subcommand one row. The only file that knows the command line; options reads what is
 * behind the subcommand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/cores.h"
#include "server/front.h"
#include "server/options.h"
#include "server/supervisor.h"
#include "workers/log.h"

#define WRONG_USAGE 2
#define WANTED_OPEN_FILES 20480u /* room for the default connections, twice */

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *text; /* NULL: not shown */
};

static int serve(int argc, char **argv);
static int front(int argc, char **argv);
static int help(int argc, char **argv);
static int version(int argc, char **argv);

static const struct command commands[] = {
    {"serve", serve, "serve until SIGTERM; `forkmap help serve` lists the options"},
    {"help", help, "this text, or with `serve` its options"},
    {"--help", help, NULL},
    {"-h", help, NULL},
    {"version", version, "the version"},
    {"--version", version, NULL},
    {"front", front, NULL}, /* what the supervisor execs */
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int print(FILE *to, struct buf *text)
{
    fwrite(buf_start(text), 1, text->length, to);
    buf_clear(text);
    return fflush(to) == 0 ? 0 : 1;
}

static int usage(FILE *to)
{
    fputs("forkmap: multiprocessing.Pool as an HTTP service\n\nUsage:\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].text != NULL)
            fprintf(to, "  forkmap %-8s %s\n", commands[i].name, commands[i].text);
    return fflush(to) == 0 ? 0 : 1;
}

static int help(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[2], "serve") != 0)
        return usage(stdout);
    struct buf text = {0};
    options_help(&text);
    return print(stdout, &text);
}

static int version(int argc, char **argv)
{
    return printf("forkmap %s\n", FORKMAP_VERSION) > 0 ? 0 : 1;
}

/* The options in force, the same for supervisor and front since both read the same words on the same machine; else the
 * exit status in *status. */
static bool load(struct options *options, int argc, char **argv, int *status)
{
    struct buf text = {0};
    struct cores cores;
    options_init(options);
    enum options_result result = options_parse(options, argc - 2, argv + 2, environ, &text);
    if (result == OPTIONS_HELP) {
        options_clear(options);
        options_help(&text);
        *status = print(stdout, &text);
        return false;
    }
    cores_read("", &cores);
    cores.open_files = cores_raise_open_files(WANTED_OPEN_FILES + options->max_connections);
    *status = WRONG_USAGE;
    if (result == OPTIONS_OK && options_settle(options, &cores, &text) && options_read_token(options, &text))
        return true;
    fputs("forkmap: ", stderr);
    buf_append_char(&text, '\n');
    print(stderr, &text);
    options_clear(options);
    return false;
}

/* The path of the file that lies beside this program. */
static void beside_us(const char *name, char *path, size_t capacity)
{
    ssize_t length = readlink("/proc/self/exe", path, capacity - 1);
    if (length < 0)
        die("cannot read /proc/self/exe");
    path[length] = '\0';
    char *file = strrchr(path, '/') + 1;
    if (snprintf(file, capacity - (size_t)(file - path), "%s", name) >= (int)(capacity - (size_t)(file - path)))
        die("the path of %s is too long", name);
}

static int serve(int argc, char **argv)
{
    struct options options;
    int status;
    log_open("forkmap");
    if (!load(&options, argc, argv, &status))
        return status;
    log_verbose(options.verbose);
    explicit_bzero(options.token, sizeof options.token); /* the front's alone */

    char worker[4096];
    beside_us("forkmap-worker", worker, sizeof worker);
    char *zygote_argv[] = {"forkmap-worker", "zygote", options.demo_functions ? "--demo-functions" : NULL, NULL};
    argv[1] = "front";
    status = supervisor_run(
        &options, &(struct supervisor_programs){
                      .front = "/proc/self/exe", .front_argv = argv, .zygote = worker, .zygote_argv = zygote_argv});
    options_clear(&options);
    return status;
}

static bool is_socket(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

static int front(int argc, char **argv)
{
    struct options options;
    int listen_fds[OPTION_LIST_MAX], status;
    log_open("front");
    if (!load(&options, argc, argv, &status))
        return status;
    log_verbose(options.verbose);
    prctl(PR_SET_NAME, "forkmap-front"); /* exec by /proc/self/exe has named it "exe" */
    signal(SIGPIPE, SIG_IGN);
    bool started = is_socket(SUPERVISOR_CONTROL_FD);
    for (size_t i = 0; i < options.listen.count; i++) {
        listen_fds[i] = SUPERVISOR_LISTEN_FD + (int)i;
        started &= is_socket(listen_fds[i]);
    }
    status = WRONG_USAGE;
    if (started)
        status = front_main(&options, SUPERVISOR_CONTROL_FD, listen_fds, options.listen.count);
    else
        fputs("forkmap: front is started by `forkmap serve` only\n", stderr);
    options_clear(&options);
    return status;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc, argv);
    if (argc > 1)
        fprintf(stderr, "forkmap: there is no command '%s'\n", argv[1]);
    usage(stderr);
    return WRONG_USAGE;
}
