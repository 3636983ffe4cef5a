"""proc: what /proc tells of a process that we started, and of its children."""
import os
import time


def read(pid, name):
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()


def field_kb(pid, file, name):
    for line in read(pid, file).splitlines():
        if line.startswith(name + b":"):
            return int(line.split()[1])
    return 0


def descendants(root):
    """{pid: parent} of everything below root."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(name)] = int(read(name, "stat").rsplit(b")", 1)[1].split()[1])
        except OSError:
            continue  # it ended meanwhile
    below, grown = {}, True
    while grown:
        more = {pid: parent for pid, parent in parents.items()
                if pid not in below and (parent == root or parent in below)}
        below.update(more)
        grown = bool(more)
    return below


def front_of(root):
    """The child that speaks HTTP; it says so in its command line."""
    fronts = [pid for pid in descendants(root) if b"front" in read(pid, "cmdline")]
    return fronts[0] if fronts else root


def workers_of(root):
    """The children of the zygotes: processes of the worker's program whose parent runs it too."""
    below = descendants(root)
    program = {pid: os.path.basename(os.readlink(f"/proc/{pid}/exe")) for pid in below}
    return [pid for pid in below if "worker" in program[pid] and "worker" in program.get(below[pid], "")]


def private_dirty_mb(pid):
    return field_kb(pid, "smaps_rollup", b"Private_Dirty") * 1024 / 1e6


def resident_mb(pid):
    return field_kb(pid, "status", b"VmRSS") * 1024 / 1e6


def peak_mb(pid):
    return field_kb(pid, "status", b"VmHWM") * 1024 / 1e6


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def cpu_ns(pid):
    return int(read(pid, "schedstat").split()[0])


def busy(seconds):
    """Which part of all processors was in use during the next so many seconds, by whomever."""
    def ticks():
        with open("/proc/stat", encoding="ascii") as file:
            taken = [int(word) for word in file.readline().split()[1:9]]
        return sum(taken), taken[3] + taken[4]

    before = ticks()
    time.sleep(seconds)
    total, idle = (after - was for after, was in zip(ticks(), before))
    return 1 - idle / total if total else 0.0
