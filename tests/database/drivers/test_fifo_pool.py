"""The task that has waited longest gets the next connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from quartapp.database import DatabaseEngine


@pytest.fixture
async def database(each_database_url: str) -> AsyncIterator[DatabaseEngine]:
    """A database with one connection."""
    database = DatabaseEngine(each_database_url, pool_size=1, pool_timeout=30.0)
    yield database
    await database.dispose()


async def use(database: DatabaseEngine, name: str, order: list[str], times: int = 1) -> None:
    for _ in range(times):
        async with database.engine.connect() as connection:
            order.append(name)
            await connection.execute(text("SELECT 1"))


async def test_nobody_overtakes_who_waits(database: DatabaseEngine) -> None:
    order: list[str] = []
    connection = await database.engine.connect()
    waiting = [asyncio.create_task(use(database, name, order)) for name in ("first", "second")]
    await asyncio.sleep(0.05)
    await connection.close()
    # A new task, which asks before the tasks that were woken run.
    await use(database, "newcomer", order)
    await asyncio.gather(*waiting)
    assert order == ["first", "second", "newcomer"]


async def test_a_wait_that_is_given_up_keeps_nobody_waiting(database: DatabaseEngine) -> None:
    order: list[str] = []
    async with database.engine.connect():
        leaving = asyncio.create_task(use(database, "leaving", order))
        staying = asyncio.create_task(use(database, "staying", order))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.wait([leaving])
    await staying
    assert order == ["staying"]


async def test_what_came_in_the_moment_of_a_cancellation_goes_to_the_next(
    database: DatabaseEngine,
) -> None:
    order: list[str] = []
    connection = await database.engine.connect()
    leaving = asyncio.create_task(use(database, "leaving", order))
    staying = asyncio.create_task(use(database, "staying", order))
    await asyncio.sleep(0.05)
    await connection.close()  # hands it over
    leaving.cancel()
    await asyncio.wait([leaving])
    await staying
    assert leaving.cancelled()
    assert order == ["staying"]


async def test_a_wait_ends_in_time(each_database_url: str) -> None:
    database = DatabaseEngine(each_database_url, pool_size=1, pool_timeout=0.05)
    async with database.engine.connect():
        with pytest.raises(PoolTimeoutError):
            await use(database, "too late", [])
    await use(database, "later", [])
    await database.dispose()


async def test_the_pool_logs_beside_those_of_sqlalchemy(database: DatabaseEngine) -> None:
    """On the application's logger the failure to close a connection would be reported as an
    error."""
    assert str(database.engine.pool.logger).startswith("<Logger sqlalchemy.pool.")
    await database.dispose()  # it makes another pool
    assert str(database.engine.pool.logger).startswith("<Logger sqlalchemy.pool.")


async def test_a_connection_in_use_is_closed_when_it_is_given_back_to_a_disposed_pool(
    database: DatabaseEngine,
) -> None:
    connection = await database.engine.connect()
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await database.dispose()
    assert (await connection.scalar(text("SELECT 1"))) == 1
    await connection.close()
    assert not driver._running if database.is_sqlite else driver.is_closed()
    await use(database, "later", [])
