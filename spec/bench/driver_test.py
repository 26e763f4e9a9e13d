# SPDX-License-Identifier: MIT
"""The benchmark's driver, where it thinks: what it makes of samples, when it
calls a goal reached, which answers it calls equal, what it reads of callgrind's
profiles, and what it draws. It measures nothing here."""
import http.server
import os
import sys
import tempfile
import threading
import types
import unittest
import xml.dom.minidom

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "bench"))

from driver import answers, cases, instructions, measure, plot, report


def sample(cost, requests=1000, **others):
    return {"cpu_us": cost, "requests": requests, "seconds": 2.0, "p50": 100,
            "p99": 900, "busy": 0.5, "errors": 0, "rss_kib": 2048, **others}


class Samples(unittest.TestCase):
    def test_quotes_the_median_and_keeps_the_extremes(self):
        found = measure.summary([sample(9.0), sample(1.0), sample(2.0)])
        self.assertEqual((found["cpu_us"], found["cpu_us_min"],
                          found["cpu_us_max"]), (2.0, 1.0, 9.0))
        self.assertEqual(found["requests_per_second"], 500)

    def test_adds_up_errors_and_lives_with_a_server_that_answered_nothing(self):
        found = measure.summary([sample(None, 0, errors=3, p50=None),
                                 sample(None, 0, errors=4, p50=None)])
        self.assertEqual(found["errors"], 7)
        self.assertIsNone(found["cpu_us"])
        self.assertIsNone(found["p50_us"])

    def test_gives_ratios_to_the_first_server_of_the_table(self):
        results = {"floor": measure.summary([sample(2.0)]),
                   "dewar": measure.summary([sample(3.0)]),
                   "mute": measure.summary([sample(None)])}
        head, *rows = report.cost_rows({"results": results})
        ratio = head.index("ratio")
        self.assertEqual([row[ratio] for row in rows], ["1.00", "1.50", "-"])


class Goals(unittest.TestCase):
    @staticmethod
    def judged(goal, **costs):
        return goal.judge(costs)

    def test_is_reached_by_a_ratio_or_by_a_difference(self):
        ratio = cases.Goal("dewar", "floor", ratio=1.2)
        self.assertTrue(self.judged(ratio, dewar=1.2, floor=1.0)["met"])
        self.assertFalse(self.judged(ratio, dewar=1.3, floor=1.0)["met"])
        extra = cases.Goal("dewar", "floor", extra=1.5)
        self.assertTrue(self.judged(extra, dewar=2.5, floor=1.0)["met"])
        self.assertFalse(self.judged(extra, dewar=2.6, floor=1.0)["met"])

    def test_is_left_open_where_a_server_is_missing(self):
        goal = cases.Goal("dewar", "lwan", ratio=1)
        self.assertFalse(self.judged(goal, dewar=1.0))


class Answers(unittest.TestCase):
    def serve(self, status, media, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Type", media)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        kind = types.SimpleNamespace(constant=False)
        return types.SimpleNamespace(port=server.server_port, server=kind)

    def wrong(self, *servers, request=None):
        request = request or cases.Request("/")
        return answers.compare({str(i): (self.serve(*server), request)
                                for i, server in enumerate(servers)})

    def test_takes_json_for_equal_whatever_its_spaces_and_order(self):
        self.assertEqual(self.wrong(
            (200, "application/json", b'{"a":1,"b":2}\n'),
            (200, "application/json; charset=utf-8", b'{ "b": 2, "a": 1 }')), {})

    def test_names_what_differs_from_the_first(self):
        wrong = self.wrong((200, "text/plain", b"x"), (200, "text/plain", b"y"),
                           (200, "text/html", b"x"), (500, "text/plain", b"x"),
                           (200, "application/json", b"{"))
        self.assertEqual(sorted(wrong), ["1", "2", "3", "4"])
        self.assertIn("answered with 500", wrong["3"])
        self.assertIn("no answer", wrong["4"])

    def test_catches_a_view_that_does_not_sleep(self):
        request = cases.Request("/")
        request.least_ms = 5000
        wrong = self.wrong((200, "text/plain", b"x"), request=request)
        self.assertIn("answered after", wrong["0"])


class Profiles(unittest.TestCase):
    TEXT = """events: Ir
ob=(1) /usr/lib/liblua5.4.so.0
fl=(1) ???
fn=(1) lua_resume
10 5
ob=(2) /build/bin/dewar
fl=(2) /src/runtime/http/parser.c
fn=(2) parse
12 100
cob=(1)
cfi=(1)
cfn=(1)
calls=4 10
13 7000
14 20
fe=(3) /src/runtime/app/dispatch.c
15 3
"""

    def test_counts_what_functions_do_themselves_by_layer(self):
        with tempfile.NamedTemporaryFile("w", suffix=".out") as file:
            file.write(self.TEXT)
            file.flush()
            profile = instructions.Profile(file.name, 1, 1)
        self.assertEqual(dict(profile.layers),
                         {"Lua": 5, "http": 120, "app": 3})
        self.assertEqual(profile.functions["parse"], 123)
        self.assertEqual(profile.calls["lua_resume"], 4)


class Plots(unittest.TestCase):
    def test_takes_decades_by_their_logarithm(self):
        axis = plot.Axis([10, 10000], 0, 300)
        self.assertEqual([round(axis.at(n)) for n in (10, 100, 10000)],
                         [0, 100, 300])
        flat = plot.Axis([10, 12], 0, 100)
        self.assertEqual(flat.ticks[0], 0)
        self.assertGreaterEqual(flat.ticks[-1], 12)

    def test_draws_what_an_svg_reader_understands(self):
        drawn = plot.svg("a < b", "routes", "µs", {
            "dewar": [(1, 2.0), (10, 2.5)], "floor": [(1, 1.0), (10, 1.0)]})
        root = xml.dom.minidom.parseString(drawn.encode()).documentElement
        self.assertEqual(root.tagName, "svg")
        self.assertEqual(len(root.getElementsByTagName("circle")), 4)


if __name__ == "__main__":
    unittest.main()
