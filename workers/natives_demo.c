/* natives_demo: functions that misbehave when told to, to see what the service does about it. Listed only with
 * --demo-functions. Whatever does not tell them to is returned, so that one item of many can be the bad one. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "workers/natives.h"

#define MIB_MAX (1 << 20)

static bool return_argument(struct native_call *call)
{
    native_return_argument(call, 0);
    return true;
}

/* The signal of a name like "SIGABRT", or 0. */
static int signal_of(struct span string)
{
    struct span name;
    if (!token_plain_string(string, &name) || name.length < 4 || memcmp(name.at, "SIG", 3) != 0)
        return 0;
    for (int number = 1; number < NSIG; number++) {
        const char *known = sigabbrev_np(number);
        if (known != NULL && strlen(known) == name.length - 3 && memcmp(known, name.at + 3, name.length - 3) == 0)
            return number;
    }
    return 0;
}

bool native_crash(struct native_call *call)
{
    int number = call->kinds[0] == TOKEN_TRUE ? SIGSEGV : call->kinds[0] == TOKEN_STRING ? signal_of(call->args[0]) : 0;
    if (number == 0)
        return return_argument(call);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    if (raise(number) != 0)
        return native_fail(call, ITEM_FUNCTION_ERROR, "OSError", "crash() could not raise SIG%s: %s",
                           sigabbrev_np(number), strerrordesc_np(errno));
    return return_argument(call); /* one that does not kill */
}

bool native_exit_code(struct native_call *call)
{
    struct native_number code;
    if (call->kinds[0] != TOKEN_NUMBER)
        return return_argument(call);
    if (!native_integer(call, "exit_code", 0, &code))
        return false;
    if (code.kind == NUMBER_BIG || code.integer < 0 || code.integer > 255)
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "exit_code() takes integers from 0 to 255");
    _exit((int)code.integer);
}

bool native_hang(struct native_call *call)
{
    while (call->kinds[0] == TOKEN_TRUE)
        pause();
    return return_argument(call);
}

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool native_spin(struct native_call *call)
{
    struct native_number ms;
    volatile uint64_t busy = 0;
    while (call->kinds[0] == TOKEN_TRUE)
        busy++;
    if (call->kinds[0] != TOKEN_NUMBER)
        return return_argument(call);
    if (!native_number(call, "spin", 0, &ms))
        return false;
    double real = ms.kind == NUMBER_DOUBLE ? ms.real : (double)ms.integer;
    if (ms.kind == NUMBER_BIG || !(real >= 0 && real <= 1e9))
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "spin() takes from 0 to 1000000000 milliseconds");
    uint64_t until_ns = clock_ns() + (uint64_t)(real * 1e6);
    while (clock_ns() < until_ns)
        busy++;
    return return_argument(call);
}

/* Takes a MiB and writes to every page of it. */
static bool take_mib(void)
{
    char *bytes = mmap(NULL, 1u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return false;
    memset(bytes, 0x5a, 1u << 20);
    return true;
}

bool native_leak(struct native_call *call)
{
    struct native_number number;
    int64_t mib = 0;
    if (call->kinds[0] == TOKEN_NUMBER) {
        if (!native_integer(call, "leak", 0, &number))
            return false;
        if (number.kind == NUMBER_BIG || number.integer < 0 || number.integer > MIB_MAX)
            return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "leak() takes from 0 to %d MiB", MIB_MAX);
        mib = number.integer;
    } else if (call->kinds[0] == TOKEN_TRUE) {
        mib = INT64_MAX;
    }
    for (int64_t taken = 0; taken < mib; taken++)
        if (!take_mib())
            return native_fail(call, ITEM_MEMORY_LIMIT, "MemoryError", "leak() was refused memory after %lld MiB",
                               (long long)taken);
    return return_argument(call);
}
