"""The trail of security events: in a log at once, and in the table a moment later.

`record_event` never fails, never waits and takes no lock, so that a login works while nothing can
be written. The events wait in memory, and one task of each worker inserts them. While the database
is away they wait for it; what is beyond MOST_WAITING is in the log alone.
"""

import asyncio
import copy
import json
import logging
import sys
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import cast

from quart import Quart, current_app, has_request_context, request
from sqlalchemy.exc import IntegrityError

from quartapp.database import DatabaseEngine
from quartapp.logfile import handler
from quartapp.logfile.handler import ThreadedHandler
from quartapp.logfile.rotation import RotatingFile
from quartapp.logfile.settings import LogSettings
from quartapp.logfile.setup import log_path
from quartapp.microblog.database import db
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.event import (
    ADDRESS_LENGTH,
    AGENT_LENGTH,
    DETAIL_LENGTH,
    EventKind,
    EventRow,
    NewEvent,
    add_events,
    events_of,
    prune_events,
)

MOST_WAITING = 10_000
"""Events that wait for the database, 10 MB; further ones are in the log alone."""

LOG_BYTES = 1024 * 1024
"""The size of a log file: 5,000 events. LOG_BACKUP_COUNT older files are kept."""

_PAUSE = 0.1
"""Seconds for which events are gathered, so that one transaction inserts many."""
_RETRY = 2.0
_BATCH = 500
_PRUNE_EVERY = 3600.0
_PATIENCE = 1.0

_events_logger = logging.getLogger("quartapp.security")
_logger = logging.getLogger(__name__)


def init_app(app: Quart, database: DatabaseEngine) -> None:
    """Give an application its trail, which is written while it serves.

    Reads `app.config` (see `LogSettings`), DEBUG and TESTING.
    """
    kept = app.extensions["trail"] = Trail(database)
    app.before_serving(kept.start)
    app.after_serving(kept.stop)
    _events_logger.setLevel(logging.INFO)
    if not (app.testing or app.debug):
        app.before_serving(_Log(LogSettings.from_config(app.config)).open)


def record_event(kind: EventKind, user_id: int | None = None, detail: str = "") -> None:
    """Record what has happened, with the address and the user agent of the current request.

    `user_id` is the person whose account it is, or the administrator who acts; None for a name that
    nobody has. `detail` is a few words of ours: never a secret, never what a client typed. Call it
    after the commit. Raises nothing.
    """
    trail().record(event(kind, user_id, detail))


def event(kind: EventKind, user_id: int | None = None, detail: str = "") -> NewEvent:
    """An event of now, for a command, which stores it with `add_events`; see `record_event`."""
    address = agent = ""
    if has_request_context():
        address = request.remote_addr or ""
        agent = request.headers.get("User-Agent", "")
    return NewEvent(
        utc_now(),
        kind.value,
        user_id,
        _cut(address, ADDRESS_LENGTH),
        _cut(agent, AGENT_LENGTH),
        _cut(detail, DETAIL_LENGTH),
    )


async def latest_events(user_id: int) -> list[EventRow]:
    """The latest events of a person, those of this moment too.

    Call it while the request is in no transaction, which on SQLite would not see what is stored
    now.
    """
    await trail().written()
    return await events_of(db, user_id)


def trail() -> "Trail":
    """The trail of the current application."""
    return cast(Trail, current_app.extensions["trail"])


class Trail:
    """The events of one process on their way to the table."""

    def __init__(self, database: DatabaseEngine) -> None:
        self._database = database
        self._waiting: deque[NewEvent] = deque()
        self._some = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._storing: asyncio.Task[bool] | None = None
        self._left_out = 0
        self._is_failing = False
        self._prune_at = 0.0

    def record(self, new: NewEvent) -> None:
        """Log an event, and have it stored."""
        facts = new._asdict()
        del facts["at"]
        _events_logger.info("%s", _line(new), extra=facts)
        if len(self._waiting) >= MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append(new)
        self._some.set()

    async def start(self) -> None:
        """Store events from now on."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Store what waits, if the database answers, and stop."""
        if self._task is not None:
            # A task that is cancelled while it commits might store twice; a database may hang.
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE), self._writing:
                    pass
            self._task.cancel()
            self._task = None
        await self.written()
        if self._waiting:
            _logger.error("%d security events are in the log alone", len(self._waiting))

    async def written(self) -> None:
        """Store what waits, before the table is read. Waits for a second at most."""
        if self._waiting:
            self._storing = asyncio.create_task(self._store())
            await asyncio.wait([self._storing], timeout=_PATIENCE)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PRUNE_EVERY):
                    await self._some.wait()
            await asyncio.sleep(_PAUSE)
            if not await self._store():
                await asyncio.sleep(_RETRY)

    async def _store(self) -> bool:
        """Store what waits; False if it could not be."""
        async with self._writing:
            try:
                while batch := list(islice(self._waiting, _BATCH)):
                    await self._insert(batch)
                    for _ in batch:
                        self._waiting.popleft()
                self._some.clear()
                await self._prune()
            except Exception as error:
                if not self._is_failing:
                    text = "Security events cannot be stored, and wait: %s"
                    _logger.error(text, error, exc_info=error)
                self._is_failing = True
                return False
        if self._is_failing:
            left_out, self._left_out = self._left_out, 0
            _logger.warning("Security events are stored again; %d are in the log alone", left_out)
        self._is_failing = False
        return True

    async def _insert(self, batch: list[NewEvent]) -> None:
        try:
            async with self._database.session() as session:
                await add_events(session, batch)
        except IntegrityError:
            # An account was deleted meanwhile: the event remains without it, as earlier ones do.
            for each in batch:
                await self._insert_one(each)

    async def _insert_one(self, new: NewEvent) -> None:
        for each in (new, new._replace(user_id=None)):
            with suppress(IntegrityError):
                async with self._database.session() as session:
                    await add_events(session, [each])
                return

    async def _prune(self) -> None:
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + _PRUNE_EVERY
        await prune_events(self._database)


class _Log:
    """The log of the events: LOG_DIR/security.log, or standard output, a JSON object a line.

    With LOG_FORMAT=json the event is the `extra` of such a line as all others are.
    """

    def __init__(self, settings: LogSettings) -> None:
        self._settings = settings

    async def open(self) -> None:
        line = self._settings.formatter("%(message)s")
        if self._settings.log_to_stdout:
            target = handler.to_stream(sys.stdout, line)
        else:
            path = log_path(self._settings.log_dir, "security")
            backups = self._settings.log_backup_count
            target = handler.to_file(RotatingFile(path, max_bytes=LOG_BYTES, backups=backups), line)
        is_text = self._settings.log_format == "text"
        clean = _as_it_is if is_text else _by_its_kind
        handler.attach(_events_logger, ThreadedHandler(target, clean=clean), alone=True)


def _as_it_is(record: logging.LogRecord) -> logging.LogRecord:
    return record


def _by_its_kind(record: logging.LogRecord) -> logging.LogRecord:
    """The record of an event whose message is the kind: the rest is in the record's attributes."""
    named = copy.copy(record)
    named.msg, named.args = record.__dict__["kind"], None
    return named


def _line(new: NewEvent) -> str:
    return json.dumps(new._asdict() | {"at": new.at.isoformat(timespec="milliseconds")})


def _cut(text: str, longest: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:longest])
