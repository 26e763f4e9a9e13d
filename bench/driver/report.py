# SPDX-License-Identifier: MIT
"""Tables, for the terminal and as Markdown, and the files of results."""
import datetime
import json
import os
import platform
import subprocess

from .servers import ROOT


def show(value, digits=2):
    if value is None:
        return "-"
    return f"{value:,.{digits}f}" if digits else f"{value:,.0f}"


def milliseconds(us):
    return "-" if us is None else f"{us / 1000:.2f} ms"


def align(rows, left=1):
    """Lines of columns; the first `left` columns are flush left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) if i < left else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(row, widths)))
            .rstrip() for row in rows]


def markdown(rows, left=1):
    head, *rest = rows
    rule = [":--" if i < left else "--:" for i in range(len(head))]
    return ["| " + " | ".join(row) + " |" for row in [head, rule] + rest]


# --- What a case has found ---------------------------------------------------

def cost_rows(record):
    """The first one is what the ratios refer to."""
    rows = [("server", "µs CPU/request", "least", "ratio", "requests/s", "p50",
             "p99", "busy", "errors", "RSS MiB")]
    base = None
    for label, found in record["results"].items():
        cost = found["cpu_us"]
        base = base or cost
        rows.append((label, show(cost), show(found["cpu_us_min"]),
                     show(cost / base if cost else None),
                     show(found["requests_per_second"], 0),
                     milliseconds(found["p50_us"]),
                     milliseconds(found["p99_us"]),
                     f"{found['busy'] * 100:.0f} %" if found["busy"] else "-",
                     str(found["errors"]), show(found["rss_kib"] / 1024, 1)))
    return rows


def memory_rows(record):
    rows = [("server", "bytes/connection")]
    for label, found in record["results"].items():
        rows.append((label, show(found["bytes"], 0)))
    return rows


def news_rows(record):
    rows = [("server", "listeners", "bytes/listener", "behind the messages",
             "µs CPU/message", "the last has it", "messages")]
    for label, found in record["results"].items():
        rows.append((label, show(found["listeners"], 0),
                     show(found["bytes"], 0), show(found["told"], 0),
                     show(found["cpu_us"]), f"{found['last_ms']:.0f} ms",
                     show(found["messages"], 0)))
    return rows


def startup_rows(record):
    rows = [("server", "ms to the first answer", "least", "RSS MiB")]
    for label, found in record["results"].items():
        rows.append((label, show(found["ms"], 1), show(found["ms_min"], 1),
                     show(found["rss_kib"] / 1024, 1)))
    return rows


KINDS = {"cost": cost_rows, "memory": memory_rows, "news": news_rows,
         "startup": startup_rows}


def lines(record, table=align):
    """All there is to say about a record."""
    found = table(KINDS[record["kind"]](record)) if record["results"] else []
    notes = [f"missing: {label}: {why}"
             for label, why in record["missing"].items()]
    notes += [f"{'reached' if goal['met'] else 'NOT REACHED'}: {goal['text']}, "
              f"wanted {goal['limit']}" for goal in record["goals"]]
    if table is markdown:
        return found + [""] + [f"- {note}" for note in notes]
    return found + notes


# --- Files -------------------------------------------------------------------

def first_line(path, start):
    with open(path) as file:
        for line in file:
            if line.startswith(start):
                return line.split(":", 1)[1].strip()
    return ""


def machine():
    revision = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"],
        capture_output=True, text=True).stdout.strip()
    return {"processor": first_line("/proc/cpuinfo", "model name"),
            "processors": len(os.sched_getaffinity(0)),
            "kernel": platform.release(), "revision": revision,
            "load": os.getloadavg()[0],
            "when": datetime.datetime.now().isoformat(timespec="seconds")}


def record(name, title, kind, results, missing, goals=(), **options):
    return {"name": name, "title": title, "kind": kind, "results": results,
            "missing": missing, "goals": list(goals), "options": options,
            "machine": machine()}


def save(tools, name, value):
    path = os.path.join(tools.work, f"{name}.json")
    with open(path, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")
    return path


def load(tools, name):
    try:
        with open(os.path.join(tools.work, f"{name}.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return None
