/* serve: the real server as a child of a test. Starts $FORKMAP_BUILD/forkmap (scripts/run-tests says which, so the same
 * tests run against the sanitized programs) on a port of its own, watches what it says, stops it and looks at what it
 * leaves behind: its exit status, its lines on stderr, descriptors in the front, children. Ends nothing but what it
 * started. Does not speak HTTP: serve_http does, and serve_raw.
 *
 * Every wait is for a condition and has a bound; no test here depends on how fast anything is. */
#ifndef FORKMAP_TESTS_SERVE_H
#define FORKMAP_TESTS_SERVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <sys/types.h>

#define VIEW_WORKERS 64

struct http_client;

struct server {
    pid_t pid;     /* the supervisor; 0: ended */
    uint16_t port; /* 0: it listens on a unix socket alone */
    char folder[64];
    char unix_path[96]; /* "" if it listens on none */
    const char *token;  /* a header for what is asked here of a server that wants one; NULL: none */
    struct http_client *client;
    size_t front_fds;         /* when it had just started */
    const char *expected[16]; /* what its lines on stderr may hold */
    size_t expected_count;
};

/* What GET /workers says. */
struct view {
    unsigned live, target, max, calls, count;
    unsigned busy; /* workers that are not ready */
    uint64_t deaths;
    pid_t pids[VIEW_WORKERS]; /* of those that have one, `count` of them */
};

/* Starts one with these options, NULL-terminated, after `--listen 127.0.0.1:0 --demo-functions --idle-shrink-ms 100`;
 * what they say again wins. Fails the test unless it serves with all its workers in time. */
struct server *server_start(const char *const *options);
/* The same for one with --token-file: `authorization` is a header line. */
struct server *server_start_guarded(const char *const *options, const char *authorization);
/* Lines on stderr that hold this text are no fault. */
void server_expect(struct server *server, const char *text);
/* Waits for quiet, then asserts that the front holds no more descriptors than at first. */
void server_settle(struct server *server);
/* server_settle(), then SIGTERM; asserts exit status 0, no unexpected line on stderr, no process left. Frees it. */
void server_stop(struct server *server);
/* The same without the first: for servers that were not left to settle. Returns the exit status. */
int server_end(struct server *server, int signal_number);

struct view server_view(struct server *server);
/* All workers that there should be are there and idle, and nothing is under way. */
bool server_is_quiet(struct server *server);

/* The children of a process that have this name (as in /proc/PID/comm), or any with NULL; returns how many. */
size_t children_of(pid_t pid, const char *name, pid_t *pids, size_t most);
pid_t server_front(const struct server *server);
pid_t server_zygote(const struct server *server);
/* Open descriptors but those of status pages: a slot keeps its page, and the slots are few. */
size_t process_fds(pid_t pid);
size_t process_rss_bytes(pid_t pid);
/* 'R', 'S', 'T', 'Z', ...; 0: no such process. */
char process_state(pid_t pid);

/* Whether sanitizers slow everything down, and how long a wait may be then. */
bool is_sanitized(void);
uint64_t wait_bound_ms(void);
uint64_t clock_ms(void);
void nap_ms(unsigned ms);

#define WAIT_UNTIL(condition)                                                             \
    do {                                                                                  \
        uint64_t bound_ms_ = clock_ms() + wait_bound_ms();                                \
        while (!(condition)) {                                                            \
            if (clock_ms() > bound_ms_)                                                   \
                fail_msg("%s:%d: waited in vain for %s", __FILE__, __LINE__, #condition); \
            nap_ms(2);                                                                    \
        }                                                                                 \
    } while (0)

#endif
