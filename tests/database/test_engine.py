"""The engine: what is set on each connection, and what is never shown."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from quartapp.database import DatabaseEngine
from quartapp.database.errors import StatementTimeoutError
from tests.shop.app import Base, Customer


async def test_sqlite_is_prepared_for_a_server(tmp_path: Path) -> None:
    database = DatabaseEngine(f"sqlite:///{tmp_path}/new/folder/x.db")
    async with database.engine.connect() as connection:
        values = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    await database.dispose()
    assert values == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000}


@pytest.mark.slow
async def test_a_new_file_that_others_open_too_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "new.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.1, other.execute, "COMMIT")

    database = DatabaseEngine(f"sqlite:///{file}")
    async with database.engine.connect() as connection:
        mode = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar()

    await database.dispose()
    other.close()
    assert mode == "wal"


async def test_foreign_keys_hold(each_database_url: str) -> None:
    database = DatabaseEngine(each_database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    with pytest.raises(IntegrityError):
        async with database.begin() as session:
            await session.execute(text("INSERT INTO friends VALUES (1, 2)"))
    await database.dispose()


async def test_what_people_typed_is_in_no_message(each_database_url: str) -> None:
    database = DatabaseEngine(each_database_url)
    with pytest.raises(DBAPIError) as caught:
        async with database.begin() as session:
            session.add(Customer(name="canary", email="canary", note="canary"))
    await database.dispose()
    assert "canary" not in str(caught.value)


async def test_a_failed_transaction_is_rolled_back(each_database_url: str) -> None:
    database = DatabaseEngine(each_database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async def fail() -> None:
        async with database.begin() as session:
            session.add(Customer(name="susan", email="s"))
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.session(write=False) as session:
        assert (await session.execute(text("SELECT count(*) FROM customers"))).scalar() == 0
    await database.dispose()


def test_other_databases_are_refused() -> None:
    with pytest.raises(ValueError, match="SQLite or PostgreSQL"):
        DatabaseEngine("mysql://localhost/x")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
async def test_sessions_share_a_database_in_memory(url: str) -> None:
    database, other = DatabaseEngine(url), DatabaseEngine(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async def add(number: int) -> None:
        async with database.begin() as session:
            session.add(Customer(name=f"u{number}", email=f"e{number}"))
            await asyncio.sleep(0)

    await asyncio.gather(*(add(number) for number in range(20)))
    async with database.session(write=False) as session:
        assert (await session.execute(text("SELECT count(*) FROM customers"))).scalar() == 20
    async with other.session(write=False) as session:
        assert (await session.execute(text("SELECT * FROM sqlite_master"))).all() == []
    await database.dispose()
    await other.dispose()


async def test_warming_up_opens_the_pool_and_gives_it_back(
    each_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = DatabaseEngine(each_database_url, pool_size=10)
    await database.warm_up()
    assert not caplog.records
    pool = cast(QueuePool, database.engine.sync_engine.pool)
    # A file is opened in two milliseconds, when a request needs it.
    assert (pool.checkedin(), pool.checkedout()) == (1 if database.is_sqlite else 8, 0)
    await database.dispose()


async def test_warming_up_survives_a_database_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = DatabaseEngine("postgresql://nobody@127.0.0.1:1/nothing")
    await database.warm_up()
    assert "did not answer at the start" in caplog.text
    await database.dispose()


def slow_statement(database: DatabaseEngine) -> str:
    if not database.is_sqlite:
        return "SELECT pg_sleep(60)"
    numbers = "SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000000"
    return f"WITH RECURSIVE n(i) AS ({numbers}) SELECT count(*) FROM n"


@pytest.mark.slow
async def test_a_stream_that_takes_too_long_is_stopped(each_database_url: str) -> None:
    database = DatabaseEngine(each_database_url, pool_size=1, statement_timeout=0.1)
    async with database.session() as session:
        with pytest.raises(StatementTimeoutError):
            async for _ in await session.stream(text(slow_statement(database))):
                pass
        await session.rollback()
        assert (await session.execute(text("SELECT 1"))).scalar() == 1
    await database.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("write", [False, True])
async def test_a_statement_that_takes_too_long_is_stopped(
    each_database_url: str, write: bool
) -> None:
    database = DatabaseEngine(each_database_url, pool_size=1, statement_timeout=0.1)
    slow = slow_statement(database)
    began = time.monotonic()
    async with database.session(write=write) as session:
        with pytest.raises(StatementTimeoutError):
            await session.execute(text(slow))
        await session.rollback()
        assert (await session.execute(text("SELECT 1"))).scalar() == 1
    assert time.monotonic() - began < 20
    assert cast(QueuePool, database.engine.sync_engine.pool).checkedout() == 0
    await database.dispose()
