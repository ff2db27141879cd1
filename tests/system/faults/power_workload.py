"""What `power` runs under strace: two processes that record, rotate, count, mail and prune.

`python -m tests.system.faults.power_workload FOLDER`. The processes take turns, so that the trace
is in order; each line of the other's standard input is one step. Marks are calls of stat, which
strace shows among all others.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event, update

from quartapp.database import DatabaseEngine
from quartapp.database.drivers import sqlite
from quartapp.mail.delivery import Server
from quartapp.mail.mailer import Mailer
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting import consumer as consumer_module
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal import writer as writer_module
from quartapp.reporting.journal.entries import Brief
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.mails.outbox import AlertOutbox
from quartapp.reporting.retention import Keep, prune
from quartapp.reporting.tables import ErrorSegment, metadata
from quartapp.testing.mail import MailServer
from tests.system.faults.power_disk import MARK

SEGMENT = 8192
LIMITS = Limits(initial_delay=0.0, budget=10**6)
RULES = Rules(host="faults", limits=LIMITS, mails=True)


def mark(text: str) -> None:
    with contextlib.suppress(OSError):
        os.stat(MARK + text)


def group(writer: int, number: int) -> str:
    return f"{writer:04x}{number:028x}-0"


def database_of(folder: Path) -> DatabaseEngine:
    database = DatabaseEngine(f"sqlite:///{folder / 'app.db'}", pool_size=2)

    @event.listens_for(database.engine.sync_engine, "connect")
    def checkpoint_often(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA wal_autocheckpoint = 25")
        cursor.close()

    return database


def label_syncs() -> None:
    """Mark each fsync of the parts by its place in them."""

    def label(holder: object, name: str, text: Callable[[Any], str]) -> None:
        call = getattr(holder, name)

        def labelled(what: Any) -> None:
            mark(f"next-{text(what)}")
            call(what)

        setattr(holder, name, labelled)

    label(os, "fdatasync", lambda _: "segment")
    label(writer_module, "sync_folder", lambda of: "name" if of.name == "journal" else "folder")
    label(consumer_module, "sync_folder", lambda _: "deletion")
    label(sqlite, "sync", lambda _: "wal")


class Writer:
    def __init__(self, number: int, folder: Path) -> None:
        self.number = number
        self.written = 0
        self.folder = folder
        self.database = database_of(folder)
        self.open()

    def open(self) -> None:
        """The journal of a process that has just begun."""
        self.journal = Journal(
            self.folder / "instance" / "journal", fsync=True, segment_bytes=SEGMENT
        )
        self.consumer = Consumer(self.journal, self.database, RULES)

    async def step(self, line: str) -> None:
        name, _, number = line.partition(" ")
        await getattr(self, name)(*([int(number)] if number else []))

    async def record(self, number: int) -> None:
        for _ in range(number):
            mark(f"append {self.number} {self.written}")
            name = group(self.number, self.written)
            entry = Brief(name, int(time.time()), f"Error {self.written} " + "x" * 80, "y" * 90)
            assert self.journal.append(entry.encode())
            self.written += 1

    async def sync(self) -> None:
        self.journal.sync()
        mark(f"synced {self.number} {self.written}")

    async def count(self) -> None:
        self.consumer._others_at = 0.0
        while await self.consumer.consume():
            pass

    async def end(self) -> None:
        """The process ends, and another begins."""
        self.journal.close()
        self.open()

    async def prune(self) -> None:
        """A week later."""
        async with self.database.begin() as session:
            await session.execute(update(ErrorSegment).values(updated_at=0.0))
        await prune(self.database, Keep(), days=30)


STEPS = """
2 record 2
2 sync
2 end
1 count
1 record 3
2 record 2
1 sync
2 sync
1 count
1 record 30
2 record 4
1 sync
1 count
2 record 26
2 count
2 sync
mail
1 record 4
1 end
2 count
1 record 3
1 sync
prune
2 record 5
2 sync
1 count
2 end
1 count
prune
2 record 2
2 sync
1 record 2
mail
2 count
"""


async def main(folder: Path) -> None:
    mail_server = MailServer()
    await mail_server.start()
    letterhead = Letterhead("a@example.com", ("ops@example.com",), "faults", "test")
    server = Server(mail_server.host, mail_server.port)
    command = [sys.executable, "-m", "tests.system.faults.power_workload", str(folder), "2"]
    with subprocess.Popen(  # noqa: ASYNC220 - the loop has nothing else to do
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as other:
        assert other.stdin
        assert other.stdout
        assert other.stdout.readline() == "ready\n"
        mark("begin")
        label_syncs()
        writer = Writer(1, folder)
        mailer = Mailer(writer.database, server, AlertOutbox(letterhead, LIMITS))
        for line in STEPS.strip().splitlines():
            mark(f"step {line}")
            who, _, what = line.partition(" ")
            if who == "2":
                other.stdin.write(what + "\n")
                assert other.stdout.readline() == "done\n"
            elif who == "1":
                await writer.step(what)
            elif who == "mail":
                assert await mailer.send_due()
            else:
                await writer.step(who)
        mark("end")
        other.kill()
    os._exit(0)


async def second(folder: Path) -> None:
    """The process that the first one tells what to do."""
    print("ready", flush=True)
    label_syncs()
    writer = Writer(2, folder)
    for line in sys.stdin:
        await writer.step(line.strip())
        print("done", flush=True)


async def prepare(folder: Path) -> None:
    """What is on the disk before the first call: a database with tables."""
    database = DatabaseEngine(f"sqlite:///{folder / 'app.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await database.dispose()


if __name__ == "__main__":
    asyncio.run((second if len(sys.argv) > 2 else main)(Path(sys.argv[1])))
