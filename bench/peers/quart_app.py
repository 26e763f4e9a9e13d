# SPDX-License-Identifier: MIT
"""The views on Quart, and BENCH_ROUTES routes with two typed parameters."""
import asyncio
import os

from quart import Quart, jsonify, request

app = Quart(__name__)


@app.get("/plaintext")
async def plaintext():
    return "Hello, World!"


@app.get("/json")
async def json():
    return {"message": "Hello, World!"}


@app.get("/sleep/<int:ms>")
async def sleep(ms):
    await asyncio.sleep(ms / 1000)
    return "slept"


@app.post("/echo")
async def echo():
    return jsonify(await request.get_json())


async def view(id, name):
    return f"{id} {name}"


for i in range(1, int(os.environ.get("BENCH_ROUTES", "0")) + 1):
    app.add_url_rule(f"/r{i}/users/<int:id>/posts/<string:name>", f"r{i}", view)
