"""The task that has waited longest gets the next connection."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from quartapp.database import Database


@pytest.fixture
async def database(each_database_url: str) -> AsyncIterator[Database]:
    """A database with one connection."""
    database = Database(each_database_url, pool_size=1, pool_timeout=30.0)
    yield database
    await database.dispose()


async def use(database: Database, name: str, order: list[str], times: int = 1) -> None:
    for _ in range(times):
        async with database.engine.connect() as connection:
            order.append(name)
            await connection.execute(text("SELECT 1"))


async def test_nobody_overtakes_who_waits(database: Database) -> None:
    order: list[str] = []
    connection = await database.engine.connect()
    waiting = [asyncio.create_task(use(database, name, order)) for name in ("first", "second")]
    await asyncio.sleep(0.05)
    await connection.close()
    # A new task, which asks before the tasks that were woken run.
    await use(database, "newcomer", order)
    await asyncio.gather(*waiting)
    assert order == ["first", "second", "newcomer"]


async def test_a_wait_that_is_given_up_keeps_nobody_waiting(database: Database) -> None:
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
    database: Database,
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
    database = Database(each_database_url, pool_size=1, pool_timeout=0.05)
    async with database.engine.connect():
        with pytest.raises(PoolTimeoutError):
            await use(database, "too late", [])
    await use(database, "later", [])
    await database.dispose()


async def test_the_pool_logs_beside_those_of_sqlalchemy(database: Database) -> None:
    """On the application's logger the failure to close a connection would be reported as an
    error."""
    assert str(database.engine.pool.logger).startswith("<Logger sqlalchemy.pool.")
    await database.dispose()  # it makes another pool
    assert str(database.engine.pool.logger).startswith("<Logger sqlalchemy.pool.")
