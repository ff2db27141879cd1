"""What happens now and what is usual, on both databases."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert

from quartapp.database import DatabaseEngine
from quartapp.reporting.queries.overview import (
    Responses,
    changed_since,
    count_now,
    last_change,
    usual_rate,
)
from quartapp.reporting.tables import ErrorGroup, ErrorHour, ErrorMinute, ErrorTraffic
from tests.reporting.queries.test_listing import group

HOUR = 500_000
NOW = HOUR * 3600 + 30 * 60 + 30.0
MINUTE = int(NOW // 60)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def add(database: DatabaseEngine, table: Any, *rows: dict[str, Any]) -> None:
    async with database.begin() as session:
        await session.execute(insert(table), list(rows))


def at(hours_ago: float) -> datetime:
    return datetime.fromtimestamp(NOW - hours_ago * 3600, UTC)


async def test_an_empty_database_has_no_news(database: DatabaseEngine) -> None:
    numbers = await count_now(database, NOW)
    assert (numbers.rate, numbers.minutes) == (0.0, {})
    assert numbers.recent == numbers.hour == Responses(0, 0)
    assert await usual_rate(database, NOW) is None
    assert await last_change(database) == 0.0
    assert await changed_since(database, -10.0, 5) == []


async def test_the_rate_is_of_five_minutes_and_the_one_that_has_begun(
    database: DatabaseEngine,
) -> None:
    await add(database, ErrorGroup, group(1), group(2))
    ago = {0: 3, 1: 4, 5: 4, 6: 1000, 60: 7, 61: 1000}
    await add(
        database,
        ErrorMinute,
        *(
            {"group_id": each, "minute": MINUTE - minutes, "host": "a", "count": count}
            for each in (1, 2)
            for minutes, count in ago.items()
        ),
    )
    numbers = await count_now(database, NOW)
    assert numbers.rate == pytest.approx(22 / 5.5)
    assert {MINUTE - minute for minute in numbers.minutes} == {0, 1, 5, 6, 60}
    assert numbers.minutes[MINUTE] == 6


async def test_responses_are_counted_over_all_hosts(database: DatabaseEngine) -> None:
    await add(
        database,
        ErrorTraffic,
        {"minute": MINUTE, "host": "a", "responses": 10, "failures": 1},
        {"minute": MINUTE, "host": "b", "responses": 10, "failures": 0},
        {"minute": MINUTE - 30, "host": "b", "responses": 5, "failures": 5},
        {"minute": MINUTE - 61, "host": "b", "responses": 5, "failures": 5},
    )
    numbers = await count_now(database, NOW)
    assert numbers.recent == Responses(20, 1)
    assert numbers.hour == Responses(25, 6)


@pytest.mark.parametrize(
    ("days", "expected"),
    [(2, None), (3, 120 / 60), (8, 60 / 60)],
    ids=["too few days", "three days", "seven days"],
)
async def test_the_usual_is_the_median_of_this_hour_since_the_first_error(
    days: int, expected: float | None, database: DatabaseEngine
) -> None:
    await add(database, ErrorGroup, group(1, first_seen=at(24 * days)))
    by_day = {1: 120, 2: 6000, 3: 60, 5: 60, 7: 300}  # on the fourth and the sixth there were none
    rows = [{"group_id": 1, "hour": HOUR - 24 * day, "count": n} for day, n in by_day.items()]
    rows += [{"group_id": 1, "hour": HOUR - 1, "count": 9_999_999}]
    await add(database, ErrorHour, *rows)
    assert await usual_rate(database, NOW) == expected


async def test_what_was_counted_since_comes_in_that_order(database: DatabaseEngine) -> None:
    await add(database, ErrorGroup, *(group(n, changed_at=float(10 - n)) for n in range(1, 6)))
    found = await changed_since(database, 5.5, 2)
    assert [(one.id, one.changed_at) for one in found] == [(4, 6.0), (3, 7.0)]
    assert await last_change(database) == 9.0
