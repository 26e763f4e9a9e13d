# SPDX-License-Identifier: MIT
"""The views on Flask, and BENCH_ROUTES routes with two typed parameters."""
import os
import time

from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/plaintext")
def plaintext():
    return "Hello, World!"


@app.get("/json")
def json():
    return {"message": "Hello, World!"}


@app.get("/sleep/<int:ms>")
def sleep(ms):
    time.sleep(ms / 1000)
    return "slept"


@app.post("/echo")
def echo():
    return jsonify(request.get_json())


def view(id, name):
    return f"{id} {name}"


for i in range(1, int(os.environ.get("BENCH_ROUTES", "0")) + 1):
    app.add_url_rule(f"/r{i}/users/<int:id>/posts/<string:name>", f"r{i}", view)
