/* breaker: functions that crash worker after worker: who has done that is refused for a while. Who is to blame for a
 * death is settled in slots.c. */
#include "server/scheduler_state.h"

#define CRASH_WINDOW_NS 30000000000ull
#define BREAKER_OPEN_NS 10000000000ull

void call_unavailable(struct scheduler *scheduler, struct sched_call *call)
{
    while (call->redo_count > 0) {
        struct run run = call->redo[--call->redo_count];
        call_fail(scheduler, call, run.first, run.count, run.attempts > 0 ? ITEM_WORKER_DIED : ITEM_UNAVAILABLE, &run);
    }
    if (call->handed < call->known)
        call_fail(scheduler, call, call->handed, call->known - call->handed, ITEM_UNAVAILABLE, NULL);
    call->handed = call->known;
}

void function_crashed(struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    struct function_state *function = &scheduler->functions[number];
    function->crash_ns[function->crashes++ % CRASHES_TO_OPEN] = now_ns;
    uint64_t oldest_ns = function->crash_ns[function->crashes % CRASHES_TO_OPEN]; /* of the last five */
    bool many = function->crashes >= CRASHES_TO_OPEN && now_ns - oldest_ns < CRASH_WINDOW_NS;
    if (!many && function->open_ns == 0)
        return;
    function->open_ns = now_ns;
    for (struct sched_call *call = scheduler->calls, *next; call != NULL; call = next) {
        next = call->next;
        if (call->options.function != number)
            continue;
        call_unavailable(scheduler, call);
        call_check(scheduler, call);
    }
}

uint64_t scheduler_breaker_ns(const struct scheduler *scheduler, uint32_t number, uint64_t now_ns)
{
    const struct function_state *function = &scheduler->functions[number];
    if (function->open_ns == 0 || now_ns - function->open_ns >= BREAKER_OPEN_NS)
        return 0;
    return function->open_ns + BREAKER_OPEN_NS;
}
