"""The whole application in a storm of errors while its database is unreachable.

Recording never waits, memory and journal stay bounded, the operators get mails directly from the
journal, and when the database is back the sum is exact.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from quartapp.reporting.journal.segments import disk_usage
from quartapp.reporting.mails.fallback import AFTER
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.tables import ErrorGroup
from quartapp.testing.mail import MailServer
from tests.mailing import mailing_app
from tests.shop.app import create_tables
from tests.system.faults.line import Line
from tests.system.faults.processor import queued

GROUPS = 3
MB = 1024 * 1024
SLOW = 0.020
_MARGIN = 10.0
_BACK = 180.0


class StormError(Exception):
    """The errors of the storm."""


@dataclass
class Outcome:
    errors: int
    slow: int  # recordings that took longer than SLOW, without waiting for a processor
    memory: float
    disk: float
    mails: int
    mails_due: int
    counted: int = 0

    @property
    def is_right(self) -> bool:
        # Another thread may be suspended while it holds the interpreter's lock, but not often.
        return (
            self.counted == self.errors
            and self.slow <= 3 + self.errors // 1000
            and self.memory <= 10
            and self.disk <= 64
            and self.mails == self.mails_due
        )


@asynccontextmanager
async def locked_out(path: Path) -> AsyncIterator[None]:
    """Another connection holds SQLite's write lock for the whole time."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
    # In a thread: the task that holds the lock now needs the loop to release it.
    await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


@asynccontextmanager
async def hung_up(line: Line) -> AsyncIterator[None]:
    await line.cut()
    yield
    await line.open()


async def run(
    url: str, outage: AbstractAsyncContextManager[None], folder: Path, seconds: float
) -> Outcome:
    mail_server = MailServer()
    await mail_server.start()
    app = mailing_app(folder, url, mail_server.port)
    await create_tables(app)
    pipeline: Pipeline = app.extensions["reporting"]
    async with app.test_app():
        await asyncio.sleep(1.5)  # the first rounds load modules, which are no part of the storm
        async with outage:
            outcome = await storm(pipeline, seconds)
            outcome.mails = len(mail_server.mails)
        outcome.counted = await counted(pipeline, outcome.errors)
    await mail_server.stop()
    return outcome


async def storm(pipeline: Pipeline, seconds: float) -> Outcome:
    """Errors without a pause, and what they cost."""
    began, said = time.monotonic(), 0.0
    # for the mailer the outage begins with the first query that fails
    due = sum(seconds >= after + _MARGIN for after in AFTER) * GROUPS
    outcome = Outcome(errors=0, slow=0, memory=0, disk=0, mails=0, mails_due=due)
    before = psutil.Process().memory_info().rss
    while (away := time.monotonic() - began) < seconds:
        burst(pipeline.recorder, outcome)
        if away - said >= 1.0:
            await asyncio.to_thread(measure, pipeline.journal.folder, before, outcome)
            if int(away) % 15 == 0:
                print(f"away for {away:.0f} of {seconds:.0f} s: {outcome}", flush=True)
            said = away
        await asyncio.sleep(0.002)
    return outcome


def burst(recorder: Recorder, outcome: Outcome) -> None:
    for number in range(20):
        error = StormError("while the database is away")
        error.__fingerprint__ = f"storm {number % GROUPS}"  # type: ignore[attr-defined]  # documented
        start = time.perf_counter() - queued()
        recorder.record(error)
        outcome.slow += time.perf_counter() - queued() - start > SLOW
        outcome.errors += 1


def measure(journal: Path, before: int, outcome: Outcome) -> None:
    outcome.disk = max(outcome.disk, disk_usage(journal) / MB)
    outcome.memory = max(outcome.memory, (psutil.Process().memory_info().rss - before) / MB)


async def counted(pipeline: Pipeline, errors: int) -> int:
    """What the application has counted, when it has had time to count everything."""
    deadline, found = time.monotonic() + _BACK, 0
    ours = ErrorGroup.title.startswith(StormError.__name__)
    query = select(func.sum(ErrorGroup.count)).where(ours)
    while found != errors and time.monotonic() < deadline:
        await asyncio.sleep(0.2)
        try:
            async with pipeline.database.session(write=False) as session:
                found = int(await session.scalar(query) or 0)
        except (SQLAlchemyError, OSError):
            continue
    await asyncio.sleep(1.5)  # a round more would count too much
    async with pipeline.database.session(write=False) as session:
        return int(await session.scalar(query) or 0)
