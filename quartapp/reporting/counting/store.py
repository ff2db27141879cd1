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

from sqlalchemy import CursorResult, Table, bindparam, case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import chunks, insert, is_sqlite
from quartapp.reporting.alerts.evaluation import Rules, evaluate
from quartapp.reporting.counting.aggregate import LAST_SAMPLES, UNNAMED, Aggregate
from quartapp.reporting.report import Report
from quartapp.reporting.tables import (
    FINGERPRINT_LENGTH,
    TITLE_LENGTH,
    ErrorGroup,
    ErrorMinute,
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
        groups = await _add_to_groups(session, some)
        await _add_to_minutes(session, some, groups, rules.host)
        await _keep_samples(session, some, groups)
        batches = {groups[aggregate.fingerprint].id: aggregate.count for aggregate in some}
        await evaluate(session, list(groups.values()), batches, rules, now)


async def _add_to_groups(
    session: AsyncSession, aggregates: Sequence[Aggregate]
) -> dict[str, ErrorGroup]:
    rows = await session.scalars(
        _add_group(is_sqlite(session)),
        [_group_row(aggregate) for aggregate in aggregates],
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
        },
    ).returning(ErrorGroup)


def _group_row(aggregate: Aggregate) -> dict[str, object]:
    return {
        "fingerprint": aggregate.fingerprint[:FINGERPRINT_LENGTH],
        "title": aggregate.title[:TITLE_LENGTH],
        "culprit": aggregate.culprit[:TITLE_LENGTH],
        "level": aggregate.level[:20],
        "count": aggregate.count,
        "first_seen": _moment(aggregate.first),
        "last_seen": _moment(aggregate.last),
    }


async def _add_to_minutes(
    session: AsyncSession, aggregates: Iterable[Aggregate], groups: dict[str, ErrorGroup], host: str
) -> None:
    rows = [
        {
            "group_id": groups[aggregate.fingerprint].id,
            "minute": minute,
            "host": host[:64],
            "count": number,
        }
        for aggregate in aggregates
        for minute, number in sorted(aggregate.minutes.items())
    ]
    for some in chunks(rows):
        await session.execute(_add_minute(is_sqlite(session)), some)


@cache
def _add_minute(for_sqlite: bool) -> Any:
    adding = insert(ErrorMinute, for_sqlite)
    return adding.on_conflict_do_update(
        index_elements=["group_id", "minute", "host"],
        set_={"count": ErrorMinute.count + adding.excluded.count},
    )


async def _keep_samples(
    session: AsyncSession, aggregates: Iterable[Aggregate], groups: dict[str, ErrorGroup]
) -> None:
    for aggregate in aggregates:
        if not aggregate.samples:
            continue
        group_id = groups[aggregate.fingerprint].id
        rows = [_sample_row(report, group_id) for report in aggregate.samples]
        await session.execute(
            insert(ErrorSample, is_sqlite(session)).values(rows).on_conflict_do_nothing()
        )
        await _trim_samples(session, group_id)


async def _trim_samples(session: AsyncSession, group_id: int) -> None:
    ids = select(ErrorSample.id).where(ErrorSample.group_id == group_id)
    kept = (await session.scalars(ids.order_by(ErrorSample.id))).all()
    if superfluous := kept[1:-LAST_SAMPLES]:
        await session.execute(delete(ErrorSample).where(ErrorSample.id.in_(superfluous)))


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
