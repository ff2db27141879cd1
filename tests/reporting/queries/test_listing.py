"""A page of the list of groups, on both databases, against a list in memory."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from quartapp.database import DatabaseEngine
from quartapp.reporting.queries.listing import (
    MAX_CHOICES,
    SORTS,
    Page,
    Position,
    Wanted,
    choices,
    hours_of,
    list_page,
)
from quartapp.reporting.tables import (
    ErrorGroup,
    ErrorHour,
    ErrorTag,
)


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


NOW = time.time()
HOUR = timedelta(hours=1)


def group(number: int, **values: Any) -> dict[str, Any]:
    seen = datetime.fromtimestamp(NOW, UTC) - number * HOUR
    return {
        "id": number,
        "fingerprint": f"{number:016x}",
        "title": f"ValueError in shop.order_{number}",
        "culprit": f"shop.order_{number}",
        "message": "",
        "route": f"/orders/{number}",
        "level": "ERROR",
        "count": 1,
        "people": 0,
        "first_seen": seen,
        "last_seen": seen,
        "resolved_at": None,
        "muted_until": None,
        "muted_more": None,
        "muted_rate": None,
        "regressed_at": None,
        "revision": 0,
    } | values


async def add(database: DatabaseEngine, table: Any, rows: list[dict[str, Any]]) -> None:
    async with database.begin() as session:
        await session.execute(insert(table), rows)


def ids(page: Page) -> list[int]:
    return [row.id for row in page.rows]


Key = Callable[[dict[str, Any]], tuple[Any, int]]
KEYS: dict[str, Key] = {
    "last": lambda each: (each["last_seen"], each["id"]),
    "first": lambda each: (each["first_seen"], each["id"]),
    "count": lambda each: (each["count"], each["id"]),
    "people": lambda each: (each["people"], each["id"]),
}


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_neither_skip_nor_repeat_while_groups_move(
    database: DatabaseEngine, sort: str
) -> None:
    chance = random.Random(sort)
    model = {
        number: group(number, count=chance.randint(1, 4), people=chance.randint(0, 3))
        for number in range(1, 31)
    }
    await add(database, ErrorGroup, list(model.values()))
    wanted = Wanted(state="all", sort=sort)
    key = KEYS[sort]

    async def occur() -> set[int]:
        """Some groups occur again, and a new one comes; returns which."""
        moved = set(chance.sample(sorted(model), 3))
        for number in moved:
            one = model[number]
            one |= {"last_seen": datetime.now(UTC), "count": one["count"] + chance.randint(1, 5)}
            one["people"] += chance.randint(0, 2)
            changed = {name: one[name] for name in ("last_seen", "count", "people")}
            async with database.begin() as session:
                await session.execute(
                    update(ErrorGroup).where(ErrorGroup.id == number).values(changed)
                )
        new = max(model) + 1
        model[new] = group(new, last_seen=datetime.now(UTC), first_seen=datetime.now(UTC))
        await add(database, ErrorGroup, [model[new]])
        return {*moved, new}

    def ordered() -> list[dict[str, Any]]:
        return sorted(model.values(), key=key, reverse=True)

    standing, seen = set(model), []
    page = await list_page(database, wanted, NOW, size=7)
    at: Any = None
    while True:
        expected = [one for one in ordered() if at is None or key(one) < at][:7]
        assert ids(page) == [one["id"] for one in expected]
        seen += ids(page)
        if page.after is None:
            break
        at = key(expected[-1])
        standing -= await occur()
        page = await list_page(database, wanted, NOW, after=page.after, size=7)
    assert len(seen) == len(set(seen)), "a group is on one page"
    assert standing <= set(seen), "one that did not move is on a page"

    standing, seen = set(ids(page)) | set(seen), ids(page)
    while page.before is not None:
        at = key(model[ids(page)[0]])
        standing -= await occur()
        page = await list_page(database, wanted, NOW, before=page.before, size=7)
        above = [one["id"] for one in ordered() if key(one) > at]
        assert ids(page) == (
            above[-7:] if len(above) >= 7 else [one["id"] for one in ordered()][:7]
        )
        seen += ids(page)
    assert standing <= set(seen)


async def test_search_finds_a_part_of_any_text_in_any_case(database: DatabaseEngine) -> None:
    rows = [
        group(1, title="KeyError in shop.cart", message="the key 100%_sure/ is missing"),
        group(2, message="Übergröße im Lager", route="/größe/<int:id>"),
        group(3, fingerprint="abcdef0123456789", culprit="shop.stock.count"),
        group(4, message="<script>alert(1)</script>", resolved_at=NOW),
    ]
    await add(database, ErrorGroup, rows)

    async def found(text: str) -> list[int]:
        return sorted(ids(await list_page(database, Wanted(search=text, state="all"), NOW)))

    assert await found("keyerror IN shop") == [1]
    assert await found("100%_SURE/") == [1]
    assert await found("100_") == []
    assert await found("%") == [1]
    assert await found("übergröße") == await found("ÜBERGRÖßE") == [2]
    assert await found("[im*") == await found("ü?") == await found("^ü-") == []
    assert await found("Stock.Count") == [3]
    assert await found("abcdef01") == [3]
    assert await found("/orders/") == [1, 3, 4]
    assert await found("<SCRIPT>") == [4]
    assert await found("' OR 1=1 --") == []
    assert ids(await list_page(database, Wanted(search="<script>"), NOW)) == [], "it is resolved"


async def test_filters_by_time_and_by_where_it_occurred(database: DatabaseEngine) -> None:
    await add(database, ErrorGroup, [group(number) for number in (1, 5, 50)])
    tags = [
        (1, "release", "2.0"),
        (5, "release", "1.0"),
        (5, "host", "web-1"),
        (50, "host", "web-1"),
    ]
    await add(
        database,
        ErrorTag,
        [
            {"group_id": each, "name": name, "value": value, "first_seen": 0.0, "last_seen": 0.0}
            for each, name, value in tags
        ],
    )

    async def found(**values: Any) -> list[int]:
        return ids(await list_page(database, Wanted(state="all", **values), NOW))

    assert await found(since=NOW - 7200) == [1]
    assert await found(tags={"host": "web-1", "release": ""}) == [5, 50]
    assert await found(tags={"host": "web-1", "release": "1.0"}) == [5]
    assert await found(tags={"release": "web-1"}) == []
    assert await choices(database, "release") == ["1.0", "2.0"]
    assert await choices(database, "environment") == []


async def test_choices_are_bounded(database: DatabaseEngine) -> None:
    await add(database, ErrorGroup, [group(1), group(2)])
    row = {"name": "host", "first_seen": 0.0, "last_seen": 0.0}
    many = [f"web-{number:04}" for number in range(MAX_CHOICES + 50)]
    await add(
        database,
        ErrorTag,
        [row | {"group_id": each, "value": value} for each in (1, 2) for value in many],
    )
    assert await choices(database, "host") == many[:MAX_CHOICES]


async def test_hours_are_those_of_the_last_day(database: DatabaseEngine) -> None:
    await add(database, ErrorGroup, [group(1), group(2), group(3)])
    now = int(NOW // 3600)
    rows = [(1, now, 5), (1, now - 23, 6), (1, now - 24, 7), (2, now, 8), (3, now, 9)]
    await add(database, ErrorHour, [{"group_id": g, "hour": h, "count": c} for g, h, c in rows])
    assert await hours_of(database, [1, 2], NOW) == {1: {now: 5, now - 23: 6}, 2: {now: 8}}
    assert await hours_of(database, [], NOW) == {}


async def test_a_position_may_be_that_of_a_group_that_is_gone(database: DatabaseEngine) -> None:
    await add(database, ErrorGroup, [group(number) for number in range(1, 6)])
    page = await list_page(database, Wanted(), NOW, size=2)
    async with database.begin() as session:
        await session.execute(delete(ErrorGroup).where(ErrorGroup.id == 2))
    assert page.after is not None
    assert ids(await list_page(database, Wanted(), NOW, after=page.after, size=2)) == [3, 4]
    for sort in ("count", "people"):
        far = Position(2**63 - 1, 2**63 - 1)
        assert ids(await list_page(database, Wanted(sort=sort), NOW, before=far, size=2))
    far = Position(253_402_300_799_000_000, 2**63 - 1)
    assert ids(await list_page(database, Wanted(), NOW, after=far, size=1)) == [1]
