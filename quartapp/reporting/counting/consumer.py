"""The consumer: from the journal into the database, each occurrence exactly once.

Every process has a consumer, and any of them may count any segment: the offset in the database
decides (see `store`). A consumer counts its own segment and the orphans. A segment of another
living process is left to that process, unless it was not counted for a while. A consumer has no
state that must survive it.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database
from quartapp.database.dialect import database_now
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.counting import store
from quartapp.reporting.counting.aggregate import Aggregate, aggregate
from quartapp.reporting.counting.store import Piece
from quartapp.reporting.journal.aside import keep_aside, set_strangers_aside
from quartapp.reporting.journal.entries import UNKNOWN, Tick
from quartapp.reporting.journal.segments import (
    Content,
    Reading,
    list_segments,
    open_segment,
    sweep,
    sync_folder,
)
from quartapp.reporting.journal.writer import Journal

OTHERS_EVERY = 30.0
"""Seconds after which a consumer also looks at the segments of other living processes."""

_TRIES = 3

# The database is unreachable, busy, or not migrated yet: nothing is wrong with the journal.
_AWAY = (
    InterfaceError,
    OperationalError,
    ProgrammingError,
    PoolTimeoutError,
    OSError,
    TimeoutError,
)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is new in a segment."""

    reading: Reading
    piece: Piece
    aggregates: list[Aggregate]


class Consumer:
    """Counts what is in the folder of a journal. Only one `consume` at a time."""

    def __init__(self, journal: Journal, database: Database, rules: Rules) -> None:
        self._journal = journal
        self._database = database
        self.rules = rules
        self._others_at = time.monotonic() + OTHERS_EVERY
        self._failures: dict[tuple[str, int], int] = {}
        self._unreadable: set[Path] = set()
        self._cannot_sync = False
        self.offsets: dict[str, int] = {}
        """How far each segment was counted when the database answered last."""

    async def consume(self, seconds: float = float("inf")) -> int:
        """Count everything that can be counted now; returns the number of occurrences.

        After `seconds` no further segment is begun; the rest is left to the next call. Raises the
        database's errors; what was not counted stays in the journal. If one segment cannot be
        counted, the others are, and then its error is raised.
        """
        until = time.monotonic() + seconds
        failure: Exception | None = None
        paths = await asyncio.to_thread(self._list)
        self._unreadable.intersection_update(paths)
        missing = self._journal.missing()
        counted = 0
        if paths or missing:
            async with self._database.session(write=False) as session:
                names = [*(path.stem for path in paths), *missing]
                self.offsets = await store.offsets(session, names)
            self._find_out(missing)
            others = self._is_time_for_others()
            for path in paths:
                offset = self.offsets.get(path.stem, 0)
                try:
                    counted += await self._consume_segment(path, offset, others)
                except _AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - raised below
                    failure = failure or error
                if time.monotonic() >= until:
                    break
        if failure is not None:
            raise failure
        return counted

    async def count_owed(self, owed: Sequence[Tick]) -> None:
        """Count what is in no journal, in one transaction. Raises what the database raises."""
        aggregates, _ = aggregate((tick.encode() for tick in owed), time.time())
        async with self._database.begin() as session:
            now = await database_now(session)
            await store.count(session, aggregates, self.rules, now)

    async def wake(self) -> None:
        """Ask the alert policy about the groups that wait for a time and not for an occurrence."""
        async with self._database.session(write=False) as reader:
            if not await evaluation.is_any_awake(reader, await database_now(reader)):
                return
        async with self._database.begin() as session:
            await evaluation.wake(session, self.rules, await database_now(session))

    def _find_out(self, missing: dict[str, int]) -> None:
        """Of full segments that are not there: were they counted, or only removed?"""
        is_counted = {name: self.offsets.get(name, 0) >= end for name, end in missing.items()}
        for name in (name for name, counted in is_counted.items() if counted):
            self._journal.forget(name)
        self._journal.put_back(name for name, counted in is_counted.items() if not counted)

    def _list(self) -> list[Path]:
        sweep(self._journal.folder)
        set_strangers_aside(self._journal.folder)
        return list_segments(self._journal.folder)

    def _is_time_for_others(self) -> bool:
        now = time.monotonic()
        if now < self._others_at:
            return False
        self._others_at = now + OTHERS_EVERY
        return True

    async def _consume_segment(self, path: Path, offset: int, others: bool) -> int:
        with ExitStack() as held:  # an orphan stays locked until it is counted
            try:
                found = await asyncio.to_thread(self._look, held, path, offset, others)
            except OSError as error:
                self._complain_once(path, error)
                return 0
            if found is None:
                return 0
            piece = found.piece
            is_ours = piece.start == piece.end or await self._count(piece, found.aggregates)
            if not is_ours:
                return 0
            if found.reading.final:
                try:
                    await asyncio.to_thread(self._remove, found.reading, piece.end)
                    self._journal.forget(found.reading.name)
                except OSError as error:  # the file stays, and is counted
                    self._complain_once(path, error)
            return sum(aggregate.count for aggregate in found.aggregates)

    def _remove(self, reading: Reading, end: int) -> None:
        """Delete a segment that was counted up to its end. If errors must survive a power failure,
        the counts are on the disk before, and the name is gone from the disk after: it cannot
        come back when the database has forgotten how far it was counted."""
        must_survive = self._journal.survives_power and end > 0
        if must_survive:
            if self._cannot_sync:
                return
            # After a failure the kernel forgets what it could not write, and succeeds next time.
            self._cannot_sync = True
            self._database.sync()
            self._cannot_sync = False
        reading.remove()
        if must_survive:
            sync_folder(reading.path.parent)

    def _complain_once(self, path: Path, error: OSError) -> None:
        if path not in self._unreadable:
            self._unreadable.add(path)
            _logger.error("A segment of the journal cannot be read or removed: %s", error)

    def _look(self, held: ExitStack, path: Path, offset: int, others: bool) -> _Found | None:
        """Read and add up what is new in a segment; None if there is nothing to do."""
        reading = held.enter_context(open_segment(path))
        if reading is None:
            return None
        own = reading.name == self._journal.segment_name
        if not reading.final and not ((own or others) and reading.has_data(offset)):
            return None
        content: Content = reading.read(offset)
        if content.corrupt:
            _logger.error("%d pieces of segment %s are unreadable", content.corrupt, reading.name)
        piece = Piece(reading.name, offset, content.end, content.corrupt, reading.final)
        aggregates, senseless = aggregate(content.payloads, time.time())
        if senseless:
            keep_aside(self._journal.folder, f"{reading.name}-{offset}.lines", senseless)
        return _Found(reading, piece, aggregates)

    async def _count(self, piece: Piece, aggregates: list[Aggregate]) -> bool:
        """Count a piece in one transaction; False if another process has done so."""
        place = (piece.segment, piece.start)
        try:
            async with self._database.begin() as session:
                now = await database_now(session)
                if not await store.advance(session, piece, self.rules.host, now):
                    return False
                if self._failures.get(place, 0) < _TRIES:
                    await store.count(session, aggregates, self.rules, now)
                else:
                    await self._count_apart(session, aggregates, now)
        except _AWAY:
            raise
        except Exception as error:
            if type(error) is not DatabaseError:  # that is SQLite's word for a corrupt file
                self._failures[place] = self._failures.get(place, 0) + 1
            raise
        self._failures.pop(place, None)
        self.offsets[piece.segment] = piece.end
        return True

    async def _count_apart(
        self, session: AsyncSession, aggregates: list[Aggregate], now: float
    ) -> None:
        """Count group by group, because one cannot be stored: that one without its details."""
        failure = Exception()
        for one in aggregates:
            for attempt in (one, _without_details(one), _without_name(one)):
                try:
                    async with session.begin_nested():
                        await store.count(session, [attempt], self.rules, now)
                except _AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - the next attempt says less
                    _logger.error(
                        "A report of group %s cannot be stored: %s",
                        one.fingerprint,
                        type(error).__name__,
                    )
                    failure = error
                else:
                    break
            else:
                raise failure  # it is not for the report that it cannot be stored


def _without_details(one: Aggregate) -> Aggregate:
    return Aggregate(
        one.fingerprint, count=one.count, first=one.first, last=one.last, minutes=one.minutes
    )


def _without_name(one: Aggregate) -> Aggregate:
    now = time.time()
    return Aggregate(UNKNOWN, count=one.count, first=now, last=now)
