# SPDX-License-Identifier: MIT
"""The cases: what is asked of whom, and how many connections ask."""
import json

from .load import Request
from .servers import ALL, BY_NAME


class Entry:
    """A column of a case: a server as it is set up, and what it is asked."""

    def __init__(self, label, server, setup, request):
        self.label, self.server = label, server
        self.setup, self.request = setup, request


class Goal:
    """label costs at most `ratio` times what base does, or `extra` more."""

    def __init__(self, label, base, ratio=None, extra=None):
        self.label, self.base = label, base
        self.ratio, self.extra = ratio, extra

    def judge(self, cost):
        """cost: microseconds by label. None where one wasn't measured."""
        mine, other = cost.get(self.label), cost.get(self.base)
        if not mine or not other:
            return None
        if self.ratio is not None:
            value, limit = mine / other, self.ratio
            text = f"{self.label} is {value:.2f} × {self.base}"
            return {"text": text, "limit": f"at most {limit:g} ×",
                    "met": value <= limit}
        value, limit = mine - other, self.extra
        text = f"{self.label} costs {value:+.2f} µs more than {self.base}"
        return {"text": text, "limit": f"at most {limit:+g} µs",
                "met": value <= limit}


class Case:
    def __init__(self, name, title, entries, connections=64, pipeline=1,
                 goals=(), least_seconds=1):
        self.name, self.title, self.entries = name, title, entries
        self.connections, self.pipeline = connections, pipeline
        self.goals, self.least_seconds = goals, least_seconds


# --- What is asked -----------------------------------------------------------

PLAINTEXT = Request("/plaintext")
JSON_TYPE = {"Content-Type": "application/json"}
BASIC = {"app": "basic"}


def routes_request(routes, spread=100):
    """Routes from all over the table have their turn."""
    count = min(routes, spread)
    numbers = [1 + i * routes // count for i in range(count)]
    return Request(*(f"/r{n}/users/42/posts/ada" for n in numbers))


def sleep_request(ms):
    return Request(f"/sleep/{ms}", least_ms=ms)


def echo_request(size):
    """A JSON object of so many bytes: records of several kinds of values."""
    record = {"id": 1000, "name": "Ada Lovelace", "email": "ada@example.org",
              "active": True, "score": 97.5, "tags": ["first", "engine"],
              "address": None}
    items = []
    while len(json.dumps({"items": items + [record], "pad": ""})) <= size:
        items.append(record)
    value = {"items": items, "pad": ""}
    value["pad"] = "x" * max(0, size - len(json.dumps(value)))
    return Request("/echo", method="POST", headers=JSON_TYPE,
                   body=json.dumps(value).encode())


def everyone(setup, request, constant=True, without=()):
    """All servers that have this setup."""
    return [Entry(server.name, server, setup, request) for server in ALL
            if setup["app"] in server.apps and server.name not in without
            and (constant or not server.constant)]


def dewar(label, setup, request):
    return Entry(label, BY_NAME["dewar"], setup, request)


def floors(request):
    return [Entry(name, BY_NAME[name], BASIC, request)
            for name in ("floor", "floor+lua")]


def hooks(counts):
    return {"app": "hooks", "hooks": counts}


def routes(count):
    return {"app": "routes", "routes": count}


# --- The table ---------------------------------------------------------------

def params_entries():
    request = routes_request(1000)
    entries = floors(PLAINTEXT) + [dewar("dewar", routes(1000), request)]
    for count in (10, 10000):
        entries.append(dewar(f"dewar/{count}", routes(count),
                             routes_request(count)))
    return entries + everyone(routes(1000), request, constant=False,
                              without=("dewar",))


TABLE = [
    Case("plaintext", "plaintext view", everyone(BASIC, PLAINTEXT),
         goals=[Goal("dewar", "floor", ratio=1.20),
                Goal("dewar", "lwan", ratio=1.0),
                Goal("dewar", "nginx", ratio=1.0)]),
    Case("pipelined", "plaintext view, 16 requests pipelined",
         everyone(BASIC, PLAINTEXT, without=("flask", "lwan")), pipeline=16,
         goals=[Goal("dewar", "floor", ratio=2.5)]),
    Case("json", "JSON view",
         floors(PLAINTEXT) + everyone(BASIC, Request("/json"), constant=False,
                                      without=("nginx", "lwan")),
         goals=[Goal("dewar", "floor", ratio=1.30)]),
    Case("params", "two typed parameters among 1,000 routes",
         params_entries(),
         goals=[Goal("dewar", "floor", ratio=1.35),
                Goal("dewar/10000", "dewar", ratio=1.05)]),
    Case("hooks", "three hooks before, three after, one at teardown",
         floors(PLAINTEXT) +
         [dewar("dewar", hooks("0,0,0,plain"), PLAINTEXT),
          dewar("dewar/plain", hooks("3,3,1,plain"), PLAINTEXT),
          dewar("dewar/waiting", hooks("3,3,1,waiting"), PLAINTEXT)],
         goals=[Goal("dewar/plain", "dewar", extra=1.5),
                Goal("dewar/waiting", "dewar", extra=4)]),
    Case("sleep", "view that sleeps 10 ms, 512 connections",
         everyone(BASIC, sleep_request(10), constant=False,
                  without=("nginx", "flask", "lwan")), connections=512,
         goals=[Goal("dewar", "nginx-lua", ratio=0.8)]),
    Case("echo", "POST of 1 KB of JSON, decoded and encoded",
         floors(echo_request(1024)) +
         everyone(BASIC, echo_request(1024), constant=False,
                  without=("nginx", "lwan")),
         goals=[Goal("dewar", "node", ratio=0.6)]),
    Case("crowd", "10,000 connections that each wait 1 s",
         everyone(BASIC, sleep_request(1000), constant=False,
                  without=("nginx", "flask", "quart", "lwan")),
         connections=10000, least_seconds=6),
]
