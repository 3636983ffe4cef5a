/* child: one program that the supervisor keeps running: how it is exec'd, how its end reads, when it may start again.
 * The only file that forks. Knows nothing of what the programs are. */
#ifndef FORKMAP_SERVER_CHILD_H
#define FORKMAP_SERVER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILD_TRIES 5

struct child {
    const char *name;  /* in the log */
    bool bare;         /* gets only what locale, time zone and sanitizers need of the environment: no secrets */
    pid_t pid;         /* 0: not running */
    bool served;       /* did what it is for: its end is no fault of its start */
    unsigned failures; /* in a row */
    uint64_t started_ns;
    uint64_t start_at_ns; /* not before */
    uint64_t kill_at_ns;  /* 0: let it live */
    uint64_t failed_ns[CHILD_TRIES];
};

/* Forks and execs with `fds` as descriptors 3, 4, … and nothing else beside 0 to 2, in a process group of its own (a
 * terminal's signals are the supervisor's), killed when the supervisor dies. false: fork failed, errno. */
bool child_start(struct child *child, const char *program, char *const *argv, const int *fds, size_t count,
                 uint64_t now_ns);
/* It was reaped: sets start_at_ns (50 ms · 2ⁿ up to 5 s after a failed start, else at once). `healthy_ns` is how long a
 * child must have lived to be no failure though it did not serve. */
void child_ended(struct child *child, uint64_t healthy_ns, uint64_t now_ns);
/* Whether CHILD_TRIES starts failed within `window_ns`, each right after the other. */
bool child_hopeless(const struct child *child, uint64_t window_ns);
/* "was killed by signal 9 (Killed)", "exited with status 1", from waitpid()'s status. */
void child_describe_end(int status, char *text, size_t capacity);

#endif
