/* options: every default, every wrong value and its sentence, who wins over whom, what "auto" becomes, the help, the
 * JSON, the token's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/option_rows.h"
#include "server/options.h"

#define WORDS 8
#define MIB (UINT64_C(1) << 20)

static const char *text_of(struct buf *buf)
{
    buf_append_char(buf, '\0');
    return buf_start(buf);
}

static enum options_result parse(struct options *options, const char *const *arguments, const char *const *environment,
                                 struct buf *error)
{
    char *argv[WORDS + 1] = {0}, *variables[WORDS + 1] = {0};
    int count = 0;
    for (; arguments != NULL && arguments[count] != NULL; count++)
        argv[count] = strdup(arguments[count]);
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
        variables[i] = strdup(environment[i]);
    options_init(options);
    enum options_result result = options_parse(options, count, argv, variables, error);
    for (size_t i = 0; i < WORDS; i++) {
        free(argv[i]); /* the options keep copies: nothing may point here */
        free(variables[i]);
    }
    return result;
}

#define PARSE(options, error, environment, ...) \
    parse((options), (const char *const[]){__VA_ARGS__, NULL}, (environment), (error))

static void defaults_are_those_of_the_manual(void **state)
{
    struct options options;
    options_init(&options);
    assert_int_equal(options.listen.count, 1);
    assert_string_equal(options.listen.at[0], "127.0.0.1:8080");
    assert_null(options.port_file);
    assert_int_equal(options.worker_memory_bytes, 256 * MIB);
    assert_int_equal(options.recycle_items, 0);
    assert_int_equal(options.start_method, START_FORKSERVER);
    assert_false(options.demo_functions);
    assert_int_equal(options.max_body_bytes, 256 * MIB);
    assert_int_equal(options.max_item_bytes, MIB);
    assert_int_equal(options.max_items, 10000000);
    assert_int_equal(options.item_timeout_ms, 30000);
    assert_int_equal(options.deadline_ms, 300000);
    assert_int_equal(options.header_timeout_ms, 10000);
    assert_int_equal(options.min_body_rate, 1024);
    assert_int_equal(options.errors_listed, 1000);
    assert_int_equal(options.idle_shrink_ms, 60000);
    assert_int_equal(options.drain_ms, 30000);
    assert_int_equal(options.max_queue_ms, 30000);
    assert_int_equal(options.allowed_hosts.count + options.cors_origins.count, 0);
    assert_int_equal(options_source(&options, &options.max_items), SOURCE_DEFAULT);
    options_clear(&options);
}

static void wrong_values_are_told_in_one_line(void **state)
{
    static const struct {
        const char *arguments[3], *variable, *told;
    } cases[] = {
        {{"--workers", "1025"}, NULL, "--workers: '1025' is out of range; it takes 0 to 1024"},
        {{"--workers=-1"}, NULL, "--workers: '-1' is no whole number; it takes 0 to 1024"},
        {{"--workers", "2x"}, NULL, "--workers: '2x' is no whole number; it takes 0 to 1024"},
        {{"--workers", "2K"}, NULL, "--workers: '2K' is no whole number; it takes 0 to 1024"},
        {{"--workers", ""}, NULL, "--workers: '' is no whole number; it takes 0 to 1024"},
        {{"--workers", "18446744073709551617"},
         NULL,
         "--workers: '18446744073709551617' is out of range; it takes 0 to 1024"},
        {{"--workers"}, NULL, "--workers has no value; it takes 0 to 1024"},
        {{0}, "FORKMAP_MAX_WORKERS=2000", "FORKMAP_MAX_WORKERS: '2000' is out of range; it takes 0 to 1024"},
        {{0}, "FORKMAP_WORKER_MEMORY=1M", "FORKMAP_WORKER_MEMORY: '1M' is out of range; it takes 16M to 1T bytes"},
        {{"--max-body", "12Q"}, NULL, "--max-body: '12Q' is no size; it takes 1K to 1T bytes"},
        {{"--max-body", "12MB"}, NULL, "--max-body: '12MB' is no size; it takes 1K to 1T bytes"},
        {{"--max-body", "16777217T"}, NULL, "--max-body: '16777217T' is out of range; it takes 1K to 1T bytes"},
        {{"--max-item", "0"}, NULL, "--max-item: '0' is out of range; it takes 1 to 32M bytes"},
        {{"--deadline-ms", "0"}, NULL, "--deadline-ms: '0' is out of range; it takes 1 to 86400000 milliseconds"},
        {{"--start-method", "fork"}, NULL, "--start-method: 'fork' is unknown; it takes forkserver or spawn"},
        {{"--demo-functions=maybe"}, NULL, "--demo-functions: 'maybe' is neither; it takes true or false"},
        {{"--port-file", ""}, NULL, "--port-file: '' is empty; it takes a path"},
        {{"--listen", "8080"}, NULL, "--listen: '8080' has no port; it takes HOST:PORT, [IPv6]:PORT or unix:PATH"},
        {{"--listen", ":80,unix:/x"},
         NULL,
         "--listen: ':80' has no host (0.0.0.0 or [::] is every address of the machine); it takes HOST:PORT, "
         "[IPv6]:PORT or unix:PATH"},
        {{"--allowed-host", "a.b,c:80"},
         NULL,
         "--allowed-host: 'c:80' is no host name; it takes a name without port, "
         "*.name or *"},
        {{"--allowed-host", "*."},
         NULL,
         "--allowed-host: '*.' is no host name; it takes a name without port, "
         "*.name or *"},
        {{"--cors-origin", "https://a/"},
         NULL,
         "--cors-origin: 'https://a/' is no web origin; it takes "
         "scheme://name[:port], null or *"},
        {{"--cors-origin", "a.b"},
         NULL,
         "--cors-origin: 'a.b' is no web origin; it takes scheme://name[:port], null "
         "or *"},
        {{"--wrokers", "2"}, NULL, "--wrokers is no option; did you mean --workers?"},
        {{"--max-bodie=2"}, NULL, "--max-bodie is no option; did you mean --max-bodies?"},
        {{"--colour"}, NULL, "--colour is no option; `forkmap help serve` lists them"},
        {{"--"}, NULL, "-- is no option; `forkmap help serve` lists them"},
        {{"8080"}, NULL, "'8080' is no option; options begin with --"},
        {{"-w", "2"}, NULL, "'-w' is no option; options begin with --"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options options;
        struct buf error = {0};
        assert_int_equal(parse(&options, cases[i].arguments, (const char *const[]){cases[i].variable, NULL}, &error),
                         OPTIONS_WRONG);
        assert_string_equal(text_of(&error), cases[i].told);
        buf_clear(&error);
        options_clear(&options);
    }
}

static void every_row_refuses_what_is_just_outside_and_takes_its_ends(void **state)
{
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        if (row->kind > MILLISECONDS)
            continue;
        const uint64_t values[] = {row->least, row->most, row->least - 1, row->most + 1};
        for (size_t j = 0; j < 4; j++) {
            char argument[96];
            struct options options;
            struct buf error = {0};
            if (j == 2 && row->least == 0)
                continue;
            snprintf(argument, sizeof argument, "--%s=%llu", row->name, (unsigned long long)values[j]);
            enum options_result result = PARSE(&options, &error, NULL, argument);
            assert_int_equal(result, j < 2 ? OPTIONS_OK : OPTIONS_WRONG);
            if (j < 2)
                assert_int_equal(*(uint64_t *)((char *)&options + row->offset), values[j]);
            buf_clear(&error);
            options_clear(&options);
        }
    }
}

static void flags_win_over_the_environment_and_that_over_defaults(void **state)
{
    static const char *const environment[] = {"PATH=/bin",
                                              "FORKMAP_WORKERS=3",
                                              "FORKMAP_LISTEN=0.0.0.0:1,unix:/a",
                                              "FORKMAP_MAX_BODY=2k",
                                              "FORKMAP_PORT_FILE=",
                                              "FORKMAP_SERVICE_HOST=10.0.0.1",
                                              "FORKMAP_DEMO_FUNCTIONS=yes",
                                              NULL};
    struct options options;
    struct buf error = {0};
    assert_int_equal(PARSE(&options, &error, environment, "--workers=5", "--listen", "[::1]:2", "--listen=h:3,h:4",
                           "--verbose", "--demo-functions=0"),
                     OPTIONS_OK);
    assert_int_equal(options.workers, 5);
    assert_int_equal(options_source(&options, &options.workers), SOURCE_FLAG);
    assert_int_equal(options.max_body_bytes, 2048);
    assert_int_equal(options_source(&options, &options.max_body_bytes), SOURCE_ENVIRONMENT);
    assert_int_equal(options.listen.count, 3);
    assert_string_equal(options.listen.at[0], "[::1]:2");
    assert_string_equal(options.listen.at[2], "h:4");
    assert_null(options.port_file);
    assert_true(options.verbose);
    assert_false(options.demo_functions);
    options_clear(&options);

    assert_int_equal(PARSE(&options, &error, environment, "--workers=5", "--workers=6"), OPTIONS_OK);
    assert_int_equal(options.workers, 6);
    assert_int_equal(options.listen.count, 2);
    assert_string_equal(options.listen.at[1], "unix:/a");
    assert_true(options.demo_functions);
    options_clear(&options);
    buf_clear(&error);
}

static void too_long_a_list_is_refused(void **state)
{
    struct options options;
    struct buf error = {0};
    char hosts[] = "--allowed-host=a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a";
    assert_int_equal(PARSE(&options, &error, NULL, hosts), OPTIONS_OK);
    options_clear(&options);
    assert_int_equal(PARSE(&options, &error, NULL, hosts, "--allowed-host=b"), OPTIONS_WRONG);
    assert_non_null(strstr(text_of(&error), "'b' is one too many (32)"));
    buf_clear(&error);
    options_clear(&options);
}

static void help_lists_every_option(void **state)
{
    struct options options;
    struct buf error = {0}, help = {0};
    static const char *const wrong[] = {"FORKMAP_WORKERS=x", NULL};
    assert_int_equal(PARSE(&options, &error, NULL, "--workers=2", "--help"), OPTIONS_HELP);
    options_clear(&options);
    assert_int_equal(PARSE(&options, &error, wrong, "-h"), OPTIONS_HELP);
    options_clear(&options);
    options_help(&help);
    const char *text = text_of(&help);
    for (size_t i = 0; i < option_row_count; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n  --%s\n", option_rows[i].name);
        assert_non_null(strstr(text, line));
    }
    assert_non_null(strstr(text, "16M to 1T bytes (default 256M)"));
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        assert_in_range(end - line, 0, 110);
    buf_clear(&help);
    buf_clear(&error);
}

/* Cores, their reason, memory, whether a container limits it, open files; then what becomes of "auto". */
struct settled {
    const char *arguments[WORDS];
    struct cores cores;
    uint64_t workers, max_workers, worker_memory_mib, max_bodies_mib, max_connections;
    const char *reason; /* or the error */
};

static void auto_becomes_what_the_machine_has(void **state)
{
    static const struct settled cases[] = {
        {{0}, {2, "2 cores online", 4096 * MIB, false, 20480}, 2, 8, 256, 1024, 10000, "2 cores online"},
        {{0}, {6, "6 cores online", 1024 * MIB, false, 20480}, 6, 24, 256, 256, 4096, "6 cores online"},
        {{0}, {4, "4 cores online", 4096 * MIB, false, 1024}, 4, 16, 256, 1024, 824, "4 cores online"},
        {{"--workers=3"}, {2, "x", 4096 * MIB, false, 20480}, 3, 8, 256, 1024, 10000, "as told; x"},
        {{"--workers=50"}, {2, "x", 4096 * MIB, false, 20480}, 50, 50, 256, 1024, 10000, "as told; x"},
        {{"--workers=3", "--max-workers=3"}, {2, "x", 4096 * MIB, false, 20480}, 3, 3, 256, 1024, 10000, "as told; x"},
        {{"--workers=4", "--max-workers=3"},
         {2, "x", 4096 * MIB, false, 20480},
         .reason = "--max-workers: 3 is below the 4 workers to start with (as told; x)"},
        {{"--max-bodies=8M"}, {2, "x", 4096 * MIB, false, 20480}, 2, 8, 256, 8, 128, "x"},
        {{"--max-connections=900"},
         {2, "x", 4096 * MIB, false, 1024},
         .reason = "--max-connections: 900 connections and 200 other files do not fit the limit of 1024 open files "
                   "(ulimit -n)"},
        {{0},
         {2, "x", 4096 * MIB, false, 150},
         .reason =
             "--max-connections: 1 connections and 200 other files do not fit the limit of 150 open files (ulimit -n)"},
        /* containers: 16 MiB are the front's, a quarter the bodies' */
        {{0}, {2, "x", 512 * MIB, true, 20480}, 2, 8, 184, 128, 2048, "x"},
        {{0}, {2, "x", 64 * MIB, true, 20480}, 2, 8, 16, 16, 256, "x"},
        {{0}, {8, "x", 64 * MIB, true, 20480}, 2, 32, 16, 16, 256, "container memory of 64M"},
        {{"--worker-memory=100M"}, {8, "x", 512 * MIB, true, 20480}, 3, 32, 100, 128, 2048, "container memory of 512M"},
        {{"--workers=8", "--worker-memory=100M"},
         {8, "x", 512 * MIB, true, 20480},
         .reason = "8 workers of 100M, 128M of bodies and 16M for the front do not fit the container's 512M: lower "
                   "--workers, "
                   "--worker-memory or --max-bodies"},
        {{0},
         {1, "x", 24 * MIB, true, 20480},
         .reason =
             "1 workers of 16M, 6M of bodies and 16M for the front do not fit the container's 24M: lower --workers, "
             "--worker-memory or --max-bodies"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct settled *expected = &cases[i];
        struct options options;
        struct buf error = {0};
        assert_int_equal(parse(&options, expected->arguments, NULL, &error), OPTIONS_OK);
        bool settled = options_settle(&options, &expected->cores, &error);
        if (expected->workers == 0) {
            assert_false(settled);
            assert_string_equal(text_of(&error), expected->reason);
        } else {
            assert_string_equal(text_of(&error), "");
            assert_true(settled);
            assert_string_equal(options.workers_reason, expected->reason);
            assert_int_equal(options.workers, expected->workers);
            assert_int_equal(options.max_workers, expected->max_workers);
            assert_int_equal(options.worker_memory_bytes / MIB, expected->worker_memory_mib);
            assert_int_equal(options.max_bodies_bytes / MIB, expected->max_bodies_mib);
            assert_int_equal(options.max_connections, expected->max_connections);
            assert_true(options.max_body_bytes <= options.max_bodies_bytes);
        }
        buf_clear(&error);
        options_clear(&options);
    }
}

static void json_shows_every_limit_and_no_name(void **state)
{
    struct options options;
    struct buf error = {0};
    PARSE(&options, &error, NULL, "--token-file=/secret", "--allowed-host=hidden.example", "--start-method=spawn",
          "--port-file=/hidden", "--max-body=3K");
    memcpy(options.token, "secret", 7);
    json_t *json = options_json(&options);
    assert_non_null(json);
    size_t limits = 0;
    for (size_t i = 0; i < option_row_count; i++)
        limits += option_rows[i].kind <= FLAG;
    assert_int_equal(json_object_size(json), limits - 2); /* verbose and quiet limit nothing */
    assert_int_equal(json_integer_value(json_object_get(json, "max_body_bytes")), 3072);
    assert_string_equal(json_string_value(json_object_get(json, "start_method")), "spawn");
    assert_true(json_is_false(json_object_get(json, "demo_functions")));
    char *text = json_dumps(json, 0);
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "hidden"));
    free(text);
    json_decref(json);
    buf_clear(&error);
    options_clear(&options);
}

static void the_token_is_one_visible_line(void **state)
{
    char longest[OPTION_TOKEN_MAX + 2], too_long[OPTION_TOKEN_MAX + 2];
    memset(longest, 'x', sizeof longest);
    memset(too_long, 'x', sizeof too_long);
    longest[OPTION_TOKEN_MAX] = '\n';
    const struct {
        const char *content;
        size_t length;
        const char *token; /* NULL: refused */
    } cases[] = {
        {"s3cret\n", 7, "s3cret"},
        {"s3cret", 6, "s3cret"},
        {"s3cret\r\n", 8, "s3cret"},
        {"", 0, NULL},
        {"\n", 1, NULL},
        {"two words\n", 10, NULL},
        {"a\nb\n", 4, NULL},
        {"a\0b", 3, NULL},
        {"\xc3\xa9", 2, NULL},
        {longest, OPTION_TOKEN_MAX + 1, longest},
        {too_long, OPTION_TOKEN_MAX + 1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[] = "/tmp/forkmap-token-XXXXXX", argument[64];
        int fd = mkstemp(path);
        assert_int_equal(write(fd, cases[i].content, cases[i].length), cases[i].length);
        close(fd);
        snprintf(argument, sizeof argument, "--token-file=%s", path);
        struct options options;
        struct buf error = {0};
        assert_int_equal(PARSE(&options, &error, NULL, argument), OPTIONS_OK);
        assert_int_equal(options_read_token(&options, &error), cases[i].token != NULL);
        if (cases[i].token == NULL)
            assert_non_null(strstr(text_of(&error), "does not hold one line of 1 to 256 visible ASCII characters"));
        else
            assert_memory_equal(options.token, cases[i].token, strlen(options.token));
        unlink(path);
        if (cases[i].token != NULL) {
            assert_true(strlen(options.token) > 0);
            assert_false(options_read_token(&options, &error));
            assert_non_null(strstr(text_of(&error), "No such file or directory"));
        }
        buf_clear(&error);
        options_clear(&options);
    }
    struct options options;
    struct buf error = {0};
    options_init(&options);
    assert_true(options_read_token(&options, &error));
    assert_string_equal(options.token, "");
    options_clear(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(wrong_values_are_told_in_one_line),
        cmocka_unit_test(every_row_refuses_what_is_just_outside_and_takes_its_ends),
        cmocka_unit_test(flags_win_over_the_environment_and_that_over_defaults),
        cmocka_unit_test(too_long_a_list_is_refused),
        cmocka_unit_test(help_lists_every_option),
        cmocka_unit_test(auto_becomes_what_the_machine_has),
        cmocka_unit_test(json_shows_every_limit_and_no_name),
        cmocka_unit_test(the_token_is_one_visible_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
