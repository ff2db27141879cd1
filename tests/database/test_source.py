"""What a database and a session promise alike: rows, numbers, errors, and what is seen when."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    StatementError,
)

from quartapp.database import (
    Database,
    DatabaseEngine,
    Session,
    Source,
)
from quartapp.database.types import Id, UTCDateTime
from quartapp.flasklike import App


class Colour(Enum):
    RED = "r"
    BLUE = "b"


TABLES = sa.MetaData()
THINGS = sa.Table(
    "things",
    TABLES,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(20), unique=True),
    sa.Column("colour", sa.Enum(Colour, name="colour")),
    sa.Column("flag", sa.Boolean),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("share", sa.Float),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("at", UTCDateTime),
    sa.Column("extra", sa.JSON),
)
C = THINGS.c
INSERT = sa.insert(THINGS)
NAMES = sa.select(C.name).order_by(C.name)
RENAME = sa.update(THINGS).where(C.name == sa.bindparam("old")).values(name=sa.bindparam("new"))

TIMES = 3
"""Each statement is executed so often, because an execution may prepare the later ones."""


@pytest.fixture
async def database(each_database_url: str) -> AsyncIterator[DatabaseEngine]:
    opened = DatabaseEngine(each_database_url, pool_size=4, pool_timeout=2)
    async with opened.engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
    yield opened
    await opened.dispose()


@pytest.fixture(params=["database", "session"])
async def source(request: pytest.FixtureRequest, database: DatabaseEngine) -> AsyncIterator[Source]:
    if request.param == "database":
        yield database
        return
    async with database.session() as session:
        yield session


async def test_values_arrive_as_they_were_given(source: Source) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    row: dict[str, Any] = {
        "id": 2**40,
        "name": "ä",
        "colour": Colour.BLUE,
        "flag": True,
        "raw": b"\0\xff",
        "share": 1.5,
        "price": None,
        "at": moment.astimezone(timezone(timedelta(hours=5))),
        "extra": {"a": [1]},
    }
    assert await source.write(INSERT, **row) == 1
    nothing = dict.fromkeys(row)
    for number in range(TIMES):
        assert await source.write(INSERT, **nothing | {"id": number}) == 1
    statement = sa.select(THINGS).where(C.id == sa.bindparam("wanted"))
    for _ in range(TIMES):
        (got,) = await source.read(statement, wanted=2**40)
        assert type(got) is tuple
        assert got == (*(row | {"at": moment}).values(),)
        (empty,) = await source.read(statement, wanted=1)
        assert empty[2:] == (None,) * 7
        assert got[7].tzinfo is UTC


async def test_joins_counts_and_labels_keep_their_places(source: Source) -> None:
    for name in "abc":
        await source.write(INSERT, name=name, flag=name == "b")
    other = THINGS.alias()
    columns = (C.name, other.c.name, sa.func.upper(C.name).label("name"), C.name, sa.literal(7))
    joined = sa.select(*columns).join_from(THINGS, other, C.id == other.c.id)
    statement = joined.where((C.name == sa.bindparam("q")) | (other.c.name == sa.bindparam("q")))
    listed = sa.select(C.name).where(C.name.in_(sa.bindparam("names", expanding=True)))
    for _ in range(TIMES):
        assert await source.read(statement, q="b") == [("b", "b", "B", "b", 7)]
        assert await source.read(statement, q="z") == []
        assert await source.read(listed.order_by(C.name), names=["a", "c", "z"]) == [("a",), ("c",)]
        assert await source.read(sa.text("SELECT count(*) FROM things")) == [(3,)]


async def test_a_default_of_the_statement_is_used_unless_a_value_is_given(source: Source) -> None:
    await source.write(INSERT, name="a")
    statement = sa.select(C.name).where(C.name == sa.bindparam("q", "a"))
    for _ in range(TIMES):
        assert await source.read(statement) == [("a",)]
        assert await source.read(statement, q="b") == []


async def test_a_write_returns_the_number_of_rows_and_is_committed(
    source: Source, database: DatabaseEngine
) -> None:
    numbers = [await source.write(INSERT, name=name, flag=True) for name in "abc"]
    lower = sa.update(THINGS).where(C.name < sa.bindparam("below"))
    for _ in range(TIMES):
        numbers.append(await source.write(lower, below="c", flag=True))
        numbers.append(await source.write(lower, below="", flag=True, share=0.5))
        numbers += await source.write_all(
            (RENAME, {"old": "a", "new": "d"}), (RENAME, {"old": "d", "new": "a"})
        )
    assert numbers == [1, 1, 1, *[2, 0, 1, 1] * TIMES]
    async with database.session(write=False) as other:
        assert await other.read(NAMES) == [("a",), ("b",), ("c",)]


async def test_what_fails_has_changed_nothing(source: Source, database: DatabaseEngine) -> None:
    for name in "ab":
        await source.write(INSERT, name=name)
    for _ in range(TIMES):
        with pytest.raises(IntegrityError, match=r"(?i)unique") as caught:
            await source.write_all(
                (RENAME, {"old": "a", "new": "canary"}), (INSERT, {"name": "canary"})
            )
        assert "canary" not in str(caught.value).partition("DETAIL")[0]
        with pytest.raises(IntegrityError):
            await source.write(RENAME, old="a", new="b")
        assert await source.read(NAMES) == [("a",), ("b",)]
    assert await database.read(NAMES) == [("a",), ("b",)]


async def test_errors_are_sqlalchemys(source: Source) -> None:
    nowhere = sa.select(sa.table("nowhere", sa.column("x")).c.x)
    one = sa.select(C.id).where(C.name == sa.bindparam("q"))
    for _ in range(TIMES):
        with pytest.raises(DBAPIError, match="nowhere"):
            await source.read(nowhere)
        if isinstance(source, Session):
            await source.rollback()
        with pytest.raises(StatementError, match="required for bind parameter 'q'"):
            await source.read(one)
        with pytest.raises(StatementError, match="naive"):
            await source.write(INSERT, at=datetime(2026, 1, 1))  # noqa: DTZ001 it is refused
        assert await source.read(one, q="x") == []


async def test_no_statements_are_no_error(source: Source) -> None:
    assert await source.write_all() == []


@pytest.mark.parametrize(
    "change",
    [
        INSERT.values(name="b").returning(C.id),
        sa.update(THINGS).values(name="b").returning(C.id),
        sa.delete(THINGS),
    ],
    ids=["insert", "update", "delete"],
)
async def test_a_change_is_not_read(source: Source, database: DatabaseEngine, change: Any) -> None:
    await source.write(INSERT, name="a")

    for _ in range(TIMES):
        with pytest.raises(ArgumentError, match="use write"):
            await source.read(change)

    assert await database.read(NAMES) == [("a",)]


async def test_a_session_sees_what_it_wrote_and_the_database_does_not(
    database: DatabaseEngine,
) -> None:
    await database.write(INSERT, name="a")
    async with database.session() as session:
        await session.execute(INSERT, {"name": "b"})
        for _ in range(TIMES):
            assert await session.read(NAMES) == [("a",), ("b",)]
            assert await database.read(NAMES) == [("a",)]
        await session.commit()
        assert await database.read(NAMES) == [("a",), ("b",)]


async def test_a_session_writes_with_what_it_did_before_or_undoes_that_too(
    database: DatabaseEngine,
) -> None:
    async with database.session() as session:
        await session.execute(INSERT, {"name": "a"})
        await session.write(INSERT, name="b")
        await session.execute(INSERT, {"name": "c"})
        with pytest.raises(IntegrityError):
            await session.write(INSERT, name="b")
        assert not session.in_transaction()
    assert await database.read(NAMES) == [("a",), ("b",)]


async def test_a_snapshot_sees_one_state(database: DatabaseEngine) -> None:
    await database.write(INSERT, name="a")
    async with database.snapshot() as snapshot:
        for name in "bcd":
            assert await snapshot.read(NAMES) == [("a",)]
            await database.write(INSERT, name=name)
        with pytest.raises(InvalidRequestError, match="only reads"):
            await snapshot.write(INSERT, name="e")
    assert len(await database.read(NAMES)) == 4


async def test_a_connection_serves_others_after_a_snapshot(database: DatabaseEngine) -> None:
    single = DatabaseEngine(database.url.render_as_string(hide_password=False), pool_size=1)
    async with single.snapshot() as snapshot:
        await snapshot.read(NAMES)
    assert await single.write(INSERT, name="a") == 1
    await single.dispose()


db = Database()


def current_source() -> Source:
    return db.source


def unit_of_work(database: DatabaseEngine) -> AbstractAsyncContextManager[None]:
    app = App("database_only")
    app.extensions["database"] = database

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        async with app.test_request_context("/", method="POST"):
            yield

    return run()


async def test_a_request_executes_on_its_session_while_that_is_in_a_transaction(
    database: DatabaseEngine,
) -> None:
    async with unit_of_work(database):
        assert current_source() is database
        assert current_source() is database, "asking opened a session"
        session = db.session
        assert current_source() is database, "it has done nothing"
        await session.execute(INSERT, {"name": "a"})
        assert current_source() is session
        assert await current_source().read(NAMES) == [("a",)]
        await session.rollback()
        assert current_source() is database
        assert await current_source().read(NAMES) == []


async def test_writes_at_the_same_time_are_all_done(database: DatabaseEngine) -> None:
    async def write(name: str) -> int:
        if name < "k":
            return await database.write(INSERT, name=name)
        async with database.session() as session:
            return await session.write(INSERT, name=name)

    letters = "abcdefghijklmnopqrst"
    assert await asyncio.gather(*map(write, letters)) == [1] * 20
    assert await database.read(NAMES) == [(name,) for name in letters]
