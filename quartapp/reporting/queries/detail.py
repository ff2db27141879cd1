"""Everything that is known of one group, each question by one statement with an index.

Every answer is bounded, however much a storm has written: see the MAX_... here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import BindParameter, Select, Table, bindparam, func, or_, select

from quartapp.database import Source
from quartapp.database.types import Id
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.references import number_of
from quartapp.reporting.tables import (
    ErrorAct,
    ErrorAlert,
    ErrorFeedback,
    ErrorGroup,
    ErrorHour,
    ErrorMinute,
    ErrorReference,
    ErrorRelease,
    ErrorSample,
    ErrorTag,
    ErrorWebhook,
)

MAX_SAMPLES = 1000
MAX_ROWS = 100
"""Of mails, acts and texts of people: the newest."""

MAX_SIMILAR = 10
RECENT_GROUPS = 1000
"""Similar groups are looked for among those that occurred last: the others help nobody, and there
is no index on titles, which each occurrence would have to maintain."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it is stored; see `ErrorGroup`."""

    id: int
    fingerprint: str
    title: str
    culprit: str
    level: str
    count: int
    people: int
    first_seen: datetime
    last_seen: datetime
    message: str
    route: str
    resolved_at: float | None
    resolved_release: str | None
    muted_until: float | None
    muted_more: int | None
    muted_rate: int | None
    regressed_at: float | None
    revision: int

    @property
    def short(self) -> str:
        """The four digits by which people call the group."""
        return self.fingerprint[:4]


class SampleName(NamedTuple):
    """A sample without its report, which may have 60 kB."""

    id: int
    reference: str
    release: str
    host: str
    seen_at: datetime


class Tag(NamedTuple):
    """Where or in which release a group occurred; times are seconds since the epoch."""

    name: str
    value: str
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class Message:
    """A mail about a group, or a message to a webhook; see `ErrorAlert`."""

    kind: str
    ordinal: int
    episode: int
    count: int
    since: float
    state: str
    created_at: float
    due_at: float
    sent_at: float | None
    tries: int
    error: str
    in_digest: bool = False


class Act(NamedTuple):
    """See `ErrorAct`."""

    at: float
    who: str
    kind: str
    text: str


class Written(NamedTuple):
    """What a person wrote; see `ErrorFeedback`."""

    at: float
    who: str
    reference: str
    text: str


@dataclass(frozen=True, slots=True)
class Similar:
    """Another group with the same title, place or type."""

    id: int
    title: str
    culprit: str
    count: int
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Detail:
    """What is known of a group, except for reports.

    Samples are the oldest first, and everything else the newest first. `minutes` and `hours` have
    counts by the number of the minute or hour from the epoch; `releases` their names and times.
    """

    group: Group
    samples: list[SampleName]
    minutes: Mapping[int, int]
    hours: Mapping[int, int]
    tags: list[Tag]
    mails: list[Message]
    webhooks: list[Message]
    acts: list[Act]
    written: list[Written]
    releases: list[tuple[str, float]]
    similar: list[Similar]


async def find(source: Source, group_id: int) -> Group:
    """The group with this id. Raises GroupNotFoundError."""
    rows = await source.read(_GROUP, group_id=group_id)
    if not rows:
        raise GroupNotFoundError("There is no such error.")
    return Group(*rows[0])


async def read_detail(source: Source, group_id: int, now: float) -> Detail:
    """What is known of a group: the minutes of an hour, and the hours of 30 days.

    Raises GroupNotFoundError. A group that is deleted meanwhile has empty lists.
    """
    group = await find(source, group_id)
    month = now - 30 * 86400
    minutes = await source.read(_MINUTES, group_id=group_id, since=int(now // 60) - 60)
    hours = await source.read(_HOURS, group_id=group_id, since=int(month // 3600) - 24)
    return Detail(
        group=group,
        samples=await list_samples(source, group_id),
        minutes={minute: int(count) for minute, count in minutes},
        hours=dict(cast(list[tuple[int, int]], hours)),
        tags=[Tag(*row) for row in await source.read(_TAGS, group_id=group_id)],
        mails=[Message(*row) for row in await source.read(_MAILS, group_id=group_id)],
        webhooks=[Message(*row) for row in await source.read(_WEBHOOKS, group_id=group_id)],
        acts=[Act(*row) for row in await source.read(_ACTS, group_id=group_id)],
        written=[Written(*row) for row in await source.read(_WRITTEN, group_id=group_id)],
        releases=cast(list[tuple[str, float]], await source.read(_RELEASES, since=month)),
        similar=await list_similar(source, group),
    )


async def list_samples(source: Source, group_id: int) -> list[SampleName]:
    """The last MAX_SAMPLES samples of a group, the oldest first."""
    rows = await source.read(_SAMPLES, group_id=group_id)
    return sorted((SampleName(*row) for row in rows), key=lambda row: (row.seen_at, row.id))


async def read_report(source: Source, sample_id: int) -> str | None:
    """The report of a sample as it is stored; None if the sample was deleted."""
    rows = await source.read(_REPORT, sample_id=sample_id)
    return rows[0][0] if rows else None


async def seen_at(source: Source, group_id: int, reference: str) -> int | None:
    """When the occurrence of a group with this reference was, in seconds since the epoch; None if
    that is unknown. Most occurrences of a storm have no sample."""
    number = number_of(reference)
    if number is None:
        return None
    rows = await source.read(_OCCURRENCE, number=number, group_id=group_id)
    return rows[0][0] if rows else None


async def list_similar(source: Source, group: Group) -> list[Similar]:
    """Recent groups with the same title or place, then those of the same type of exception."""
    kind, is_exception, _ = group.title.partition(" in ")
    rows = await source.read(
        _SIMILAR,
        group_id=group.id,
        title=group.title,
        culprit=group.culprit,
        like=_escaped(f"{kind} in " if is_exception else group.title) + "%",
    )
    found = [Similar(*row) for row in rows]
    found.sort(key=lambda one: one.title != group.title and one.culprit != group.culprit)
    return found[:MAX_SIMILAR]


def _escaped(text: str) -> str:
    return text.replace("/", "//").replace("%", "/%").replace("_", "/_")


_GROUPS = cast(Table, ErrorGroup.__table__).c
_ID = bindparam("group_id", type_=Id)
_SINCE: BindParameter[Any] = bindparam("since")


def _of_group(table: Any, *columns: str) -> Select[Any]:
    """Rows of a table that belong to a group, the newest first."""
    chosen = [table.__table__.c[name] for name in columns]
    rows = select(*chosen).where(table.group_id == _ID)
    return rows.order_by(table.id.desc()).limit(MAX_ROWS)


_GROUP = select(*(_GROUPS[each.name] for each in fields(Group))).where(_GROUPS.id == _ID)
_SAMPLES = _of_group(ErrorSample, *SampleName._fields).limit(MAX_SAMPLES)
_REPORT = select(ErrorSample.report).where(ErrorSample.id == bindparam("sample_id", type_=Id))
_OCCURRENCE = select(ErrorReference.seen_at).where(
    ErrorReference.number == bindparam("number", type_=Id), ErrorReference.group_id == _ID
)
_MINUTES = (
    select(ErrorMinute.minute, func.sum(ErrorMinute.count))
    .where(ErrorMinute.group_id == _ID, ErrorMinute.minute > _SINCE)
    .group_by(ErrorMinute.minute)
)
_HOURS = select(ErrorHour.hour, ErrorHour.count).where(
    ErrorHour.group_id == _ID, ErrorHour.hour > _SINCE
)
_TAGS = (
    select(ErrorTag.name, ErrorTag.value, ErrorTag.first_seen, ErrorTag.last_seen)
    .where(ErrorTag.group_id == _ID)
    .order_by(ErrorTag.last_seen.desc(), ErrorTag.value)
    .limit(MAX_ROWS)
)
_OF_MESSAGES = [each.name for each in fields(Message)]
_MAILS = _of_group(ErrorAlert, *_OF_MESSAGES)
_WEBHOOKS = _of_group(ErrorWebhook, *_OF_MESSAGES[:-1])
_ACTS = _of_group(ErrorAct, *Act._fields)
_WRITTEN = _of_group(ErrorFeedback, *Written._fields)
_RELEASES = (
    select(ErrorRelease.name, ErrorRelease.at)
    .where(ErrorRelease.at > _SINCE)
    .order_by(ErrorRelease.at.desc())
    .limit(MAX_ROWS)
)
_RECENT = (
    select(*(_GROUPS[each.name] for each in fields(Similar)))
    .order_by(_GROUPS.last_seen.desc())
    .limit(RECENT_GROUPS)
    .subquery()
)
_SIMILAR = (
    select(_RECENT)
    .where(
        _RECENT.c.id != _ID,
        or_(
            _RECENT.c.title == bindparam("title"),
            (_RECENT.c.culprit == bindparam("culprit")) & (_RECENT.c.culprit != ""),
            _RECENT.c.title.like(bindparam("like"), escape="/"),
        ),
    )
    .order_by(_RECENT.c.last_seen.desc())
    .limit(5 * MAX_SIMILAR)
)
