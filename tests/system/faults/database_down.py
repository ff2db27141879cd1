"""`python -m tests.system.faults.database_down [MINUTES]`: storms of errors with a faulty database.

It is unreachable for so many minutes (tests.system.faults.outage); on SQLite it is then locked and
unlocked repeatedly; on PostgreSQL (QUARTAPP_TEST_POSTGRESQL) connections end at random moments,
mostly in the middle of commits. Recording never waits, and in the end the sum is exact.
"""

import asyncio
import logging
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from quartapp.database import DatabaseEngine
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.pipeline import end
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.tables import ErrorGroup, metadata
from tests.system.faults import outage
from tests.system.faults.databases import POSTGRESQL, postgresql
from tests.system.faults.line import Line

RULES = Rules(host="faults", limits=Limits(), mails=True)
LONGEST = 2.0
"""The longest that one recording may take, as a busy machine suspends the process for some tenths
of a second. Waiting for a database would take 5 s: SQLite's busy timeout, or that of a pool."""

Fault = Callable[[float], Awaitable[None]]


async def storm(recorder: Recorder, until: float) -> tuple[int, float]:
    """Record until a time; returns how many, and the longest time that one took."""
    errors, longest = 0, 0.0
    while time.monotonic() < until:
        for _ in range(20):
            began = time.perf_counter()
            recorder.record(ValueError("while the database is away"))
            longest = max(longest, time.perf_counter() - began)
            errors += 1
        await asyncio.sleep(0.002)
    return errors, longest


async def consume(consumer: Consumer) -> None:
    while True:
        try:
            await consumer.consume()
            await consumer.wake()
        except Exception:  # noqa: BLE001 - that is what this is about; the pipeline does the same
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.01)


async def hold_sqlite(path: Path, until: float) -> None:
    """Hold the write lock, with short pauses."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    while time.monotonic() < until:
        try:
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            continue
        await asyncio.sleep(random.uniform(0.1, 0.6))
        connection.execute("COMMIT")
        await asyncio.sleep(random.uniform(0.0, 0.02))
    connection.close()


async def end_connections(url: URL, line: Line, until: float) -> None:
    """Cut one COMMIT of three, and sometimes end all connections."""
    engine = create_async_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    statement = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    async with engine.connect() as connection:
        # A busy machine commits so rarely that by chance none may have been cut.
        latest = until + 60
        while time.monotonic() < (until if line.commits_cut else latest):
            line.share = 0.33
            await asyncio.sleep(random.uniform(0.0, 0.4))
            await connection.execute(statement, {"name": url.database})
    line.share = 0.0
    await engine.dispose()


async def run(url: str, folder: Path, seconds: float, fault: Fault) -> bool:
    database = DatabaseEngine(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    journal = Journal(folder / "journal", segment_bytes=65536)
    recorder = Recorder(
        journal, places=Places(Path(__file__).parent), origin=Origin, scrubber=Scrubber()
    )
    consumer = Consumer(journal, database, RULES)
    until = time.monotonic() + seconds
    consuming = asyncio.create_task(consume(consumer))
    (errors, longest), _ = await asyncio.gather(storm(recorder, until), fault(until))
    await end(consuming)
    recorder.write_owed()
    journal.close()
    rest = 0
    while found := await consumer.consume():
        rest += found
    async with database.session(write=False) as session:
        counted = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)
    await database.dispose()
    print(f"{errors} errors, {counted} counted, {rest} of them at the end", flush=True)
    print(f"the longest recording took {longest * 1000:.1f} ms", flush=True)
    return errors == counted and longest <= LONGEST


async def locked(folder: Path, seconds: float) -> bool:
    path = folder / "locked.db"
    url = f"sqlite+aiosqlite:///{path}"
    return await run(url, folder, seconds, lambda until: hold_sqlite(path, until))


async def cut(folder: Path, seconds: float) -> bool:
    async with postgresql() as url:
        line = Line(url)
        await line.open()
        near = line.leads_to(url)
        held = await run(near, folder, seconds, lambda until: end_connections(url, line, until))
        await line.cut()
    print(f"{line.commits_cut} commits were cut")
    return held and line.commits_cut > 0


async def away_on_sqlite(folder: Path, seconds: float) -> outage.Outcome:
    path = folder / "away.db"
    return await outage.run(f"sqlite:///{path}", outage.locked_out(path), folder, seconds)


async def away_on_postgresql(folder: Path, seconds: float) -> outage.Outcome:
    async with postgresql() as url:
        line = Line(url)
        await line.open()
        try:
            return await outage.run(line.leads_to(url), outage.hung_up(line), folder, seconds)
        finally:
            await line.cut()


async def at_length(folder: Path, minutes: float) -> bool:
    away = away_on_postgresql if POSTGRESQL else away_on_sqlite
    outcome = await away(folder / "away", minutes * 60 + 15)
    print(outcome, flush=True)
    held = outcome.is_right & await locked(folder / "locked", 20)
    if POSTGRESQL:
        held &= await cut(folder / "cut", 20)
    else:
        print("without PostgreSQL: QUARTAPP_TEST_POSTGRESQL is not set")
    return held


def main() -> int:
    logging.getLogger("quartapp.reporting").setLevel(logging.CRITICAL)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory() as name:
        for part in ("away", "locked", "cut"):
            (Path(name) / part).mkdir()
        held = asyncio.run(at_length(Path(name), minutes))
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
