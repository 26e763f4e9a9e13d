# SPDX-License-Identifier: MIT
"""Cost against size: what happens to a request as something grows."""
from . import plot
from .cases import (BASIC, PLAINTEXT, Case, Entry, Request, dewar,
                    echo_request, hooks, routes, routes_request)
from .servers import BY_NAME


class Series:
    """entries(x): who is measured at this size."""

    def __init__(self, name, title, x_label, sizes, entries, connections=None):
        self.name, self.title, self.x_label = name, title, x_label
        self.sizes, self.entries = sizes, entries
        self.connections = connections or (lambda x: 64)

    def case(self, x):
        connections = self.connections(x)
        return Case(f"{self.name}={x}", f"{self.title}: {x}", self.entries(x),
                    connections=connections,
                    least_seconds=1 + connections // 2000)


def some(names, setup, request):
    return [Entry(name, BY_NAME[name], setup, request) for name in names]


def by_routes(x):
    request = routes_request(x)
    return some(("dewar", "nginx-lua", "fastify"), routes(x), request)


def by_hooks(x):
    return [dewar(kind, hooks(f"{x},{x},0,{kind}"), PLAINTEXT)
            for kind in ("plain", "waiting")]


def by_headers(x):
    """Host is one of them."""
    names = ("Accept", "Accept-Language", "Cache-Control", "Cookie", "Origin")
    headers = {f"{names[i % len(names)]}-{i}": f"a value of some length {i}"
               for i in range(1, x)}
    return some(("floor", "dewar", "nginx-lua", "node"), BASIC,
                Request("/plaintext", headers=headers))


def by_body(x):
    return some(("dewar", "nginx-lua", "node"), BASIC, echo_request(x))


def by_connections(x):
    return some(("floor", "dewar", "nginx-lua", "node"), BASIC, PLAINTEXT)


def by_depth(x):
    return [dewar("dewar", {"app": "tasks"}, Request(f"/tree/{x}"))]


ALL = [
    Series("routes", "Two typed parameters", "routes",
           (1, 10, 100, 1000, 10000), by_routes),
    Series("hooks", "Plaintext view between hooks", "hooks before and after",
           (0, 1, 2, 5, 10, 20, 50), by_hooks),
    Series("headers", "Plaintext view", "headers of the request",
           (4, 10, 20, 30, 45, 60), by_headers),
    Series("body", "JSON decoded and encoded", "bytes of the body",
           (256, 1024, 8192, 65536, 262144), by_body),
    Series("connections", "Plaintext view", "connections",
           (64, 256, 1024, 4096, 10000), by_connections,
           connections=lambda x: x),
    Series("depth", "A tree of tasks", "depth",
           (1, 2, 5, 10, 20, 50), by_depth),
]


def lines(results):
    """results: pairs of a size and summaries by label."""
    found = {}
    for x, summaries in results:
        for label, summary in summaries.items():
            if summary["cpu_us"]:
                found.setdefault(label, []).append((x, summary["cpu_us"]))
    return found


def draw(series, results):
    return plot.svg(f"{series.title}: cost by {series.x_label}",
                    series.x_label, "µs of CPU per request", lines(results))
