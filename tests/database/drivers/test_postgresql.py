"""Connections that PostgreSQL or the network has closed."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from quartapp.database import DatabaseEngine
from quartapp.database.drivers import limited
from quartapp.database.errors import StatementTimeoutError
from quartapp.database.url import async_url

pytestmark = pytest.mark.postgresql


async def ask(database: DatabaseEngine) -> int:
    async with database.engine.connect() as connection:
        return int(await connection.scalar(text("SELECT pg_backend_pid()")))


async def ask_both(database: DatabaseEngine) -> set[int]:
    """The processes of the two connections of a pool."""
    async with database.engine.connect() as first:
        return {int(await first.scalar(text("SELECT pg_backend_pid()"))), await ask(database)}


async def test_a_connection_that_the_server_ended_is_replaced_and_no_other(
    postgresql_url: str,
) -> None:
    database, other = DatabaseEngine(postgresql_url, pool_size=2), DatabaseEngine(postgresql_url)
    ended, kept = await ask_both(database)
    async with other.engine.connect() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": ended})
        gone = text("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = :pid")
        async with asyncio.timeout(60):
            while not await connection.scalar(gone, {"pid": ended}):
                await connection.rollback()  # within a transaction the view does not change
    pids = await ask_both(database)
    assert ended not in pids
    assert kept in pids
    await database.dispose()
    await other.dispose()


async def test_an_error_in_a_later_row_of_a_stream_is_sqlalchemys(postgresql_url: str) -> None:
    database = DatabaseEngine(postgresql_url)
    rows = text("SELECT 1 / (i - 150) FROM generate_series(1, 200) i")
    async with database.session(write=False) as session:
        with pytest.raises(DBAPIError, match="division by zero"):
            async for _ in await session.stream(rows):
                pass
    await database.dispose()


async def test_a_connection_is_asked_once_before_each_use_but_the_first(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[object] = []
    check = limited.LimitedDialect.do_ping

    def do_ping(dialect: limited.LimitedDialect, connection: object) -> bool:
        checks.append(connection)
        return check(dialect, connection)

    monkeypatch.setattr(limited.LimitedDialect, "do_ping", do_ping)
    database = DatabaseEngine(postgresql_url, pool_size=1)
    for times in range(3):
        await ask(database)
        assert len(checks) == times
    await database.dispose()


class SilentProxy:
    """A proxy. While `is_silent`, it drops what arrives on old connections."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.generation = 0
        self.calls: set[asyncio.Task[None] | None] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self.generation
        self.calls.add(asyncio.current_task())
        there_reader, there_writer = await asyncio.open_connection(*self.target)
        try:
            await asyncio.gather(
                self.pass_on(generation, reader, there_writer),
                self.pass_on(generation, there_reader, writer),
            )
        finally:
            writer.transport.abort()
            there_writer.transport.abort()

    async def end(self) -> None:
        calls = [call for call in self.calls if call is not None]
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    async def pass_on(
        self, generation: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(65536):
                if generation == self.generation:
                    writer.write(data)
        except OSError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def silent_proxy(url: str) -> AsyncIterator[tuple[SilentProxy, str]]:
    address = make_url(url)
    proxy = SilentProxy(address.host or "127.0.0.1", address.port or 5432)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        through = async_url(url).set(host="127.0.0.1", port=port)
        yield proxy, through.render_as_string(hide_password=False)
        await proxy.end()


async def test_a_connection_that_was_lost_in_silence_is_replaced(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "PATIENCE", 0.2)
    async with silent_proxy(postgresql_url) as (proxy, url):
        database = DatabaseEngine(url, pool_size=1)
        before = await ask(database)
        proxy.generation += 1
        began = time.monotonic()
        async with asyncio.timeout(60):
            assert await ask(database) != before
        assert time.monotonic() - began >= 0.2
        await database.dispose()


async def test_a_line_that_falls_silent_within_a_statement_is_ended(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "MARGIN", 0.1)
    async with silent_proxy(postgresql_url) as (proxy, url):
        database = DatabaseEngine(url, pool_size=1, statement_timeout=0.2)
        async with database.session() as session:
            before = await session.scalar(text("SELECT pg_backend_pid()"))
            proxy.generation += 1
            async with asyncio.timeout(60):
                with pytest.raises(StatementTimeoutError):
                    await session.execute(text("SELECT 1"))
        async with asyncio.timeout(60):
            assert await ask(database) != before
        await database.dispose()


@pytest.mark.parametrize("ending", ["commit", "rollback"])
async def test_a_line_that_falls_silent_before_the_end_of_a_transaction_is_ended(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(limited, "MARGIN", 0.1)
    async with silent_proxy(postgresql_url) as (proxy, url):
        database = DatabaseEngine(url, pool_size=1, statement_timeout=0.2)
        async with database.session() as session:
            before = await session.scalar(text("SELECT pg_backend_pid()"))
            proxy.generation += 1
            async with asyncio.timeout(60):
                with pytest.raises(StatementTimeoutError):
                    await getattr(session, ending)()
        async with asyncio.timeout(60):
            assert await ask(database) != before
        await database.dispose()


async def test_a_statement_that_the_server_ends_is_known_by_its_code(postgresql_url: str) -> None:
    """By its text it would be known in English alone; here the text is another one."""
    database = DatabaseEngine(postgresql_url, pool_size=2)
    async with database.session() as session, database.session() as other:
        pid = await session.scalar(text("SELECT pg_backend_pid()"))
        sleeping = asyncio.create_task(session.execute(text("SELECT pg_sleep(60)")))
        cancel = text(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity"
            " WHERE pid = :pid AND query LIKE '%sleep%'"
        )
        async with asyncio.timeout(60):
            while not sleeping.done():
                await other.execute(cancel, {"pid": pid})
                await other.commit()
                await asyncio.wait([sleeping], timeout=0.02)
        with pytest.raises(StatementTimeoutError):
            await sleeping
    await database.dispose()


async def test_a_server_that_accepts_and_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limited, "CONNECT_TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # the kernel accepts
        port = server.getsockname()[1]
        database = DatabaseEngine(f"postgresql://nobody@127.0.0.1:{port}/nothing?ssl=disable")
        async with asyncio.timeout(60):
            with pytest.raises(StatementTimeoutError):
                await database.ping()
        await database.dispose()


async def test_a_silent_line_does_not_delay_the_end_of_the_application(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limited, "CLOSE_TIMEOUT", 0.1)
    async with silent_proxy(postgresql_url) as (proxy, url):
        database = DatabaseEngine(url, pool_size=3)
        await database.warm_up()
        pool: Any = database.engine.pool
        assert pool.checkedin() == 3
        proxy.generation += 1
        async with asyncio.timeout(60):
            await database.dispose()
        assert pool.checkedin() == 0
