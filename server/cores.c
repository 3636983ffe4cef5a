/* cores: see cores.h. */
#include "server/cores.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CPUS_MAX 8192u
#define NO_LIMIT UINT64_MAX
#define PATH_BYTES 4096

/* A cgroup tree's mount, the controller it is listed by in /proc/self/cgroup ("": version 2), and how one folder's
 * limit is read. */
struct place {
    const char *controller;
    const char *mount;
    uint64_t (*read)(const char *root, const char *folder);
};

static bool read_text(const char *root, const char *folder, const char *name, char *text, size_t capacity)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s%s/%s", root, folder, name) >= (int)sizeof path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t length = 0;
    for (ssize_t got; length < capacity - 1; length += (size_t)got) {
        got = read(fd, text + length, capacity - 1 - length);
        if (got <= 0)
            break;
    }
    close(fd);
    text[length] = '\0';
    return length > 0;
}

/* A kernel's list of processors, "0-3,8", as bits; returns whether there was any. */
static bool read_cpus(const char *list, uint8_t bits[CPUS_MAX])
{
    bool any = false;
    for (;;) {
        char *end;
        unsigned long first = strtoul(list, &end, 10);
        if (end == list)
            return any;
        unsigned long last = first;
        if (*end == '-')
            last = strtoul(end + 1, &end, 10);
        for (unsigned long cpu = first; cpu <= last && cpu < CPUS_MAX; cpu++) {
            bits[cpu] = 1;
            any = true;
        }
        if (*end != ',')
            return any;
        list = end + 1;
    }
}

static unsigned count_cpus(const uint8_t a[CPUS_MAX], const uint8_t b[CPUS_MAX])
{
    unsigned count = 0;
    for (size_t i = 0; i < CPUS_MAX; i++)
        count += a[i] & b[i];
    return count;
}

/* Thousandths of a core, rounded up. */
static uint64_t quota(uint64_t runtime_us, uint64_t period_us)
{
    if (runtime_us == 0 || period_us == 0 || runtime_us > NO_LIMIT / 2000)
        return NO_LIMIT;
    return (runtime_us * 1000 + period_us - 1) / period_us;
}

static uint64_t read_cpu_v2(const char *root, const char *folder)
{
    char text[64];
    uint64_t runtime_us, period_us;
    if (!read_text(root, folder, "cpu.max", text, sizeof text) ||
        sscanf(text, "%" SCNu64 " %" SCNu64, &runtime_us, &period_us) != 2)
        return NO_LIMIT;
    return quota(runtime_us, period_us);
}

static uint64_t read_cpu_v1(const char *root, const char *folder)
{
    char runtime[64], period[64];
    if (!read_text(root, folder, "cpu.cfs_quota_us", runtime, sizeof runtime) || runtime[0] == '-' ||
        !read_text(root, folder, "cpu.cfs_period_us", period, sizeof period))
        return NO_LIMIT;
    return quota(strtoull(runtime, NULL, 10), strtoull(period, NULL, 10));
}

static uint64_t read_bytes(const char *root, const char *folder, const char *name)
{
    char text[64];
    if (!read_text(root, folder, name, text, sizeof text) || text[0] < '0' || text[0] > '9')
        return NO_LIMIT;
    return strtoull(text, NULL, 10);
}

static uint64_t read_memory_v2(const char *root, const char *folder)
{
    return read_bytes(root, folder, "memory.max");
}

static uint64_t read_memory_v1(const char *root, const char *folder)
{
    return read_bytes(root, folder, "memory.limit_in_bytes");
}

/* This process's path in the tree of `controller`, from lines as "4:cpu,cpuacct:/docker/1f". */
static bool cgroup_path(const char *root, const char *controller, char *path, size_t capacity)
{
    char text[8192];
    if (!read_text(root, "/proc/self", "cgroup", text, sizeof text))
        return false;
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        strsep(&line, ":");
        char *controllers = strsep(&line, ":");
        if (controllers == NULL || line == NULL)
            continue;
        bool found = *controller == '\0' && *controllers == '\0';
        for (char *name; !found && (name = strsep(&controllers, ",")) != NULL;)
            found = *controller != '\0' && strcmp(name, controller) == 0;
        if (found)
            return snprintf(path, capacity, "%s", line) < (int)capacity;
    }
    return false;
}

/* The least limit on the way from our own cgroup up to the mount. In a container the path may be the host's, whose
 * folders are not to be seen: those are passed over, and the mount itself is the container's. */
static uint64_t least_limit(const char *root, const struct place *places, size_t count)
{
    uint64_t least = NO_LIMIT;
    for (size_t i = 0; i < count; i++) {
        char path[PATH_BYTES / 2], folder[PATH_BYTES];
        if (!cgroup_path(root, places[i].controller, path, sizeof path))
            continue;
        for (;;) {
            snprintf(folder, sizeof folder, "%s%s", places[i].mount, path);
            uint64_t limit = places[i].read(root, folder);
            if (limit < least)
                least = limit;
            char *slash = strrchr(path, '/');
            if (slash == NULL)
                break;
            *slash = '\0';
        }
    }
    return least;
}

static void read_count(const char *root, struct cores *cores)
{
    static const struct place places[] = {
        {"", "/sys/fs/cgroup", read_cpu_v2},
        {"cpu", "/sys/fs/cgroup/cpu", read_cpu_v1},
    };
    uint8_t online[CPUS_MAX] = {0}, allowed[CPUS_MAX] = {0};
    char text[16384];
    if (!read_text(root, "/sys/devices/system/cpu", "online", text, sizeof text) || !read_cpus(text, online))
        for (long i = 0, count = sysconf(_SC_NPROCESSORS_ONLN); i < count && i < (long)CPUS_MAX; i++)
            online[i] = true;
    const char *list = NULL;
    if (read_text(root, "/proc/self", "status", text, sizeof text))
        list = strstr(text, "\nCpus_allowed_list:");
    if (list == NULL || !read_cpus(list + strlen("\nCpus_allowed_list:"), allowed))
        memcpy(allowed, online, sizeof allowed);

    unsigned machine = count_cpus(online, online), affinity = count_cpus(online, allowed);
    cores->count = machine;
    snprintf(cores->reason, sizeof cores->reason, "%u core%s online", machine, machine == 1 ? "" : "s");
    if (affinity > 0 && affinity < machine) {
        cores->count = affinity;
        snprintf(cores->reason, sizeof cores->reason, "affinity to %u of %u cores", affinity, machine);
    }
    uint64_t thousandths = least_limit(root, places, sizeof places / sizeof *places);
    if (thousandths <= (cores->count - 1) * UINT64_C(1000)) {
        cores->count = (unsigned)((thousandths + 999) / 1000);
        snprintf(cores->reason, sizeof cores->reason, "cgroup quota of %g of %u cores", (double)thousandths / 1000,
                 machine);
    }
}

static void read_memory(const char *root, struct cores *cores)
{
    static const struct place places[] = {
        {"", "/sys/fs/cgroup", read_memory_v2},
        {"memory", "/sys/fs/cgroup/memory", read_memory_v1},
    };
    char text[4096];
    const char *total = NULL;
    if (read_text(root, "/proc", "meminfo", text, sizeof text))
        total = strstr(text, "MemTotal:");
    cores->memory_bytes = total != NULL ? strtoull(total + strlen("MemTotal:"), NULL, 10) * 1024 : UINT64_C(1) << 30;
    uint64_t limit = least_limit(root, places, sizeof places / sizeof *places);
    cores->memory_limited = limit < cores->memory_bytes;
    if (cores->memory_limited)
        cores->memory_bytes = limit;
}

void cores_read(const char *root, struct cores *cores)
{
    *cores = (struct cores){0};
    read_count(root, cores);
    read_memory(root, cores);
}

uint64_t cores_raise_open_files(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    rlim_t before = limit.rlim_cur;
    if (before < wanted) {
        limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            limit.rlim_cur = before;
    }
    return limit.rlim_cur;
}
