"""`python -m tests.faults.kill_drainers [ROUNDS]`: kill -9 of two drainers that compete, in the
middle of their transactions; on SQLite, and on PostgreSQL where QUARTAPP_TEST_POSTGRESQL is set.

In the end every group has exactly as many occurrences as were written.
"""

import asyncio
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from quartapp.database import Database
from quartapp.models import ErrorGroup, ErrorMinute
from quartapp.reporting.drainer import Drainer
from quartapp.reporting.entries import Brief, Tick
from quartapp.reporting.journal import Journal
from quartapp.reporting.ledger import Rules
from quartapp.reporting.policy import Limits
from quartapp.serving import migrate

ROOT = Path(__file__).parents[2]
GROUPS = 20
RULES = Rules(host="faults", limits=Limits(), mails=True)
Counts = dict[str, int]


def fill(folder: Path, ticks: int) -> tuple[Counts, Journal]:
    """Many small segments that are orphans, for many transactions to be killed; and one of a living
    owner, who is returned: on this the drainers have no lock, only the position to agree by."""
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


async def drain_all(url: str, folder: Path) -> None:
    database = Database(url)
    drainer = Drainer(Journal(folder), database, RULES)
    print("ready", flush=True)
    while True:
        drainer._others_at = 0.0
        try:
            if not await drainer.drain():
                break
        except Exception as error:  # noqa: BLE001 - the rival's lock; as the pipeline, try again
            print(type(error).__name__, file=sys.stderr)
            await asyncio.sleep(0.05)
    await database.dispose()


def start(url: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.faults.kill_drainers", "--drain", url, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def counted(url: str) -> tuple[Counts, int]:
    database = Database(url)
    async with database.session(write=False) as session:
        groups = await session.execute(select(ErrorGroup.fingerprint, ErrorGroup.count))
        found = {str(name): int(count) for name, count in groups}
        minutes = await session.scalar(select(func.sum(ErrorMinute.count)))
    await database.dispose()
    return found, int(minutes or 0)


def run(url: str, rounds: int, folder: Path, ticks: int = 1500) -> bool:
    migrate(url)
    written: Counts = {}
    for number in range(1, rounds + 1):
        new, living = fill(folder, ticks)
        for group, count in new.items():
            written[group] = written.get(group, 0) + count
        rivals = [start(url, folder) for _ in range(2)]
        for rival in rivals:
            assert rival.stdout is not None
            rival.stdout.readline()
        time.sleep(random.uniform(0.02, 0.3))
        for rival in rivals:
            rival.kill()
            rival.communicate()
        living.close()
        print(f"round {number} of {rounds}: {sum(written.values())} written", flush=True)
    asyncio.run(drain_all(url, folder))
    found, minutes = asyncio.run(counted(url))
    print(f"counted {sum(found.values())}, by the minute {minutes}")
    return found == written and minutes == sum(written.values())


def with_postgresql(rounds: int, folder: Path, admin: str) -> bool:
    address = make_url(admin).set(drivername="postgresql+asyncpg")
    name = f"quartapp_{secrets.token_hex(6)}"

    async def tell(statement: str) -> None:
        engine = create_async_engine(address, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(tell(f'CREATE DATABASE "{name}"'))
    try:
        url = address.set(database=name).render_as_string(hide_password=False)
        return run(url, rounds, folder)
    finally:
        asyncio.run(tell(f'DROP DATABASE "{name}" WITH (FORCE)'))


def main() -> int:
    if sys.argv[1:2] == ["--drain"]:
        asyncio.run(drain_all(sys.argv[2], Path(sys.argv[3])))
        return 0
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held = run(f"sqlite+aiosqlite:///{folder / 'f.db'}", rounds, folder / "sqlite")
        admin = os.environ.get("QUARTAPP_TEST_POSTGRESQL", "")
        if admin:
            held = with_postgresql(rounds, folder / "postgresql", admin) and held
        else:
            print("without PostgreSQL: QUARTAPP_TEST_POSTGRESQL is not set")
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
