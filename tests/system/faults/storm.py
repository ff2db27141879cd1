"""`python -m tests.system.faults.storm [ONE DISTINCT FULL]`: a million errors in one group,
100,000 in as many groups, and 1.5 million while no consumer runs, which is more than the journal
may hold.

Recording takes at most 10 MB of memory and 64 MB of disk, few mails are sent, totals are exact.
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

from quartapp.database import DatabaseEngine
from quartapp.mail.delivery import Server
from quartapp.mail.mailer import Mailer
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.segments import disk_usage
from quartapp.reporting.journal.writer import MAX_BYTES, SEGMENT_BYTES, Journal
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.mails.outbox import AlertOutbox
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.tables import ErrorGroup, metadata
from quartapp.testing.mail import MailServer

LIMITS = Limits(initial_delay=0.5)
MB = 1024 * 1024


@dataclass(frozen=True)
class Storm:
    errors: int
    groups: int = 1
    is_consumed: bool = True
    room: int = MAX_BYTES
    segment: int = SEGMENT_BYTES


@dataclass
class Outcome:
    storm: Storm
    counted: int
    memory: float
    disk: float
    lost: int
    mails: int
    seconds: float

    @property
    def is_right(self) -> bool:
        return (
            self.counted == self.storm.errors
            and self.memory <= 10
            and self.disk <= self.storm.room / MB
            and (self.lost == 0 or not self.storm.is_consumed)
            and 0 < self.mails <= 12
        )


def error(number: int, groups: int) -> ValueError:
    made = ValueError("storm")
    if groups > 1:
        made.__fingerprint__ = f"group {number % groups}"  # type: ignore[attr-defined]  # documented
    return made


async def storm(folder: Path, storm: Storm) -> Outcome:
    database = DatabaseEngine(f"sqlite+aiosqlite:///{folder / 'storm.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    mail_server = MailServer()
    await mail_server.start()
    letterhead = Letterhead(sender="no-reply@example.com", recipients=("ops@example.com",))
    server = Server(mail_server.host, mail_server.port)
    mailer = Mailer(database, server, AlertOutbox(letterhead, LIMITS))
    journal = Journal(
        folder / "journal",
        segment_bytes=storm.segment,
        max_bytes=storm.room,
        reports_bytes=storm.room * 3 // 4,
    )
    consumer = Consumer(journal, database, Rules("storm", LIMITS, mails=True))
    recorder = Recorder(
        journal, places=Places(Path(__file__).parent), origin=Origin, scrubber=Scrubber()
    )
    await warm_up(recorder, consumer)
    began = time.monotonic()
    consuming = asyncio.create_task(consume(consumer, mailer)) if storm.is_consumed else None
    memory, disk = await record(storm, recorder, journal)
    seconds = time.monotonic() - began
    if consuming:
        consuming.cancel()
        await asyncio.gather(consuming, return_exceptions=True)
    lost = recorder.lost_reports
    await finish(recorder, journal, consumer)
    await asyncio.sleep(LIMITS.initial_delay)
    await consumer.wake()
    await mailer.send_due()
    async with database.session(write=False) as session:
        counted = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0) - 1
    mails = len(mail_server.mails)
    await mail_server.stop()
    await database.dispose()
    return Outcome(storm, counted, memory / MB, disk / MB, lost, mails, seconds)


async def record(storm: Storm, recorder: Recorder, journal: Journal) -> tuple[int, int]:
    """The storm itself; returns how much memory and disk it took."""
    before, disk = psutil.Process().memory_info().rss, 0
    for number in range(storm.errors):
        recorder.record(error(number, storm.groups))
        if number % 500 == 0:
            disk = max(disk, disk_usage(journal.folder))
            await asyncio.sleep(0)
        if number % max(storm.errors // 10, 1) == 0:
            print(f"{number} of {storm.errors}, {disk / MB:.1f} MB of journal", flush=True)
    return psutil.Process().memory_info().rss - before, disk


async def finish(recorder: Recorder, journal: Journal, consumer: Consumer) -> None:
    """Count the rest. Counts that did not fit into the journal are written as room becomes free."""
    for _ in range(30):
        while await consumer.consume():
            pass
        recorder.write_owed()
        journal.close()
        if not recorder.owed and not await consumer.consume():
            break
        await asyncio.sleep(0.2)


async def warm_up(recorder: Recorder, consumer: Consumer) -> None:
    """Record a first error, which loads modules: they are no part of the storm's memory."""
    recorder.record(KeyError("first"))
    await consumer.consume()


async def consume(consumer: Consumer, mailer: Mailer) -> None:
    while True:
        await asyncio.sleep(0.2)
        await consumer.consume()
        await consumer.wake()
        await mailer.send_due()


def run(one: Storm) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(storm(Path(folder), one))


def main() -> int:
    logging.getLogger("quartapp.reporting").setLevel(logging.CRITICAL)
    given = [int(argument) for argument in sys.argv[1:]] or [1_000_000, 100_000, 1_500_000]
    one, distinct, full = given
    storms = (Storm(one), Storm(distinct, distinct), Storm(full, is_consumed=False))
    held = True
    for each in storms:
        outcome = run(each)
        print(outcome, flush=True)
        held &= outcome.is_right
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all, counting and mailing too, {peak:.0f} MB")
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
