/* supervisor_children: a front and a zygote as test_supervisor's supervisor execs them: that program itself, with other
 * arguments. The front takes one word from each connection and answers two numbers: "who": its pid and its zygote's;
 * "state": how many descriptors it was born with, and whether signals and process group are as they should be;
 * "orphan": the pid of an orphan that lives as long as the front, and 0; "exit": it leaves with status 3, without
 * answer. */
#ifndef FORKMAP_TESTS_SUPERVISOR_CHILDREN_H
#define FORKMAP_TESTS_SUPERVISOR_CHILDREN_H

#include <stddef.h>

#define LATE_MS 20000 /* only ends a test that failed */

/* "good"; "deaf" obeys no DRAIN and no end of file; "failing" exits with 7 at once; "silent" never says SERVING. */
int play_front(const char *scenario, size_t listeners);
int play_zygote(void);

#endif
