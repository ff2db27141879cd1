"""`python -m tests.system.faults.full_disk`: the journal on a disk of 2.5 MB, without a disk, and
on a read-only one. Needs the right to mount a tmpfs.

Recording never raises. What is allocated can still be written when other files have filled the
disk. Reports that do not fit are counted in `lost_reports` and in a file beside the journal. When
there is room again, the counts are exact.
"""

import asyncio
import contextlib
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.losses import read_losses
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.recorder import Recorder
from quartapp.reporting.report import Origin
from quartapp.reporting.tables import ErrorGroup, metadata

RULES = Rules(host="faults", limits=Limits(), mails=True)
RETRY = 1.1  # the journal looks again after a second


class CannotMountError(Exception):
    """This user may not mount a file system here."""


def tell(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotMountError(getattr(error, "stderr", "") or str(error)) from error


def fill(path: Path) -> Path:
    """Fill the rest of the disk."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return path


def record(recorder: Recorder, number: int) -> None:
    for _ in range(number):
        error = ValueError("on a full disk")
        recorder.record(error)


async def counted(database: DatabaseEngine) -> int:
    async with database.session(write=False) as session:
        return int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)


async def run(folder: Path, disk: Path) -> bool:
    database = DatabaseEngine(f"sqlite+aiosqlite:///{folder / 'full.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    journal = Journal(disk / "journal")
    recorder = Recorder(
        journal, places=Places(Path(__file__).parent), origin=Origin, scrubber=Scrubber()
    )
    consumer = Consumer(journal, database, RULES)
    journal.prepare()
    ballast = fill(disk / "ballast")
    record(recorder, 1000)
    print(f"filled by somebody else: {recorder.lost_reports} of 1000 do not fit")
    held = recorder.lost_reports == 0
    ballast.unlink()
    record(recorder, 59_000)  # some 3.5 MB
    lost = recorder.lost_reports
    print(f"full: {lost} of 60000 do not fit")
    held &= 10_000 < lost < 50_000
    ballast = fill(disk / "ballast")
    recorder.write_owed()  # as a server does every second
    held &= read_losses(journal.folder).reports == lost
    ballast.unlink()
    while await consumer.consume():
        pass
    await asyncio.sleep(RETRY)
    record(recorder, 1)
    held &= recorder.owed == 0 and recorder.lost_reports == lost
    held &= read_losses(journal.folder).counted == lost
    journal.close()
    tell("mount", "-o", "remount,ro", str(disk))
    record(recorder, 1000)
    print(f"read-only: {recorder.owed} are owed")
    held &= recorder.owed == 1000
    tell("mount", "-o", "remount,rw", str(disk))
    await asyncio.sleep(RETRY)
    recorder.write_owed()
    journal.close()
    while await consumer.consume():
        pass
    (disk / "journal").rename(disk / "elsewhere")
    record(recorder, 1000)
    journal.close()
    while await consumer.consume():
        pass
    total = await counted(database)
    print(f"counted {total} of 62001, {recorder.owed} owed")
    await database.dispose()
    return held and total == 62_001 and recorder.owed == 0


def in_tmpfs() -> bool:
    """Raises CannotMountError."""
    with tempfile.TemporaryDirectory() as name:
        folder, disk = Path(name), Path(name) / "disk"
        disk.mkdir()
        tell("mount", "-t", "tmpfs", "-o", "size=2560k", "tmpfs", str(disk))
        try:
            return asyncio.run(run(folder, disk))
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=False)


def main() -> int:
    logging.getLogger("quartapp.reporting").setLevel(logging.CRITICAL)
    try:
        held = in_tmpfs()
    except CannotMountError as error:
        print(f"skipped: cannot mount a tmpfs here ({error})")
        return 0
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
