"""`python -m tests.system.two_machines`, as root: lose one of two machines under load.

Two machines serve behind nginx, with deploy/nginx's file; PostgreSQL and Redis are on a third. One
of the two is killed, unplugged (packets vanish) and stopped, then the database is unplugged for ten
seconds. It holds if no GET fails, no acknowledged post is lost or there twice, errors that a lost
machine recorded are counted when it returns, the limits in Redis go on, no mail comes twice, and
everything recovers without a restart.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from quartapp.microblog.migrate import migrate
from quartapp.testing.mail import MailServer
from tests.system.two_machines.ledger import Ledger, faults_of_errors, faults_of_posts
from tests.system.two_machines.network import (
    ADDRESSES,
    Network,
    NetworkError,
    network,
    what_is_missing,
)
from tests.system.two_machines.people import People
from tests.system.two_machines.services import (
    DATABASE_URL,
    MAIL_PORT,
    PROGRAMS,
    SITE,
    Services,
)

LOST = "app1"
GUESSES = 10
"""What LIMIT_PASSWORDS allows. A busy machine may not reach Redis for a moment, and count less."""


class Proof:
    """One run: the phases, and what was wrong."""

    def __init__(self, machines: Network, folder: Path, seconds: float) -> None:
        self._machines = machines
        self._services = Services(machines, folder)
        self._seconds = seconds
        self._folder = folder
        self._ledgers: list[Ledger] = []
        self._mail_server = MailServer(host="0.0.0.0", port=MAIL_PORT)
        self.faults: list[str] = []

    async def run(self) -> None:
        await self._mail_server.start()
        self._services.start_data()
        await _reached(_asks_database)
        await asyncio.to_thread(migrate, DATABASE_URL)
        self._services.start_nginx()
        for machine in ("app1", "app2"):
            self._services.start_application(machine)
        for machine in ("app1", "app2"):
            await _reached(lambda machine=machine: _is_ready(machine))
        people = self._people = People(self._folder)
        await people.enter()
        guesses = [await people.guess() for _ in range(GUESSES // 2)]
        async with people.at_work():
            await self._phase("both machines", lambda: None, lambda: None)
            await self._phase("killed (SIGKILL)", self._kill, self._restart)
            while guesses[-1] != 429 and len(guesses) < GUESSES + 6:
                guesses.append(await people.guess())
            await self._phase("unplugged", self._unplug, self._plug)
            await self._phase("stopped (SIGSTOP)", self._stop, self._go_on)
            without_database = await self._phase("database unplugged", self._cut, self._mend, 10)
        await people.close()
        self._judge_guesses(guesses)
        self._judge_gets(without_database)
        await self._judge_database()
        await self._mail_server.stop()

    # How a machine is lost, and returns.

    def _kill(self) -> None:
        self._machines.signal(LOST, signal.SIGKILL)

    def _restart(self) -> None:
        self._services.start_application(LOST)

    def _unplug(self) -> None:
        self._machines.unplug(LOST)

    def _plug(self) -> None:
        self._machines.plug(LOST)

    def _stop(self) -> None:
        self._machines.signal(LOST, signal.SIGSTOP)

    def _go_on(self) -> None:
        self._machines.signal(LOST, signal.SIGCONT)

    def _cut(self) -> None:
        self._machines.unplug("data")

    def _mend(self) -> None:
        self._machines.plug("data")

    async def _phase(self, name: str, lose: Any, give_back: Any, seconds: float = 0) -> Ledger:
        """Let people use the site while a machine is lost, and until it serves again."""
        ledger = self._people.ledger = Ledger()
        self._ledgers.append(ledger)
        await asyncio.sleep(2)
        lose()
        await asyncio.sleep(seconds or self._seconds)
        give_back()
        returned, before = time.monotonic(), self._services.log_lines()
        for machine in ("app1", "app2"):
            await _reached(lambda machine=machine: _is_ready(machine))
        await _reached(lambda: self._serves_again(before))
        await asyncio.sleep(2)
        print(f"{name}: {ledger}; back after {time.monotonic() - returned - 2:.1f} s", flush=True)
        return ledger

    async def _serves_again(self, before: int) -> bool:
        return all(self._services.served_by(machine, before) for machine in ("app1", "app2"))

    # What must be true afterwards.

    def _judge_guesses(self, statuses: list[int]) -> None:
        """If each process counted for itself, there would be four times as many."""
        if statuses[-1] != 429 or 429 in statuses[:GUESSES]:
            self.faults.append(f"guesses got {statuses}, expected 429 soon after {GUESSES}")

    def _judge_gets(self, without_database: Ledger) -> None:
        for ledger in self._ledgers:
            failed = Counter((each.status, each.retry_after) for each in ledger.failed_gets)
            if ledger is without_database:
                failed = Counter({(s, r): n for (s, r), n in failed.items() if s != 503 or not r})
            if failed:
                self.faults.append(f"failed GETs (status, Retry-After): {dict(failed)}")

    async def _judge_database(self) -> None:
        with suppress(TimeoutError):  # then the fault says how many are missing
            await _reached(self._counts_all, 60)
        rows = await _query("SELECT body, count(*) AS n FROM posts GROUP BY body")
        self.faults += faults_of_posts(self._ledgers, {row["body"]: row["n"] for row in rows})
        self.faults += await self._faults_of_errors()
        subjects = [str(mail.message["Subject"]) for mail in self._mail_server.mails]
        ids = Counter(str(mail.message["Message-ID"]) for mail in self._mail_server.mails)
        new = Counter(subject for subject in subjects if " NEW " in subject)
        twice = [each for found in (ids, new) for each, number in found.items() if number > 1]
        self.faults += [f"mailed twice: {each}" for each in twice]
        print(
            f"{await self._counted()} errors counted, {len(subjects)} mails:", *subjects, sep="\n  "
        )

    async def _counts_all(self) -> bool:
        return not await self._faults_of_errors()

    async def _faults_of_errors(self) -> list[str]:
        repeated = self._services.repeated("/boom")
        return faults_of_errors(self._ledgers, await self._counted(), repeated)

    async def _counted(self) -> int:
        query = "SELECT coalesce(sum(count), 0) AS n FROM error_groups WHERE culprit LIKE '%boom%'"
        return int((await _query(query))[0]["n"])


async def _query(query: str) -> list[Any]:
    connection = await asyncpg.connect(DATABASE_URL, timeout=3)
    try:
        rows: list[Any] = await connection.fetch(query)
        return rows
    finally:
        await connection.close()


async def _asks_database() -> bool:
    return bool(await _query("SELECT 1"))


async def _is_ready(machine: str) -> bool:
    async with httpx.AsyncClient(timeout=2) as client:
        url = f"http://{ADDRESSES[machine]}:5000/ready"
        return (await client.get(url, headers={"Host": SITE})).status_code == 200


async def _reached(condition: Any, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await condition():
                return
        except (OSError, TimeoutError, asyncpg.PostgresError, httpx.TransportError):
            pass  # not yet
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} was not reached within {seconds:g} s")
        await asyncio.sleep(0.2)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.two_machines")
    parser.add_argument("--seconds", type=float, default=30, help="for which a machine is lost")
    parser.add_argument("--keep", help="a folder that does not exist yet, for logs to look at")
    options = parser.parse_args()
    if missing := what_is_missing(PROGRAMS):
        print(f"skipped: {missing}")
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is removed
    try:
        with tempfile.TemporaryDirectory() as made, network() as machines:
            folder = Path(options.keep or made)
            folder.mkdir(exist_ok=True)
            machines.enter("edge")
            proof = Proof(machines, folder, options.seconds)
            asyncio.run(proof.run())
    except NetworkError as error:
        print(f"skipped: {error}")
        return 3
    print("held" if not proof.faults else "BROKEN: " + "; ".join(proof.faults))
    return bool(proof.faults)


if __name__ == "__main__":
    sys.exit(main())
