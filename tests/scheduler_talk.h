/* scheduler_talk: one scheduler, spoken to and listened to, for the tests of scheduler. What is heard has to be just
 * what is said next. */
#ifndef FORKMAP_TESTS_SCHEDULER_TALK_H
#define FORKMAP_TESTS_SCHEDULER_TALK_H

#include "server/scheduler.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define MEMORY (1ull << 30)
#define EXIT_STATUS(code) ((code) << 8) /* as waitpid() gives it */

extern struct scheduler *scheduler;
extern uint64_t now_ns;
extern struct sched_action said; /* the last one heard */

/* A scheduler with so many workers, all ready; at most 4, 2 functions. clean() ends it, as a test's teardown. */
void with_workers(uint32_t workers);
int clean(void **state);
void run_at(uint64_t at_ns);

/* A call with all its items and, unless told otherwise, a far deadline; an item may take a second. */
struct sched_call *call(struct sched_options options, uint64_t items);
enum sched_verdict result(uint32_t slot, uint64_t task, uint32_t first, uint32_t count, uint32_t flags);
void result_last(uint32_t slot, uint64_t task, uint32_t count);
void sample(uint32_t slot, uint64_t task, uint32_t item, uint64_t at_ns);
void dies(uint32_t slot, int status, uint64_t page_task, uint32_t page_item);

void hear(enum sched_action_type type);
void hear_nothing(void);
void hear_task(uint32_t slot, uint64_t first, uint32_t count);
void hear_fail(uint64_t first, uint32_t count, enum item_error error, uint32_t attempts);
void hear_end(enum sched_ended ended);
void hear_fork_and_ready(uint32_t slot); /* who went is replaced, and the new one is ready */

#endif
