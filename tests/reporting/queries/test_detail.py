"""What is known of one group, on both databases: bounded, and by an index each."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Select, text

from quartapp.database import DatabaseEngine
from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.queries import detail
from quartapp.reporting.queries.detail import MAX_SIMILAR, list_similar, read_detail, read_report
from quartapp.reporting.tables import ErrorAct, ErrorGroup, ErrorHour, ErrorMinute, ErrorSample

NOW = time.time()


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def group(number: int, title: str, culprit: str, **values: Any) -> ErrorGroup:
    seen = datetime.fromtimestamp(NOW - number, UTC)
    known: dict[str, Any] = {"count": number, "first_seen": seen, "last_seen": seen}
    return ErrorGroup(
        id=number, fingerprint=f"{number:032x}-1", title=title, culprit=culprit, **known | values
    )


async def add(database: DatabaseEngine, *rows: object) -> None:
    async with database.begin() as session:
        session.add_all(rows)
        await session.flush()


async def test_counts_are_those_of_an_hour_and_of_30_days(database: DatabaseEngine) -> None:
    minute, hour = int(NOW // 60), int(NOW // 3600)
    await add(database, group(1, "a", ""), group(2, "b", ""))
    await add(
        database,
        *(
            ErrorMinute(group_id=1, minute=minute - ago, host=host, count=2**40)
            for ago in (0, 59, 61)
            for host in ("web1", "web2")
        ),
        *(ErrorHour(group_id=1, hour=hour - ago, count=3) for ago in (0, 719, 800)),
        ErrorHour(group_id=2, hour=hour, count=9),
    )
    found = await read_detail(database, 1, NOW)
    assert dict(found.minutes) == {minute: 2**41, minute - 59: 2**41}
    assert dict(found.hours) == {hour: 3, hour - 719: 3}


async def test_samples_are_in_the_order_of_their_times(database: DatabaseEngine) -> None:
    await add(database, group(1, "a", ""))
    times = {1: NOW - 5, 2: NOW - 9, 3: NOW - 5}
    await add(
        database,
        *(
            ErrorSample(
                id=number,
                group_id=1,
                report_id=str(number),
                reference="",
                release="",
                host="",
                seen_at=datetime.fromtimestamp(seen, UTC),
                report=f"report {number}",
            )
            for number, seen in times.items()
        ),
    )
    found = await read_detail(database, 1, NOW)
    assert [sample.id for sample in found.samples] == [2, 1, 3]
    assert await read_report(database, 3) == "report 3"
    assert await read_report(database, 4) is None


async def test_of_many_acts_the_newest_are_read(database: DatabaseEngine) -> None:
    await add(database, group(1, "a", ""))
    acts = (
        ErrorAct(group_id=1, at=float(at), who="s", kind="comment", text="") for at in range(120)
    )
    await add(database, *acts)
    found = await read_detail(database, 1, NOW)
    assert [act.at for act in found.acts] == [float(at) for at in range(119, 19, -1)]


async def test_similar_groups_have_the_title_the_place_or_the_type(
    database: DatabaseEngine,
) -> None:
    await add(
        database,
        group(1, "KeyError in shop.pay", "shop.pay"),
        group(2, "KeyError in basket_%.sum", "basket.sum"),
        group(3, "ValueError in shop.pay", "shop.pay"),
        group(4, "KeyError in shop.pay", "other.pay"),
        group(5, "MonkeyKeyError in x", "x"),
        group(6, "KeyErrors are bad", ""),
        group(7, "100%_/ sure", ""),
        group(8, "100 xx sure", ""),
    )
    found = await read_detail(database, 1, NOW)
    assert [similar.id for similar in found.similar] == [3, 4, 2]
    of_record = await detail.find(database, 7)
    assert await list_similar(database, of_record) == []


async def test_few_similar_groups_are_read(database: DatabaseEngine) -> None:
    await add(database, *(group(number, "KeyError in x", "x") for number in range(1, 80)))
    found = await read_detail(database, 1, NOW)
    assert [similar.id for similar in found.similar] == list(range(2, 2 + MAX_SIMILAR))


async def test_a_group_that_is_not_there_is_an_error(database: DatabaseEngine) -> None:
    for number in (7, 2**63 - 1):
        with pytest.raises(GroupNotFoundError):
            await read_detail(database, number, NOW)


async def test_every_statement_goes_by_an_index(database: DatabaseEngine) -> None:
    statements = {name: value for name, value in vars(detail).items() if isinstance(value, Select)}
    assert len(statements) > 10
    values = {
        "group_id": 1, "since": 1, "sample_id": 1, "number": 1,
        "title": "a", "culprit": "b", "like": "c",
    }  # fmt: skip
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.begin() as session:
        if not database.is_sqlite:  # the tables are empty, which no index would be used for
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        for name, statement in statements.items():
            names = statement.compile().params
            bound = statement.params({each: values[each] for each in names if each in values})
            sql = bound.compile(
                dialect=database.engine.dialect, compile_kwargs={"literal_binds": True}
            )
            plan = [str(tuple(row)) for row in await session.execute(text(f"{explain} {sql}"))]
            scans = [
                line
                for line in plan
                if "Seq Scan" in line or ("SCAN" in line and "USING INDEX" not in line)
            ]
            assert [line for line in scans if "anon" not in line] == [], name
