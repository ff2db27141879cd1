"""What is deleted because it is old, and what stays."""

import asyncio
import random
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select

from quartapp.database import DatabaseEngine
from quartapp.reporting import retention
from quartapp.reporting.references import NUMBERS
from quartapp.reporting.retention import Keep, Retention, prune
from quartapp.reporting.tables import (
    Base,
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

DAY = 86_400.0
NOW = time.time()


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def add(database: DatabaseEngine, table: type[Base], *rows: dict[str, Any]) -> None:
    async with database.begin() as session:
        await session.execute(insert(table), list(rows))


async def add_group(database: DatabaseEngine, number: int, days: float, **values: Any) -> None:
    """A group that occurred last so many days ago."""
    moment = datetime.fromtimestamp(NOW - days * DAY, UTC)
    known = {"id": number, "fingerprint": f"{number}-1", "title": f"Error {number}", "count": 10}
    row = {**known, "first_seen": moment, "last_seen": moment, **values}
    await add(database, ErrorGroup, row)


async def number_of(database: DatabaseEngine, table: type[Base]) -> int:
    async with database.session(write=False) as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def groups(database: DatabaseEngine) -> list[int]:
    async with database.session(write=False) as session:
        return list(await session.scalars(select(ErrorGroup.id).order_by(ErrorGroup.id)))


def sample(group: int, number: int, days: float) -> dict[str, Any]:
    seen_at = datetime.fromtimestamp(NOW - days * DAY, UTC)
    texts = {"reference": "", "release": "", "host": "", "report": "{}"}
    return {"group_id": group, "report_id": f"{group}-{number}", "seen_at": seen_at, **texts}


def outgoing(days: float, ordinal: int, state: str = "sent") -> dict[str, Any]:
    then = NOW - days * DAY
    what = {
        "group_id": 1,
        "kind": "new",
        "ordinal": ordinal,
        "episode": 1,
        "count": 1,
        "since": 0.0,
    }
    return {**what, "state": state, "created_at": then, "due_at": then}


async def test_each_kind_is_kept_for_its_time(database: DatabaseEngine) -> None:
    await add_group(database, 1, days=1)
    keep = Keep()
    kinds: list[tuple[type[Base], float, Any]] = [
        (
            ErrorMinute,
            keep.minutes,
            lambda days: {
                "group_id": 1,
                "minute": int((NOW - days * DAY) // 60),
                "host": "a",
                "count": 1,
            },
        ),
        (
            ErrorHour,
            keep.hours,
            lambda days: {"group_id": 1, "hour": int((NOW - days * DAY) // 3600), "count": 1},
        ),
        (
            ErrorTraffic,
            keep.traffic,
            lambda days: {
                "minute": int((NOW - days * DAY) // 60),
                "host": "a",
                "responses": 1,
                "failures": 0,
            },
        ),
        (
            ErrorReference,
            keep.references,
            lambda days: {"number": int(days * 1000), "group_id": 1, "seen_at": NOW - days * DAY},
        ),
        (ErrorAlert, keep.mails, lambda days: outgoing(days, int(days))),
        (ErrorWebhook, keep.mails, lambda days: outgoing(days, int(days))),
        (
            ErrorFeedback,
            keep.feedback,
            lambda days: {"reference": "x", "at": NOW - days * DAY, "text": "I clicked"},
        ),
        (
            ErrorSegment,
            keep.segments,
            lambda days: {
                "name": f"{days}",
                "host": "a",
                "position": 1,
                "updated_at": NOW - days * DAY,
                "finished": True,
            },
        ),
    ]
    for table, days, row in kinds:
        await add(database, table, row(days - 0.5), row(days + 0.5))
    await Retention(database, keep).finish()
    left = {table.__tablename__: await number_of(database, table) for table, _, _ in kinds}
    assert left == {table.__tablename__: 1 for table, _, _ in kinds}


async def test_mails_that_wait_and_feedback_on_an_error_stay(database: DatabaseEngine) -> None:
    await add_group(database, 1, days=1)
    await add(database, ErrorAlert, outgoing(200, 1, "waiting"))
    text = {"group_id": 1, "reference": "x", "at": 0.0, "text": "I clicked"}
    await add(database, ErrorFeedback, text)
    await Retention(database, Keep()).finish()
    assert await number_of(database, ErrorAlert) == 1
    assert await number_of(database, ErrorFeedback) == 1


async def test_groups_go_a_year_after_the_last_occurrence_and_the_resolution(
    database: DatabaseEngine,
) -> None:
    await add_group(database, 1, days=364)
    await add_group(database, 2, days=366)
    await add_group(database, 3, days=366, resolved_at=NOW - 300 * DAY)
    await add_group(database, 4, days=500, resolved_at=NOW - 400 * DAY)
    minutes = [{"minute": n, "host": "a", "count": 1, "group_id": 4} for n in range(1200)]
    await add(database, ErrorMinute, *minutes)
    await add(database, ErrorSample, sample(4, 1, 500.0))
    await add(database, ErrorAct, {"group_id": 4, "at": 0.0, "who": "ops", "kind": "resolve"})
    await Retention(database, Keep(minutes=1e5)).finish()
    assert await groups(database) == [1, 3]
    for table in (ErrorMinute, ErrorSample, ErrorAct):
        assert await number_of(database, table) == 0


async def test_of_too_many_groups_the_silent_ones_go_unless_somebody_acted(
    database: DatabaseEngine,
) -> None:
    for number in range(1, 9):
        await add_group(database, number, days=100 - number)
    for number in (1, 3):
        act = {"group_id": number, "at": 0.0, "who": "ops", "kind": "comment"}
        await add(database, ErrorAct, act)
    await Retention(database, Keep(most_groups=5)).finish()
    assert await groups(database) == [1, 3, 6, 7, 8]


async def test_a_silent_group_keeps_three_samples(database: DatabaseEngine) -> None:
    for group, days in ((1, 1.0), (2, 40.0), (3, 50.0)):
        await add_group(database, group, days=days)
        await add(database, ErrorSample, *(sample(group, n, days + 9 - n) for n in range(9)))
    await Retention(database, Keep()).finish()
    async with database.session(write=False) as session:
        kept = Counter(await session.scalars(select(ErrorSample.group_id)))
        ids = await session.scalars(
            select(ErrorSample.report_id).where(ErrorSample.group_id == 3).order_by(ErrorSample.id)
        )
        assert ids.all() == ["3-0", "3-7", "3-8"]
    assert kept == {1: 9, 2: 3, 3: 3}


async def test_too_many_references_are_kept_for_a_shorter_time(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 2,000 where 500 may be, those of the last quarter of the time stay."""
    monkeypatch.setattr(retention, "STEP", 200)
    numbers = random.Random(2).sample(range(NUMBERS), 2000)
    rows = [
        {"number": number, "group_id": 1, "seen_at": NOW - 30 * DAY * n / 2000}
        for n, number in enumerate(numbers)
    ]
    await add(database, ErrorReference, *rows)
    await Retention(database, Keep(most_references=500)).finish()
    async with database.session(write=False) as session:
        oldest = await session.scalar(select(func.min(ErrorReference.seen_at)))
    left = await number_of(database, ErrorReference)
    assert 350 < left < 700, (left, oldest)


async def test_a_call_stops_when_its_time_is_over_and_the_next_goes_on(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 10)
    await add_group(database, 1, days=1)
    rows = [{"group_id": 1, "minute": n, "host": "a", "count": 1} for n in range(45)]
    await add(database, ErrorMinute, *rows)
    deleting = Retention(database, Keep())
    await deleting.work(0.0)
    assert await number_of(database, ErrorMinute) == 35
    for _ in range(3):
        await deleting.work(0.0)
    assert await number_of(database, ErrorMinute) == 5
    await deleting.work(10.0)
    assert await number_of(database, ErrorMinute) == 0


async def test_nothing_to_delete_takes_no_write_lock(database: DatabaseEngine) -> None:
    await add_group(database, 1, days=1)
    written: list[str] = []
    engine = database.engine.sync_engine

    def note(_: Any, __: Any, sql: str, *___: Any) -> None:
        if not sql.lstrip().upper().startswith(("SELECT", "BEGIN")):
            written.append(sql)

    event.listen(engine, "before_cursor_execute", note)
    await Retention(database, Keep()).finish()
    event.remove(engine, "before_cursor_execute", note)
    assert written == []


async def test_several_processes_delete_beside_each_other(database: DatabaseEngine) -> None:
    await add_group(database, 1, days=1)
    rows = [{"group_id": 1, "minute": n, "host": "a", "count": 1} for n in range(3000)]
    await add(database, ErrorMinute, *rows)
    await add_group(database, 2, days=400)
    await asyncio.gather(*(Retention(database, Keep()).finish() for _ in range(3)))
    assert await number_of(database, ErrorMinute) == 0
    assert await groups(database) == [1]


async def test_prune_deletes_groups_of_so_many_days_with_all_that_is_theirs(
    database: DatabaseEngine,
) -> None:
    await add_group(database, 1, days=9)
    await add_group(database, 2, days=11)
    await add(database, ErrorPerson, *({"group_id": 2, "person": n} for n in range(1200)))
    times = {"first_seen": 0.0, "last_seen": 0.0}
    await add(database, ErrorTag, {"group_id": 2, "name": "host", "value": "a", **times})
    assert await prune(database, Keep(), days=10) == 1
    assert await groups(database) == [1]
    assert await number_of(database, ErrorPerson) == 0
    assert await number_of(database, ErrorTag) == 0
