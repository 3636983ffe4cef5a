"""load: the client's side. A keep-alive connection over a raw socket for timing single requests, wrk for rates, and the
check of answers. It knows nothing of who answers."""
import json
import os
import select
import socket
import subprocess
import sys
import time

POST = "POST /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
PATIENCE_S = 120
IDLE_S = 2  # some servers close a connection that was idle for 5 s: a new one is opened before that


class Refused(Exception):
    """A status other than 200: the server does not do this case."""


class Wrong(Exception):
    """An answer that is not the right one."""


def request(body, path="map"):
    return (POST % (path, len(body))).encode() + body


class Connection:
    """One keep-alive connection; ask() sends while it reads, so neither side can block the other."""

    def __init__(self, port):
        self.port, self.room = port, bytearray(1 << 20)
        self.open()

    def open(self):
        self.used = time.perf_counter()
        self.socket = socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(True)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, PATIENCE_S.to_bytes(8, "little") + bytes(8))
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN | select.POLLOUT)

    def close(self):
        self.socket.close()

    def ask(self, message):
        """Returns (status, body as a view that the next ask() overwrites, seconds)."""
        if time.perf_counter() > self.used + IDLE_S:
            self.close()
            self.open()
        started = time.perf_counter()
        out, sent, self.got, self.head, self.end = memoryview(message), 0, 0, 0, None
        while sent < len(out):
            try:
                sent += self.socket.send(out[sent:], socket.MSG_DONTWAIT)
            except BlockingIOError:
                events = self.poll.poll(PATIENCE_S * 1000)
                if not events:
                    raise TimeoutError("the server stopped reading")
                if events[0][1] & select.POLLIN:
                    self.receive()
        while self.end is None or self.got < self.end:
            self.receive()
        self.used = time.perf_counter()
        seconds = self.used - started
        status = int(self.room[9:12])
        body = memoryview(self.room)[self.head:self.got]
        return status, joined(body) if self.end == -1 else body, seconds

    def receive(self):
        if self.got == len(self.room):
            self.room = self.room + bytes(len(self.room))
        with memoryview(self.room) as view:
            count = self.socket.recv_into(view[self.got:])
        if count == 0:
            raise ConnectionError("the server closed the connection")
        self.got += count
        if self.head == 0:
            self.read_head()
        if self.end in (None, -1) and self.head and self.room[self.got - 5:self.got] == b"0\r\n\r\n":
            self.end = -1

    def read_head(self):
        at = self.room.find(b"\r\n\r\n", 0, self.got)
        if at < 0:
            return
        self.head = at + 4
        for line in bytes(self.room[:at]).lower().split(b"\r\n")[1:]:
            if line.startswith(b"content-length:"):
                self.end = self.head + int(line[15:])
                if len(self.room) < self.end + 1:
                    self.room = self.room + bytes(self.end + 1 - len(self.room))


def joined(body):
    """A chunked body's chunks in one piece."""
    text, parts, at = bytes(body), [], 0
    while True:
        line = text.index(b"\r\n", at)
        size = int(text[at:line].split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(text[line + 2:line + 2 + size])
        at = line + 4 + size


class Check:
    """Compares answers with the right one. The first is parsed; the next are compared byte by byte with it, and parsed
    only where they differ (spaces are no fault). One Check for each server and case."""

    def __init__(self, right):
        self.right, self.seen = right, None

    def __call__(self, status, body):
        if status != 200:
            raise (Refused if self.seen is None else Wrong)(f"status {status}: {bytes(body[:200])!r}")
        if self.seen is not None and bytes(body) == self.seen:
            return
        try:
            answer = json.loads(bytes(body))
        except ValueError as fault:
            raise Wrong(f"not JSON: {fault}") from fault
        if not self.right(answer) if callable(self.right) else answer != self.right:
            raise Wrong(f"a wrong answer: {bytes(body[:120])!r}")
        self.seen = bytes(body)


WRK = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = io.open("%(body)s", "rb"):read("*a")
local threads = {}
bad = 0
setup = function(thread) table.insert(threads, thread) end
%(check)s
done = function(summary, latency, requests)
  for _, thread in ipairs(threads) do bad = bad + (thread:get("bad") or 0) end
  local e = summary.errors
  io.write(string.format('\\n{"requests":%%d,"microseconds":%%d,"bytes":%%d,"bad":%%d,"p50_us":%%d,"p99_us":%%d}\\n',
    summary.requests, summary.duration, summary.bytes, bad + e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""
WRK_CHECK = """
local right = io.open("%s", "rb"):read("*a")
response = function(status, headers, body)
  if body ~= right and body:gsub("%%s", "") ~= right then bad = bad + 1 end
end
"""


def wrk(folder, port, body, connections, seconds, right=None, size=None):
    """Requests a second, and the mean size of answers. With `right` (the answer without blanks) every answer is compared,
    which costs wrk time: such a run is for checking. The others are for timing, and compare statuses and the size."""
    paths = {name: os.path.join(folder, f"wrk.{name}") for name in ("body", "right", "lua")}
    for name, text in (("body", body), ("right", right or b"")):
        with open(paths[name], "wb") as file:
            file.write(text)
    with open(paths["lua"], "w", encoding="utf-8") as file:
        file.write(WRK % {"body": paths["body"], "check": WRK_CHECK % paths["right"] if right else ""})
    told = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s",
                           paths["lua"], f"http://127.0.0.1:{port}/map"], capture_output=True, text=True, check=False)
    lines = [line for line in told.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise Wrong(f"wrk failed: {told.stdout[-200:]} {told.stderr[-200:]}")
    figures = json.loads(lines[-1])
    if figures["bad"] or not figures["requests"]:
        raise Wrong(f"{figures['bad']} bad answers of {figures['requests']}")
    figures["rate"] = figures["requests"] / (figures["microseconds"] / 1e6)
    figures["size"] = figures["bytes"] / figures["requests"]
    if size and abs(figures["size"] - size) > 0.1 * size:  # wrk counts bytes of answers that the end cut, too
        raise Wrong(f"answers have {figures['size']:.0f} bytes in the mean, not {size:.0f}")
    return figures


def loop(port, path, seconds):
    """Background load in a process of its own: the same request again and again; prints how many were answered."""
    with open(path, "rb") as file:
        message = request(file.read())
    connection, until, count = Connection(port), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        status, _, _ = connection.ask(message)
        if status != 200:
            raise Wrong(f"status {status}")
        count += 1
    print(count)


if __name__ == "__main__":
    loop(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
