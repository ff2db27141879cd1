"""`python -m tests.system.faults.power_calls`: each system call of a run fails once.

A process records, rotates, syncs and counts; strace lets the Nth call of one kind in each of its
threads fail, with EIO or ENOSPC, for each N. Nothing may raise, what the process does not owe at
its end must be counted, and nothing twice.
"""

import asyncio
import itertools
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal import writer as writer_module
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.tables import ErrorGroup, metadata
from tests.system.faults.power import strace
from tests.system.faults.power_workload import RULES

PLACES = Places(Path(__file__).parent)
ROUNDS = 4
ERRORS = 9  # in a round
FAILURES = {
    "pwrite64": ("EIO", "ENOSPC"),
    "fallocate": ("EIO", "ENOSPC"),
    "openat": ("EIO", "ENOSPC"),
    "mkdir": ("ENOSPC",),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "fsync": ("EIO",),
    "fdatasync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO",),
    "newfstatat": ("EIO",),
}


def _database(folder: Path) -> DatabaseEngine:
    return DatabaseEngine(f"sqlite:///{folder / 'app.db'}", pool_size=2)


async def prepare(folder: Path) -> None:
    """A database with tables."""
    database = _database(folder)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await database.dispose()


async def work(folder: Path, database: DatabaseEngine) -> str:
    """As a server does in some seconds. Returns how many errors are recorded, less those owed."""
    journal = Journal(folder / "instance" / "journal", fsync=True, segment_bytes=65536)
    recorder = Recorder(journal, places=PLACES, origin=Origin, scrubber=Scrubber())
    consumer = Consumer(journal, database, RULES)
    journal.prepare()
    recorded = 0
    for number in range(ROUNDS):
        for one in range(ERRORS):
            recorder.record(ValueError(f"{number}.{one}"))
            recorded += 1
        for step in (asyncio.to_thread(journal.sync), consumer.consume()):
            try:
                await step
            except Exception as error:  # noqa: BLE001 - as the pipeline does
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
        recorder.write_owed()
        if number % 2:
            journal.close()
    recorder.write_owed()
    owed = recorder.owed
    await database.dispose()
    return str(recorded - owed)


async def counted(folder: Path) -> int:
    """What the next start counts."""
    database = _database(folder)
    consumer = Consumer(Journal(folder / "instance" / "journal"), database, RULES)
    while await consumer.consume():
        pass
    async with database.session(write=False) as session:
        total = await session.scalar(select(func.sum(ErrorGroup.count)))
    await database.dispose()
    return int(total or 0)


def fail_at(folder: Path, call: str, error: str, number: int) -> str | None:
    """Let a run's call of this number fail: what went wrong, or ""; None if there is none."""
    go, told = os.pipe()
    result, done = os.pipe()
    database = _database(folder)  # a start that fails may say so
    pid = os.fork()
    if pid == 0:
        try:
            os.read(go, 1)
            os.write(done, asyncio.run(work(folder, database)).encode())
        except BaseException as raised:  # noqa: BLE001 - it is what this is about
            os.write(done, f"raised {type(raised).__name__}: {raised}".encode())
        finally:
            os._exit(0)
    os.close(go)
    os.close(done)
    log = folder / "strace"
    inject = f"inject={call}:error={error}:when={number}"
    tracing = subprocess.Popen(
        [strace(), "-f", "-qq", "-o", str(log), "-e", f"trace={call}", "-e", inject, "-p", str(pid)]
    )
    status = Path(f"/proc/{pid}/status")
    while "TracerPid:\t0" in status.read_text() and tracing.poll() is None:
        time.sleep(0.005)
    os.write(told, b"x")
    os.close(told)
    with os.fdopen(result) as reading:
        text = reading.read()
    os.waitpid(pid, 0)
    tracing.wait(30)
    if "(INJECTED)" not in log.read_text():
        return None
    if not text.isdigit():
        return text or "it ended without a word"
    found = asyncio.run(counted(folder))
    return "" if found == int(text) else f"{found} counted of {text}"


def run(
    place: Path, stride: int = 1, failures: Mapping[str, Iterable[str]] = FAILURES
) -> tuple[int, list[str]]:
    """How many runs failed at a call, at every `stride`-th of each kind, and what went wrong."""
    base, runs, wrong = place / "base", 0, []
    base.mkdir()
    asyncio.run(prepare(base))
    for call, error in [(call, error) for call, errors in failures.items() for error in errors]:
        for number in itertools.count(1, stride):
            folder = place / "run"
            shutil.copytree(base, folder)
            outcome = fail_at(folder, call, error, number)
            shutil.rmtree(folder)
            if outcome is None:
                break
            runs += 1
            if outcome:
                wrong.append(f"{error} at {call} {number}: {outcome}")
        print(f"{call} {error}: {runs} runs, {len(wrong)} wrong")
    return runs, wrong


def main() -> int:
    logging.disable(logging.CRITICAL)
    writer_module._LOOK_AGAIN = 0.0
    if not strace():
        print("skipped: no strace here, or it may not trace")
        return 0
    with tempfile.TemporaryDirectory() as name:
        runs, wrong = run(Path(name), int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    for each in wrong:
        print(each)
    print(f"{'BROKEN' if wrong else 'held'}: {runs} runs")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
