# SPDX-License-Identifier: MIT
"""Measures Dewar beside other servers.

CASE is one of these; without any, `table` is measured:
{cases}
Results are written to build/bench/CASE.json, plots to build/bench/*.svg.
"""
import argparse
import os
import subprocess
import sys

from . import cases, growth, instructions, measure, memory, news, process
from . import report, servers, syscalls

TABLE = {case.name: case for case in cases.TABLE}
MEMORY = {"idle": "bytes that an idle keep-alive connection holds",
          "waiting": "bytes that a request waiting in a view holds, its "
                     "connection included"}
NEWS = {"websockets": "10,000 websockets, and a message a second for all",
        "events": "10,000 event streams, and an event a second for all"}
SERIES = {"growth-" + series.name: series for series in growth.ALL}
OTHERS = {
    "startup": "from the start of the process to its first answer",
    "table": "all of the above",
    "growth": "all of the series below",
    **{name: f"cost by {series.x_label}" for name, series in SERIES.items()},
    "instructions": "instructions and allocations per request, against "
                    "bench/baseline.json",
    "syscalls": "system calls per request (strace)",
    "report": "nothing: prints what was measured before, as Markdown",
}


class Driver:
    def __init__(self, options):
        self.options = options
        root = servers.ROOT
        work = os.path.join(root, "build", "bench")
        self.tools = servers.Tools(
            options.out or work,
            os.path.abspath(options.build or os.path.join(work, "tree")))
        self.limit = process.raise_limits()
        self.failed = False

    def progress(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def say(self, title, lines):
        self.progress("")
        print("\n".join([title] + lines + [""]), flush=True)

    def keep(self, record):
        report.save(self.tools, record["name"], record)
        self.say(record["title"], report.lines(record))

    def build(self):
        """The release preset, with debug information, in a folder of its own.
        """
        if self.options.build:
            return
        tree = self.tools.tree
        os.makedirs(tree, exist_ok=True)
        with open(self.tools.log("build"), "w") as log:
            for command in (
                    ["cmake", "--preset", "release", "-B", tree,
                     "-DDEWAR_BUILD_BENCH=ON",
                     "-DCMAKE_C_FLAGS_RELEASE=-O2 -g -DNDEBUG"],
                    ["cmake", "--build", tree, "--parallel",
                     str(os.cpu_count()), "--target", "dewar_cli", "bench"]):
                done = subprocess.run(command, cwd=servers.ROOT, stdout=log,
                                      stderr=log)
                if done.returncode:
                    sys.exit(f"the build failed; see {log.name}")

    # --- Cases ---------------------------------------------------------------

    def wanted(self, case):
        """With --servers, only those, and what the goals refer to."""
        names = self.options.servers
        if names:
            case.entries = [entry for entry in case.entries
                            if entry.server.name in names]
        return case

    def cost(self, case):
        return measure.measure(self.wanted(case), self.tools,
                               self.options.seconds, self.options.rounds,
                               self.progress)

    def table_case(self, case):
        results, missing = self.cost(case)
        cost = {label: found["cpu_us"] for label, found in results.items()}
        goals = [goal.judge(cost) for goal in case.goals]
        self.keep(report.record(
            case.name, case.title, "cost", results, missing,
            [goal for goal in goals if goal], connections=case.connections,
            pipeline=case.pipeline, rounds=self.options.rounds,
            seconds=max(self.options.seconds, case.least_seconds)))

    def memory_case(self, name):
        results, missing = memory.connections(
            name, self.tools, self.limit, self.options.servers, self.progress)
        self.keep(report.record(name, MEMORY[name], "memory", results, missing,
                                connections=memory.many_sockets(self.limit)))

    def news_case(self, name):
        seconds = max(5, self.options.seconds)
        results, missing, goals = news.measure(
            name, self.tools, self.limit, seconds, self.progress)
        self.keep(report.record(name, NEWS[name], "news", results, missing,
                                goals, seconds=seconds))

    def startup(self):
        results, missing = memory.startup(
            self.tools, max(3, self.options.rounds), self.options.servers,
            self.progress)
        self.keep(report.record("startup", OTHERS["startup"], "startup",
                                results, missing))

    def series(self, series):
        results = []
        for x in series.sizes:
            results.append((x, self.cost(series.case(x))[0]))
        name = "growth-" + series.name
        labels = list(dict.fromkeys(label for _, found in results
                                    for label in found))
        report.save(self.tools, name, {
            "name": name, "title": series.title, "x": series.x_label,
            "results": results, "machine": report.machine()})
        path = os.path.join(self.tools.work, name + ".svg")
        with open(path, "w") as file:
            file.write(growth.draw(series, results))
        rows = [(series.x_label, *labels)]
        rows += [(f"{x:,}", *(report.show(found[label]["cpu_us"])
                              if label in found else "-" for label in labels))
                 for x, found in results]
        self.say(f"{series.title}, µs of CPU per request ({path})",
                 report.align(rows, 0))

    def instructions(self):
        baseline = instructions.load_baseline()
        counts, profiles = {}, {}
        rows = [("case", "instructions", "before", "change", "allocations",
                 "before")]
        for case in instructions.ALL:
            name = case.name
            self.progress(f"instructions: {name}")
            counts[name], profiles[name] = instructions.count(case, self.tools)
            rows.append(instructions.row(name, counts[name],
                                         baseline["cases"].get(name)))
        found = {"with": instructions.built_with(self.tools), "cases": counts}
        notes = []
        if baseline["with"] not in (None, found["with"]):
            notes = [f"the baseline was recorded with {baseline['with']}, "
                     f"this is {found['with']}"]
        report.save(self.tools, "instructions", found)
        self.say("instructions per request", report.align(rows) + notes)
        self.say("by layer, per request",
                 report.align(instructions.layer_rows(profiles)))
        for name in self.options.profile or ():
            self.say(f"{name}: functions by what they do themselves",
                     report.align(instructions.function_rows(profiles[name])))
        if self.options.record:
            instructions.save_baseline(found)

    def report(self):
        for name in [*TABLE, *MEMORY, *NEWS, "startup"]:
            record = report.load(self.tools, name)
            if record:
                self.say(f"### {record['title']}\n",
                         report.lines(record, report.markdown))

    def attempt(self, name):
        """What fails is told, and the next one has its turn."""
        try:
            self.run(name)
        except (measure.Wrong, RuntimeError) as problem:
            self.failed = True
            self.say(f"{name} was not measured", [str(problem)])

    def run(self, name):
        if name == "table":
            for each in [*TABLE, *MEMORY, *NEWS, "startup"]:
                self.attempt(each)
        elif name == "growth":
            for each in SERIES:
                self.attempt(each)
        elif name in TABLE:
            self.table_case(TABLE[name])
        elif name in MEMORY:
            self.memory_case(name)
        elif name in NEWS:
            self.news_case(name)
        elif name in SERIES:
            self.series(SERIES[name])
        elif name == "syscalls":
            self.say(OTHERS[name], report.align(
                syscalls.rows(self.tools, self.progress)))
        else:
            getattr(self, name)()


def names():
    return {**{case.name: case.title for case in cases.TABLE}, **MEMORY,
            **NEWS, **OTHERS}


def arguments():
    listed = "\n".join(f"  {name:20s} {title}"
                       for name, title in names().items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__.format(cases=listed),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("-d", "--seconds", type=int, default=3,
                        help="of a measurement (3)")
    parser.add_argument("-r", "--rounds", type=int, default=5,
                        help="of which the median counts (5)")
    parser.add_argument("--servers", type=lambda text: text.split(","),
                        help="only these, with commas between them")
    parser.add_argument("--build", metavar="FOLDER",
                        help="measure what was built there, with "
                             "DEWAR_BUILD_BENCH=ON; builds nothing")
    parser.add_argument("--out", metavar="FOLDER",
                        help="where results go (build/bench)")
    parser.add_argument("--record", action="store_true",
                        help="instructions: make this the baseline")
    parser.add_argument("--profile", action="append", metavar="CASE",
                        choices=[case.name for case in instructions.ALL],
                        help="instructions: show the functions that do most")
    return parser


def check_tools(wanted):
    programs = {"wrk": "wrk", "taskset": "util-linux"}
    if "instructions" in wanted:
        programs = {"valgrind": "valgrind"}
    if "syscalls" in wanted:
        programs["strace"] = "strace"
    for program, package in programs.items():
        lack = servers.lacks(program, package)
        if lack:
            sys.exit(f"scripts/bench: {lack}")


def main():
    parser = arguments()
    options = parser.parse_args()
    known = names()
    for name in options.cases:
        if name not in known:
            parser.error(f"there is no case {name}")
    for name in options.servers or ():
        if name not in servers.BY_NAME:
            parser.error(f"there is no server {name}; there are "
                         f"{', '.join(servers.BY_NAME)}")
    wanted = options.cases or ["table"]
    driver = Driver(options)
    if wanted != ["report"]:
        check_tools(wanted)
        driver.build()
        if "instructions" not in wanted:
            servers.install_node_modules(driver.tools)
        if os.getloadavg()[0] > 1:
            print("This machine is busy with something else: times that are "
                  "measured now mean nothing.\n")
    for name in wanted:
        driver.attempt(name)
    return 1 if driver.failed else 0
