/* liar: a worker that answers `echo` and dice rightly, and lies where an item of its task says so. It stands in the
 * place of the real worker behind the real zygote.
 *
 * An item "!NAME" is a lie each time it is run; "?NAME" only once: by whoever can remove the file `once` that lies
 * beside the program. A link `task` there, whose target is such a word, stands for items that cannot say it (dice,
 * ranges), and a link `start` for what a worker does before it has said READY; these are lies of every worker if they
 * begin with '!', and of the first one if with '?'. */
#ifndef FORKMAP_TESTS_LIAR_H
#define FORKMAP_TESTS_LIAR_H

#include "workers/worker.h"

/* Serves until end of file. */
_Noreturn void liar_serve(const struct worker_settings *settings);

#endif
