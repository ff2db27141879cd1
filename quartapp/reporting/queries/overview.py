"""What happens now, compared with what is usual: for the overview and its live numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.types import Float, Integer

from quartapp.database import Source
from quartapp.reporting.tables import ErrorGroup, ErrorHour, ErrorMinute, ErrorTraffic

MINUTES = 60
"""The minutes that are shown."""

NOW = 5
"""The complete minutes that make up "now", besides the one that has begun."""

DAYS = 7
LEAST_DAYS = 3
"""Days of which the same hour must be known, to say what is usual."""


class Responses(NamedTuple):
    """How many responses were sent, and how many of them had a status of 5xx."""

    responses: int
    failures: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was counted in the last minutes.

    `minutes` has the errors by the number of the minute since the epoch; `rate` is errors a minute,
    over the last five minutes. `recent` and `hour` are the responses of the last five minutes and
    of the last hour; without any, nobody counts responses.
    """

    minutes: dict[int, int]
    rate: float
    recent: Responses
    hour: Responses


@dataclass(frozen=True, slots=True)
class Changed:
    """A group that was counted at `changed_at`, or that an operator has changed."""

    id: int
    title: str
    culprit: str
    count: int
    first_seen: datetime
    last_seen: datetime
    resolved_at: float | None
    muted_until: float | None
    muted_more: int | None
    muted_rate: int | None
    regressed_at: float | None
    revision: int
    changed_at: float


async def count_now(source: Source, now: float) -> Numbers:
    """The errors and responses of the last hour. `now`: seconds since the epoch."""
    this = int(now // 60)
    minutes = {
        minute: int(count)
        for minute, count in await source.read(_MINUTES, since=this - MINUTES, until=this)
    }
    traffic = await source.read(_TRAFFIC, since=this - MINUTES, until=this)
    length = NOW + (now % 60) / 60
    recent = sum(count for minute, count in minutes.items() if minute >= this - NOW)
    return Numbers(
        minutes,
        recent / length,
        _total([row for row in traffic if row[0] >= this - NOW]),
        _total(traffic),
    )


async def usual_rate(source: Source, now: float) -> float | None:
    """Errors a minute as usual at this hour: the median of this hour on the last seven days.

    None if errors are recorded for less than three days.
    """
    from statistics import median  # takes 5 ms, for which no start waits

    [(first,)] = await source.read(_FIRST)
    if first is None:
        return None
    this = int(now // 3600)
    days = [this - 24 * day for day in range(1, DAYS + 1)]
    known = [hour for hour in days if hour >= first.timestamp() // 3600]
    if len(known) < LEAST_DAYS:
        return None
    values = {f"hour_{place}": hour for place, hour in enumerate(days)}
    found: dict[int, int] = {row[0]: int(row[1]) for row in await source.read(_HOURS, **values)}
    return median(found.get(hour, 0) for hour in known) / 60


async def last_change(source: Source) -> float:
    """When a group was counted last, by the clock of the database; 0 if there is none."""
    return float((await source.read(_LAST))[0][0] or 0.0)


async def changed_since(source: Source, moment: float, limit: int) -> list[Changed]:
    """The groups that were counted after a moment of the database's clock, the first at first."""
    return [Changed(*row) for row in await source.read(_CHANGED, moment=moment, limit=limit)]


def _total(rows: Sequence[tuple[Any, ...]]) -> Responses:
    return Responses(sum(int(row[1]) for row in rows), sum(int(row[2]) for row in rows))


def _between(column: Any) -> Any:
    return column.between(bindparam("since", type_=Integer), bindparam("until", type_=Integer))


_MINUTES = (
    select(ErrorMinute.minute, func.sum(ErrorMinute.count))
    .where(_between(ErrorMinute.minute))
    .group_by(ErrorMinute.minute)
)
_TRAFFIC = (
    select(ErrorTraffic.minute, func.sum(ErrorTraffic.responses), func.sum(ErrorTraffic.failures))
    .where(_between(ErrorTraffic.minute))
    .group_by(ErrorTraffic.minute)
)
_FIRST = select(func.min(ErrorGroup.first_seen))
_HOURS = (
    select(ErrorHour.hour, func.sum(ErrorHour.count))
    .where(ErrorHour.hour.in_([bindparam(f"hour_{place}", type_=Integer) for place in range(DAYS)]))
    .group_by(ErrorHour.hour)
)
_LAST = select(func.max(ErrorGroup.changed_at))
_CHANGED = (
    select(*(getattr(ErrorGroup, name) for name in (each.name for each in fields(Changed))))
    .where(ErrorGroup.changed_at > bindparam("moment", type_=Float))
    .order_by(ErrorGroup.changed_at)
    .limit(bindparam("limit", type_=Integer))
)
