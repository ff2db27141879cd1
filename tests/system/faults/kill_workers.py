"""`python -m tests.system.faults.kill_workers [ROUNDS]`: kill -9 of a whole server under load.

The error of every 500 that a client received is counted, over real sockets and after any number of
kills: received <= recorded <= attempted.
"""

import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.microblog.migrate import migrate
from quartapp.microblog.testing import environment
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Limits
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.tables import ErrorGroup
from quartapp.testing.server import LiveServer

ROOT = Path(__file__).parents[3]
SERVE = str(ROOT / "tests" / "microblog" / "serve.py")
CLIENTS = 8
RULES = Rules(host="faults", limits=Limits(), mails=False)


@dataclass
class Sums:
    attempted: int = 0
    received: int = 0
    recorded: int = 0

    @property
    def is_right(self) -> bool:
        return 0 < self.received <= self.recorded <= self.attempted


async def client(host: str, port: int, sums: Sums) -> None:
    """Request errors until the connection breaks; counts each response whose status line
    arrived."""
    while True:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            sums.attempted += 1
            writer.write(b"GET /boom HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            sums.received += answer.startswith(b"HTTP/1.1 500")
        finally:
            writer.close()


async def load(url: str, seconds: float, kill: int, sums: Sums) -> None:
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    clients = [
        asyncio.create_task(client(address.hostname, address.port, sums)) for _ in range(CLIENTS)
    ]
    received = sums.received
    await asyncio.sleep(seconds)
    deadline = time.monotonic() + 60
    # A busy machine may have answered nothing yet.
    while sums.received == received and time.monotonic() < deadline:  # noqa: ASYNC110 a count
        await asyncio.sleep(0.05)
    os.killpg(kill, signal.SIGKILL)
    await asyncio.sleep(0.1)
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)


async def recorded(url: str, journal: Path) -> int:
    database = DatabaseEngine(url)
    while await Consumer(Journal(journal), database, RULES).consume():
        pass
    async with database.session(write=False) as session:
        boom = ErrorGroup.title.contains("RuntimeError")
        total = await session.scalar(select(func.sum(ErrorGroup.count)).where(boom))
    await database.dispose()
    return int(total or 0)


def run(rounds: int, folder: Path, workers: int = 2) -> Sums:
    url = f"sqlite+aiosqlite:///{folder / 'faults.db'}"
    migrate(url)
    given = environment(folder, url) | {"WORKERS": str(workers), "PYTHONPATH": str(ROOT)}
    sums = Sums()
    for number in range(1, rounds + 1):
        with LiveServer(given, [SERVE]) as server:
            seconds = random.uniform(0.2, 1.2)
            asyncio.run(load(server.url, seconds, server.process.pid, sums))
        print(f"round {number} of {rounds}: attempted {sums.attempted} received {sums.received}")
    sums.recorded = asyncio.run(recorded(url, folder / "instance" / "journal"))
    print(f"recorded {sums.recorded}")
    return sums


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        sums = run(rounds, Path(folder))
    print("held" if sums.is_right else f"BROKEN: {sums}")
    return not sums.is_right


if __name__ == "__main__":
    sys.exit(main())
