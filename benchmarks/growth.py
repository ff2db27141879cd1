"""`python -m benchmarks.growth`: other servers, many connections, many posts, many errors.

Prints tables; nothing is written but to the terminal. Bounded to about ten minutes.
"""

import asyncio
import importlib.util
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.databases import prepared
from benchmarks.load import press
from benchmarks.servers import Server
from quartapp.database import Database
from quartapp.models.paging import PageRequest
from quartapp.models.post import all_posts, posts_of, timeline

CONNECTIONS = (1, 16, 64, 256, 1000)
POSTS = (1_000, 100_000, 1_000_000)
ERRORS = (0, 1_000, 20_000)
SERVERS = ("hypercorn", "uvicorn", "granian")
SECONDS = 4


def main() -> int:
    with prepared("sqlite") as (url, _):
        servers(url)
        memory(url)
        errors(url)
    pages(POSTS)
    return 0


def servers(url: str) -> None:
    """Requests a second and p99 of `/` at growing numbers of connections.

    The admission limit refuses the connections beyond 512: `refused` counts these answers.
    """
    print("\n| server | connections | requests/s | p50 ms | p99 ms | refused |")
    print("|---|--:|--:|--:|--:|--:|")
    for name in SERVERS:
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed: its rows are skipped (pip install {name}).")
            continue
        with Server(f"quartapp-{name}", url) as server:
            cookie = {"Cookie": server.log_in()}
            press(server, "/", 16, 1, cookie)
            for connections in CONNECTIONS:
                found = press(server, "/", connections, SECONDS, cookie)
                print(
                    f"| {name} | {connections} | {found.rps:.0f} | {found.p50_ms:.1f} "
                    f"| {found.p99_ms:.1f} | {found.errors} |",
                    flush=True,
                )


def memory(url: str) -> None:
    """KiB of the server for a connection that is idle, and for one that waits for its answer."""
    count = 400
    print("\n| connections | KiB each |\n|---|--:|")
    for name, sent in (
        ("idle", b""),
        ("waiting", b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ):
        with Server("quartapp-hypercorn", url, REQUEST_LIMIT="0") as server:
            server.get("/ping")
            before = server.memory_bytes()
            with ExitStack() as stack:
                for _ in range(count):
                    address = ("127.0.0.1", server.port)
                    held = stack.enter_context(socket.create_connection(address))
                    held.sendall(sent)
                time.sleep(2)
                grown = server.memory_bytes() - before
        print(f"| {name} | {grown / count / 1024:.1f} |", flush=True)


def pages(counts: Sequence[int]) -> None:
    """Milliseconds of a list's first page and of one in its middle, which keys lead to."""
    print("\n| posts | list | first page ms | middle ms | plan of the first page |")
    print("|--:|---|--:|--:|---|")
    for count in counts:
        with prepared("sqlite", people=1000, posts=count) as (url, _):
            asyncio.run(_pages(url, count))


async def _pages(url: str, count: int) -> None:
    database = Database(url)
    plans: list[tuple[str, Any]] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def keep(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        plans.append((statement, values))

    lists: dict[str, Callable[[AsyncSession, PageRequest], Awaitable[Any]]] = {
        "everybody": all_posts,
        "one person": lambda session, wanted: posts_of(session, 2, wanted),
        "timeline": lambda session, wanted: timeline(session, 1, wanted),
    }
    async with database.session(write=False) as session:
        for name, find in lists.items():
            plans.clear()
            times = []
            for wanted in (PageRequest(25), PageRequest(25, before=max(1, count // 2))):
                await find(session, wanted)
                started = time.perf_counter()
                for _ in range(10):
                    await find(session, wanted)
                times.append((time.perf_counter() - started) * 100)
            statement, values = plans[0]
            connection = await session.connection()
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = "; ".join(str(row.detail) for row in rows)
            print(f"| {count} | {name} | {times[0]:.2f} | {times[1]:.2f} | {plan} |", flush=True)
    await database.dispose()


def errors(url: str) -> None:
    """Milliseconds of an error's answer after so many of the same error."""
    print("\n| errors before | ms an error |\n|--:|--:|")
    with Server("quartapp-hypercorn", url) as server:
        done = 0
        for target in ERRORS:
            while done < target:
                press_for = min(10, max(1, (target - done) // 500))
                found = press(server, "/boom", 16, press_for, {}, fails=True)
                done += int(found.rps * press_for)
            started = time.perf_counter()
            for _ in range(50):
                server.get("/boom")
            print(f"| {done} | {(time.perf_counter() - started) * 20:.2f} |", flush=True)
            done += 50


if __name__ == "__main__":
    sys.exit(main())
