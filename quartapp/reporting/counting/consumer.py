"""The consumer: counts the journal into the database, each occurrence exactly once.

Every process has a consumer, and each may count any segment: the offset in the database decides
(see `store`). A consumer counts the segment of its own process and orphans. It leaves the segments
of other living processes to them, and looks at them only every OTHERS_EVERY seconds. A consumer has
no state that must survive it.
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

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.reporting.alerts import evaluation
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.counting import details, feedback, store
from quartapp.reporting.counting.aggregate import Aggregate, aggregate
from quartapp.reporting.counting.store import Piece
from quartapp.reporting.journal.aside import keep_aside, set_strangers_aside
from quartapp.reporting.journal.entries import UNKNOWN, Feedback, Tick
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
"""Seconds between two rounds that include the segments of other living processes."""

_TRIES = 3

# The database is unreachable, busy, or not migrated yet; the journal is intact.
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
    """The new entries of a segment."""

    reading: Reading
    piece: Piece
    aggregates: list[Aggregate]
    feedback: list[Feedback]


class Consumer:
    """Counts the entries in the folder of a journal. Only one `consume` at a time."""

    def __init__(self, journal: Journal, database: DatabaseEngine, rules: Rules) -> None:
        self._journal = journal
        self._database = database
        self.rules = rules
        self._others_at = time.monotonic() + OTHERS_EVERY
        self._failures: dict[tuple[str, int], int] = {}
        self._unreadable: set[Path] = set()
        self._cannot_sync = False
        self.offsets: dict[str, int] = {}
        """The offset up to which each segment was counted, when the database last answered."""

    async def consume(self, seconds: float = float("inf")) -> int:
        """Count everything that can be counted now; returns the number of occurrences.

        After `seconds` no further segment is begun; the next call counts the rest. Raises the
        database's errors; what was not counted stays in the journal. If one segment cannot be
        counted, the others are counted before its error is raised.
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
            if others := self._is_time_for_others():
                await self._join_feedback()
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
        """Count ticks that are in no journal, in one transaction. Raises the database's errors."""
        aggregates, _ = aggregate((tick.encode() for tick in owed), time.time())
        async with self._database.begin() as session:
            now = await database_now(session)
            await store.count(session, aggregates, self.rules, now)

    async def count_traffic(self, minutes: Sequence[tuple[int, int, int]]) -> None:
        """Add the responses of minutes: each the minute, all of them, and those that are a 5xx."""
        host = self.rules.host[:64]
        rows = [(minute, host, responses, failures) for minute, responses, failures in minutes]
        async with self._database.begin() as session:
            await details.add_traffic(session, rows)

    async def wake(self) -> None:
        """Evaluate the alert policy for groups that wait for a time, not for an occurrence."""
        async with self._database.session(write=False) as reader:
            if not await evaluation.is_any_awake(reader, await database_now(reader)):
                return
        async with self._database.begin() as session:
            await evaluation.wake(session, self.rules, await database_now(session))

    async def _join_feedback(self) -> None:
        """Find the group of texts whose occurrence was not counted yet."""
        async with self._database.session(write=False) as reader:
            if not await feedback.is_any_alone(reader):
                return
        async with self._database.begin() as session:
            await feedback.join(session)

    def _find_out(self, missing: dict[str, int]) -> None:
        """Forget the missing segments that were counted, and restore the others."""
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
            is_ours = piece.start == piece.end or await self._count(found)
            if not is_ours:
                return 0
            if found.reading.final:
                try:
                    await asyncio.to_thread(self._remove, found.reading, piece.end)
                    self._journal.forget(found.reading.name)
                except OSError as error:  # the file stays; its entries are counted
                    self._complain_once(path, error)
            return sum(aggregate.count for aggregate in found.aggregates)

    def _remove(self, reading: Reading, end: int) -> None:
        """Delete a segment that was counted up to its end.

        If errors must survive a power failure, the database is synced before and the folder
        after: the file cannot reappear when its offset is no longer in the database. Blocks.
        """
        must_survive = self._journal.survives_power and end > 0
        if must_survive:
            if self._cannot_sync:
                return
            # After a failed sync the kernel drops the data, and the next sync would succeed.
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
        """Read and aggregate the new entries of a segment; None if there is nothing to do."""
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
        return _Found(reading, piece, aggregates, feedback.written(content.payloads))

    async def _count(self, found: _Found) -> bool:
        """Count a piece in one transaction; False if another process has counted it."""
        piece, aggregates = found.piece, found.aggregates
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
                if found.feedback:
                    await feedback.keep(session, found.feedback)
        except _AWAY:
            raise
        except Exception as error:
            if type(error) is not DatabaseError:  # SQLite raises it for a corrupt file
                self._failures[place] = self._failures.get(place, 0) + 1
            raise
        self._failures.pop(place, None)
        self.offsets[piece.segment] = piece.end
        return True

    async def _count_apart(
        self, session: AsyncSession, aggregates: list[Aggregate], now: float
    ) -> None:
        """Count group by group, because one cannot be stored: that one without details or name."""
        failure = Exception()
        for one in aggregates:
            for attempt in (one, _without_details(one), _without_name(one)):
                try:
                    async with session.begin_nested():
                        await store.count(session, [attempt], self.rules, now)
                except _AWAY:
                    raise
                except Exception as error:  # noqa: BLE001 - the next attempt stores less
                    _logger.error(
                        "A report of group %s cannot be stored: %s",
                        one.fingerprint,
                        type(error).__name__,
                    )
                    failure = error
                else:
                    break
            else:
                raise failure  # the reason is not in the report


def _without_details(one: Aggregate) -> Aggregate:
    return Aggregate(
        one.fingerprint, count=one.count, first=one.first, last=one.last, minutes=one.minutes
    )


def _without_name(one: Aggregate) -> Aggregate:
    now = time.time()
    return Aggregate(UNKNOWN, count=one.count, first=now, last=now)
