"""Counting in the database. Every function works inside of its caller's transaction.

The sums, what follows from them, and the position up to which the segment is counted are
committed together: whoever is killed in the middle has counted nothing, and of two who count the
same piece the second finds the position moved.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Table,
    bindparam,
    case,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.models import ErrorAlert, ErrorGroup, ErrorMinute, ErrorSample, ErrorSegment
from quartapp.models.error_group import FINGERPRINT_LENGTH, TITLE_LENGTH
from quartapp.reporting.policy import Alert, AlertState, Decision, Limits, Seen, Standing, decide
from quartapp.reporting.report import Report
from quartapp.reporting.tally import LAST_SAMPLES, UNNAMED, Tally

_ROWS = 20
"""Rows a statement. What comes before and after it holds the event loop for each row, and requests
wait for that; with 200 rows 10,000 groups were counted in two thirds of the time."""

_RECENT_MINUTES = 5
_LONGEST_WAIT = 3600.0

_Item = TypeVar("_Item")

# Of the table, and made once: to make an UPDATE of a model holds the event loop for 2 ms.
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
    """Part of a segment: from where to where, and how many pieces of data in it were no lines.

    `final`: it reaches to the end of a segment whose owner is gone.
    """

    segment: str
    start: int
    end: int
    corrupt: int = 0
    final: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What counting needs to know beside the sums. Without `mails`, no alert is put down."""

    host: str
    limits: Limits
    mails: bool


async def database_now(session: AsyncSession) -> float:
    """Seconds since the epoch by the clock of the database, on which all machines agree."""
    if _is_sqlite(session):
        expression = "(julianday('now') - 2440587.5) * 86400.0"
    else:
        expression = "extract(epoch from clock_timestamp())::float8"
    return float((await session.execute(text(f"SELECT {expression}"))).scalar_one())


async def positions(session: AsyncSession, names: Sequence[str]) -> dict[str, int]:
    """How far each segment is counted; those of which nothing is known are left out."""
    found: dict[str, int] = {}
    for some in _chunks(names):
        rows = await session.execute(
            select(ErrorSegment.name, ErrorSegment.position).where(ErrorSegment.name.in_(some))
        )
        found.update((name, position) for name, position in rows)
    return found


async def claim(session: AsyncSession, piece: Piece, host: str, now: float) -> bool:
    """Move a segment's position over a piece; False if somebody else has done so.

    Until this transaction ends, another one that claims the same waits here.
    """
    row = {"name": piece.segment, "host": host[:64], "position": 0, "corrupt": 0, "updated_at": now}
    insert = _insert(session, _SEGMENTS)
    await session.execute(insert.values(row).on_conflict_do_nothing())
    moved = {"segment": piece.segment, "start": piece.start, "end": piece.end}
    more = {"more": piece.corrupt, "final": piece.final, "now": now}
    result = await session.execute(_MOVE, moved | more)
    return cast("CursorResult[Any]", result).rowcount == 1


async def count(session: AsyncSession, tallies: Sequence[Tally], rules: Rules, now: float) -> None:
    """Add sums to their groups, keep samples, and put down the alerts that follow."""
    for some in _chunks(tallies):
        groups = await _add_to_groups(session, some)
        await _add_to_minutes(session, some, groups, rules.host)
        await _keep_samples(session, some, groups)
        batches = {groups[tally.fingerprint].id: tally.count for tally in some}
        await _decide(session, list(groups.values()), batches, rules, now)


async def is_any_awake(session: AsyncSession, now: float) -> bool:
    """A cheap look, without a lock."""
    query = select(ErrorGroup.id).where(_is_awake(now)).limit(1)
    return await session.scalar(query) is not None


def _is_awake(now: float) -> ColumnElement[bool]:
    """It is time, or the time is later than any wait is long: then the clock was set back."""
    return (ErrorGroup.wake_at <= now) | (ErrorGroup.wake_at > now + _LONGEST_WAIT)


async def wake(session: AsyncSession, rules: Rules, now: float) -> int:
    """Ask the policy again for the groups for which it wanted to be asked; how many they were."""
    query = (
        select(ErrorGroup)
        .where(_is_awake(now))
        .order_by(ErrorGroup.id)
        .limit(_ROWS)
        .with_for_update(skip_locked=True)
    )
    groups = (await session.scalars(query)).all()
    await _decide(session, groups, {}, rules, now)
    return len(groups)


async def _add_to_groups(session: AsyncSession, tallies: Sequence[Tally]) -> dict[str, ErrorGroup]:
    rows = await session.scalars(
        _add_group(_is_sqlite(session)),
        [_group_row(tally) for tally in tallies],
        execution_options={"populate_existing": True},
    )
    return {group.fingerprint: group for group in rows}


@cache
def _add_group(is_sqlite: bool) -> Any:
    """Its rows come as parameters: with the rows in it, it would be put together anew each time,
    which holds the event loop for 2 ms."""
    insert = _upsert(ErrorGroup, is_sqlite)
    new, old = insert.excluded, ErrorGroup
    named = (old.title == UNNAMED) & (new.title != UNNAMED)
    return insert.on_conflict_do_update(
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


def _group_row(tally: Tally) -> dict[str, object]:
    return {
        "fingerprint": tally.fingerprint[:FINGERPRINT_LENGTH],
        "title": tally.title[:TITLE_LENGTH],
        "culprit": tally.culprit[:TITLE_LENGTH],
        "level": tally.level[:20],
        "count": tally.count,
        "first_seen": _moment(tally.first),
        "last_seen": _moment(tally.last),
    }


async def _add_to_minutes(
    session: AsyncSession, tallies: Iterable[Tally], groups: dict[str, ErrorGroup], host: str
) -> None:
    rows = [
        {
            "group_id": groups[tally.fingerprint].id,
            "minute": minute,
            "host": host[:64],
            "count": number,
        }
        for tally in tallies
        for minute, number in sorted(tally.minutes.items())
    ]
    for some in _chunks(rows):
        await session.execute(_add_minute(_is_sqlite(session)), some)


@cache
def _add_minute(is_sqlite: bool) -> Any:
    insert = _upsert(ErrorMinute, is_sqlite)
    return insert.on_conflict_do_update(
        index_elements=["group_id", "minute", "host"],
        set_={"count": ErrorMinute.count + insert.excluded.count},
    )


async def _keep_samples(
    session: AsyncSession, tallies: Iterable[Tally], groups: dict[str, ErrorGroup]
) -> None:
    for tally in tallies:
        if not tally.samples:
            continue
        group_id = groups[tally.fingerprint].id
        rows = [_sample_row(report, group_id) for report in tally.samples]
        await session.execute(_insert(session, ErrorSample).values(rows).on_conflict_do_nothing())
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


async def _decide(
    session: AsyncSession,
    groups: Sequence[ErrorGroup],
    batches: dict[int, int],
    rules: Rules,
    now: float,
) -> None:
    if not groups:
        return
    recent = await _recent(session, [group.id for group in groups], now)
    changes: list[dict[str, object]] = []
    alerts: list[dict[str, object]] = []
    for group in groups:
        batch = batches.get(group.id, 0)
        decision = _decision(group, batch, recent.get(group.id, 0), rules.limits, now)
        changes.append(_change(group, decision))
        alerts += [_alert_row(group, alert, now) for alert in decision.alerts]
    await session.execute(update(ErrorGroup), changes)
    if rules.mails:
        for some in _chunks(alerts):
            await session.execute(
                _insert(session, ErrorAlert).values(some).on_conflict_do_nothing()
            )


def _decision(group: ErrorGroup, batch: int, recent: int, limits: Limits, now: float) -> Decision:
    seen = Seen(
        now=now,
        batch=batch,
        total=group.count,
        recent=recent,
        first=group.first_seen.timestamp(),
        last=group.last_seen.timestamp(),
    )
    standing = Standing(group.resolved_at, group.muted_until, group.muted_more)
    return decide(_state(group.alert_state), standing, seen, limits)


def _change(group: ErrorGroup, decision: Decision) -> dict[str, object]:
    return {
        "id": group.id,
        "alert_state": decision.state.to_json(),
        "wake_at": decision.wake_at,
        "resolved_at": decision.standing.resolved_at,
        "muted_until": decision.standing.muted_until,
        "muted_more": decision.standing.muted_more,
    }


def _alert_row(group: ErrorGroup, alert: Alert, now: float) -> dict[str, object]:
    return {
        "group_id": group.id,
        "kind": alert.kind.value,
        "ordinal": alert.ordinal,
        "episode": alert.episode,
        "count": alert.count,
        "since": alert.since,
        "created_at": now,
        "due_at": now,
    }


def _state(text: str | None) -> AlertState:
    try:
        return AlertState.from_json(text)
    except (ValueError, TypeError):
        # Better to tell of an error once more than to stop counting it.
        return AlertState()


async def _recent(session: AsyncSession, ids: Sequence[int], now: float) -> dict[int, int]:
    rows = await session.execute(
        select(ErrorMinute.group_id, func.sum(ErrorMinute.count))
        .where(ErrorMinute.group_id.in_(ids), ErrorMinute.minute > now // 60 - _RECENT_MINUTES)
        .group_by(ErrorMinute.group_id)
    )
    return {group_id: int(total) for group_id, total in rows}


def _insert(session: AsyncSession, table: Any) -> Any:
    return _upsert(table, _is_sqlite(session))


def _upsert(table: Any, is_sqlite: bool) -> Any:
    """An INSERT with ON CONFLICT, which both databases know, each in its own dialect."""
    if is_sqlite:
        return sqlite.insert(table)
    # Inside: it takes 60 ms to import, and where there is a PostgreSQL its engine did so.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def _is_sqlite(session: AsyncSession) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), _ROWS):
        yield items[start : start + _ROWS]
