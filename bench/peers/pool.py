"""multiprocessing alone, without HTTP: reads one JSON command a line, answers one line {"seconds", "results"}."""
import json
import multiprocessing
import sys
import time


def squared(x):
    return x * x


def sleep_ms(ms):
    time.sleep(ms / 1000)
    return ms


def echo(x):
    return x


def put_squared(x, queue):
    queue.put(x * x)


def process_each(items):
    """The tutorial's loop: a process for each item, its result through a queue."""
    queue, results = multiprocessing.Queue(), []
    for x in items:
        process = multiprocessing.Process(target=put_squared, args=(x, queue))
        process.start()
        results.append(queue.get())
        process.join()
    return results


def main():
    table = {"squared": squared, "length": len, "upper": str.upper, "echo": echo, "sleep_ms": sleep_ms}
    pools = {}
    for line in sys.stdin:
        command = json.loads(line)
        if "file" in command:
            with open(command["file"], encoding="utf-8") as file:
                call = json.load(file)
        else:
            call = command
        if call.get("isolation") == "process":
            run = lambda: process_each(call["items"])
        else:
            workers = command.get("workers", multiprocessing.cpu_count())
            if workers not in pools:
                pools[workers] = multiprocessing.Pool(workers)
            run = lambda: pools[workers].map(table[call["function"]], call["items"])
        times = []
        for _ in range(command.get("times", 1)):
            started = time.perf_counter()
            results = run()
            times.append(time.perf_counter() - started)
        print(json.dumps({"seconds": times, "results": results}), flush=True)


if __name__ == "__main__":
    main()
