"""Statements are counted, wherever they are executed, and shown."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

import pytest
from quart import Quart
from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.sql import Select

from quartapp.database import DatabaseEngine
from quartapp.database.request import request_session
from quartapp.testing import Client, max_queries

PLAIN = text("SELECT 1")


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[Quart]:
    app = Quart("theirs")
    database = app.extensions["database"] = DatabaseEngine(database_url)
    selected: Select[tuple[int]] = select(bindparam("n", 1))

    @app.get("/")
    async def index() -> str:
        session = request_session()
        for _ in range(3):
            await session.execute(PLAIN)
            await database.read(selected)
        await session.close()
        return ""

    yield app
    await database.dispose()


MaxQueries = Callable[[int], AbstractContextManager[list[str]]]


async def test_those_of_sessions_and_direct_ones_are_counted(
    client: Client, max_queries: MaxQueries
) -> None:
    for _ in range(2):
        with max_queries(6) as statements:
            assert (await client.get("/")).status_code == 200
        assert len(statements) == 6


async def test_too_many_fail_with_the_statements(client: Client, max_queries: MaxQueries) -> None:
    with (
        pytest.raises(AssertionError, match=r"6 statements were .* at most 5 .*\n  3 x SELECT 1\n"),
        max_queries(5),
    ):
        await client.get("/")


async def test_blocks_within_blocks_count_for_both(client: Client, max_queries: MaxQueries) -> None:
    with max_queries(12) as all_of_them, max_queries(6):
        await client.get("/")
    with max_queries(6) as none_of_them:
        pass
    assert (len(all_of_them), len(none_of_them)) == (6, 0)


async def test_other_tasks_are_not_counted_but_those_of_the_block_are(
    app: Quart, max_queries: MaxQueries
) -> None:
    database: DatabaseEngine = app.extensions["database"]
    begin = asyncio.Event()

    async def elsewhere() -> None:
        await begin.wait()
        await database.ping()

    task = asyncio.create_task(elsewhere())
    with max_queries(1) as statements:
        begin.set()
        await asyncio.gather(task, asyncio.create_task(database.ping()))
    assert statements == ["SELECT 1"]


async def test_any_engine_of_sqlalchemy_is_counted() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    with max_queries(1) as statements:
        async with engine.connect() as connection:
            await connection.execute(PLAIN)
    await engine.dispose()
    assert statements == ["SELECT 1"]
