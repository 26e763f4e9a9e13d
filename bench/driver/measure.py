# SPDX-License-Identifier: MIT
"""Measures a case: servers take turns, round by round, so that a drift of the
machine's speed hits all of them alike. What counts is the CPU time that a
server spends per request: throughput depends on the load generator."""
import contextlib
import statistics

from . import answers, load, process


class Wrong(Exception):
    """Servers gave answers that differ."""


def start(entries, tools, stack):
    """Starts what isn't missing; returns the running ones and the others."""
    running, missing = {}, {}
    for entry in entries:
        lack = entry.server.missing(tools)
        if lack:
            missing[entry.label] = lack
            continue
        server = process.Running(entry.server, entry.setup, tools)
        stack.callback(server.stop)
        running[entry.label] = server.wait(), entry.request
    return running, missing


def sample(server, request, case, seconds):
    before = process.cpu_seconds(server.pid)
    result = load.generate(server.port, request, case.connections, seconds,
                           case.pipeline)
    used = process.cpu_seconds(server.pid) - before
    count = result["requests"]
    result["cpu_us"] = used / count * 1e6 if count else None
    result["busy"] = used / result["seconds"]
    result["rss_kib"] = process.rss_kib(server.pid)
    result["errors"] = sum(result[kind] for kind in
                           ("connect", "read", "write", "status", "timeout"))
    return result


def median(samples, key):
    values = [s[key] for s in samples if s[key]]
    return statistics.median(values) if values else None


def summary(samples):
    costs = [s["cpu_us"] for s in samples if s["cpu_us"]]
    return {"cpu_us": median(samples, "cpu_us"),
            "cpu_us_min": min(costs) if costs else None,
            "cpu_us_max": max(costs) if costs else None,
            "requests_per_second": statistics.median(
                s["requests"] / s["seconds"] for s in samples),
            "p50_us": median(samples, "p50"), "p99_us": median(samples, "p99"),
            "busy": median(samples, "busy"),
            "errors": sum(s["errors"] for s in samples),
            "rss_kib": samples[-1]["rss_kib"], "samples": samples}


def measure(case, tools, seconds, rounds, progress):
    """Returns summaries by label, and why others are missing."""
    seconds = max(seconds, case.least_seconds)
    with contextlib.ExitStack() as stack:
        running, missing = start(case.entries, tools, stack)
        wrong = answers.compare(running)
        if wrong:
            raise Wrong("\n".join(["answers differ:"] + [
                f"{label}: {text}" for label, text in wrong.items()]))
        samples = {label: [] for label in running}
        labels = list(running)
        for label in labels:  # the warm-up
            progress(f"{case.name}: warming up {label}")
            sample(*running[label], case, case.least_seconds)
        for turn in range(rounds):
            shift = turn % len(labels) if labels else 0
            for label in labels[shift:] + labels[:shift]:
                progress(f"{case.name}: round {turn + 1} of {rounds}, {label}")
                samples[label].append(sample(*running[label], case, seconds))
    return {label: summary(samples[label]) for label in labels}, missing
