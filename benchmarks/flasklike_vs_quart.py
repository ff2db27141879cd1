"""The cost of a request on `flasklike.App`, compared with stock Quart.

    python -m benchmarks.flasklike_vs_quart [--rounds N] [--requests N]

Both run in turn, A B A B, in one process, and are called as a server calls them: a request is one
call of the ASGI application. CPU time is measured, because other work on the machine hardly changes
it. It prints medians of the CPU time per request, and the ratio of stock Quart's to ours: above
1.0, ours is cheaper.
"""

import argparse
import asyncio
import gc
import os
import statistics
import sys
import time
from importlib.metadata import version
from typing import Any

import quart
from quart import Quart

from quartapp import flasklike

SERVED = {"quart": (Quart, quart), "flasklike": (flasklike.App, flasklike)}
PATHS = ("/ping", "/", "/missing", "/broken", "/plain")

PAGE = """<!doctype html><title>{{ title }}</title><h1>Hi, {{ name }}!</h1>
{% for post in posts %}<p><a href="{{ url_for('user', name=post.author) }}">{{ post.author }}</a>:
{{ post.body }}</p>{% endfor %}<a href="{{ url_for('index', page=2) }}">Older posts</a>"""
POSTS = [{"author": f"user{n % 7}", "body": f"post number {n}"} for n in range(25)]


def make_app(kind: str) -> Any:
    cls, names = SERVED[kind]
    app: Quart = cls("benchmark")
    app.secret_key = "benchmark"
    app.logger.disabled = True  # the same formatting for both, and none of it ours
    page = app.jinja_env.from_string(PAGE)

    @app.get("/ping")
    async def ping() -> str:
        return "pong"

    @app.get("/")
    async def index() -> Any:
        app.jinja_env.from_string = lambda *_: page  # type: ignore[method-assign]  # compile once, as a loader does
        return await names.render_template_string(PAGE, title="Home", name="susan", posts=POSTS)

    @app.get("/user/<name>")
    async def user(name: str) -> str:
        return name

    @app.get("/broken")
    async def broken() -> str:
        raise ValueError("broken")

    @app.get("/plain")
    def plain() -> str:
        return "from a thread"

    @app.errorhandler(404)
    async def missing(error: Exception) -> Any:
        return await names.render_template_string(PAGE, title="404", name="-", posts=[]), 404

    @app.errorhandler(500)
    async def failed(error: Exception) -> Any:
        return await names.render_template_string(PAGE, title="500", name="-", posts=[]), 500

    return app


HEADERS = [
    (b"host", b"localhost:5000"),
    (b"user-agent", b"benchmark"),
    (b"accept", b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
    (b"accept-language", b"en"),
    (b"accept-encoding", b"gzip"),
    (b"cookie", b"other=1"),
]


async def ask(app: Any, path: str) -> tuple[int, bytes]:
    """Make one request as Hypercorn does: in a new task, with its messages from a queue."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 5000),
        "extensions": {},
    }
    messages: asyncio.Queue[Any] = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    status, body = 0, b""

    async def send(message: Any) -> None:
        nonlocal status, body
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            body += message["body"]

    await asyncio.create_task(app(scope, messages.get, send))
    return status, body


async def measure(rounds: int, requests: int) -> None:
    apps = {kind: make_app(kind) for kind in SERVED}
    print(f"| request | {' | '.join(apps)} | ratio |\n|---|---|---|---|")
    for path in PATHS:
        answers = {kind: await ask(app, path) for kind, app in apps.items()}
        assert len(set(answers.values())) == 1, f"different answers: {answers}"
        costs: dict[str, list[float]] = {kind: [] for kind in apps}
        for _ in range(rounds):
            for kind, app in apps.items():
                gc.collect()
                started = time.process_time()
                for _ in range(requests):
                    await ask(app, path)
                costs[kind].append((time.process_time() - started) / requests * 1e6)
        medians = {kind: statistics.median(values) for kind, values in costs.items()}
        ratio = medians["quart"] / medians["flasklike"]
        cells = " | ".join(f"{median:.0f} us" for median in medians.values())
        print(f"| `{path}` | {cells} | {ratio:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, Quart {version('quart')}\n")
    asyncio.run(measure(options.rounds, options.requests))


if __name__ == "__main__":
    main()
