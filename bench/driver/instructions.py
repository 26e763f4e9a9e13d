# SPDX-License-Identifier: MIT
"""Instructions per request, counted by callgrind: a count that doesn't depend
on how busy the machine is. It includes the client's end of the in-memory
connection, which is small and stays the same; the kernel's part is not in it.
Where things lie in memory decides about collisions in Lua's tables, so a change
of a few parts in a thousand means nothing. The counts depend on the compiler
and on Lua's build, too: the baseline says what it was recorded with."""
import collections
import json
import os
import re
import subprocess

from .cases import PLAINTEXT, Request, echo_request, hooks, routes
from .cases import routes_request
from .servers import BENCH, BY_NAME

BASELINE = os.path.join(BENCH, "baseline.json")


class Count:
    """As many requests as it takes for Lua's collector to go round."""

    def __init__(self, name, setup, request, batch=1, requests=10000):
        self.name, self.setup = name, setup
        self.request, self.batch, self.requests = request, batch, requests


BASIC = {"app": "basic"}
ALL = [
    Count("plaintext", BASIC, PLAINTEXT),
    Count("pipelined", BASIC, PLAINTEXT, 16),
    Count("json", BASIC, Request("/json")),
    Count("params", routes(1000), routes_request(1000, 1)),
    Count("params-10000", routes(10000), routes_request(10000, 1)),
    Count("hooks", hooks("3,3,1,plain"), PLAINTEXT, requests=4000),
    Count("hooks-waiting", hooks("3,3,1,waiting"), PLAINTEXT, requests=4000),
    Count("echo", BASIC, echo_request(1024), requests=1000),
    Count("tree", {"app": "tasks"}, Request("/tree/5"), requests=2000),
]


# --- What callgrind writes ---------------------------------------------------

class Profile:
    """Instructions by file and by function, of themselves."""

    LAYERS = (("runtime/base/", "base"), ("runtime/net/", "net"),
              ("runtime/http/", "http"), ("runtime/app/", "app"),
              ("runtime/", "runtime"), ("bindings/", "bindings"),
              ("bench/", "the benchmark"), ("llhttp", "llhttp"),
              ("liblua", "Lua"), ("libuv", "libuv"), ("libc.", "libc"),
              ("libc-", "libc"))

    def __init__(self, path, requests, sent):
        self.requests, self.sent = requests, sent
        self.layers = collections.Counter()
        self.functions = collections.Counter()
        self.calls = collections.Counter()  # the warm-up's among them
        self.names = {}
        self.read(path)

    def name(self, kind, text):
        """`(7) name` gives number 7 its name, `(7)` refers to it."""
        match = re.match(r"\((\d+)\)(?: (.*))?$", text)
        if not match:
            return text
        key = kind, match.group(1)
        if match.group(2) is not None:
            self.names[key] = match.group(2)
        return self.names[key]

    def layer(self, file, library):
        for place in (file, library):
            for part, layer in self.LAYERS:
                if part in place:
                    return layer
        return "other"

    def read(self, path):
        file = library = function = ""
        kinds = {"ob": "ob", "fl": "fl", "fi": "fl", "fe": "fl", "fn": "fn",
                 "cob": "ob", "cfi": "fl", "cfl": "fl", "cfn": "fn"}
        called = skip = None
        with open(path) as lines:
            for line in lines:
                key, _, value = line.rstrip("\n").partition("=")
                if key in kinds:
                    name = self.name(kinds[key], value)
                    if key == "ob":
                        library = name
                    elif key in ("fl", "fi", "fe"):
                        file = name
                    elif key == "fn":
                        function = name
                    elif key == "cfn":
                        called = name
                elif key == "calls":
                    self.calls[called] += int(value.split()[0])
                    skip = True
                elif re.match(r"[-+*\d]", line):
                    if not skip:
                        cost = int(line.split()[-1])
                        self.layers[self.layer(file, library)] += cost
                        self.functions[function] += cost
                    skip = False


def count(case, tools):
    """Counts a case; returns its record and its profile."""
    request = os.path.join(tools.work, "request")
    with open(request, "wb") as file:
        file.write(case.request.bytes())
    out = os.path.join(tools.work, f"callgrind-{case.name}.out")
    _, env = BY_NAME["dewar"].command(tools, 0, case.setup)
    batches = case.requests // case.batch
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
         "--toggle-collect=measured", tools.built("bench", "instructions"),
         os.path.join(BENCH, "apps", case.setup["app"] + ".lua"), request,
         str(case.batch), str(batches)],
        env={"PATH": os.environ["PATH"], **env}, capture_output=True,
        text=True)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not collected:
        raise RuntimeError(f"{case.name}: {run.stderr}")
    told = json.loads(run.stdout.strip().splitlines()[-1])
    requests = told["requests"]
    return {"instructions": round(int(collected.group(1)) / requests),
            "allocations": round(told["allocations"] / requests, 2),
            "answer": told["answer"]}, Profile(out, requests, told["sent"])


# --- The baseline ------------------------------------------------------------

def load_baseline():
    try:
        with open(BASELINE) as file:
            return json.load(file)
    except FileNotFoundError:
        return {"with": None, "cases": {}}


def built_with(tools):
    """The compiler and the Lua that counts depend on."""
    def first_line(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.split("\n")[0].strip()
    compiler = "cc"
    with open(tools.built("CMakeCache.txt")) as file:
        match = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", file.read(), re.M)
        compiler = match.group(1) if match else compiler
    return {"compiler": first_line(compiler, "--version"),
            "lua": first_line("pkg-config", "--modversion", "lua5.4"),
            "libuv": first_line("pkg-config", "--modversion", "libuv")}


def save_baseline(baseline):
    with open(BASELINE, "w") as file:
        json.dump(baseline, file, indent=2)
        file.write("\n")


# --- Tables ------------------------------------------------------------------

def change(now, before):
    if not before:
        return "new"
    return f"{(now - before) / before * 100:+.2f} %"


def row(name, now, before):
    before = before or {}
    return (name, f"{now['instructions']:,}",
            f"{before.get('instructions', 0):,}",
            change(now["instructions"], before.get("instructions")),
            f"{now['allocations']:.2f}",
            f"{before.get('allocations', 0):.2f}")


def layer_rows(profiles):
    layers = dict.fromkeys(layer for _, layer in Profile.LAYERS)
    layers = list(layers) + ["other"]
    rows = [("layer", *profiles)]
    for layer in layers:
        costs = [profile.layers[layer] / profile.requests
                 for profile in profiles.values()]
        if any(costs):
            rows.append((layer, *(f"{cost:,.0f}" for cost in costs)))
    return rows


def function_rows(profile, count=40):
    total = sum(profile.functions.values())
    rows = [("function", "instructions", "share", "calls")]
    for name, cost in profile.functions.most_common(count):
        rows.append((name, f"{cost / profile.requests:,.1f}",
                     f"{cost / total * 100:.1f} %",
                     f"{profile.calls[name] / profile.sent:.2f}"))
    return rows
