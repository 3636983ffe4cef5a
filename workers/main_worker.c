/* forkmap-worker: the executable of everything that computes. `zygote` is started by the supervisor; `worker` is a
 * worker exec'd afresh (start method spawn). Nobody runs it by hand. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workers/log.h"
#include "workers/worker.h"
#include "workers/zygote.h"

static int usage(void)
{
    fputs("forkmap-worker is started by `forkmap serve`; it has no use of its own.\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return printf("forkmap-worker %s\n", FORKMAP_VERSION) < 0;
    if (argc >= 2 && strcmp(argv[1], "zygote") == 0)
        zygote_main();
    if (argc != 5 || strcmp(argv[1], "worker") != 0)
        return usage();
    log_open("worker");
    signal(SIGPIPE, SIG_IGN);
    worker_main(&(struct worker_settings){
        .generation = (uint32_t)strtoul(argv[2], NULL, 10),
        .recycle_items = (uint32_t)strtoul(argv[3], NULL, 10),
        .memory_bytes = strtoull(argv[4], NULL, 10),
    });
}
