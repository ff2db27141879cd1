"""A database on an engine of SQLAlchemy's own drivers: transactions are as safe as on ours."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, event, func, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from quartapp.database import DatabaseEngine
from quartapp.database.url import async_url
from tests.shop.app import Base, Customer

COUNT = select(func.count(Customer.id))
VISITS = select(Customer.visits)
ADD = insert(Customer).values(name=bindparam("new"), email=bindparam("new"), note="", visits=0)


@pytest.fixture(params=["file", "memory", pytest.param("server", marks=pytest.mark.postgresql)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "server":
        given: str = request.getfixturevalue("postgresql_url")
        return async_url(given).render_as_string(hide_password=False)
    return "sqlite+aiosqlite://" + (f"/{tmp_path}/stock.db" if request.param == "file" else "")


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(url)
    async with made.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield made
    await made.dispose()


async def test_reads_and_writes(engine: AsyncEngine) -> None:
    database = DatabaseEngine.from_engine(engine)
    for name in ("a", "b", "c"):
        assert await database.write(ADD, new=name) == 1
        async with database.begin() as session:
            assert await session.read(COUNT) == await session.read(COUNT)
    assert await database.read(COUNT) == [(3,)]
    assert database.is_sqlite == (engine.dialect.name == "sqlite")
    await database.ping()
    await database.warm_up()


async def test_concurrent_increments_lose_no_update(engine: AsyncEngine) -> None:
    database = DatabaseEngine.from_engine(engine)
    await database.write(ADD, new="susan")

    async def increment() -> None:
        async with database.begin() as session:
            visits = await session.scalar(VISITS.with_for_update())
            await asyncio.sleep(0.01)
            await session.execute(update(Customer).values(visits=(visits or 0) + 1))

    await asyncio.gather(*(increment() for _ in range(4)))
    assert await database.read(VISITS) == [(4,)]


async def test_a_snapshot_sees_one_state(engine: AsyncEngine) -> None:
    database = DatabaseEngine.from_engine(engine)

    async def write() -> None:
        await database.write(ADD, new="later")

    async with database.snapshot() as session:
        before = await session.read(COUNT)
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.05)
        assert await session.read(COUNT) == before == [(0,)]
        with pytest.raises(InvalidRequestError):
            await session.write(ADD, new="refused")
    await writing
    assert await database.read(COUNT) == [(1,)]


async def test_a_failed_transaction_leaves_nothing_behind(engine: AsyncEngine) -> None:
    database = DatabaseEngine.from_engine(engine)
    for _ in range(2):
        with pytest.raises(LookupError):
            await _fail(database)
    task = asyncio.create_task(_hold(database))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.read(COUNT) == [(0,)]
    assert await database.write(ADD, new="kept") == 1


async def _fail(database: DatabaseEngine) -> None:
    async with database.begin() as session:
        await session.execute(ADD, {"new": "lost"})
        raise LookupError


async def _hold(database: DatabaseEngine) -> None:
    async with database.begin() as session:
        await session.execute(ADD, {"new": "cancelled"})
        await asyncio.sleep(60)


async def test_other_users_of_the_engine_notice_nothing(engine: AsyncEngine) -> None:
    begun: list[Any] = []
    if engine.dialect.name == "sqlite":
        # The recipe of SQLAlchemy for SQLite; with it a transaction has begun already.
        @event.listens_for(engine.sync_engine, "begin")
        def begin(connection: Any) -> None:
            begun.append(connection)
            connection.exec_driver_sql("BEGIN")

    database = DatabaseEngine.from_engine(engine)
    assert await database.write(ADD, new="a") == 1
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE customers SET visits = 2"))
    assert await database.read(VISITS) == [(2,)]


async def test_statements_are_observed(engine: AsyncEngine) -> None:
    database = DatabaseEngine.from_engine(engine)
    seen: list[str] = []
    database.observe(lambda sql, _seconds, _rows: seen.append(sql.split()[0]))
    await database.write(ADD, new="a")
    await database.read(COUNT)
    assert [word for word in seen if word != "BEGIN"] == ["INSERT", "SELECT"]


def test_refuses_other_databases() -> None:
    with pytest.raises(ValueError, match="SQLite or PostgreSQL"):
        DatabaseEngine.from_engine(_Foreign())  # type: ignore[arg-type]  # no driver is installed


class _Foreign:
    class dialect:
        name = "mysql"
