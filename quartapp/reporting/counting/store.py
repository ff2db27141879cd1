"""Counting in the database. Every function works inside the caller's transaction.

The sums, the alerts that follow from them and the offset up to which the segment is counted are
committed together. A process that is killed in the middle has counted nothing, and of two that
count the same piece the second finds that the offset has moved.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import CursorResult, Table, bindparam, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import chunks, insert, is_sqlite
from quartapp.reporting.alerts.evaluation import Rules, evaluate
from quartapp.reporting.counting import details, regrouping, samples
from quartapp.reporting.counting.aggregate import UNNAMED, Aggregate
from quartapp.reporting.report import FINGERPRINT_LENGTH, Report
from quartapp.reporting.tables import (
    MESSAGE_LENGTH,
    TITLE_LENGTH,
    ErrorGroup,
    ErrorSample,
    ErrorSegment,
)

# Of the table, and made once: an UPDATE of a model blocks the event loop for 2 ms.
_SEGMENTS = cast(Table, ErrorSegment.__table__)
_MOVE = (
    update(_SEGMENTS)
    .where(
        _SEGMENTS.c.name == bindparam("segment"),
        _SEGMENTS.c.position == bindparam("start"),
    )
    .values(
        position=bindparam("end"),
        corrupt=_SEGMENTS.c.corrupt + bindparam("more"),
        finished=bindparam("final"),
        updated_at=bindparam("now"),
    )
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a segment, from `start` to `end`, in which `corrupt` pieces were no valid lines.

    `final`: it reaches the end of a segment whose owner is gone.
    """

    segment: str
    start: int
    end: int
    corrupt: int = 0
    final: bool = False


async def offsets(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """How far each segment is counted; segments that are not known are left out."""
    found: dict[str, int] = {}
    for some in chunks(names):
        rows = await session.execute(
            select(ErrorSegment.name, ErrorSegment.position).where(ErrorSegment.name.in_(some))
        )
        found.update((name, offset) for name, offset in rows)
    return found


async def advance(session: AsyncSession, piece: Piece, host: str, now: float) -> bool:
    """Move a segment's offset over a piece; False if another process has done so.

    Until this transaction ends, others that advance the same segment wait here.
    """
    row = {"name": piece.segment, "host": host[:64], "position": 0, "corrupt": 0, "updated_at": now}
    known = insert(_SEGMENTS, is_sqlite(session)).on_conflict_do_nothing()
    await session.execute(known.values(row))
    moved = {"segment": piece.segment, "start": piece.start, "end": piece.end}
    more = {"more": piece.corrupt, "final": piece.final, "now": now}
    result = await session.execute(_MOVE, moved | more)
    return cast("CursorResult[Any]", result).rowcount == 1


async def count(
    session: AsyncSession, aggregates: Sequence[Aggregate], rules: Rules, now: float
) -> None:
    """Add sums to their groups, keep samples, and insert the alerts that follow."""
    for some in chunks(aggregates):
        groups = await _add_to_groups(session, some, now)
        await regrouping.inherit(session, some, groups, now)
        await details.add(session, some, groups, rules.host)
        await _keep_samples(session, some, groups)
        batches = {groups[aggregate.fingerprint].id: aggregate.count for aggregate in some}
        await evaluate(session, list(groups.values()), batches, rules, now)


async def _add_to_groups(
    session: AsyncSession, aggregates: Sequence[Aggregate], now: float
) -> dict[str, ErrorGroup]:
    rows = await session.scalars(
        _add_group(is_sqlite(session)),
        [_group_row(aggregate, now) for aggregate in aggregates],
        execution_options={"populate_existing": True},
    )
    return {group.fingerprint: group for group in rows}


@cache
def _add_group(for_sqlite: bool) -> Any:
    """An INSERT whose rows are parameters: one that contains its rows would be compiled each time,
    which blocks the event loop for 2 ms."""
    adding = insert(ErrorGroup, for_sqlite)
    new, old = adding.excluded, ErrorGroup
    named = (old.title == UNNAMED) & (new.title != UNNAMED)
    return adding.on_conflict_do_update(
        index_elements=[old.fingerprint],
        set_={
            "count": old.count + new.count,
            "first_seen": case(
                (new.first_seen < old.first_seen, new.first_seen), else_=old.first_seen
            ),
            "last_seen": case((new.last_seen > old.last_seen, new.last_seen), else_=old.last_seen),
            "title": case((named, new.title), else_=old.title),
            "culprit": case((named, new.culprit), else_=old.culprit),
            "changed_at": new.changed_at,
            "message": case((new.message != "", new.message), else_=old.message),
            "route": case((new.route != "", new.route), else_=old.route),
        },
    ).returning(ErrorGroup)


def _group_row(aggregate: Aggregate, now: float) -> dict[str, object]:
    return {
        "fingerprint": aggregate.fingerprint[:FINGERPRINT_LENGTH],
        "title": aggregate.title[:TITLE_LENGTH],
        "culprit": aggregate.culprit[:TITLE_LENGTH],
        "level": aggregate.level[:20],
        "count": aggregate.count,
        "first_seen": _moment(aggregate.first),
        "last_seen": _moment(aggregate.last),
        "changed_at": now,
        "message": aggregate.message[:MESSAGE_LENGTH],
        "route": aggregate.route[:TITLE_LENGTH],
    }


async def _keep_samples(
    session: AsyncSession, aggregates: Iterable[Aggregate], groups: dict[str, ErrorGroup]
) -> None:
    reports = [(groups[one.fingerprint].id, report) for one in aggregates for report in one.samples]
    for some in chunks(reports):
        rows = [_sample_row(report, group_id) for group_id, report in some]
        await session.execute(_add_sample(is_sqlite(session)), rows)
    # A new group has no more than its piece of the journal.
    known = [
        groups[one.fingerprint]
        for one in aggregates
        if one.samples and groups[one.fingerprint].count > one.count
    ]
    if known:
        await _trim_samples(session, known)


@cache
def _add_sample(for_sqlite: bool) -> Any:
    return insert(ErrorSample.__table__, for_sqlite).on_conflict_do_nothing()


async def _trim_samples(session: AsyncSession, groups: Sequence[ErrorGroup]) -> None:
    numbers = await session.execute(
        select(ErrorSample.group_id, func.count())
        .where(ErrorSample.group_id.in_([group.id for group in groups]))
        .group_by(ErrorSample.group_id)
    )
    number_of = {row[0]: row[1] for row in numbers}
    for group in groups:
        most = samples.allowed(group.count)
        if number_of.get(group.id, 0) <= most + samples.SLACK:
            continue
        query = select(ErrorSample.id, ErrorSample.seen_at).where(ErrorSample.group_id == group.id)
        rows = await session.execute(query.order_by(ErrorSample.id))
        gone = samples.superfluous([(key, seen_at.timestamp()) for key, seen_at in rows], most)
        await session.execute(delete(ErrorSample).where(ErrorSample.id.in_(gone)))


def _sample_row(report: Report, group_id: int) -> dict[str, object]:
    return {
        "group_id": group_id,
        "report_id": report.id[:64],
        "reference": report.reference[:64],
        "release": report.origin.release[:TITLE_LENGTH],
        "host": report.origin.host[:64],
        "seen_at": _moment(report.time),
        "report": report.to_json(),
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
