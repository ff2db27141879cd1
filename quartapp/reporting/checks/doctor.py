"""Checks whether reporting works, with one finding for each part that can fail."""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy import text as statement
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import database_now, is_sqlite
from quartapp.database.errors import StatementTimeoutError, explain, is_of_database
from quartapp.mail.outbox import DEAD, WAITING
from quartapp.mail.smtp import check
from quartapp.mail.strings import moment
from quartapp.reporting.journal.aside import number_aside
from quartapp.reporting.journal.losses import read_losses
from quartapp.reporting.journal.segments import (
    Segment,
    disk_usage,
    identity,
    listed,
    open_segment,
)
from quartapp.reporting.journal.servers import ServerState, living_servers
from quartapp.reporting.journal.writer import MAX_BYTES
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import ErrorAlert, ErrorSegment, metadata

_SKEW = 30.0
_LATE = 900.0
_IN_DATABASE = ("database", "outbox")


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one part. If `is_well` is False, an operator must act."""

    part: str
    is_well: bool
    text: str


async def examine(pipeline: Pipeline) -> AsyncGenerator[Finding]:
    """Examine one part after the other. A failure is a finding, never an exception."""
    parts: tuple[tuple[str, Callable[[Pipeline], Awaitable[tuple[bool, str]]]], ...] = (
        ("settings", _settings),
        ("server", _server),
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


async def _settings(pipeline: Pipeline) -> tuple[bool, str]:
    return not pipeline.faults, "; ".join(pipeline.faults) or "no dangerous setting found"


async def _server(pipeline: Pipeline) -> tuple[bool, str]:
    """What the running server uses, which may differ from what this process opened."""
    states = await asyncio.to_thread(living_servers, pipeline.journal.folder)
    if not states:
        return True, "no running server uses this journal"
    faults = [
        f"process {state.pid}: {fault}"
        for state in states
        if (fault := mismatch(pipeline, state) or state.trouble)
    ]
    text = "; ".join(faults) or f"{len(states)} processes write to this journal and count it"
    if restored_at := max(state.restored_at for state in states):
        text += f"; the journal was removed under them at {moment(restored_at)} and made again"
    return not faults, text


def mismatch(pipeline: Pipeline, state: ServerState) -> str:
    """How the journal or database of a server differs from those of this process; "" if not."""
    try:
        journal = identity(pipeline.journal.folder.stat())
    except OSError:
        journal = None
    if state.journal not in {None, journal}:
        return "it writes to a journal that was removed or replaced"
    file = pipeline.database.file_identity()
    if file is not None and state.database == file:
        return ""
    if state.address != pipeline.database.address:
        return f"it counts into another database, {state.address}"
    if state.database not in {None, file}:
        return "it counts into a database file that was removed or replaced"
    return ""


async def _journal(pipeline: Pipeline) -> tuple[bool, str]:
    folder = pipeline.journal.folder

    def look() -> tuple[list[Path], int, list[Path], int]:
        segments, strangers = listed(folder)
        unreadable = [path for path in segments if not _is_readable(path)]
        unreadable += [folder / name for name in strangers]
        return segments, disk_usage(folder), unreadable, number_aside(folder)

    if not await asyncio.to_thread(_can_write, folder):
        return False, f"{folder} cannot be written"
    if not folder.is_dir():
        return True, f"{folder} does not exist yet; a server creates it"
    segments, used, unreadable, aside = await asyncio.to_thread(look)
    losses = await asyncio.to_thread(read_losses, folder)
    text = f"{folder} can be written; {len(segments)} segments, {used / 1e6:.1f} MB"
    if unreadable:
        text += (
            f"; {len(unreadable)} cannot be read and are not counted, "
            f"{ascii(unreadable[0].name)[1:-1]} first"
        )
    if aside:
        text += f"; {aside} foreign files are in {folder / 'aside'}"
    if losses.reports:
        text += f"; {losses}"
    return used < MAX_BYTES and not unreadable and not aside, text


def _can_write(folder: Path) -> bool:
    """Whether a segment can be created there. Does not create the folder: the server does."""
    if folder.is_dir():
        probe = Segment.make(folder, 4096)
        probe.path.unlink()
        probe.close()
        return True
    nearest = next(path for path in folder.parents if os.path.lexists(path))
    return not os.path.lexists(folder) and nearest.is_dir() and os.access(nearest, os.W_OK)


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
        folder = pipeline.journal.folder  # the server creates it
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
        fault = await _corruption(session)
        for table in metadata.sorted_tables:  # raises if a migration is missing
            await session.execute(select(table).limit(0))
    if fault:
        return False, f"it is corrupt: {fault}"
    text = f"answers; its clock is {abs(skew):.1f} s {'ahead' if skew > 0 else 'behind'}"
    if corrupt:
        text += f"; {corrupt} pieces of the journal were unreadable"
    return abs(skew) < _SKEW, text


async def _corruption(session: AsyncSession) -> str:
    """The first fault in the pages of an SQLite database; "" if there is none or no time."""
    if not is_sqlite(session):
        return ""
    try:
        found = str(await session.scalar(statement("PRAGMA quick_check(1)")))
    except StatementTimeoutError:
        return ""
    return "" if found == "ok" else found.partition("\n")[0]


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
