"""cases: what is measured against the peers over HTTP, and with what targets. A case takes the bench (see run) and gives
rows; a row (see report) holds samples for each server in one unit. cases_own.py has those about our own inside."""
import json
import random
import statistics
import tempfile

import load
from report import Row


def text(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def ask_ms(process, message, check):
    """One request on the process's own connection, in milliseconds, its answer checked."""
    if process.connection is None:
        process.connection = load.Connection(process.port)
    status, body, seconds = process.connection.ask(message)
    check(status, body)
    return seconds * 1e3


def rate_case(name, call, results, connections, peers, targets):
    """Requests a second by wrk. Before timing, every answer of one run at the same load is compared."""
    body, answer = text(call), text({"results": results})

    def case(bench):
        row = Row(name, "req/s", targets, faster_is_more=True)

        def prepare(name, process):
            if name == "pool":
                return lambda: [rate_of_pool(process, call, results)]
            ask_ms(process, load.request(body), load.Check({"results": results}))
            size = load.wrk(bench.folder, process.port, body, connections, 1, answer)["size"]
            return lambda: [load.wrk(bench.folder, process.port, body, connections, bench.seconds, None, size)["rate"]]

        bench.interleave(row, peers, prepare, answer)
        return [row]

    return case


def rate_of_pool(process, call, results):
    told = process.command(**call, times=200)
    if told["results"] != results:
        raise load.Wrong("pool.map gave a wrong answer")
    return 1 / statistics.median(told["seconds"])


def time_case(name, make, peers, targets):
    """Milliseconds from the first byte sent to the last received, one connection, several requests a run. make() gives
    the call and the right results, and is called when the case is due: the bodies are big."""

    def case(bench):
        row, (call, results) = Row(name, "ms", targets), make()
        body, right = text(call), {"results": results}

        def prepare(name, process):
            if name == "pool":
                return pool_runner(process)
            message, check = load.request(body), load.Check(right)
            for _ in range(2):
                ask_ms(process, message, check)
            return lambda: [ask_ms(process, message, check) for _ in range(bench.asks)]

        def pool_runner(process):
            file = tempfile.NamedTemporaryFile(dir=bench.folder)
            file.write(body)
            file.flush()

            def run():
                told = process.command(file=file.name)
                if told["results"] != results:
                    raise load.Wrong("pool.map gave a wrong answer")
                return [seconds * 1e3 for seconds in told["seconds"]]

            return run

        bench.interleave(row, peers, prepare, text(right))
        return [row]

    return case


def small(count):
    return [i % 100 for i in range(count)]


def squares(count):
    return [x * x for x in small(count)]


def integers(count, **function):
    return lambda: (dict(function, items=small(count)), squares(count))


def doubles():
    draw = random.Random(1)
    items = [draw.random() for _ in range(1_000_000)]
    return {"function": "squared", "items": items}, [x * x for x in items]


def strings():
    draw = random.Random(2)
    items = ["".join(draw.choices("abcdefghij klmnopqrstuvwxyz", k=draw.randint(4, 20))) for _ in range(200_000)]
    return {"function": "upper", "items": items}, [x.upper() for x in items]


def objects():
    items = [{"id": i, "name": f"name {i % 977}", "price": i % 1000 + 0.5, "tags": ["red", "blue"], "in": i % 3 > 0}
             for i in range(50_000)]
    return {"function": "echo", "items": items}, items


ALL = ["bun", "go", "workerd", "node", "fastapi"]
JS = ["bun", "workerd"]
SQUARED, SCRIPT = {"function": "squared"}, {"js": "x => x * x"}


def rate(name, call, count, connections, peers, targets):
    return rate_case(name, dict(call, items=small(count)), squares(count), connections, peers, targets)


CASES = {
    "squared-3-c16": rate("squared-3-c16", SQUARED, 3, 16, ALL + ["ceiling"], [("bun", 1.0)]),
    "squared-3-c64": rate("squared-3-c64", SQUARED, 3, 64, ALL + ["ceiling"], [("bun", 1.3)]),
    "squared-1000": rate("squared-1000", SQUARED, 1000, 16, ALL + ["pool", "ceiling"], [("bun", 1.5)]),
    "squared-1M": time_case("squared-1M", integers(1_000_000, **SQUARED), ALL + ["pool", "ceiling"],
                            [("bun", 2.5), ("ceiling", 0.25)]),
    "doubles-1M": time_case("doubles-1M", doubles, ALL + ["ceiling"], [("bun", 2.0)]),
    "strings-200k": time_case("strings-200k", strings, ALL + ["ceiling"], [("bun", 2.0)]),
    "objects-50k": time_case("objects-50k", objects, ALL + ["ceiling"], [("bun", 2.0)]),
    "js-3": rate("js-3", SCRIPT, 3, 16, JS, [("bun", 0.9)]),
    "js-1000": rate("js-1000", SCRIPT, 1000, 16, JS, [("bun", 1.2)]),
    "js-1M": time_case("js-1M", integers(1_000_000, **SCRIPT), JS, [("bun", 1.8)]),
}
