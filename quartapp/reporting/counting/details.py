"""What is stored of a group besides its sums: counts by time, references, people, and places.

There may be a row for each occurrence, so rows are inserted by the hundred: they are one parameter
of a statement whose text is always the same, and no code of SQLAlchemy runs for each of them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import is_sqlite
from quartapp.reporting.counting.aggregate import MOST_PEOPLE, MOST_VALUES, Aggregate
from quartapp.reporting.tables import ErrorGroup, ErrorPerson, ErrorTag

Groups = Mapping[str, ErrorGroup]
Row = tuple[Any, ...]

_ROWS = 500


async def add(
    session: AsyncSession, aggregates: Sequence[Aggregate], groups: Groups, host: str
) -> None:
    """Store the details of some groups, inside the caller's transaction."""
    pairs = [(groups[aggregate.fingerprint], aggregate) for aggregate in aggregates]
    hours: Counter[tuple[int, int]] = Counter()
    minutes = []
    for group, aggregate in pairs:
        for minute, count in sorted(aggregate.minutes.items()):
            minutes.append((group.id, minute, host[:64], count))
            hours[group.id, minute // 60] += count
    await _insert(session, _MINUTES, minutes)
    await _insert(session, _HOURS, [(*key, count) for key, count in hours.items()])
    await _insert(
        session,
        _REFERENCES,
        # In the same order everywhere, as two errors of a request have the same reference.
        sorted(
            (number, group.id, seen_at)
            for group, aggregate in pairs
            for number, seen_at in aggregate.references.items()
        ),
    )
    await _add_people(session, pairs)
    await _add_tags(session, pairs)


async def _add_people(session: AsyncSession, pairs: Iterable[tuple[ErrorGroup, Aggregate]]) -> None:
    counted = {group.id: group.people for group, _ in pairs if group.people < MOST_PEOPLE}
    rows = [
        (group.id, person)
        for group, aggregate in pairs
        if group.id in counted
        for person in sorted(aggregate.people)
    ]
    new = await _insert(session, _PEOPLE, rows)
    changes = []
    for group_id, number in sorted(Counter(row[0] for row in new).items()):
        people = counted[group_id] + number
        if people > MOST_PEOPLE:
            spare = [row[1] for row in new if row[0] == group_id][MOST_PEOPLE - people :]
            await session.execute(
                delete(ErrorPerson).where(
                    ErrorPerson.group_id == group_id, ErrorPerson.person.in_(spare)
                )
            )
        changes.append({"id": group_id, "people": min(people, MOST_PEOPLE)})
    if changes:
        await session.execute(update(ErrorGroup), changes)


async def _add_tags(session: AsyncSession, pairs: Iterable[tuple[ErrorGroup, Aggregate]]) -> None:
    rows = [
        (group.id, name, value, first, last)
        for group, aggregate in pairs
        for name, values in sorted(aggregate.tags.items())
        for value, (first, last) in sorted(values.items())
    ]
    if not rows:
        return
    await _insert(session, _TAGS, rows)
    key = (ErrorTag.group_id, ErrorTag.name)
    crowded = await session.execute(
        select(*key)
        .where(ErrorTag.group_id.in_(sorted({row[0] for row in rows})))
        .group_by(*key)
        .having(func.count() > MOST_VALUES)
    )
    for group_id, name in crowded.all():
        here = (ErrorTag.group_id == group_id, ErrorTag.name == name)
        newest = select(ErrorTag.value).where(*here)
        newest = newest.order_by(ErrorTag.last_seen.desc(), ErrorTag.value).limit(MOST_VALUES)
        await session.execute(delete(ErrorTag).where(*here, ErrorTag.value.not_in(newest)))


async def add_traffic(session: AsyncSession, rows: Sequence[tuple[int, str, int, int]]) -> None:
    """Add responses and failures to those of minutes and hosts."""
    await _insert(session, _TRAFFIC, rows)


@dataclass(frozen=True)
class _Insertion:
    """An INSERT into a table. `columns` has the types of PostgreSQL by name."""

    table: str
    columns: Mapping[str, str]
    on_conflict: str

    @cached_property
    def for_sqlite(self) -> str:
        values = ", ".join(f"json_extract(value, '$[{i}]')" for i in range(len(self.columns)))
        return self._sql(f"{values} FROM json_each(?) WHERE true")  # else ON would be of a join

    @cached_property
    def for_postgresql(self) -> str:
        arrays = (f"${i}::{kind}[]" for i, kind in enumerate(self.columns.values(), 1))
        return self._sql(f"* FROM unnest({', '.join(arrays)})")

    def _sql(self, rows: str) -> str:
        into = f"{self.table} ({', '.join(self.columns)})"
        return f"INSERT INTO {into} SELECT {rows} ON CONFLICT {self.on_conflict}"


async def _insert(session: AsyncSession, insertion: _Insertion, rows: Sequence[Row]) -> list[Row]:
    """Insert rows; returns what the statement returns."""
    found: list[Row] = []
    parameters: list[Any]
    connection = await session.connection()
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        if is_sqlite(session):
            sql, parameters = insertion.for_sqlite, [json.dumps(some)]
        else:
            sql, parameters = insertion.for_postgresql, [*map(list, zip(*some, strict=True))]
        result = await connection.exec_driver_sql(sql, tuple(parameters))
        if result.returns_rows:
            found += [tuple(row) for row in result]
    return found


_MINUTES = _Insertion(
    "error_minutes",
    {"group_id": "bigint", "minute": "integer", "host": "text", "count": "bigint"},
    "(group_id, minute, host) DO UPDATE SET count = error_minutes.count + excluded.count",
)
_HOURS = _Insertion(
    "error_hours",
    {"group_id": "bigint", "hour": "integer", "count": "bigint"},
    "(group_id, hour) DO UPDATE SET count = error_hours.count + excluded.count",
)
_REFERENCES = _Insertion(
    "error_references",
    {"number": "bigint", "group_id": "bigint", "seen_at": "integer"},
    "DO NOTHING",
)
_PEOPLE = _Insertion(
    "error_people",
    {"group_id": "bigint", "person": "bigint"},
    "DO NOTHING RETURNING group_id, person",
)
_TRAFFIC = _Insertion(
    "error_traffic",
    {"minute": "integer", "host": "text", "responses": "bigint", "failures": "bigint"},
    "(minute, host) DO UPDATE SET responses = error_traffic.responses + excluded.responses,"
    " failures = error_traffic.failures + excluded.failures",
)
_TAGS = _Insertion(
    "error_tags",
    {
        "group_id": "bigint",
        "name": "text",
        "value": "text",
        "first_seen": "float8",
        "last_seen": "float8",
    },
    "(group_id, name, value) DO UPDATE SET"
    " first_seen = CASE WHEN excluded.first_seen < error_tags.first_seen"
    " THEN excluded.first_seen ELSE error_tags.first_seen END,"
    " last_seen = CASE WHEN excluded.last_seen > error_tags.last_seen"
    " THEN excluded.last_seen ELSE error_tags.last_seen END",
)
