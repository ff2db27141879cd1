"""`python -m tests.faults.database_down [SECONDS]`: a storm while the database is away.

On SQLite another process holds the lock; on PostgreSQL (QUARTAPP_TEST_POSTGRESQL) the connections
are ended again and again, in the middle of commits too. Recording never waits, and in the end the
sum is exact.
"""

import asyncio
import logging
import os
import random
import secrets
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from quartapp.database import Database
from quartapp.models import Base, ErrorGroup
from quartapp.reporting.drainer import Drainer
from quartapp.reporting.journal import Journal
from quartapp.reporting.ledger import Rules
from quartapp.reporting.places import Places
from quartapp.reporting.policy import Limits
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.scrub import Scrubber

RULES = Rules(host="faults", limits=Limits(), mails=True)


async def storm(recorder: Recorder, until: float) -> tuple[int, float]:
    """Record until a moment; how many, and the longest that one of them took."""
    errors, longest = 0, 0.0
    while time.monotonic() < until:
        for _ in range(20):
            began = time.perf_counter()
            recorder.record(ValueError("while the database is away"))
            longest = max(longest, time.perf_counter() - began)
            errors += 1
        await asyncio.sleep(0.002)
    return errors, longest


async def drain(drainer: Drainer) -> None:
    while True:
        try:
            await drainer.drain()
            await drainer.wake()
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


async def end_connections(admin: URL, name: str, until: float) -> None:
    engine = create_async_engine(admin, isolation_level="AUTOCOMMIT")
    statement = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    async with engine.connect() as connection:
        while time.monotonic() < until:
            await connection.execute(statement, {"name": name})
            await asyncio.sleep(random.uniform(0.0, 0.1))
    await engine.dispose()


async def run(url: str, folder: Path, seconds: float, admin: URL | None = None) -> bool:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    journal = Journal(folder / "journal", segment_bytes=65536)
    recorder = Recorder(
        journal, places=Places(Path(__file__).parent), origin=Origin(), scrubber=Scrubber()
    )
    drainer = Drainer(journal, database, RULES)
    until = time.monotonic() + seconds
    draining = asyncio.create_task(drain(drainer))
    name = database.url.database or ""
    fault = end_connections(admin, name, until) if admin else hold_sqlite(Path(name), until)
    (errors, longest), _ = await asyncio.gather(storm(recorder, until), fault)
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    recorder.settle()
    journal.close()
    rest = 0
    while found := await drainer.drain():
        rest += found
    async with database.session(write=False) as session:
        counted = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)
    await database.dispose()
    print(f"{name}: {errors} errors, {counted} counted, {rest} of them at the end")
    print(f"the longest recording took {longest * 1000:.1f} ms")
    return errors == counted


async def with_postgresql(seconds: float, folder: Path, address: str) -> bool:
    admin = make_url(address).set(drivername="postgresql+asyncpg")
    name = f"quartapp_{secrets.token_hex(6)}"
    engine = create_async_engine(admin, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}"'))
        try:
            url = admin.set(database=name).render_as_string(hide_password=False)
            return await run(url, folder, seconds, admin)
        finally:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
            await connection.close()
            await engine.dispose()


def main() -> int:
    logging.getLogger("quartapp.reporting").setLevel(logging.CRITICAL)
    logging.getLogger("sqlalchemy").setLevel(logging.CRITICAL)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held = asyncio.run(run(f"sqlite+aiosqlite:///{folder / 'f.db'}", folder / "s", seconds))
        if address := os.environ.get("QUARTAPP_TEST_POSTGRESQL", ""):
            held = asyncio.run(with_postgresql(seconds, folder / "p", address)) and held
        else:
            print("without PostgreSQL: QUARTAPP_TEST_POSTGRESQL is not set")
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
