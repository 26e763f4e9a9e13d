# SPDX-License-Identifier: MIT
"""Processes: what they use, and servers that are started and stopped."""
import os
import re
import resource
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = 0, 1


def pinned(core):
    """What goes in front of a command that is to run on one processor."""
    if len(os.sched_getaffinity(0)) < 2:
        return []
    return ["taskset", "-c", str(core)]


def raise_limits():
    """As many open files as we may have; returns how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def family(pid):
    """A process and all that descend from it."""
    pids = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                for child in file.read().split():
                    pids += family(int(child))
    except FileNotFoundError:
        pass
    return pids


def cpu_seconds(pid):
    """User and system time of a family so far."""
    ticks = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except FileNotFoundError:
            pass
    return ticks / TICKS


def rss_kib(pid):
    """Resident memory of a family."""
    total = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/status") as file:
                match = re.search(r"VmRSS:\s+(\d+)", file.read())
            total += int(match.group(1)) if match else 0
        except FileNotFoundError:
            pass
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A server that has been started on a port of its own."""

    def __init__(self, server, setup, tools):
        self.name = server.name
        self.server = server
        self.port = free_port()
        argv, env = server.command(tools, self.port, setup)
        self.log_path = tools.log(server.name)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                pinned(SERVER_CORE) + argv, env={**os.environ, **env},
                cwd=tools.work, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)

    @property
    def pid(self):
        return self.process.pid

    def wait(self, seconds=30):
        """Until it listens."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.01)
        self.stop()
        raise RuntimeError(f"{self.name} did not start; see {self.log_path}")

    def settle(self, seconds=10):
        """Until it has nothing to do for a moment."""
        deadline = time.monotonic() + seconds
        before = -1.0
        while time.monotonic() < deadline:
            now = cpu_seconds(self.pid)
            if now == before:
                return
            before = now
            time.sleep(0.3)

    def stop(self):
        """Children get their signal from the server, as it stops."""
        if self.process.poll() is not None:
            return
        pids = family(self.pid)
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in pids:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            self.process.wait()
