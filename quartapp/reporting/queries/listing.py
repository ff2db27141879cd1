"""A page of the list of groups: filtered, searched, sorted, and found by its first or last row.

A page begins after a row, and not after a number of rows. So a group that occurs meanwhile, and
moves to the beginning of the list, moves no other one from page to page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    bindparam,
    case,
    collate,
    func,
    not_,
    or_,
    select,
    tuple_,
)
from sqlalchemy.types import Float, String

from quartapp.database import Source
from quartapp.database.types import Id
from quartapp.reporting.tables import ErrorGroup, ErrorHour, ErrorTag

SIZE = 50
"""The rows of a page."""

NEW_SECONDS = 86400.0
"""For how long after its first occurrence a group is new."""

MAX_SEARCH = 200
"""The most characters that are searched for."""

TAGS = ("release", "host", "environment")
"""By what a list can be filtered, besides state and time: the names of `ErrorTag`."""

MAX_CHOICES = 100

_TIMES = ("last", "first")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_G = cast(Table, ErrorGroup.__table__)
_COLUMNS = _G.c

SORTS: Mapping[str, ColumnElement[Any]] = {
    "last": _COLUMNS.last_seen,
    "first": _COLUMNS.first_seen,
    "count": _COLUMNS.count,
    "people": _COLUMNS.people,
}
"""What a list is sorted by, the largest or newest first."""

_NOW = bindparam("now", type_=Float)
# Until a time; or without one for a number of occurrences, or up to a number in an hour. As a CASE
# because its negation must not be NULL.
_IS_COUNTED = or_(_COLUMNS.muted_more.is_not(None), _COLUMNS.muted_rate.is_not(None))
_MUTED = case((_COLUMNS.muted_until.is_(None), _IS_COUNTED), else_=_COLUMNS.muted_until > _NOW)
_IS_MUTED = _COLUMNS.resolved_at.is_(None) & _MUTED
_IS_OPEN = _COLUMNS.resolved_at.is_(None) & not_(_MUTED)
_IS_FRESH = _COLUMNS.first_seen > bindparam("fresh", type_=_COLUMNS.first_seen.type)
_HAS_REGRESSED = _COLUMNS.regressed_at.is_not(None)

STATES: Mapping[str, ColumnElement[bool] | None] = {
    "open": _IS_OPEN,
    "new": _IS_OPEN & ~_HAS_REGRESSED & _IS_FRESH,
    "ongoing": _IS_OPEN & ~_HAS_REGRESSED & ~_IS_FRESH,
    "regressed": _IS_OPEN & _HAS_REGRESSED,
    "resolved": _COLUMNS.resolved_at.is_not(None),
    "muted": _IS_MUTED,
    "all": None,
}
"""The states by which a list can be filtered: those of `Row.state`, what is open, and all."""


@dataclass(frozen=True, slots=True)
class Row:
    """A group in the list."""

    id: int
    fingerprint: str
    title: str
    culprit: str
    message: str
    route: str
    count: int
    people: int
    first_seen: datetime
    last_seen: datetime
    resolved_at: float | None
    muted_until: float | None
    muted_more: int | None
    muted_rate: int | None
    regressed_at: float | None
    revision: int


_FIELDS = tuple(each.name for each in fields(Row))


class Position(NamedTuple):
    """A row by the value by which the list is sorted, a time in microseconds, and its id."""

    value: int
    id: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which groups a list has, and in which order. `since`: seconds since the epoch."""

    state: str = "open"
    sort: str = "last"
    search: str = ""
    since: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and where the pages before and after them begin; None if there is none."""

    rows: Sequence[Row]
    before: Position | None
    after: Position | None


def state_of(group: Any, now: float) -> str:
    """One of "new", "ongoing", "regressed", "resolved" and "muted", of a group or a row."""
    if group.resolved_at is not None:
        return "resolved"
    until = group.muted_until
    is_counted = group.muted_more is not None or group.muted_rate is not None
    if until > now if until is not None else is_counted:
        return "muted"
    if group.regressed_at is not None:
        return "regressed"
    return "new" if now - group.first_seen.timestamp() < NEW_SECONDS else "ongoing"


async def list_page(
    source: Source,
    wanted: Wanted,
    now: float,
    *,
    after: Position | None = None,
    before: Position | None = None,
    size: int = SIZE,
) -> Page:
    """The first page, that after a row, or that before one."""
    found = await _rows(source, wanted, now, after or before, before is not None, size + 1)
    more = len(found) > size
    rows = found[:size]
    if before is not None:
        rows.reverse()
        if not more and len(rows) < size:  # the beginning: show a whole page
            return await list_page(source, wanted, now, size=size)
    first = _position(rows[0], wanted.sort) if rows else None
    last = _position(rows[-1], wanted.sort) if rows else None
    if before is not None:
        return Page(rows, first if more else None, last)
    return Page(rows, first if after else None, last if more else None)


async def hours_of(source: Source, ids: Sequence[int], now: float) -> dict[int, dict[int, int]]:
    """The counts of the last 24 hours of at most SIZE groups: by group, then by hour."""
    values = {f"id_{place}": id for place, id in enumerate([*ids, *[0] * SIZE][:SIZE])}
    found: dict[int, dict[int, int]] = {}
    for group_id, hour, count in await source.read(_HOURS, since=int(now // 3600) - 24, **values):
        found.setdefault(group_id, {})[hour] = count
    return found


async def choices(source: Source, name: str) -> list[str]:
    """The first MAX_CHOICES values of a tag, in their order."""
    rows = await source.read(_CHOICES[name])
    return [value for (value,) in rows if value is not None]


async def _rows(
    source: Source, wanted: Wanted, now: float, at: Position | None, is_backward: bool, limit: int
) -> list[Row]:
    tags = tuple(sorted(name for name, value in wanted.tags.items() if value))
    statement = _statement(
        wanted.state,
        wanted.sort,
        bool(wanted.search),
        wanted.search.isascii(),
        tags,
        wanted.since > 0,
        at is not None,
        is_backward,
        source.is_sqlite,
    )
    values: dict[str, Any] = {"limit": limit}
    if wanted.state != "all":
        values["now"] = now
    if wanted.state in {"new", "ongoing"}:
        values["fresh"] = datetime.fromtimestamp(now - NEW_SECONDS, UTC)
    if wanted.since > 0:
        values["since"] = datetime.fromtimestamp(wanted.since, UTC)
    if wanted.search:
        values["text"] = _pattern(wanted.search, source.is_sqlite)
    values |= {f"tag_{name}": wanted.tags[name] for name in tags}
    if at is not None:
        is_time = wanted.sort in _TIMES
        values["value"] = _EPOCH + timedelta(microseconds=at.value) if is_time else at.value
        values["id"] = at.id
    rows = await source.read(statement, **values)
    return [Row(*row) for row in rows]


@lru_cache(maxsize=512)
def _statement(
    state: str,
    sort: str,
    has_search: bool,
    is_ascii: bool,
    tags: tuple[str, ...],
    has_since: bool,
    has_position: bool,
    is_backward: bool,
    is_sqlite: bool,
) -> Select[Any]:
    """Kept, so that the database has to prepare each form once."""
    by = SORTS[sort]
    order = (by.asc(), _COLUMNS.id.asc()) if is_backward else (by.desc(), _COLUMNS.id.desc())
    query = select(*(_COLUMNS[name] for name in _FIELDS)).order_by(*order)
    if (condition := STATES[state]) is not None:
        query = query.where(condition)
    if has_since:
        query = query.where(_COLUMNS.last_seen >= bindparam("since", type_=_COLUMNS.last_seen.type))
    for name in tags:
        tag = select(ErrorTag.group_id).where(
            ErrorTag.name == name, ErrorTag.value == bindparam(f"tag_{name}")
        )
        query = query.where(_COLUMNS.id.in_(tag))
    if has_search:
        query = query.where(_COLUMNS.id.in_(_searched(is_ascii, is_sqlite)))
    if has_position:
        key = tuple_(by, _COLUMNS.id)
        at = tuple_(
            bindparam("value", type_=by.type if sort in _TIMES else Id), bindparam("id", type_=Id)
        )
        query = query.where(key > at if is_backward else key < at)
    return query.limit(bindparam("limit"))


def _searched(is_ascii: bool, is_sqlite: bool) -> Select[Any]:
    """The ids of the groups in whose texts something is found.

    One comparison with all texts of a row takes half the time of five, and a query that asks for
    nothing else a quarter of that on SQLite, which then reads no rows in the order of an index.
    """
    group = _G.alias()
    columns = (group.c[name] for name in ("title", "culprit", "message", "route", "fingerprint"))
    text: Any = next(columns)
    for column in columns:
        text = text + "\n" + column
    pattern = bindparam("text", type_=String)
    if is_sqlite:
        found = text.like(pattern, escape="/") if is_ascii else text.op("GLOB")(pattern)
    else:
        # The database's own collation takes thrice as long.
        found = func.lower(collate(text, "C") if is_ascii else text).like(pattern, escape="/")
    return select(group.c.id).where(found)


def _pattern(search: str, is_sqlite: bool) -> str:
    """What finds a text in any case; SQLite's LIKE knows the case of ASCII alone, its GLOB none."""
    if is_sqlite and not search.isascii():
        return f"*{''.join(map(_in_any_case, search))}*"
    search = search.lower().replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{search}%"


def _in_any_case(character: str) -> str:
    """What matches a character in a GLOB. An "ß" has no capital of one character."""
    forms = {character, character.lower(), character.upper()}
    inside = "".join(sorted(form for form in forms if len(form) == 1 and form not in "^]-"))
    return f"[{inside}]" if inside else character


def _position(row: Row, sort: str) -> Position:
    if sort in _TIMES:
        moment = row.last_seen if sort == "last" else row.first_seen
        return Position((moment - _EPOCH) // timedelta(microseconds=1), row.id)
    return Position(row.count if sort == "count" else row.people, row.id)


_HOURS = select(ErrorHour.group_id, ErrorHour.hour, ErrorHour.count).where(
    ErrorHour.group_id.in_([bindparam(f"id_{place}", type_=Id) for place in range(SIZE)]),
    ErrorHour.hour > bindparam("since"),
)


def _choices(name: str) -> Select[Any]:
    """The values of a tag, by a step of the index for each one: there is a row for each group."""
    of_name = select(func.min(ErrorTag.value).label("value")).where(ErrorTag.name == name)
    found = of_name.cte(f"values_of_{name}", recursive=True)
    following = of_name.where(ErrorTag.value > found.c.value).scalar_subquery()
    found = found.union_all(select(following).where(found.c.value.is_not(None)))
    return select(found.c.value).limit(MAX_CHOICES)


_CHOICES = {name: _choices(name) for name in TAGS}
