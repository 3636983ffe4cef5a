/* child: see child.h. */
#include "server/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "workers/log.h"

#define MILLISECOND_NS UINT64_C(1000000)
#define FIRST_PAUSE_NS (50 * MILLISECOND_NS)
#define LONGEST_PAUSE_NS (5000 * MILLISECOND_NS)
#define FDS_MAX 64
#define ENVIRONMENT_MAX 32

/* Of the environment what carries no secret and is of use to whoever computes. */
static char **keep_environment(char *kept[ENVIRONMENT_MAX])
{
    static const char *const names[] = {"TZ=", "LANG=", "LC_", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    size_t count = 0;
    for (char **at = environ; *at != NULL; at++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strncmp(*at, names[i], strlen(names[i])) == 0 && count + 1 < ENVIRONMENT_MAX)
                kept[count++] = *at;
    kept[count] = NULL;
    return kept;
}

/* In the child, between fork and exec. Whatever the numbers of `fds` are, they are moved out of the way first, then
 * into place. */
static _Noreturn void become(const char *program, char *const *argv, const int *fds, size_t count, pid_t parent,
                             bool bare)
{
    int moved[FDS_MAX];
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    for (size_t i = 0; i < count; i++)
        if ((moved[i] = fcntl(fds[i], F_DUPFD, 3 + (int)count)) < 0)
            die("cannot pass descriptors to %s: %s", program, strerror(errno));
    for (size_t i = 0; i < count; i++)
        if (dup2(moved[i], 3 + (int)i) < 0)
            die("cannot pass descriptors to %s: %s", program, strerror(errno));
    close_range(3 + (unsigned)count, ~0U, 0);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *kept[ENVIRONMENT_MAX];
    execve(program, argv, bare ? keep_environment(kept) : environ);
    die("cannot run %s: %s", program, strerror(errno));
}

bool child_start(struct child *child, const char *program, char *const *argv, const int *fds, size_t count,
                 uint64_t now_ns)
{
    if (count > FDS_MAX) {
        errno = EMFILE;
        return false;
    }
    pid_t self = getpid(), pid = fork();
    if (pid == 0)
        become(program, argv, fds, count, self, child->bare);
    child->pid = pid > 0 ? pid : 0;
    child->served = false;
    child->started_ns = now_ns;
    child->kill_at_ns = 0;
    return pid > 0;
}

void child_ended(struct child *child, uint64_t healthy_ns, uint64_t now_ns)
{
    child->pid = 0;
    child->kill_at_ns = 0;
    child->start_at_ns = now_ns;
    if (child->served || now_ns - child->started_ns >= healthy_ns) {
        child->failures = 0;
        return;
    }
    uint64_t pause_ns = child->failures < 7 ? FIRST_PAUSE_NS << child->failures : LONGEST_PAUSE_NS;
    child->start_at_ns += pause_ns < LONGEST_PAUSE_NS ? pause_ns : LONGEST_PAUSE_NS;
    child->failed_ns[child->failures++ % CHILD_TRIES] = now_ns;
}

bool child_hopeless(const struct child *child, uint64_t window_ns)
{
    if (child->failures < CHILD_TRIES)
        return false;
    uint64_t oldest = child->failed_ns[child->failures % CHILD_TRIES];
    return child->failed_ns[(child->failures - 1) % CHILD_TRIES] - oldest <= window_ns;
}

void child_describe_end(int status, char *text, size_t capacity)
{
    if (WIFSIGNALED(status))
        snprintf(text, capacity, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, capacity, "exited with status %d", WEXITSTATUS(status));
}
