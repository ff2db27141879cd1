"""`python -m tests.system.faults.machines [SECONDS]`: three machines with one PostgreSQL, which all
have the same errors at the same time. Each is a process with its own host name, journal, consumer
and mailer. Needs QUARTAPP_TEST_POSTGRESQL.

Counts are exact, also by host, and each alert is mailed once.
"""

import asyncio
import json
import logging
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.reporting import pipeline as pipelines
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.mails.outbox import AlertOutbox
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import ErrorAlert, ErrorGroup, ErrorMinute, metadata
from quartapp.testing.mail import MailServer
from tests.mailing import mailing_app
from tests.system.faults.databases import POSTGRESQL, postgresql

ROOT = Path(__file__).parents[3]
HOSTS = ("anton", "berta", "cäsar")
NEW_GROUPS = 10
"""Groups that are added per second, so that there is always an alert to compete for."""

EVERY = 0.05
"""Seconds between two rounds of a consumer or mailer, as if there were twenty times more
machines."""

LIMITS = Limits(initial_delay=0.5, budget=100_000)
Counts = dict[str, int]


async def machine(host: str, url: str, folder: Path, port: int, seconds: float) -> None:
    """One machine: prints how many errors it had, and runs until its standard input ends."""
    socket.gethostname = lambda: host
    app = mailing_app(folder, url, port)
    pipeline: Pipeline = app.extensions["reporting"]
    pipeline.consumer.rules = replace(pipeline.consumer.rules, limits=LIMITS)
    assert pipeline.mailer
    outbox = pipeline.mailer.outbox
    assert isinstance(outbox, AlertOutbox)
    outbox.limits = LIMITS
    pipelines.EVERY = EVERY
    async with app.test_app():
        seen = await see_errors(pipeline, seconds)
        print(json.dumps(seen), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def see_errors(pipeline: Pipeline, seconds: float) -> Counts:
    seen: Counter[str] = Counter()
    began = time.monotonic()
    while (past := time.monotonic() - began) < seconds:
        group = f"fault {random.randrange(1 + int(past * NEW_GROUPS))}"
        error = RuntimeError(group)
        error.__fingerprint__ = group  # type: ignore[attr-defined]  # documented
        seen[pipeline.recorder.record(error).fingerprint] += 1
        await asyncio.sleep(random.uniform(0.0, 0.01))
    return seen


@dataclass
class Outcome:
    seen: Counts
    by_host: Counts
    counted: Counts
    counted_by_host: Counts
    alerts: Counts
    mails: int
    different_mails: int
    new: int

    @property
    def is_right(self) -> bool:
        return (
            self.seen == self.counted
            and self.by_host == self.counted_by_host
            and set(self.alerts) <= {"sent", "merged"}
            and self.alerts["sent"] == self.mails == self.different_mails
            and self.new == len(self.seen)
        )

    def told(self) -> str:
        errors = sum(self.counted.values())
        return f"{errors} errors of {len(self.counted)} groups, {self.mails} mails"


async def run(folder: Path, seconds: float) -> Outcome:
    mail_server = MailServer(delay=0.01)
    await mail_server.start()
    async with postgresql() as address:
        url = address.render_as_string(hide_password=False)
        database = DatabaseEngine(url)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        machines = [start(host, url, folder / host, mail_server.port, seconds) for host in HOSTS]
        lines = [await asyncio.to_thread(first_line, one) for one in machines]
        saw: list[Counts] = [json.loads(line) for line in lines]
        seen: Counter[str] = Counter()
        for counts in saw:
            seen.update(counts)
        await settled(database, sum(seen.values()))
        await asyncio.gather(*(asyncio.to_thread(one.communicate) for one in machines))
        by_host = {host: sum(one.values()) for host, one in zip(HOSTS, saw, strict=True)}
        outcome = await found(database, dict(seen), by_host, mail_server)
        await database.dispose()
    await mail_server.stop()
    return outcome


def start(host: str, url: str, folder: Path, port: int, seconds: float) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "tests.system.faults.machines",
        "--machine",
        host,
        url,
        str(folder),
    ]
    return subprocess.Popen(
        [*command, str(port), str(seconds)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


async def settled(database: DatabaseEngine, errors: int) -> None:
    """Wait until everything is counted and no mail is due, for at most four minutes."""
    quiet = 0
    deadline = time.monotonic() + 240
    while quiet < 3 and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        async with database.session(write=False) as session:
            counted = await session.scalar(select(func.sum(ErrorGroup.count)))
            waiting = select(func.count()).where(ErrorAlert.state == "waiting")
            quiet = quiet + 1 if counted == errors and not await session.scalar(waiting) else 0


async def found(
    database: DatabaseEngine, seen: Counts, by_host: Counts, mail_server: MailServer
) -> Outcome:
    async with database.session(write=False) as session:
        groups = await session.execute(select(ErrorGroup.fingerprint, ErrorGroup.count))
        hosts = await session.execute(
            select(ErrorMinute.host, func.sum(ErrorMinute.count)).group_by(ErrorMinute.host)
        )
        states = await session.execute(
            select(ErrorAlert.state, func.count()).group_by(ErrorAlert.state)
        )
        subjects = [str(mail.message["Subject"]) for mail in mail_server.mails]
        return Outcome(
            seen,
            by_host,
            {name: int(count) for name, count in groups},
            {name: int(count) for name, count in hosts},
            {name: int(count) for name, count in states},
            mails=len(subjects),
            different_mails=len({str(mail.message["Message-ID"]) for mail in mail_server.mails}),
            new=sum(" NEW " in subject for subject in subjects),
        )


def main() -> int:
    if sys.argv[1:2] == ["--machine"]:
        logging.getLogger("quartapp.reporting").setLevel(logging.CRITICAL)
        host, url, folder, port, seconds = sys.argv[2:]
        asyncio.run(machine(host, url, Path(folder), int(port), float(seconds)))
        return 0
    if not POSTGRESQL:
        print("skipped: QUARTAPP_TEST_POSTGRESQL is not set")
        return 0
    with tempfile.TemporaryDirectory() as name:
        outcome = asyncio.run(run(Path(name), float(sys.argv[1]) if sys.argv[1:] else 20.0))
    print(outcome if not outcome.is_right else outcome.told())
    print("held" if outcome.is_right else "BROKEN")
    return not outcome.is_right


if __name__ == "__main__":
    sys.exit(main())
