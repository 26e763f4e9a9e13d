# SPDX-License-Identifier: MIT
"""News for many who listen: what each of them holds, and what a message costs.
Every listener is compared byte by byte with what it should have got."""
import http.client
import json
import selectors
import statistics
import time

from . import process
from .cases import dewar
from .load import Request
from .memory import FEW, Crowd, many_sockets

NEWS = {"app": "news"}
PATIENCE = 30  # seconds for a message to reach all


def frame(text):
    """A websocket's message from a server."""
    return bytes([0x81, len(text)]) + text


def chunk(text):
    """An event in a chunk of an answer."""
    event = b"data: " + text + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade",
           "Sec-WebSocket-Version": "13",
           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
REQUESTS = {"events": Request("/events"),
            "websockets": Request("/websocket", headers=UPGRADE)}
ENCODE = {"events": chunk, "websockets": frame}
GOALS = {"events": 4096, "websockets": 8192}  # bytes per listener


class Desk:
    """Where news comes from."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(self, method, path):
        self.http.request(method, path)
        return json.load(self.http.getresponse())

    def wait_for(self, count):
        """Until so many listen."""
        for _ in range(300):
            if self.ask("GET", "/listeners")["count"] == count:
                return
            time.sleep(0.1)
        raise RuntimeError(f"there never were {count} listeners")

    def tell(self, text, count):
        reached = self.ask("POST", f"/tell/{text}")["reached"]
        if reached != count:
            raise RuntimeError(f"'{text}' went to {reached} of {count}")

    def close(self):
        self.http.close()


class Audience(Crowd):
    """Those who listen."""

    def __init__(self, port, kind):
        super().__init__(port, REQUESTS[kind])
        self.encode, self.poll = ENCODE[kind], selectors.EpollSelector()

    def grow(self, count, read=True):
        before = len(self.sockets)
        super().grow(count, read)
        for s in self.sockets[before:]:
            s.setblocking(False)
            self.poll.register(s, selectors.EVENT_READ)

    def hear(self, text):
        """Until all have heard it, the whole of it and nothing else; seconds
        that it took, once they began to listen."""
        expected, began = self.encode(text), time.monotonic()
        got = {}
        while len(got) < len(self.sockets) or any(
                len(part) < len(expected) for part in got.values()):
            ready = self.poll.select(PATIENCE)
            if not ready:
                raise RuntimeError(f"'{text.decode()}' did not reach all")
            for key, _ in ready:
                s = key.fileobj
                got[s] = got.get(s, b"") + s.recv(65536)
                if not expected.startswith(got[s]) or not got[s]:
                    raise RuntimeError(f"a listener got {got[s]}")
        return time.monotonic() - began

    def close(self):
        self.poll.close()
        super().close()


def spread(server, desk, audience, seconds):
    """A message a second; the CPU time that one listener's took, and the median
    of the time until the last one had it."""
    count, times = len(audience.sockets), []
    used = process.cpu_seconds(server.pid)
    for second in range(seconds):
        began = time.monotonic()
        text = f"message-{second}"
        desk.tell(text, count)
        audience.hear(text.encode())
        times.append(time.monotonic() - began)
        time.sleep(max(0, 1 - times[-1]))
    used = process.cpu_seconds(server.pid) - used
    return used / seconds / count * 1e6, statistics.median(times) * 1e3


def listen(kind, server, many, seconds):
    desk, audience = Desk(server.port), Audience(server.port, kind)

    def resident(count):
        audience.grow(count)
        desk.wait_for(count)
        server.settle()
        return process.rss_kib(server.pid)

    try:
        before = resident(FEW)
        size = (resident(many) - before) * 1024 / (many - FEW)
        cpu, last = spread(server, desk, audience, seconds)
        server.settle()
        after = process.rss_kib(server.pid)
        return {"bytes": size, "cpu_us": cpu, "last_ms": last,
                "told": (after - before) * 1024 / (many - FEW),
                "listeners": many, "messages": seconds}
    finally:
        audience.close()
        desk.close()


def measure(kind, tools, limit, seconds, progress):
    """The cases `events` and `websockets`."""
    entry = dewar("dewar", NEWS, REQUESTS[kind])
    lack = entry.server.missing(tools)
    if lack:
        return {}, {entry.label: lack}, []
    progress(kind)
    server = process.Running(entry.server, entry.setup, tools)
    try:
        server.wait()
        found = listen(kind, server, many_sockets(limit), seconds)
    finally:
        server.stop()
    goal = {"text": f"a listener holds {found['bytes']:,.0f} bytes",
            "limit": f"at most {GOALS[kind]:,}",
            "met": found["bytes"] <= GOALS[kind]}
    return {entry.label: found}, {}, [goal]
