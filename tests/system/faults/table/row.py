"""A fault, and what became of the requests, posts, errors and mails of a site that had it."""

import asyncio
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.faults.full_disk import tell
from tests.system.faults.table.ledger import EMPTY, HANGING
from tests.system.faults.table.site import Site, served
from tests.system.faults.table.usage import Usage

RECOVERY = 30.0
"""Seconds after a fault in which posts, pages and errors must be answered again."""

LONGEST = 180.0
"""Seconds that a row may take."""

SLOWEST_PING = 1.0
"""Seconds that 99 of 100 pings may take while a fault lasts. It allows for a busy machine."""

NOISE, MOST_NOISE = "socket.send() raised exception", 10
"""What asyncio logs for each write to a connection that ended, and how often it may."""

COUNTING = 6.0
"""Seconds without a count after which no further one is expected."""

QUIET = 8.0
"""Seconds in which everything must be given back."""

_MAILING = 20.0

Inject = Callable[[Site], AbstractAsyncContextManager[None]]
ENGINES = ("sqlite", "postgresql")


class SkippedError(Exception):
    """This machine cannot have that fault."""


@dataclass(frozen=True)
class Fault:
    """`inject` causes it for as long as its block lasts; traffic goes on in it for `seconds`.

    `kills`: processes are killed, so errors may be counted, and mails sent twice, of which no
    client has heard. `stops`: the server is away for a while, so pings may fail. `posts`: posts
    must be published in the meantime. `mails`: a mail whose subject has this must have arrived.
    `expects`: answers that must be among those given. `disk_mb`: the folder of the site is a file
    system of that size. `settings` are those of the server; with `without` besides, its protection
    is removed (see `served`).
    """

    name: str
    how: str
    inject: Inject
    seconds: float = 3.0
    engines: tuple[str, ...] = ENGINES
    kills: bool = False
    stops: bool = False
    posts: bool = False
    mails: str = ""
    expects: tuple[str, ...] = ()
    disk_mb: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Row:
    """What is in the four lists is red: sentences that say how much."""

    name: str
    how: str
    engine: str
    sent: int = 0
    answers: Mapping[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    recovered: float | None = None
    pings: str = ""
    seconds: float = 0.0
    skipped: str = ""
    told: str = ""
    """What a script said last."""

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.leaked or self.wrong)


async def run(fault: Fault, engine: str, without: bool = False) -> Row:
    """Inject a fault into a new site. `without` its protection."""
    row, began = Row(fault.name, fault.how, engine), time.monotonic()
    settings = {**fault.settings, **(fault.without if without else {})}
    try:
        with tempfile.TemporaryDirectory() as name:
            async with (
                asyncio.timeout(LONGEST),
                _disk(Path(name), fault.disk_mb) as folder,
                served(folder, engine, **settings) as site,
            ):
                await _suffer(fault, site, row)
    except SkippedError as reason:
        row.skipped = str(reason)
    except Exception as error:  # noqa: BLE001 the other rows are still wanted
        traceback.print_exc()
        row.wrong.append(f"the row failed: {error!r:.200}")
    row.seconds = time.monotonic() - began
    return row


@asynccontextmanager
async def _disk(folder: Path, megabytes: int) -> AsyncIterator[Path]:
    if not megabytes:
        yield folder
        return
    try:
        tell("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder))
    except Exception as error:
        raise SkippedError(f"cannot mount a tmpfs here: {error}") from error
    try:
        yield folder
    finally:
        tell("umount", "-l", str(folder))


async def _suffer(fault: Fault, site: Site, row: Row) -> None:
    await site.warm_up()
    before = await site.usage()
    site.begin_traffic()
    await asyncio.sleep(1.0)
    site.ledger.pings, site.ledger.pings_failed = [], 0
    async with fault.inject(site):
        await asyncio.sleep(fault.seconds / 2)
        posts = len(site.ledger.acknowledged)
        await asyncio.sleep(fault.seconds / 2)
        if fault.posts and len(site.ledger.acknowledged) == posts:
            row.wrong.append("no post was published meanwhile")
        row.pings = _served_meanwhile(fault, site, row)
    row.recovered = await site.recover(RECOVERY)
    if row.recovered is None:
        row.wrong.append(f"not recovered after {RECOVERY:.0f} s")
    await site.end_traffic()
    await _until_counted(site)
    row.leaked = await _leaks(site, before)
    if fault.mails:
        await _until_mailed(site, fault.mails, row)
    await site.stop()
    await _compare(fault, site, row)


def _served_meanwhile(fault: Fault, site: Site, row: Row) -> str:
    pings, failed = sorted(site.ledger.pings), site.ledger.pings_failed
    slowest = pings[int(len(pings) * 0.99)] if pings else 0.0
    if not fault.stops and (failed or not pings or slowest > SLOWEST_PING):
        row.wrong.append(f"{failed} of {failed + len(pings)} pings failed, p99 {slowest:.2f} s")
    return f"{len(pings)} in {slowest * 1000:.0f} ms"


async def _until_counted(site: Site) -> None:
    """Until all errors are counted, or none was for a while."""
    total, deadline = 0, time.monotonic() + COUNTING
    while total < site.ledger.recorded and time.monotonic() < deadline:
        await asyncio.sleep(0.3)
        before, total = total, sum((await site.counted()).values())
        if total != before:
            deadline = time.monotonic() + COUNTING


async def _leaks(site: Site, before: Usage) -> list[str]:
    """What is never given back, though there is time for it."""
    deadline = time.monotonic() + QUIET
    held = await site.usage()
    while (leaks := held.exceeds(before)) and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        # Of each the least: what counts errors holds a connection now and then.
        held = held.least(await site.usage())
    return leaks


async def _until_mailed(site: Site, subject: str, row: Row) -> None:
    deadline = time.monotonic() + _MAILING
    while await site.mails_waiting() and time.monotonic() < deadline:  # noqa: ASYNC110 rows
        await asyncio.sleep(0.3)
    if not any(subject in str(mail.message["Subject"]) for mail in site.mail_server.mails):
        row.lost.append("no mail of the error")
    if waiting := await site.mails_waiting():
        row.lost.append(f"{waiting} mails")


async def _compare(fault: Fault, site: Site, row: Row) -> None:
    """The ledger with the database, after the server has stopped."""
    ledger, stored = site.ledger, await site.stored()
    row.sent, row.answers = ledger.sent, dict(ledger.answers)
    if lost := ledger.acknowledged - set(stored):
        row.lost.append(f"{len(lost)} posts")
    if doubled := sum(count - 1 for count in stored.values()):
        row.doubled.append(f"{doubled} posts")
    counted = await site.counted()
    total = sum(counted.values())
    if total < ledger.recorded:
        row.lost.append(f"{ledger.recorded - total} of {ledger.recorded} errors")
    if total > ledger.recorded + ledger.perhaps:
        row.doubled.append(f"{total - ledger.recorded} errors: {counted}")
    mails = Counter(str(mail.message["Message-ID"]) for mail in site.mail_server.mails)
    if not fault.kills and (again := sum(count - 1 for count in mails.values())):
        row.doubled.append(f"{again} mails")
    row.wrong += [
        f"{ledger.answers[answer]} answers: {answer}"
        for answer in (EMPTY, HANGING)
        if ledger.answers[answer]
    ]
    row.wrong += [f"no {answer}" for answer in fault.expects if not ledger.answers[answer]]
    if (noise := site.output.count(NOISE)) > MOST_NOISE:
        row.wrong.append(f"{noise} x {NOISE!r} logged")
    if any(site.exit_codes):
        row.wrong.append(f"exit codes {site.exit_codes}")
