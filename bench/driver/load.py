# SPDX-License-Identifier: MIT
"""Requests, and the load that wrk makes of them."""
import json
import os
import subprocess
import tempfile

from . import process

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.lua")


class Request:
    """What is asked for; with several paths each has its turn. An answer takes
    at least so many milliseconds, or the server didn't do what was asked."""

    def __init__(self, *paths, method="GET", body=None, headers=None,
                 least_ms=0):
        self.paths, self.method = paths, method
        self.body, self.headers = body, headers or {}
        self.least_ms = least_ms

    def bytes(self):
        """The first one as it goes over the wire."""
        fields = {"Host": "127.0.0.1", **self.headers}
        if self.body is not None:
            fields["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.paths[0]} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        return "\r\n".join(lines + ["", ""]).encode() + (self.body or b"")


def generate(port, request, connections, seconds, pipeline=1):
    """Runs wrk; returns what its script tells, times in microseconds."""
    env = {**os.environ, "BENCH_METHOD": request.method,
           "BENCH_PATHS": "\n".join(request.paths),
           "BENCH_PIPELINE": str(pipeline),
           "BENCH_HEADERS": "\n".join(f"{name}: {value}" for name, value
                                      in request.headers.items())}
    env.pop("BENCH_BODY", None)
    with tempfile.NamedTemporaryFile() as body:
        if request.body is not None:
            body.write(request.body)
            body.flush()
            env["BENCH_BODY"] = body.name
        out = subprocess.run(
            process.pinned(process.LOAD_CORE) +
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
             "10s", "-s", SCRIPT, f"http://127.0.0.1:{port}"],
            env=env, capture_output=True, text=True)
    for line in out.stdout.splitlines():
        if line.startswith("bench "):
            return json.loads(line[6:])
    raise RuntimeError(f"wrk failed: {out.stderr or out.stdout}")
