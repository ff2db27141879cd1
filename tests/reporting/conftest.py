"""A database without an application, for the parts that count and mail; and waiting for the one
that an application's own rounds fill."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database
from quartapp.flasklike import App
from quartapp.reporting.tables import ErrorGroup, metadata


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    async with made.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield made
    await made.dispose()


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.session(write=False) as opened:
        yield opened


async def eventually_counted(app: App, wanted: int) -> int:
    """What the database has counted: the application's own rounds count beside `flush`."""
    database: Database = app.extensions["database"]
    deadline = time.monotonic() + 60
    while True:
        await app.extensions["reporting"].flush()
        async with database.session(write=False) as session:
            counted = int(await session.scalar(select(func.sum(ErrorGroup.count))) or 0)
        if counted >= wanted or time.monotonic() > deadline:
            return counted
        await asyncio.sleep(0.1)
