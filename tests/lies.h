/* lies: what liar tells instead of the truth: a table of names. See liar.h. */
#ifndef FORKMAP_TESTS_LIES_H
#define FORKMAP_TESTS_LIES_H

#include "workers/message.h"
#include "workers/page.h"

struct liar {
    char folder[512];
    volatile struct page *page;
    struct buf in, text;
};

/* Sends what the real worker would answer. */
void tell_truth(struct liar *liar, const struct task_message *task);
/* Tells the lie of that name about a task whose item under way is on the page. Returns from those lies that may pass
 * for a right answer; else waits for the worker's end. */
void tell_lie(struct liar *liar, const struct task_message *task, const char *name);
/* The same for a worker that has not said READY yet. */
_Noreturn void tell_first_lie(struct liar *liar, const char *name);

void send_ready(uint32_t version);
void send_bye(uint64_t task);

#endif
