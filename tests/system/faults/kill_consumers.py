"""`python -m tests.system.faults.kill_consumers [ROUNDS]`: kill -9 of two competing consumers in
the middle of their transactions, on SQLite, and on PostgreSQL if QUARTAPP_TEST_POSTGRESQL is set.

Each kills itself before a random statement or COMMIT: a kill from outside would rarely hit the gap
between two commits. In the end every group has exactly as many occurrences as were written.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import event, func, select

from quartapp.database import DatabaseEngine
from quartapp.microblog.migrate import migrate
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.entries import Brief, Tick
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.tables import ErrorGroup, ErrorMinute
from tests.system.faults.databases import POSTGRESQL, postgresql

ROOT = Path(__file__).parents[3]
GROUPS = 20
MOST_ROUNDS = 40
STATEMENTS = 60
"""A consumer kills itself before one of its first so many statements; a piece of a segment takes
about ten."""

RULES = Rules(host="faults", limits=Limits(), mails=True)
Counts = dict[str, int]


def fill(folder: Path, ticks: int) -> tuple[Counts, Journal]:
    """Many small orphans, so that there are many transactions to interrupt, and a segment with a
    living owner, which is returned. The consumers have no lock on that one: only its offset keeps
    them from counting twice."""
    orphans, living = Journal(folder, segment_bytes=8192), Journal(folder)
    written: Counts = {}
    for number in range(ticks):
        group, count = f"group {number % GROUPS}", random.randint(1, 5)
        entry = Brief(group, int(time.time()), "T", "c", count)
        tick = Tick(group, int(time.time()), count)
        journal = orphans if number % 2 else living
        assert journal.append((entry if number % 7 else tick).encode())
        written[group] = written.get(group, 0) + count
    orphans.close()
    return written, living


def end_at(database: DatabaseEngine, last: int) -> None:
    """End this process with SIGKILL before a statement or COMMIT, the `last` one from now."""
    left = last

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for name in ("before_cursor_execute", "commit"):
        event.listen(database.engine.sync_engine, name, step)


async def consume_all(url: str, folder: Path, last: int = 0) -> None:
    database = DatabaseEngine(url)
    end_at(database, last)
    consumer = Consumer(Journal(folder), database, RULES)
    while True:
        consumer._others_at = 0.0
        try:
            if not await consumer.consume():
                break
        except Exception as error:  # noqa: BLE001 - the other's lock; try again, as the pipeline does
            print(type(error).__name__, file=sys.stderr)
            await asyncio.sleep(0.05)
    await database.dispose()


def start(url: str, folder: Path) -> "subprocess.Popen[bytes]":
    last = str(random.randint(1, STATEMENTS))
    command = [
        sys.executable,
        "-m",
        "tests.system.faults.kill_consumers",
        "--consume",
        url,
        str(folder),
    ]
    return subprocess.Popen([*command, last], cwd=ROOT, stderr=subprocess.DEVNULL)


async def counted(url: str) -> tuple[Counts, int]:
    database = DatabaseEngine(url)
    async with database.session(write=False) as session:
        groups = await session.execute(select(ErrorGroup.fingerprint, ErrorGroup.count))
        found = {str(name): int(count) for name, count in groups}
        minutes = await session.scalar(select(func.sum(ErrorMinute.count)))
    await database.dispose()
    return found, int(minutes or 0)


def run(url: str, rounds: int, folder: Path, ticks: int = 1500) -> bool:
    migrate(url)
    written: Counts = {}
    kills = 0
    for number in range(1, MOST_ROUNDS + 1):
        if number > rounds and kills:
            break  # by chance all of them may have finished
        new, living = fill(folder, ticks)
        for group, count in new.items():
            written[group] = written.get(group, 0) + count
        rivals = [start(url, folder) for _ in range(2)]
        kills += sum(rival.wait(120) == -signal.SIGKILL for rival in rivals)
        living.close()
        print(f"round {number} of {rounds}: {sum(written.values())} written", flush=True)
    asyncio.run(consume_all(url, folder))
    found, minutes = asyncio.run(counted(url))
    print(f"counted {sum(found.values())}, by the minute {minutes}, after {kills} kills")
    return found == written and minutes == sum(written.values()) and kills > 0


async def with_postgresql(rounds: int, folder: Path, ticks: int = 1500) -> bool:
    async with postgresql() as address:
        url = address.render_as_string(hide_password=False)
        # migrations and consumers run their own loops
        return await asyncio.to_thread(run, url, rounds, folder, ticks)


def main() -> int:
    if sys.argv[1:2] == ["--consume"]:
        asyncio.run(consume_all(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])))
        return 0
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held = run(f"sqlite+aiosqlite:///{folder / 'f.db'}", rounds, folder / "sqlite")
        if POSTGRESQL:
            held = asyncio.run(with_postgresql(rounds, folder / "postgresql")) and held
        else:
            print("without PostgreSQL: QUARTAPP_TEST_POSTGRESQL is not set")
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
