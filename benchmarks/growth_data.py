"""Growth: pages of many posts, and an error that has happened many times."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select

from benchmarks.databases import prepared
from benchmarks.serve import FINGERPRINT
from benchmarks.servers import Server
from quartapp.database import DatabaseEngine, Session
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.post import all_posts, posts_of, timeline
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.tables import ErrorGroup

POSTS = (1_000, 100_000, 1_000_000)
REPEATS = (1, 1_000, 1_000_000)
PATIENCE = 300.0
"""The most seconds that the server may take to count what was recorded."""


def posts(count: int, notes: Any) -> None:
    """Milliseconds for a list's first page, and for one in its middle, found by key."""
    if count == POSTS[0]:
        notes.begin("Posts", "Queries of 25 posts on SQLite, without the page around them.", "")
        notes.add("| posts | list | first page ms | middle ms | plan of the first page |")
        notes.add("|--:|---|--:|--:|---|")
    print(f"Seeding {count} posts", flush=True)
    with prepared("sqlite", people=1000, posts=count) as (url, _):
        asyncio.run(_posts(url, count, notes))


async def _posts(url: str, count: int, notes: Any) -> None:
    database = DatabaseEngine(url)
    plans: list[tuple[str, Any]] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def keep(_c: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        plans.append((statement, values))

    lists: dict[str, Callable[[Session, PageRequest], Awaitable[Any]]] = {
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
            notes.add(f"| {count} | {name} | {times[0]:.2f} | {times[1]:.2f} | {plan} |")
    await database.dispose()


def errors(url: str, notes: Any) -> None:
    """Milliseconds for the response to an error that has been repeated many times.

    The repeats are recorded in this process, as by another worker of the server, and counted by the
    server's consumer; only the measured ones are requests.
    """
    notes.begin("Errors", "The answer to one more repeat of an error, after so many.", "")
    notes.add("| repeats before | p50 ms | CPU us | journal MB |", "|--:|--:|--:|--:|")
    with Server("quartapp-hypercorn", url) as server:
        for _ in range(50):  # of another group: what the first error loads does not count as growth
            server.get("/boom")
        server.get("/boom_again")
        folder = Path(server.folder) / "instance" / "journal"
        done = 1
        for target in REPEATS:
            _record(folder, target - done)
            done = _wait_for(url, target)
            before, times = server.cpu_seconds(), []
            for _ in range(100):
                started = time.perf_counter()
                server.get("/boom_again")
                times.append((time.perf_counter() - started) * 1000)
            cost = (server.cpu_seconds() - before) * 1e4
            size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file()) / 1e6
            notes.add(f"| {done} | {statistics.median(times):.2f} | {cost:.0f} | {size:.1f} |")


def _record(folder: Path, count: int) -> None:
    journal = Journal(folder)
    recorder = Recorder(
        journal, places=Places(Path(__file__).parent), origin=Origin, scrubber=Scrubber()
    )
    for number in range(1, count + 1):
        error = RuntimeError("what the benchmark asks for again")
        error.__fingerprint__ = FINGERPRINT  # type: ignore[attr-defined]  # docs/report.md
        recorder.record(error)
        if number % 100_000 == 0:
            print(f"{number} of {count} recorded", flush=True)
    recorder.write_owed()
    journal.close()


def _wait_for(url: str, target: int) -> int:
    """Wait until the consumer has counted that many errors of the group; return their number."""

    async def counted() -> int:
        database = DatabaseEngine(url)
        async with database.session(write=False) as session:
            query = select(func.max(ErrorGroup.count)).where(
                ErrorGroup.title.contains("boom_again")
            )
            found = await session.scalar(query)
        await database.dispose()
        return int(found or 0)

    deadline = time.monotonic() + PATIENCE
    while (found := asyncio.run(counted())) < target:
        if time.monotonic() > deadline:
            raise RuntimeError(f"only {found} of {target} errors were counted in {PATIENCE} s")
        time.sleep(0.5)
    return found
