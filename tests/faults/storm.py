"""`python -m tests.faults.storm [ONE DISTINCT]`: a million errors in one group, and 100,000 groups.

Memory, disk and mails stay small, the totals exact, while the database counts beside it.
"""

import asyncio
import logging
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select

from quartapp.database import Database
from quartapp.models import Base, ErrorGroup
from quartapp.reporting.drainer import Drainer
from quartapp.reporting.journal import Journal
from quartapp.reporting.ledger import Rules
from quartapp.reporting.mailer import Mailer
from quartapp.reporting.message import Letterhead
from quartapp.reporting.places import Places
from quartapp.reporting.policy import Limits
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.scrub import Scrubber
from quartapp.reporting.segments import disk_usage
from quartapp.reporting.transport import Server
from quartapp.testing.mail import MailServer

LIMITS = Limits(gather=0.5)
MB = 1024 * 1024


@dataclass
class Outcome:
    errors: int
    counted: int
    memory: float
    disk: float
    mails: int
    seconds: float

    @property
    def is_right(self) -> bool:
        return self.counted == self.errors and self.disk <= 66 and self.mails <= 12


def error(number: int, groups: int) -> ValueError:
    made = ValueError("storm")
    if groups > 1:
        made.__fingerprint__ = f"group {number % groups}"  # type: ignore[attr-defined]  # documented
    return made


async def storm(folder: Path, errors: int, groups: int) -> Outcome:
    database = Database(f"sqlite+aiosqlite:///{folder / 'storm.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    mail_server = MailServer()
    await mail_server.start()
    letterhead = Letterhead(sender="no-reply@example.com", recipients=("ops@example.com",))
    mailer = Mailer(database, Server(mail_server.host, mail_server.port), letterhead, LIMITS)
    journal = Journal(folder / "journal")
    drainer = Drainer(journal, database, Rules("storm", LIMITS, mails=True))
    recorder = Recorder(
        journal, places=Places(Path(__file__).parent), origin=Origin(), scrubber=Scrubber()
    )
    await warm_up(recorder, drainer)
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    draining = asyncio.create_task(drain(recorder, drainer, mailer))
    disk = 0
    for number in range(errors):
        recorder.record(error(number, groups))
        if number % 500 == 0:
            disk = max(disk, disk_usage(journal.folder))
            await asyncio.sleep(0)
        if number % max(errors // 10, 1) == 0:
            print(f"{number} of {errors}, {disk / MB:.0f} MB of journal", flush=True)
    memory = psutil.Process().memory_info().rss - before
    seconds = time.monotonic() - began
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    recorder.settle()
    journal.close()
    while await drainer.drain():
        pass
    await asyncio.sleep(LIMITS.gather)
    await drainer.wake()
    await mailer.send_due()
    async with database.session(write=False) as session:
        counted = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0) - 1
    mails = len(mail_server.mails)
    await mail_server.stop()
    await database.dispose()
    return Outcome(errors, counted, memory / MB, disk / MB, mails, seconds)


async def warm_up(recorder: Recorder, drainer: Drainer) -> None:
    """What the first error loads is no part of a storm's memory."""
    recorder.record(KeyError("first"))
    await drainer.drain()


async def drain(recorder: Recorder, drainer: Drainer, mailer: Mailer) -> None:
    while True:
        await asyncio.sleep(0.2)
        await drainer.drain()
        await drainer.wake()
        await mailer.send_due()


def run(errors: int, groups: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(storm(Path(folder), errors, groups))


def main() -> int:
    logging.getLogger("quartapp.reporting").setLevel(logging.CRITICAL)
    one, distinct = (int(argument) for argument in (sys.argv[1:] or ["1000000", "100000"]))
    outcomes = [run(one, 1), run(distinct, distinct)]
    for outcome in outcomes:
        print(outcome)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all {peak:.0f} MB")
    held = all(outcome.is_right for outcome in outcomes) and outcomes[0].memory <= 10
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
