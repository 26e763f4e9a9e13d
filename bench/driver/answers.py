# SPDX-License-Identifier: MIT
"""Servers are compared only where they give equal answers."""
import http.client
import json
import time


def fetch(port, request):
    """Status, media type and body of the answer to a request's first path; of
    JSON the value, since its order and spaces are free."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(request.method, request.paths[0], request.body,
                           request.headers)
        response = connection.getresponse()
        body = response.read()
        media = (response.getheader("Content-Type") or "").split(";")[0]
        if media == "application/json":
            body = json.loads(body)
        return response.status, media, body
    finally:
        connection.close()


def compare(running):
    """running: pairs of a label and (server, request). Returns, by label, what
    is wrong with the answers that differ from the first one's; constant answers
    are left out."""
    first, wrong = None, {}
    for label, (server, request) in running.items():
        if server.server.constant:
            continue
        started = time.monotonic()
        try:
            answer = fetch(server.port, request)
        except (OSError, ValueError, http.client.HTTPException) as error:
            wrong[label] = f"no answer: {error}"
            continue
        # A timer may be a moment early, by its own clock.
        ms = (time.monotonic() - started) * 1e3
        if ms < request.least_ms - 2:
            wrong[label] = f"answered after {ms:.1f} ms"
        elif answer[0] != 200:
            wrong[label] = f"answered with {answer[0]}"
        elif first is None:
            first = label, answer
        elif answer != first[1]:
            wrong[label] = (f"answered {shorten(answer)}, but "
                            f"{first[0]} {shorten(first[1])}")
    return wrong


def shorten(answer):
    text = repr(answer)
    return text if len(text) < 120 else text[:117] + "..."
