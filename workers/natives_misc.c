/* natives_misc: functions to try the service itself with. */
#include <errno.h>
#include <time.h>

#include "workers/natives.h"
#include "workers/roll.h"

#define SLEEP_MS_MAX 1e9 /* eleven days */

bool native_echo(struct native_call *call)
{
    native_return_argument(call, 0);
    return true;
}

static void sleep_ns(uint64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += (uint64_t)until.tv_nsec;
    until.tv_sec += (time_t)(ns / 1000000000u);
    until.tv_nsec = (long)(ns % 1000000000u);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

bool native_sleep_ms(struct native_call *call)
{
    struct native_number ms;
    if (!native_number(call, "sleep_ms", 0, &ms))
        return false;
    double real = ms.kind == NUMBER_DOUBLE ? ms.real : (double)ms.integer;
    if (ms.kind == NUMBER_BIG || !(real >= 0 && real <= SLEEP_MS_MAX))
        return native_fail(call, ITEM_BAD_ARGUMENTS, "ValueError", "sleep_ms() takes from 0 to %.0f milliseconds",
                           SLEEP_MS_MAX);
    sleep_ns((uint64_t)(real * 1e6));
    native_return_argument(call, 0);
    return true;
}

bool native_roll(struct native_call *call)
{
    native_return_uint64(call, roll_two(call->seed, call->index));
    return true;
}
