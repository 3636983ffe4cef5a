/* test_cores: the number of cores and the memory, as made-up machines and containers show them below /proc and /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/cores.h"

#define FILES 8

struct machine {
    const char *name;
    struct {
        const char *path, *text;
    } files[FILES];
    unsigned count;
    const char *reason;
    uint64_t memory_mib;
    bool memory_limited;
};

#define ONLINE "/sys/devices/system/cpu/online"
#define STATUS "/proc/self/status"
#define CGROUP "/proc/self/cgroup"
#define EIGHT                                                           \
    {ONLINE, "0-7\n"},                                                  \
    {                                                                   \
        "/proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\n" \
    }

static const struct machine machines[] = {
    {"plain", {EIGHT}, 8, "8 cores online", 8192, false},
    {"one core", {{ONLINE, "0\n"}, {"/proc/meminfo", "MemTotal: 1048576 kB\n"}}, 1, "1 core online", 1024, false},
    {"holes", {{ONLINE, "0,2-3,7\n"}, {"/proc/meminfo", "MemTotal: 1048576 kB\n"}}, 4, "4 cores online", 1024, false},
    {"affinity", {EIGHT, {STATUS, "Name:\tx\nCpus_allowed_list:\t1,3\n"}}, 2, "affinity to 2 of 8 cores", 8192, false},
    {"affinity to offline cores too",
     {EIGHT, {STATUS, "Name:\tx\nCpus_allowed_list:\t0-127\n"}},
     8,
     "8 cores online",
     8192,
     false},
    {"v2 quota, rounded up",
     {EIGHT, {CGROUP, "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "150000 100000\n"}},
     2,
     "cgroup quota of 1.5 of 8 cores",
     8192,
     false},
    {"v2 quota below one core",
     {EIGHT, {CGROUP, "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "10000 100000\n"}},
     1,
     "cgroup quota of 0.1 of 8 cores",
     8192,
     false},
    {"v2 quota of exactly two",
     {EIGHT, {CGROUP, "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "200000 100000\n"}},
     2,
     "cgroup quota of 2 of 8 cores",
     8192,
     false},
    {"v2 without a quota",
     {EIGHT, {CGROUP, "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "max 100000\n"}, {"/sys/fs/cgroup/memory.max", "max\n"}},
     8,
     "8 cores online",
     8192,
     false},
    {"v2 quota above what there is",
     {EIGHT, {CGROUP, "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "1600000 100000\n"}},
     8,
     "8 cores online",
     8192,
     false},
    {"v2 quota that rounds up to what there is",
     {EIGHT, {CGROUP, "0::/\n"}, {"/sys/fs/cgroup/cpu.max", "750000 100000\n"}},
     8,
     "8 cores online",
     8192,
     false},
    {"v2 the least of the way up",
     {EIGHT,
      {CGROUP, "0::/system.slice/forkmap.service\n"},
      {"/sys/fs/cgroup/system.slice/cpu.max", "300000 100000\n"},
      {"/sys/fs/cgroup/system.slice/forkmap.service/cpu.max", "400000 100000\n"},
      {"/sys/fs/cgroup/system.slice/forkmap.service/memory.max", "536870912\n"}},
     3,
     "cgroup quota of 3 of 8 cores",
     512,
     true},
    {"v2 the host's path seen from a container",
     {EIGHT, {CGROUP, "0::/docker/8f3a\n"}, {"/sys/fs/cgroup/cpu.max", "100000 100000\n"}},
     1,
     "cgroup quota of 1 of 8 cores",
     8192,
     false},
    {"v1 quota and memory",
     {EIGHT,
      {CGROUP, "9:memory:/docker/8f\n4:cpu,cpuacct:/docker/8f\n0::/\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n"}},
     3,
     "cgroup quota of 2.5 of 8 cores",
     64,
     true},
    {"v1 without limits",
     {EIGHT,
      {CGROUP, "9:memory:/\n4:cpu,cpuacct:/\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     8,
     "8 cores online",
     8192,
     false},
    {"v1 cpuset is not cpu",
     {EIGHT,
      {CGROUP, "4:cpuset:/\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n"},
      {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}},
     8,
     "8 cores online",
     8192,
     false},
    {"quota below affinity",
     {EIGHT,
      {STATUS, "Cpus\nCpus_allowed_list:\t0-3\n"},
      {CGROUP, "0::/\n"},
      {"/sys/fs/cgroup/cpu.max", "200000 100000\n"}},
     2,
     "cgroup quota of 2 of 8 cores",
     8192,
     false},
    {"affinity below quota",
     {EIGHT,
      {STATUS, "Cpus\nCpus_allowed_list:\t5\n"},
      {CGROUP, "0::/\n"},
      {"/sys/fs/cgroup/cpu.max", "200000 100000\n"}},
     1,
     "affinity to 1 of 8 cores",
     8192,
     false},
    {"nonsense is passed over",
     {EIGHT,
      {STATUS, "nothing\nCpus_allowed_list:\t\n"},
      {CGROUP, "rubbish\n\n0:\n0::/\n"},
      {"/sys/fs/cgroup/cpu.max", "0 0\n"},
      {"/sys/fs/cgroup/memory.max", "-5\n"}},
     8,
     "8 cores online",
     8192,
     false},
};

static void write_file(const char *root, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *at = strchr(full + strlen(root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    return remove(path);
}

static void test_machines(void **state)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        const struct machine *machine = &machines[i];
        char root[] = "/tmp/forkmap-cores-XXXXXX";
        assert_non_null(mkdtemp(root));
        for (size_t j = 0; j < FILES && machine->files[j].path != NULL; j++)
            write_file(root, machine->files[j].path, machine->files[j].text);
        struct cores cores;
        cores_read(root, &cores);
        nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        if (cores.count != machine->count || strcmp(cores.reason, machine->reason) != 0 ||
            cores.memory_bytes >> 20 != machine->memory_mib || cores.memory_limited != machine->memory_limited)
            fail_msg("%s: %u cores (%s), %llu MiB%s", machine->name, cores.count, cores.reason,
                     (unsigned long long)cores.memory_bytes >> 20, cores.memory_limited ? ", limited" : "");
    }
}

static void test_this_machine(void **state)
{
    struct cores cores;
    cores_read("", &cores);
    assert_in_range(cores.count, 1, sysconf(_SC_NPROCESSORS_CONF));
    assert_true(cores.reason[0] != '\0');
    assert_true(cores.memory_bytes > 1 << 20);
    assert_true(cores_raise_open_files(64) >= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
