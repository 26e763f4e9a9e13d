# SPDX-License-Identifier: MIT
"""What connections and requests hold, and what starting takes."""
import contextlib
import socket
import statistics
import time

from . import process
from .cases import BASIC, PLAINTEXT, everyone, sleep_request

FEW, MANY = 1000, 10000
ASYNC = ("dewar", "nginx-lua", "node", "fastify", "quart")


class Crowd:
    """Connections that have all sent the same request."""

    def __init__(self, port, request):
        self.port, self.request, self.sockets = port, request.bytes(), []

    def grow(self, count, read):
        while len(self.sockets) < count:
            s = socket.create_connection(("127.0.0.1", self.port), 30)
            self.sockets.append(s)
            s.sendall(self.request)
            if read and not s.recv(65536):
                raise RuntimeError("the server closed a connection")

    def close(self):
        for s in self.sockets:
            s.close()


def per_connection(server, request, read, many):
    """Bytes of resident memory that one more connection takes: what lies
    between FEW and many of them, so that start-up and warm-up don't count."""
    crowd = Crowd(server.port, request)
    try:
        crowd.grow(FEW, read)
        server.settle()
        before = process.rss_kib(server.pid)
        crowd.grow(many, read)
        server.settle()
        after = process.rss_kib(server.pid)
        return (after - before) * 1024 / (many - FEW)
    finally:
        crowd.close()


def many_sockets(limit):
    return min(MANY, limit - 200)


def chosen(entry, only):
    return not only or entry.server.name in only


def connections(name, tools, limit, only, progress):
    """The cases `idle` and `waiting`: bytes per connection."""
    idle = name == "idle"
    request = PLAINTEXT if idle else sleep_request(60000)
    entries = [entry for entry in everyone(BASIC, request, without=("flask",))
               if chosen(entry, only) and (idle or entry.server.name in ASYNC)]
    results, missing = {}, {}
    for entry in entries:
        lack = entry.server.missing(tools)
        if lack:
            missing[entry.label] = lack
            continue
        progress(f"{name}: {entry.label}")
        server = process.Running(entry.server, entry.setup, tools)
        try:
            server.wait()
            size = per_connection(server, request, idle, many_sockets(limit))
            results[entry.label] = {"bytes": size}
        finally:
            server.stop()
    return results, missing


def ask(port):
    """One request; its answer's first bytes."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(PLAINTEXT.bytes())
        return s.recv(4096)


def first_answer(entry, tools):
    """Seconds from the start of the process to its first answer, and KiB."""
    started = time.perf_counter()
    server = process.Running(entry.server, entry.setup, tools)
    try:
        while True:
            with contextlib.suppress(OSError):
                if ask(server.port).startswith(b"HTTP/1.1 200"):
                    break
            if server.process.poll() is not None or (
                    time.perf_counter() - started > 30):
                raise RuntimeError(f"{entry.label} did not start")
        return time.perf_counter() - started, process.rss_kib(server.pid)
    finally:
        server.stop()


def startup(tools, rounds, only, progress):
    results, missing = {}, {}
    for entry in everyone(BASIC, PLAINTEXT):
        if not chosen(entry, only):
            continue
        lack = entry.server.missing(tools)
        if lack:
            missing[entry.label] = lack
            continue
        progress(f"startup: {entry.label}")
        samples = [first_answer(entry, tools) for _ in range(rounds)]
        results[entry.label] = {
            "ms": statistics.median(s[0] for s in samples) * 1e3,
            "ms_min": min(s[0] for s in samples) * 1e3,
            "rss_kib": statistics.median(s[1] for s in samples)}
    return results, missing

