"""`python -m tests.system.faults.foreign kill|storm|slow|full [NUMBER]`: the faults of the other
scripts, for an application that knows nothing of ours.

It is plain Quart with `Reporting`, which counts in errors.db, and with a `QueuedSMTPHandler` on its
logger, which has a spool. Both have to count every error, whatever becomes of the process, the mail
server and the disk.
"""

import asyncio
import gc
import json
import logging
import os
import random
import resource
import sqlite3
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quart import Quart

from quartapp.reporting import QueuedSMTPHandler, Reporting
from quartapp.testing.server import LiveServer
from tests.mailbox import Mailbox
from tests.post_office import PostOffice
from tests.system.faults.full_disk import CannotMountError, fill, tell
from tests.system.faults.kill_workers import Sums, load, recorded
from tests.system.faults.slow_mail import ACCOUNT, GROUPS, Beats, beat

ROOT = Path(__file__).parents[3]
MB = 1024 * 1024
_COUNTED = 30.0


def create(folder: Path, port: int, **more: Any) -> Quart:
    """The application, with its files in `folder`, and the mail server on that port.

    `more` are arguments of its handler.
    """
    app = Quart("shop", instance_path=str(folder))
    logger = logging.getLogger(app.name)
    logger.addHandler(logging.NullHandler())  # in the place of Quart's, which prints each error
    logger.propagate = False
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, ADMINS="ops@example.com")
    Reporting(app)
    handler = QueuedSMTPHandler(
        ("127.0.0.1", port),
        "shop@example.com",
        ["ops@example.com"],
        "Shop Failure",
        spool=folder / "spool",
        **more,
    )
    handler.setLevel(logging.ERROR)
    app.logger.addHandler(handler)

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError("the printer has no paper")

    return app


def served() -> Quart:
    """The application for Hypercorn."""
    return create(Path(os.environ["SHOP_FOLDER"]), int(os.environ["SHOP_MAIL_PORT"]))


@dataclass(frozen=True)
class Counted:
    """How many errors are in errors.db, and in the state of the spool."""

    reporting: int
    handler: int

    def __str__(self) -> str:
        return f"counted {self.reporting} in errors.db, {self.handler} in the spool"


def counted(folder: Path) -> Counted:
    total = 0
    with (
        suppress(sqlite3.OperationalError),
        closing(sqlite3.connect(folder / "errors.db")) as database,
    ):
        [(total,)] = database.execute("SELECT sum(count) FROM error_groups")
    try:
        groups = json.loads((folder / "spool" / "state").read_bytes())["groups"]["groups"]
    except FileNotFoundError:
        groups = []
    return Counted(total or 0, sum(group["count"] for group in groups))


async def until_counted(folder: Path, number: int) -> Counted:
    """Until both have counted so many errors, or for half a minute."""
    deadline = asyncio.get_running_loop().time() + _COUNTED
    while (found := counted(folder)) != Counted(number, number):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.2)
    return found


def kill(rounds: int, workers: int = 2) -> bool:
    """kill -9 of the workers and their master under load. The error of each 500 is counted."""
    sums = Sums()
    with tempfile.TemporaryDirectory() as name, closing(PostOffice()) as post:
        folder = Path(name)
        post.start()
        given = {
            "SHOP_FOLDER": name,
            "SHOP_MAIL_PORT": str(post.address[1]),
            "PYTHONPATH": str(ROOT),
        }
        command = ["-m", "hypercorn", "tests.system.faults.foreign:served()"]
        command += ["--bind", "127.0.0.1:0", "--workers", str(workers)]
        for number in range(1, rounds + 1):
            with LiveServer(given, command) as server:
                asyncio.run(load(server.url, random.uniform(0.2, 1.2), server.process.pid, sums))
            print(f"round {number} of {rounds}: received {sums.received} of {sums.attempted}")
        sums.recorded = asyncio.run(
            recorded(f"sqlite+aiosqlite:///{folder / 'errors.db'}", folder / "journal")
        )
        app = create(folder, post.address[1])  # it has the spool of those that were killed
        for handler in app.logger.handlers[:]:
            handler.close()
            app.logger.removeHandler(handler)
        found = counted(folder)
        mails = [mail for mail in post.server.mails if "Shop Failure" in mail.message["Subject"]]
        stated = max(
            (number_of(line) for mail in mails for line in mail.text.splitlines()), default=0
        )
        print(f"received {sums.received}; {found}, and {stated} in its {len(mails)} mails")
    in_spool = Sums(sums.attempted, sums.received, found.handler)
    return sums.is_right and in_spool.is_right and stated == found.handler


def number_of(line: str) -> int:
    """The number in the line of a mail that begins with "Count:"."""
    name, _, count = line.partition(":")
    return int(count.split()[0].replace(",", "").replace("once", "1")) if name == "Count" else 0


async def storm(errors: int, folder: Path, post: PostOffice) -> bool:
    """Errors of one group as fast as the logger takes them."""
    app = create(folder, post.address[1])
    async with app.test_app():
        app.logger.error("the first one loads modules")
        await until_counted(folder, 1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(errors):
            app.logger.error("order %d is lost", number)
            if number % 500 == 0:
                await asyncio.sleep(0)
        found = await until_counted(folder, errors + 1)
        await asyncio.to_thread(flush, app)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    mails = len(post.server.mails)
    print(f"{errors} errors: {found}; {memory:.1f} MB more memory, {mails} mails")
    return found == Counted(errors + 1, errors + 1) and memory < 40 and mails <= 12


async def full(errors: int, folder: Path, post: PostOffice) -> bool:
    """The disk is full for a while: what is logged then is counted afterwards."""
    app = create(folder, post.address[1])
    async with app.test_app():
        app.logger.error("the first one")
        await until_counted(folder, 1)
        ballast = await asyncio.to_thread(fill, folder / "ballast")
        for number in range(errors):
            app.logger.error("order %d is lost", number)
            if number % 500 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(ballast.unlink)
        found = await until_counted(folder, errors + 1)
        await asyncio.to_thread(flush, app)
    print(f"{errors} errors on a full disk: {found}")
    return found == Counted(errors + 1, errors + 1)


def flush(app: Quart) -> None:
    for handler in app.logger.handlers[:]:
        if isinstance(handler, QueuedSMTPHandler):
            handler.close()
            app.logger.removeHandler(handler)


def slow(seconds: float) -> Beats:
    """A mail server that takes so long for each mail does not stop the loop of the program."""
    with (
        tempfile.TemporaryDirectory() as name,
        Mailbox(Path(name), *ACCOUNT, delay=seconds / 3) as mailbox,
    ):
        return asyncio.run(_slow(Path(name), mailbox))


async def _slow(folder: Path, mailbox: Mailbox) -> Beats:
    context = ssl.create_default_context(cafile=str(mailbox.trusted))
    logger = logging.getLogger("shop.slow")
    logger.propagate = False
    handler = QueuedSMTPHandler(
        ("127.0.0.1", mailbox.port),
        "shop@example.com",
        "ops@example.com",
        "Shop Failure",
        credentials=ACCOUNT,
        secure=context,
    )
    logger.addHandler(handler)
    gc.collect()
    gc.freeze()  # a full garbage collection of all imported modules is not measured here
    beats = Beats()
    beating = asyncio.create_task(beat(beats))
    for number in range(GROUPS):
        logger.error(f"order {chr(ord('a') + number % 26)}{'x' * (number // 26)} is lost")  # noqa: G004 a group each
        await asyncio.sleep(0.001)
    await asyncio.to_thread(mailbox.wait_for, 3)
    beating.cancel()
    logger.removeHandler(handler)
    handler.timeout = 0.1  # the rest is not mailed
    handler.close()
    return beats


def in_folder(
    run: Callable[[int, Path, PostOffice], Awaitable[bool]], number: int, disk: int
) -> bool:
    """Run one of them in a folder, on a disk of so many MB if that is not 0.

    Raises CannotMountError.
    """
    with tempfile.TemporaryDirectory() as name, closing(PostOffice()) as post:
        post.start()
        if disk:
            tell("mount", "-t", "tmpfs", "-o", f"size={disk}m", "tmpfs", name)
        try:

            async def main() -> bool:
                return await run(number, Path(name), post)

            return asyncio.run(main())
        finally:
            if disk:
                subprocess.run(["umount", "-l", name], check=False)


def main() -> int:
    logging.getLogger("quartapp").setLevel(logging.CRITICAL)
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    logging.raiseExceptions = False
    what, number = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0
    try:
        match what:
            case "kill":
                held = kill(number or 15)
            case "storm":
                held = in_folder(storm, number or 200_000, 0)
            case "full":
                held = in_folder(full, number or 30_000, 16)
            case _:
                beats = slow(number or 2)
                print(beats)
                held = beats.is_right
    except CannotMountError as error:
        print(f"skipped: cannot mount a tmpfs here ({error})")
        return 0
    print("held" if held else "BROKEN")
    return not held


if __name__ == "__main__":
    sys.exit(main())
