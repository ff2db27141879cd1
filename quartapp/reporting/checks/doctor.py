"""Whether reporting works: one finding for each part that can fail."""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from quartapp.database.dialect import database_now
from quartapp.database.errors import explain, is_of_database
from quartapp.mail.outbox import DEAD, WAITING
from quartapp.mail.smtp import check
from quartapp.reporting.journal.losses import read_losses
from quartapp.reporting.journal.segments import Segment, disk_usage, list_segments, open_segment
from quartapp.reporting.journal.writer import MAX_BYTES
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import ErrorAlert, ErrorSegment

_SKEW = 30.0
_LATE = 900.0
_IN_DATABASE = ("database", "outbox")


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one part. If `is_well` is False, an operator has to do something."""

    part: str
    is_well: bool
    text: str


async def examine(pipeline: Pipeline) -> AsyncGenerator[Finding]:
    """Examine one part after the other. What fails is a finding, never an exception."""
    parts: tuple[tuple[str, Callable[[Pipeline], Awaitable[tuple[bool, str]]]], ...] = (
        ("journal", _journal),
        ("disk", _disk),
        ("database", _database),
        ("outbox", _outbox),
        ("mail server", _mail_server),
    )
    for part, look in parts:
        try:
            is_well, text = await look(pipeline)
        except Exception as error:  # noqa: BLE001 - a failure is the finding
            is_well, text = False, _say(part, error)
        yield Finding(part, is_well, text)


def _say(part: str, error: Exception) -> str:
    if part in _IN_DATABASE and is_of_database(error):
        return explain(error)
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


async def _journal(pipeline: Pipeline) -> tuple[bool, str]:
    folder = pipeline.journal.folder

    def look() -> tuple[list[Path], int, list[Path]]:
        probe = Segment.make(folder, 4096)
        probe.path.unlink()
        probe.close()
        segments = list_segments(folder)
        return segments, disk_usage(folder), [path for path in segments if not _is_readable(path)]

    segments, used, unreadable = await asyncio.to_thread(look)
    losses = await asyncio.to_thread(read_losses, folder)
    text = f"{folder} can be written; {len(segments)} segments, {used / 1e6:.1f} MB"
    if unreadable:
        text += (
            f"; {len(unreadable)} cannot be read and are not counted, {unreadable[0].name} first"
        )
    if losses.reports:
        text += f"; {losses}"
    return used < MAX_BYTES and not unreadable, text


def _is_readable(path: Path) -> bool:
    try:
        with open_segment(path) as reading:
            if reading is not None:
                reading.has_data(0)
    except OSError:
        return False
    return True


async def _disk(pipeline: Pipeline) -> tuple[bool, str]:
    def look() -> int:
        folder = pipeline.journal.folder  # the first error makes it
        return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.is_dir())).free

    free = await asyncio.to_thread(look)
    return (
        free > MAX_BYTES,
        f"{free / 1e6:,.0f} MB free, the journal may take {MAX_BYTES / 1e6:.0f}",
    )


async def _database(pipeline: Pipeline) -> tuple[bool, str]:
    async with pipeline.database.session(write=False) as session:
        corrupt = await session.scalar(select(func.sum(ErrorSegment.corrupt))) or 0
        skew = await database_now(session) - time.time()
    text = f"answers; its clock is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
    if corrupt:
        text += f"; {corrupt} pieces of the journal were unreadable"
    return abs(skew) < _SKEW, text


async def _outbox(pipeline: Pipeline) -> tuple[bool, str]:
    async with pipeline.database.session(write=False) as session:
        now = await database_now(session)
        rows = await session.execute(
            select(ErrorAlert.state, func.count(), func.min(ErrorAlert.created_at))
            .where(ErrorAlert.state.in_([WAITING, DEAD]))
            .group_by(ErrorAlert.state)
        )
        found = {state: (number, oldest) for state, number, oldest in rows}
        error = await session.scalar(
            select(ErrorAlert.error)
            .where(ErrorAlert.error != "", ErrorAlert.state.in_([WAITING, DEAD]))
            .order_by(ErrorAlert.id.desc())
            .limit(1)
        )
    waiting, oldest = found.get(WAITING, (0, now))
    dead, _ = found.get(DEAD, (0, now))
    text = f"{waiting} mails wait, {dead} were given up"
    if error:
        text += f"; the last failure: {error}"
    return not dead and not error and now - oldest < _LATE, text


async def _mail_server(pipeline: Pipeline) -> tuple[bool, str]:
    if pipeline.mailer is None:
        return True, "mails are off (MAIL_SERVER is not set, or DEBUG is)"
    server = pipeline.mailer.server
    error = await check(server)
    return not error, error or f"{server.host}:{server.port} takes mails"
