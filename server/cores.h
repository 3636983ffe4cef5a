/* cores: what this machine, or the container, gives us: cores, memory, open files; and which of them decided. Reads
 * files below /proc and /sys only. Does not choose anything: options does. */
#ifndef FORKMAP_SERVER_CORES_H
#define FORKMAP_SERVER_CORES_H

#include <stdbool.h>
#include <stdint.h>

struct cores {
    unsigned count;        /* min(online cores, affinity, cgroup quota rounded up), at least 1 */
    char reason[128];      /* which of them decided: "cgroup quota of 1.5 of 8 cores" */
    uint64_t memory_bytes; /* the cgroup's limit, or the machine's memory */
    bool memory_limited;   /* a cgroup's limit it was */
    uint64_t open_files;   /* RLIMIT_NOFILE, after raising it; the caller's to set in a test */
};

/* `root` is put before every path: "" but in tests. */
void cores_read(const char *root, struct cores *cores);
/* Raises RLIMIT_NOFILE as far as it may go without asking, at most `wanted`; returns what it is then. */
uint64_t cores_raise_open_files(uint64_t wanted);

#endif
