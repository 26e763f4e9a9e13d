# SPDX-License-Identifier: MIT
"""System calls per request: strace counts them while wrk asks."""
import os
import re
import signal
import subprocess
import time

from . import load, process
from .cases import BASIC, PLAINTEXT
from .servers import BY_NAME

SERVERS = ("floor", "floor+lua", "dewar", "nginx")
SECONDS = 2


def count(server, tools, pipeline):
    """Calls by name, per request."""
    path = os.path.join(tools.work, "strace.txt")
    pids = [word for pid in process.family(server.pid)
            for word in ("-p", str(pid))]
    strace = subprocess.Popen(
        ["strace", "-f", "-c", "-o", path] + pids,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        requests = load.generate(server.port, PLAINTEXT, 64, SECONDS,
                                 pipeline)["requests"]
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(10)
    calls = {}
    with open(path) as file:
        for line in file:
            match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+"
                             r"(\w+)$", line)
            if match and match.group(2) != "total":
                calls[match.group(2)] = int(match.group(1)) / requests
    return calls


def describe(calls):
    shown = sorted(calls.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.2f}" for name, share in shown
                     if share >= 0.005)


def rows(tools, progress):
    found = [("server", "a write", "calls", "of which")]
    for name in SERVERS:
        server = BY_NAME[name]
        if server.missing(tools):
            continue
        running = process.Running(server, BASIC, tools)
        try:
            running.wait()
            for pipeline in (1, 16):
                progress(f"syscalls: {name}, {pipeline}")
                calls = count(running, tools, pipeline)
                found.append((name, str(pipeline),
                              f"{sum(calls.values()):.2f}", describe(calls)))
        finally:
            running.stop()
    return found
