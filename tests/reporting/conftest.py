"""A database without an application, for the modules that count and mail, and functions that wait
for an application's database to be filled."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.reporting.tables import ErrorGroup, metadata


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[DatabaseEngine]:
    made = DatabaseEngine(database_url)
    async with made.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield made
    await made.dispose()


@pytest.fixture
async def session(database: DatabaseEngine) -> AsyncIterator[AsyncSession]:
    async with database.session(write=False) as opened:
        yield opened


async def eventually_counted(app: App, wanted: int) -> int:
    """Flush until `wanted` errors are counted, 60 s at most; returns the number in the database.

    The application's task counts at the same time as `flush`.
    """
    database: DatabaseEngine = app.extensions["database"]
    deadline = time.monotonic() + 60
    while True:
        await app.extensions["reporting"].flush()
        async with database.session(write=False) as session:
            counted = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)
        if counted >= wanted or time.monotonic() > deadline:
            return counted
        await asyncio.sleep(0.1)
