# SPDX-License-Identifier: MIT
"""The real Flask, driven by flask_spec.lua: a request in JSON per line on stdin,
an answer in JSON per line on stdout. Values that JSON lacks are described as
{"$": kind, "v": value}."""
import datetime
import json
import sys
import time
import uuid
import warnings

warnings.simplefilter("ignore")

import flask  # noqa: E402
import itsdangerous  # noqa: E402, F401  (what sessions are signed with)
from markupsafe import Markup  # noqa: E402

real_time = time.time


def described(value):
    """A value of Python's in JSON."""
    if isinstance(value, tuple):
        return {"$": "tuple", "v": [described(v) for v in value]}
    if isinstance(value, list):
        return [described(v) for v in value]
    if isinstance(value, dict):
        return {"$": "dict", "v": [[k, described(value[k])] for k in sorted(value)]}
    if isinstance(value, bytes):
        return {"$": "bytes", "v": value.hex()}
    if isinstance(value, Markup):
        return {"$": "markup", "v": str(value)}
    if isinstance(value, uuid.UUID):
        return {"$": "uuid", "v": str(value)}
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return {"$": "datetime", "v": int(value.timestamp())}
    return value


def made(value):
    """The value of Python's that a description stands for."""
    if isinstance(value, list):
        return [made(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind, inner = value["$"], value["v"]
    if kind == "tuple":
        return tuple(made(v) for v in inner)
    if kind == "dict":
        return {k: made(v) for k, v in inner}
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "markup":
        return Markup(inner)
    if kind == "uuid":
        return uuid.UUID(inner)
    assert kind == "datetime", kind
    return datetime.datetime.fromtimestamp(inner, datetime.timezone.utc)


class Peer:
    def __init__(self):
        self.app = None
        self.steps = []

    def do_version(self, _):
        try:
            from importlib.metadata import version
            return [version("flask"), version("werkzeug"), version("itsdangerous")]
        except Exception:  # an old Python without it
            return [flask.__version__, "?", "?"]

    def do_app(self, request):
        """A new app with these settings and routes. What the views of the
        endpoint "steps" do comes with the request."""
        self.app = app = flask.Flask("peer", static_folder=None)
        app.config.update(request.get("config") or {})
        for route in request.get("routes") or []:
            options = dict(route.get("options") or {})
            endpoint = options.pop("endpoint", route["rule"])
            view = self.take_steps if endpoint == "steps" else self.show
            app.add_url_rule(route["rule"], endpoint, view, **options)
        return True

    def show(self, **values):
        return {"endpoint": flask.request.endpoint, "values": values}

    def do_time(self, request):
        """From now on it is that second; without one, time goes on."""
        now = request.get("time")
        time.time = real_time if now is None else lambda: now
        return True

    def do_request(self, request):
        self.steps = request.get("steps") or []
        client = self.app.test_client(use_cookies=False)
        answer = client.open(
            request["path"], method=request.get("method", "GET"),
            headers=[tuple(pair) for pair in request.get("headers") or []])
        return {
            "status": answer.status_code,
            "headers": [[k, v] for k, v in answer.headers],
            "body": answer.get_data(as_text=True),
        }

    def do_url_for(self, request):
        values = dict(request.get("values") or {})
        with self.app.test_request_context():
            try:
                return {"url": flask.url_for(request["endpoint"], **values)}
            except Exception as error:
                return {"error": type(error).__name__}

    # --- What views do ---------------------------------------------------------

    def take_steps(self):
        response = flask.make_response("")
        results = []
        for name, *arguments in self.steps:
            results.append(getattr(self, "step_" + name)(response, *arguments))
        response.set_data(json.dumps(results))
        return response

    def step_session(self, _):
        return described(dict(flask.session))

    def step_get(self, _, key):
        return described(flask.session.get(key))

    def step_set(self, _, key, value):
        flask.session[key] = made(value)

    def step_delete(self, _, key):
        flask.session.pop(key, None)

    def step_clear(self, _):
        flask.session.clear()

    def step_permanent(self, _, value):
        flask.session.permanent = value

    def step_flash(self, _, message, category):
        flask.flash(made(message), category)

    def step_messages(self, _, options):
        return described(flask.get_flashed_messages(**options))

    def step_set_cookie(self, response, name, value, options):
        response.set_cookie(name, value, **options)

    def step_delete_cookie(self, response, name, options):
        response.delete_cookie(name, **options)

    def step_cookies(self, _):
        return [[k, v] for k, v in flask.request.cookies.items(multi=True)]


def main():
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"ok": getattr(peer, "do_" + request["do"])(request)}
        except Exception as error:  # the spec shows it
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
