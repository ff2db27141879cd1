"""The cost of a request on `flasklike.App`, compared with stock Quart.

    python -m benchmarks.flasklike_vs_quart [--rounds N] [--requests N] [--wrk SECONDS]

Both run in turn, A B A B, in one process, and are called as a server calls them: a request is one
call of the ASGI application. CPU time is measured, because other work on the machine hardly changes
it. With --wrk both are also served by Hypercorn, one process each, and wrk loads them in turn. It
prints medians of the CPU time per request, and the ratio of stock Quart's to ours: above 1.0, ours
is cheaper.
"""

import argparse
import asyncio
import gc
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from typing import Any

import psutil
import quart
from hypercorn.asyncio import serve
from hypercorn.config import Config
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


def serve_forever(kind: str, descriptor: str) -> None:
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.errorlog = None
    asyncio.run(serve(make_app(kind), config, shutdown_trigger=asyncio.Event().wait))


def measure_served(rounds: int, seconds: int) -> None:
    if shutil.which("wrk") is None:
        sys.exit("--wrk needs wrk, which Debian packages under that name")
    listeners = {kind: socket.create_server(("127.0.0.1", 0)) for kind in SERVED}
    servers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.flasklike_vs_quart"),
                *("--serve", kind, "--fd", str(listener.fileno())),
            ],
            pass_fds=[listener.fileno()],
        )
        for kind, listener in listeners.items()
    ]
    try:
        time.sleep(2)
        print(f"\n| served | {' | '.join(SERVED)} | ratio |\n|---|---|---|---|")
        for path in PATHS:
            costs: dict[str, list[float]] = {kind: [] for kind in SERVED}
            for _ in range(rounds):
                for (kind, listener), server in zip(listeners.items(), servers, strict=True):
                    costs[kind].append(wrk(server.pid, listener.getsockname()[1], path, seconds))
            medians = [statistics.median(costs[kind]) for kind in SERVED]
            cells = " | ".join(f"{median:.0f} us" for median in medians)
            print(f"| `{path}` | {cells} | {medians[0] / medians[1]:.2f} |", flush=True)
    finally:
        for server in servers:
            server.kill()
            server.wait()
        for listener in listeners.values():
            listener.close()


def wrk(pid: int, port: int, path: str, seconds: int) -> float:
    """The server's CPU time per request under wrk, in microseconds."""
    before = sum(psutil.Process(pid).cpu_times()[:2])
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = sum(psutil.Process(pid).cpu_times()[:2]) - before
    found = re.search(r"(\d+) requests in", output)
    assert found, output
    return spent / int(found.group(1)) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--wrk", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--fd", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve_forever(options.serve, options.fd)
        return
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, Quart {version('quart')}\n")
    asyncio.run(measure(options.rounds, options.requests))
    if options.wrk:
        measure_served(options.rounds, options.wrk)


if __name__ == "__main__":
    main()
