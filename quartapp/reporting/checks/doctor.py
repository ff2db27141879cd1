"""Checks whether reporting works, with one finding for each part that can fail.

The command `errors doctor` and the overview of the inbox show them.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy import text as statement
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import database_now, is_sqlite
from quartapp.database.errors import StatementTimeoutError, is_of_database, lacks_column
from quartapp.mail.delivery import Server
from quartapp.mail.outbox import DEAD, WAITING, backlog
from quartapp.mail.smtp import check
from quartapp.mail.strings import moment, one_line
from quartapp.reporting.counting.store import offsets
from quartapp.reporting.exceptions import ReportingError, sentence
from quartapp.reporting.journal.aside import number_aside
from quartapp.reporting.journal.backlog import uncounted
from quartapp.reporting.journal.losses import read_losses
from quartapp.reporting.journal.segments import (
    Segment,
    disk_usage,
    identity,
    list_segments,
    listed,
    open_segment,
)
from quartapp.reporting.journal.servers import ServerState, living_servers
from quartapp.reporting.journal.writer import MAX_BYTES
from quartapp.reporting.pipeline import UNMADE, Pipeline
from quartapp.reporting.schema import VERSION, version_of
from quartapp.reporting.tables import (
    AlertRow,
    ErrorAlert,
    ErrorSegment,
    ErrorWebhook,
    metadata,
)

_SKEW = 30.0
_LATE = 900.0
_BEHIND = 60.0
_WORDS = 300
_NO_WEBHOOK = "webhooks are off (ERRORS_WEBHOOK_URL is not set, or DEBUG is)"
_IN_DATABASE = ("database", "counting", "outbox", "webhook")


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one part. If `is_well` is False, an operator must act."""

    part: str
    is_well: bool
    text: str


async def examine(pipeline: Pipeline, *, is_thorough: bool = True) -> AsyncGenerator[Finding]:
    """Examine one part after the other. A failure is a finding, never an exception.

    Unless `is_thorough`, what takes long is left out: to read the whole database, and to connect to
    the mail server.
    """
    parts: list[tuple[str, Callable[[Pipeline], Awaitable[tuple[bool, str]]]]] = [
        ("settings", _settings),
        ("server", _server),
        ("journal", _journal),
        ("disk", _disk),
        ("database", partial(_database, is_thorough=is_thorough)),
        ("counting", _counting),
        ("outbox", _outbox),
        ("mail server", _mail_server),
        ("webhook", _webhook),
    ]
    if not is_thorough:
        parts = [*parts[:-2], ("webhook", _waiting_messages)]
    for part, look in parts:
        try:
            is_well, text = await look(pipeline)
        except Exception as error:  # noqa: BLE001 - a failure is the finding
            is_well, text = False, _say(part, error)
        yield Finding(part, is_well, text)


def _say(part: str, error: Exception) -> str:
    if part in _IN_DATABASE and (is_of_database(error) or isinstance(error, ReportingError)):
        return sentence(error)
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
    pids = ", ".join(str(state.pid) for state in states)
    working = "1 process writes to this journal and counts it"
    if len(states) > 1:
        working = f"{len(states)} processes write to this journal and count it"
    text = "; ".join(faults) or f"{working}: {pids}"
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


async def _database(pipeline: Pipeline, *, is_thorough: bool) -> tuple[bool, str]:
    if pipeline.is_unmade:
        return True, f"{pipeline.database.address} {UNMADE}"
    await pipeline.prepare()
    async with pipeline.database.session(write=False) as session:
        version = await version_of(session)
        if version not in {None, VERSION}:
            return False, f"its tables have version {version}, and this release knows {VERSION}"
        if missing := await _missing(session):
            return False, f"a migration is pending: {missing}"
        corrupt = await session.scalar(select(func.sum(ErrorSegment.corrupt))) or 0
        skew = await database_now(session) - time.time()
        fault = await _corruption(session) if is_thorough else ""
    advice = await pipeline.database.advice_on_pooler() if is_thorough else ""
    if fault:
        return False, f"it is corrupt: {fault}"
    owner = "of the application's migrations" if version is None else f"of version {version}"
    text = (
        f"answers; the tables are {owner}; its clock is {abs(skew):.1f} s"
        f" {'ahead' if skew > 0 else 'behind'}"
    )
    if advice:
        text += f". {advice}"
    if corrupt:
        text += f"; {corrupt} pieces of the journal were unreadable"
    return abs(skew) < _SKEW, text


async def _missing(session: AsyncSession) -> str:
    """Which of the tables lacks a column; "" if none does. Raises if there is no such table."""
    for table in metadata.sorted_tables:
        try:
            await session.execute(select(table).limit(0))
        except DBAPIError as error:
            if not lacks_column(error):
                raise
            return f"the table {table.name} lacks a column; run 'quartapp db upgrade'"
    return ""


async def _counting(pipeline: Pipeline) -> tuple[bool, str]:
    """How long the oldest line of the journal that is not counted has waited."""
    folder = pipeline.journal.folder
    paths = await asyncio.to_thread(list_segments, folder)
    known = pipeline.consumer.offsets
    if not pipeline.is_unmade:
        try:
            await pipeline.prepare()
            async with pipeline.database.session(write=False) as session:
                known = await offsets(session, [path.stem for path in paths])
        except Exception as error:
            # what this process knows, if it has counted
            if not known or not (is_of_database(error) or isinstance(error, ReportingError)):
                raise
    waiting, oldest = await asyncio.to_thread(uncounted, paths, known)
    if not waiting:
        return True, "everything in this machine's journal is counted"
    age = max(0.0, time.time() - oldest)
    text = f"{waiting} segments have lines that are not counted, the oldest is {age:.0f} s old"
    return age < _BEHIND, text


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
    return await _waiting(pipeline, ErrorAlert, "mails")


async def _waiting(pipeline: Pipeline, table: type[AlertRow], noun: str) -> tuple[bool, str]:
    if pipeline.is_unmade:
        return True, f"no {noun} wait"
    await pipeline.prepare()
    async with pipeline.database.session(write=False) as session:
        found = await backlog(session, table)
        error = await session.scalar(
            select(table.error)
            .where(table.error != "", table.state.in_([WAITING, DEAD]))
            .order_by(table.id.desc())
            .limit(1)
        )
        sent = await session.scalar(select(func.max(table.sent_at)))
    waiting = found.waiting
    text = f"1 {noun[:-1]} waits" if waiting == 1 else f"{waiting} {noun} wait"
    if waiting:
        text += f", the oldest for {found.age:.0f} s"
    text += f", {found.dead} were given up"
    text += f"; the last was sent at {moment(sent)}" if sent else "; none was sent yet"
    if error:
        text += f"; the last failure: {one_line(error, _WORDS)}"
    return not found.dead and not error and found.age < _LATE, text


async def _mail_server(pipeline: Pipeline) -> tuple[bool, str]:
    if pipeline.mailer is None:
        return True, "mails are off (MAIL_SERVER is not set, or DEBUG is)"
    server = pipeline.mailer.server
    assert isinstance(server, Server), "commands have no mailbox"
    error = await check(server)
    return not error, error or f"{server.host}:{server.port} takes mails"


async def _waiting_messages(pipeline: Pipeline) -> tuple[bool, str]:
    if pipeline.webhook is None:
        return True, _NO_WEBHOOK
    return await _waiting(pipeline, ErrorWebhook, "messages")


async def _webhook(pipeline: Pipeline) -> tuple[bool, str]:
    if pipeline.webhook is None:
        return True, _NO_WEBHOOK
    from quartapp.reporting.webhooks.post import check as connect  # it is loaded

    endpoint = pipeline.webhook.endpoint
    fault = await connect(endpoint)
    signed = "signed" if endpoint.key else "not signed: ERRORS_WEBHOOK_SECRET is not set"
    is_well, waiting = await _waiting(pipeline, ErrorWebhook, "messages")
    text = fault or f"{endpoint.host}:{endpoint.port} answers; messages are {signed}"
    return is_well and not fault, f"{text}; {waiting}"
