"""What is deleted because it is old, in small steps.

Each step is a transaction of a few milliseconds, so that nobody waits for it; a process that is
killed has done some steps. Every process takes them, and what one has deleted the others do not
find.
"""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, exists, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.database.dialect import database_now
from quartapp.mail.outbox import WAITING
from quartapp.reporting.counting.samples import FEW, superfluous
from quartapp.reporting.references import NUMBERS
from quartapp.reporting.tables import (
    ErrorAct,
    ErrorAlert,
    ErrorFeedback,
    ErrorGroup,
    ErrorHour,
    ErrorMinute,
    ErrorPerson,
    ErrorReference,
    ErrorSample,
    ErrorSegment,
    ErrorTag,
    ErrorTraffic,
    ErrorWebhook,
)

STEP = 500
"""Rows that a step deletes, or looks at."""

_GROUPS = 20
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is kept, in days, and how many rows there may be.

    `groups`: after their last occurrence, and after a resolution at least as long. If there are
    more than `most_groups`, those that have been silent for longest go, but none on which an
    operator has acted. With more than `most_references` the time for which references are kept
    becomes shorter in proportion. Groups that have been silent for `quiet` keep three samples.
    """

    minutes: float = 7
    hours: float = 90
    references: float = 30
    traffic: float = 30
    mails: float = 90
    segments: float = 97
    feedback: float = 30
    quiet: float = 30
    groups: float = 365
    most_groups: int = 100_000
    most_references: int = 20_000_000


class Retention:
    """Deletes what is too old for `keep`."""

    def __init__(self, database: DatabaseEngine, keep: Keep) -> None:
        self._database = database
        self.keep = keep
        self._turn = 0
        # References are looked at in the order of their numbers, which are random.
        self._next = random.randrange(NUMBERS)
        self._quiet_after = 0

    async def work(self, seconds: float) -> None:
        """Take steps for about so long, or until nothing more is too old.

        The next call begins with what this one had no time for. Raises the database's errors.
        """
        until = time.monotonic() + seconds
        for _ in self._steps:
            while await self._steps[self._turn](self):
                if time.monotonic() >= until:
                    return
            self._turn = (self._turn + 1) % len(self._steps)

    async def finish(self) -> None:
        """Delete everything that is too old now. Raises the database's errors."""
        self._next = self._quiet_after = self._turn = 0
        await self.work(float("inf"))

    # Each step returns whether another one may find more.

    async def _old_counts(self) -> bool:
        now = await self._now()
        keep = self.keep
        minutes = (ErrorMinute.group_id, ErrorMinute.minute, ErrorMinute.host)
        hours = (ErrorHour.group_id, ErrorHour.hour)
        traffic = (ErrorTraffic.minute, ErrorTraffic.host)
        numbers = [
            await self._delete(minutes, minutes[1] < (now - keep.minutes * _DAY) // 60),
            await self._delete(hours, hours[1] < (now - keep.hours * _DAY) // 3600),
            await self._delete(traffic, traffic[0] < (now - keep.traffic * _DAY) // 60),
        ]
        return STEP in numbers

    async def _old_mails(self) -> bool:
        now, keep = await self._now(), self.keep
        numbers = []
        for table in (ErrorAlert, ErrorWebhook):
            is_old = (table.state != WAITING) & (table.created_at < now - keep.mails * _DAY)
            numbers.append(await self._delete((table.id,), is_old))
        nobodys = ErrorFeedback.group_id.is_(None) & (ErrorFeedback.at < now - keep.feedback * _DAY)
        numbers.append(await self._delete((ErrorFeedback.id,), nobodys))
        # A file that comes back from a backup is counted again once its row is gone.
        is_old = ErrorSegment.finished & (ErrorSegment.updated_at < now - keep.segments * _DAY)
        numbers.append(await self._delete((ErrorSegment.name,), is_old))
        return STEP in numbers

    async def _old_references(self) -> bool:
        number = ErrorReference.number
        query = select(number, ErrorReference.seen_at).where(number >= self._next)
        async with self._database.session(write=False) as session:
            now = await database_now(session)
            rows = (await session.execute(query.order_by(number).limit(STEP))).all()
        first = self._next
        self._next = int(rows[-1][0]) + 1 if len(rows) == STEP else 0
        width = (self._next or NUMBERS) - first
        estimate = len(rows) * NUMBERS / max(width, 1)
        days = self.keep.references * min(1.0, self.keep.most_references / max(estimate, 1.0))
        old = [key for key, seen_at in rows if seen_at < now - days * _DAY]
        await self._delete_keys(ErrorReference.number, old)
        return self._next > 0

    async def _samples_of_quiet_groups(self) -> bool:
        """Of the next group that has more than FEW samples and is silent."""
        now = await self._now()
        silent = ErrorGroup.last_seen < datetime.fromtimestamp(now - self.keep.quiet * _DAY, UTC)
        many = (
            select(ErrorSample.group_id)
            .join(ErrorGroup)
            .where(silent, ErrorSample.group_id > self._quiet_after)
            .group_by(ErrorSample.group_id)
            .having(func.count() > FEW)
            .order_by(ErrorSample.group_id)
            .limit(1)
        )
        async with self._database.session(write=False) as session:
            group = await session.scalar(many)
            self._quiet_after = group or 0
            if group is None:
                return False
            query = select(ErrorSample.id, ErrorSample.seen_at).where(ErrorSample.group_id == group)
            rows = await session.execute(query.order_by(ErrorSample.id))
            kept = [(key, seen_at.timestamp()) for key, seen_at in rows]
        await self._delete_keys(ErrorSample.id, superfluous(kept, FEW))
        return True

    async def _old_groups(self) -> bool:
        """Groups that are silent for too long, and those that are too many, with what belongs to
        them."""
        now = await self._now()
        before = now - self.keep.groups * _DAY
        silent = ErrorGroup.last_seen < datetime.fromtimestamp(before, UTC)
        is_old = silent & (ErrorGroup.resolved_at.is_(None) | (ErrorGroup.resolved_at < before))
        return (await self.delete_groups(is_old) or await self._too_many_groups()) > 0

    async def _too_many_groups(self) -> int:
        async with self._database.session(write=False) as session:
            number = await session.scalar(select(func.count()).select_from(ErrorGroup)) or 0
            excess = number - self.keep.most_groups
            if excess <= 0:
                return 0
            untouched = ~exists().where(ErrorAct.group_id == ErrorGroup.id)
            query = select(ErrorGroup.id).where(untouched).order_by(ErrorGroup.last_seen)
            ids = (await session.scalars(query.limit(min(excess, _GROUPS)))).all()
        return await self.delete_groups(ErrorGroup.id.in_(ids)) if ids else 0

    async def delete_groups(self, condition: ColumnElement[bool]) -> int:
        """Delete some groups, first what belongs to them, in steps; returns their number."""
        query = select(ErrorGroup.id).where(condition).limit(_GROUPS)
        async with self._database.session(write=False) as session:
            ids = (await session.scalars(query)).all()
        for key in _KEYS:
            group = key[0].class_.group_id
            for group_id in ids:
                while await self._delete(key, group == group_id) == STEP:
                    pass
        return await self._delete_keys(ErrorGroup.id, ids)

    async def _delete(self, key: Sequence[Any], condition: ColumnElement[bool]) -> int:
        """Delete up to STEP rows, by their primary keys."""
        query = select(*key).where(condition).limit(STEP)
        async with self._database.session(write=False) as session:
            if (await session.execute(query.limit(1))).first() is None:
                return 0  # without the write lock
        async with self._database.begin() as session:
            column = tuple_(*key) if len(key) > 1 else key[0]
            return await _rows(session, delete(key[0].class_).where(column.in_(query)))

    async def _delete_keys(self, key: Any, keys: Sequence[int]) -> int:
        if not keys:
            return 0
        async with self._database.begin() as session:
            return await _rows(session, delete(key.class_).where(key.in_(keys)))

    async def _now(self) -> float:
        async with self._database.session(write=False) as session:
            return await database_now(session)

    _steps: Sequence[Callable[["Retention"], Awaitable[bool]]] = (
        _old_counts,
        _old_mails,
        _old_references,
        _samples_of_quiet_groups,
        _old_groups,
    )


_KEYS: Sequence[tuple[Any, ...]] = (
    (ErrorMinute.group_id, ErrorMinute.minute, ErrorMinute.host),
    (ErrorHour.group_id, ErrorHour.hour),
    (ErrorSample.id,),
    (ErrorPerson.group_id, ErrorPerson.person),
    (ErrorTag.group_id, ErrorTag.name, ErrorTag.value),
)
"""The keys of the tables that have many rows of a group; the rest goes with the group."""


async def prune(database: DatabaseEngine, keep: Keep, days: float) -> int:
    """Delete groups that did not occur for so many days, and everything else that is too old.

    Returns the number of groups. Raises the database's errors.
    """
    # The rows of segments a week later, as a backup may bring a file back.
    retention = Retention(database, replace(keep, segments=min(keep.segments, days + 7)))
    async with database.session(write=False) as session:
        before = datetime.fromtimestamp(await database_now(session) - days * _DAY, UTC)
    deleted = 0
    while number := await retention.delete_groups(ErrorGroup.last_seen < before):
        deleted += number
    await retention.finish()
    return deleted


async def _rows(session: AsyncSession, statement: Any) -> int:
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount
