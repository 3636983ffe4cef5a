"""cases_own: the cases where this project is measured mostly against an ideal or a limit: cores used, skewed costs, dice,
fresh processes, start, memory, fairness, growth. Same form as in cases."""
import itertools
import os
import random
import subprocess
import sys
import time

import load
import proc
import servers
from cases import ask_ms, small, squares, text, time_case
from report import Row

PRIME = 5 * 2**1947 + 1  # about 20 ms for one core to be sure of
SLEEPERS = 4  # workers for the skewed costs: they sleep, so cores do not matter
SPIN = "n => { let s = 0; for (let i = 0; i < n; i++) s = (s * 31 + i) | 0; return s }"


def cpu(bench):
    """64 items of about 20 ms each: all cores, beside one core that runs the loop in C."""
    times = 16 if bench.quick else 64
    row = Row("cpu", "ms", [("one_core", 0.95 * servers.CORES)])

    def prepare(name, process):
        if name == "one_core":
            one, four = primes(process, 1), primes(process, 4)
            if not 2.5 < four / one < 6:
                raise load.Wrong(f"one_core takes {four / one:.2f} times as long for four items: it does not do each")
            return lambda: [primes(process, times)]
        call = {"function": "is_prime", "items": [PRIME] * times}
        if name != "forkmap":
            call["processes"] = 1
        message, check = load.request(text(call)), load.Check({"results": [True] * times})
        return lambda: [ask_ms(process, message, check)]

    def primes(process, count):
        told = process.command(times=count, number=str(PRIME))
        if told["primes"] != count:
            raise load.Wrong("one_core found no prime")
        return told["seconds"] * 1e3

    bench.interleave(row, ["one_core"], prepare, ours=("forkmap", "forkmap-1"))
    return [row]


def cpu_js(bench):
    row = Row("cpu-js", "ms", [("forkmap-1", 0.95 * servers.CORES)])
    loops = 20_000_000

    def prepare(name, process):
        call = {"js": SPIN, "items": [loops] * 64}
        if name != "forkmap":
            call["processes"] = 1
        message = load.request(text(call))
        check = load.Check(lambda answer: len(answer["results"]) == 64 and len(set(answer["results"])) == 1)
        ask_ms(process, load.request(text({"js": SPIN, "items": [1]})), load.Check({"results": [0]}))
        return lambda: [ask_ms(process, message, check)]

    bench.interleave(row, [], prepare, ours=("forkmap", "forkmap-1"))
    return [row]


def skewed(bench):
    """Sleeping items: how much longer than ideal the whole takes. The ideal is the sum over the workers, or the longest."""
    draw = random.Random(3)
    drawn = [min(150, max(1, round(draw.lognormvariate(1.2, 1.2)))) for _ in range(240)]

    def of_pool(process, costs):
        told = process.command(function="sleep_ms", items=costs, workers=SLEEPERS)
        if told["results"] != costs:
            raise load.Wrong("pool.map gave a wrong answer")
        return told["seconds"][0] * 1e3

    rows = []
    for order, costs in (("sorted", sorted(drawn)), ("reversed", sorted(drawn, reverse=True)), ("lognormal", drawn)):
        row = Row(f"skewed-{order}", "× ideal", [("<=", 1.15)])
        rows.append(row)
        ideal_ms = max(sum(costs) / SLEEPERS, max(costs))

        def prepare(name, process, costs=costs, ideal_ms=ideal_ms):
            if name == "pool":
                return lambda: [of_pool(process, costs) / ideal_ms]
            message, check = load.request(text({"function": "sleep_ms", "items": costs})), load.Check({"results": costs})
            ask_ms(process, load.request(b'{"function":"sleep_ms","items":[1]}'), load.Check(lambda answer: True))
            return lambda: [ask_ms(process, message, check) / ideal_ms]

        bench.interleave(row, ["pool"], prepare, workers=SLEEPERS)
    return rows


def fair_dice(rolls):
    """A check for 2d6: all rolls are there, they are spread as two fair dice spread them, and always the same."""
    first = []

    def right(answer):
        counts = {int(total): count for total, count in answer["counts"].items()}
        first.append(counts)
        expected = {total: rolls * (6 - abs(total - 7)) / 36 for total in range(2, 13)}
        chi_square = sum((counts.get(total, 0) - e) ** 2 / e for total, e in expected.items())
        return sum(counts.values()) == rolls and set(counts) == set(expected) and chi_square < 50 and counts == first[0]

    return right


def dice(bench):
    rolls, seed = (10**8 if bench.quick else 10**9), 42
    row = Row("dice-1e9", "ns/roll/core", [("<=", 0.8), ("numpy", 3.0)])

    def prepare(name, process):
        if name == "numpy":
            return lambda: [of_numpy(process, rolls // 10)]
        call = {"rolls": rolls, "dice": 2, "sides": 6, "seed": seed, "method": "simulate"}
        message, check = load.request(text(call), "dice"), load.Check(fair_dice(rolls))
        return lambda: [ask_ms(process, message, check) * 1e6 * servers.CORES / rolls]

    def of_numpy(process, count):
        told = process.command(rolls=count, seed=seed)
        if not fair_dice(count)(told):
            raise load.Wrong("numpy's dice are not fair")
        return told["seconds"] * 1e9 / count

    bench.interleave(row, ["numpy"], prepare)
    return [row]


def multinomial(bench):
    row, seeds = Row("dice-multinomial", "ms", [("<=", 1.0)]), itertools.count(1)

    def prepare(name, process):
        return lambda: [drawn(process, next(seeds)) for _ in range(20)]

    def drawn(process, seed):  # a new seed each time, so that no answer can be a remembered one
        call = {"rolls": 2**53, "dice": 2, "sides": 6, "seed": seed, "method": "multinomial"}
        return ask_ms(process, load.request(text(call), "dice"), load.Check(fair_dice(2**53)))

    bench.interleave(row, [], prepare)
    return [row]


def startup(bench):
    """From exec to the first answer, a fresh service each run, and what its processes hold when idle."""
    first = Row("startup", "ms", [("<=", 50)])
    front, worker = Row("idle-front", "MB", [("<=", 6)]), Row("idle-worker", "MB", [("<=", 1)])

    def run():
        process = servers.start_forkmap(bench.folder, bench.program)
        try:
            ask_ms(process, load.request(b'{"function":"squared","items":[3]}'), load.Check({"results": [9]}))
            ms = (time.perf_counter() - process.started) * 1e3
            time.sleep(0.3)
            front.add("forkmap", proc.private_dirty_mb(proc.front_of(process.pid)))
            worker.add("forkmap", *[proc.private_dirty_mb(pid) for pid in proc.workers_of(process.pid)])
            return [ms]
        finally:
            process.stop()

    bench.interleave(first, [], lambda name, process: run)
    return [first, front, worker]


def mixed(bench):
    """One-item requests while two other connections have a million items computed again and again."""
    p50, p99 = Row("mixed-p50", "ms"), Row("mixed-p99", "ms", [("<=", 10)])
    path = os.path.join(bench.folder, "million")
    with open(path, "wb") as file:
        file.write(text({"function": "squared", "items": small(1_000_000)}))
    one = load.request(b'{"function":"squared","items":[7]}')

    def prepare(name, process):
        check = load.Check({"results": [49]})
        ask_ms(process, one, check)

        def run():
            command = [sys.executable, load.__file__, str(process.port), path, str(bench.seconds + 0.5)]
            others = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
            time.sleep(0.3)
            taken, until = [], time.monotonic() + bench.seconds
            while time.monotonic() < until:
                taken.append(ask_ms(process, one, check))
                time.sleep(0.001)
            for other in others:
                _, told = other.communicate(timeout=load.PATIENCE_S)
                if other.returncode != 0:
                    raise load.Wrong(f"a million items: {told[-200:]!r}")
            taken.sort()
            p50.add(name, taken[len(taken) // 2])
            return [taken[len(taken) * 99 // 100]]

        return run

    bench.interleave(p99, ["bun", "go", "workerd", "node"], prepare)
    p50.notes, p50.others = p99.notes, p99.others
    return [p50, p99]


def memory(bench):
    """How much the front's memory rises at its peak, above what it had, for a body of 100 MB that is echoed."""
    items = [f"{i:09d}" + "x" * 88 for i in range(1_000_000 if not bench.quick else 200_000)]
    message = load.request(text({"function": "echo", "items": items}))
    answer = text({"results": items})
    row = Row("memory", "MB", [("<=", round((len(message) + len(answer)) * 1.1 / 1e6, 1))])

    def run():
        process = servers.start_forkmap(bench.folder, bench.program)
        try:
            ask_ms(process, load.request(b'{"function":"echo","items":[3]}'), load.Check({"results": [3]}))
            front, check = proc.front_of(process.pid), load.Check({"results": items})
            before = proc.resident_mb(front)
            proc.forget_peak(front)
            ask_ms(process, message, check)
            return [proc.peak_mb(front) - before]
        finally:
            process.stop()

    bench.interleave(row, [], lambda name, process: run)
    return [row]


def growth_items(bench):
    """Nanoseconds an item as calls grow; within 20% of the value at 10^5."""
    rows = []
    for kind in ("text", "range"):
        sized = {}
        for power in range(3, 7 if bench.quick else 8):
            row = sized[power] = Row(f"growth-{kind}-1e{power}", "ns/item")

            def prepare(name, process, count=10**power):
                items = small(count) if kind == "text" else {"range": [0, count, 1]}
                right = squares(count) if kind == "text" else [x * x for x in range(count)]
                message = load.request(text({"function": "squared", "items": items}))
                check = load.Check({"results": right})
                ask_ms(process, message, check)
                check.right = None  # from here on bytes are compared; a list of 10^7 is heavy to keep
                asks = max(3, min(50, 200_000 // count))  # a small call's time is settled only by many
                return lambda: [ask_ms(process, message, check) * 1e6 / count for _ in range(asks)]

            bench.interleave(row, [], prepare)
        limit_by(sized, 5)
        rows += sized.values()
    return rows


def growth_workers(bench):
    """The front's own processor time for an item, whatever the number of workers."""
    sized = {}
    message = load.request(text({"function": "squared", "items": small(100_000)}))
    for workers in (1, 2, 4, 8, 16):
        row = sized[workers] = Row(f"growth-workers-{workers}", "ns/item")

        def prepare(name, process):
            check, front = load.Check({"results": squares(100_000)}), proc.front_of(process.pid)

            def run():
                before = proc.cpu_ns(front)
                for _ in range(20):
                    ask_ms(process, message, check)
                return [(proc.cpu_ns(front) - before) / 20 / 100_000]

            return run

        bench.interleave(row, [], prepare, workers=workers)
    limit_by(sized, 2)
    return list(sized.values())


def limit_by(sized, reference):
    base = sized[reference].median("forkmap")
    for key, row in sized.items():
        if base and key != reference:
            row.targets.append(("<=", float(f"{1.2 * base:.3g}")))


def process_each(bench):
    """A fresh process for each item; the trace must name as many as there are items."""
    row = Row("process-per-item", "ms", targets := [("<=", 500), ("pool", 1)])
    call = {"function": "squared", "items": small(1000), "isolation": "process", "trace": True}
    check = load.Check(lambda answer: answer["results"] == squares(1000)
                       and len({chunk["worker"] for chunk in answer["trace"]["chunks"]}) == 1000)
    if not bench.guard(row, "forkmap", lambda: ask_ms(bench.process("forkmap", b"", servers.CORES),
                                                      load.request(text(call)), check)):
        return [row]
    return time_case(row.name, fresh(function="squared"), ["pool"], targets)(bench)


def fresh(**function):
    return lambda: (dict(function, items=small(1000), isolation="process"), squares(1000))


CASES = {
    "cpu": cpu,
    "cpu-js": cpu_js,
    "skewed": skewed,
    "dice-1e9": dice,
    "dice-multinomial": multinomial,
    "process-per-item": process_each,
    "process-per-item-js": time_case("process-per-item-js", fresh(js="x => x * x"), [], [("<=", 5000)]),
    "startup": startup,
    "mixed": mixed,
    "memory": memory,
    "growth-items": growth_items,
    "growth-workers": growth_workers,
}
