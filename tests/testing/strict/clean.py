"""A suite without a fault that does what others do: nothing of it is an alarm."""

import _thread
import asyncio
import importlib
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import text

from quartapp.database import DatabaseEngine
from quartapp.testing import Client, MailServer

STEPS = range(2)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        yield pool


@pytest.fixture(scope="session")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        (tmp_path_factory.mktemp("kept") / "log").open("w"),
    ):
        yield server


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    app = Quart("shop")
    database = app.extensions["database"] = DatabaseEngine(f"sqlite:///{tmp_path}/shop.db")
    tasks: set[asyncio.Task[Any]] = set()

    @app.before_serving
    async def start() -> None:
        tasks.add(asyncio.create_task(asyncio.sleep(60)))

    @app.after_serving
    async def stop() -> None:
        for task in tasks:
            task.cancel()
        await database.dispose()

    @app.get("/")
    async def index() -> str:
        async with database.session() as session:
            await session.execute(text("SELECT 1"))
        await asyncio.to_thread(time.sleep, 0.15)
        return ""

    @app.get("/fails")
    async def fails() -> str:
        raise LookupError("no such thing")

    @app.get("/fails-without-text")
    async def fails_without_text() -> str:
        raise WithoutText

    return app


class WithoutText(Exception):
    def __str__(self) -> str:
        raise TypeError


@pytest.mark.parametrize("step", STEPS)
async def test_requests(client: Client, step: int) -> None:
    await asyncio.gather(*(client.get("/") for _ in range(4)))


async def test_an_error_is_looked_at(client: Client) -> None:
    assert (await client.get("/fails")).status_code == 500


async def test_an_error_may_have_no_text(client: Client) -> None:
    assert (await client.get("/fails-without-text")).status_code == 500


async def test_an_error_is_looked_at_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await client.get("/fails")
    assert "/fails" in caplog.text


@pytest.mark.lenient("errors")
async def test_an_error_is_allowed(client: Client) -> None:
    await client.get("/fails")


@pytest.mark.parametrize("step", STEPS)
def test_what_outlives_a_test(
    pool: ThreadPoolExecutor, listening: socket.socket, step: int
) -> None:
    assert pool.submit(int).result() == listening.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


async def test_a_slow_end() -> None:
    threading.Timer(0.05, int).start()
    asyncio.create_task(asyncio.sleep(0.05))  # noqa: RUF006


def test_a_thread_that_threading_has_not_started() -> None:
    ended = threading.Event()

    def work() -> None:
        threading.current_thread()  # makes a dummy, which stays
        ended.set()

    _thread.start_new_thread(work, ())
    ended.wait()


async def test_mails(mail_server: MailServer) -> None:
    reader, writer = await asyncio.open_connection(mail_server.host, mail_server.port)
    assert (await reader.readline()).startswith(b"220")
    writer.close()
    await writer.wait_closed()


def test_files(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE things (name)")
    connection.close()


def test_a_plain_test_may_block() -> None:
    time.sleep(0.15)
    asyncio.run(asyncio.sleep(0))


def test_an_import_may_take_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow_module.py"
    slow.write_text("import time\ntime.sleep(0.2)")
    monkeypatch.syspath_prepend(tmp_path)

    async def load() -> None:
        importlib.import_module(slow.stem)

    asyncio.run(load())
