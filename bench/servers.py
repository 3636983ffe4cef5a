"""servers: who is measured. Each entry says how to install it (on demand, into bench/.cache) and how to start it on a
port of 127.0.0.1; what cannot be installed or started is Absent, with the reason. Processes run in a group of their own,
and only these are ended."""
import glob
import json
import os
import signal
import socket
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CACHE = os.path.join(HERE, ".cache")
PEERS = os.path.join(HERE, "peers")
PYTHON = "/usr/bin/python3"  # Debian's own, which has Debian's packages
NPM = {"bun": "1.3", "piscina": "5", "workerd": "1"}
CORES = len(os.sched_getaffinity(0))


class Absent(Exception):
    """This peer cannot be had here."""


def succeeds(*command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise Absent(f"{command[0]}: {fault}") from fault
    if done.returncode != 0:
        raise Absent(f"{' '.join(command[:3])} failed: {(done.stderr or done.stdout).strip()[-160:]}")
    return done.stdout.strip()


def npm(package):
    """node_modules, with this package in it. Install scripts are not run: binaries come as packages of their own."""
    modules = os.path.join(CACHE, package, "node_modules")
    if not os.path.isdir(os.path.join(modules, package)):
        succeeds("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix",
                 os.path.join(CACHE, package), f"{package}@{NPM[package]}")
    return modules


def binary(package, pattern):
    """The first of the package's binaries that runs here: plain before baseline and musl, which have longer names."""
    for path in sorted(glob.glob(os.path.join(npm(package), pattern)), key=len):
        try:
            return path, succeeds(path, "--version")
        except Absent:
            continue
    raise Absent(f"{package}: none of its binaries runs here")


def built(source, *command, libraries=(), **options):
    path, source = os.path.join(CACHE, os.path.splitext(source)[0]), os.path.join(PEERS, source)
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(source):
        os.makedirs(CACHE, exist_ok=True)
        succeeds(*command, "-o", path, source, *libraries, **options)
    return path


def compiled(source, *libraries):
    return built(source, "gcc", "-std=c11", "-D_GNU_SOURCE", "-O2", libraries=libraries)


def python_with(*modules):
    succeeds(PYTHON, "-c", "import " + ", ".join(modules))
    return PYTHON


# Each recipe: (command, version). The port is in the environment as PORT, and given here for those that want it told.
def bun(port, answer):
    path, version = binary("bun", "@oven/bun-linux-*/bin/bun")
    return [path, os.path.join(PEERS, "bun.js")], version


def workerd(port, answer):
    path, version = binary("workerd", "@cloudflare/workerd-linux-*/bin/workerd")
    return [path, "serve", os.path.join(PEERS, "workerd.capnp"), f"--socket-addr=http=127.0.0.1:{port}"], version


def node(port, answer):
    npm("piscina")
    return ["node", os.path.join(PEERS, "node.js")], succeeds("node", "--version")


def go(port, answer):
    environment = dict(os.environ, GO111MODULE="off", GOCACHE=os.path.join(CACHE, "go-build"))
    return [built("go.go", "go", "build", env=environment)], succeeds("go", "version")


def fastapi(port, answer):
    version = succeeds(python_with("fastapi", "uvicorn"), "-c", "import fastapi; print(fastapi.__version__)")
    return [PYTHON, os.path.join(PEERS, "fastapi_pool.py")], version


def ceiling(port, answer):
    program, path = compiled("ceiling.c", "-lmicrohttpd"), os.path.join(CACHE, "answer")
    with open(path, "wb") as file:
        file.write(answer)
    return [program, str(port), path], succeeds("pkg-config", "--modversion", "libmicrohttpd")


def pool(port, answer):
    return [PYTHON, os.path.join(PEERS, "pool.py")], succeeds(PYTHON, "--version")


def numpy(port, answer):
    version = succeeds(python_with("numpy"), "-c", "import numpy; print(numpy.__version__)")
    return [PYTHON, os.path.join(PEERS, "numpy_dice.py")], version


def one_core(port, answer):
    return [compiled("one_core.c", "-lgmp")], succeeds("gcc", "-dumpfullversion")


RECIPES = {"bun": bun, "go": go, "workerd": workerd, "node": node, "fastapi": fastapi, "ceiling": ceiling,
           "pool": pool, "numpy": numpy, "one_core": one_core}
HELPERS = ("pool", "numpy", "one_core")  # no HTTP: one JSON command a line on stdin, one answer a line on stdout


class Process:
    """A program with a group of its own, a log, and an end."""

    def __init__(self, name, command, version="", environment=None, pipes=False):
        self.name, self.version, self.connection = name, version, None
        self.log = tempfile.NamedTemporaryFile(prefix=f"bench-{name}-", suffix=".log", delete=False)
        self.started = time.perf_counter()
        self.child = subprocess.Popen(command, env=dict(os.environ, **(environment or {})), stderr=self.log,
                                      stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                                      stdout=subprocess.PIPE if pipes else self.log, start_new_session=True, text=pipes)
        self.pid = self.child.pid

    def told(self):
        """The end of its log, for a message."""
        with open(self.log.name, "rb") as file:
            return file.read()[-300:].decode(errors="replace").strip()

    def await_port(self, port, seconds=20):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise Absent(f"{self.name} did not start: {self.told()}")

    def command(self, **words):
        self.child.stdin.write(json.dumps(words) + "\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise Absent(f"{self.name} ended: {self.told()}")
        return json.loads(line)

    def stop(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.child.poll() is None:
                self.child.send_signal(number)
                try:
                    self.child.wait(10)
                except subprocess.TimeoutExpired:
                    continue
        try:
            os.killpg(self.pid, signal.SIGKILL)  # its children, where it left any
        except ProcessLookupError:
            pass
        self.log.close()
        if os.path.exists(self.log.name) and self.child.returncode in (0, -signal.SIGTERM, -signal.SIGKILL, 143):
            os.unlink(self.log.name)


def start_forkmap(folder, program, workers=CORES, options=()):
    """Our own service, by its port file. `started` and `listening` are of one clock."""
    port_file = os.path.join(tempfile.mkdtemp(dir=folder), "port")
    command = [program, "serve", "--listen", "127.0.0.1:0", "--port-file", port_file, "--workers", str(workers)]
    if not os.path.exists(program):
        raise Absent(f"{os.path.relpath(program, ROOT)} is not built")
    process = Process("forkmap", command + list(options))
    while not os.path.exists(port_file):
        if process.child.poll() is not None or time.perf_counter() > process.started + 20:
            process.stop()
            raise Absent(f"forkmap did not start: {process.told()}")
        time.sleep(0.0002)
    with open(port_file, encoding="ascii") as file:
        process.port = int(file.read())
    return process


def start_peer(name, answer=b""):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, version = RECIPES[name](port, answer)
    environment = {"PORT": str(port)}
    if name == "node":
        environment["NODE_PATH"] = npm("piscina")
    process = Process(name, command, version.splitlines()[0] if version else "", environment, name in HELPERS)
    process.port = port
    if name not in HELPERS:
        process.await_port(port)
    return process
