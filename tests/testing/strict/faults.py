"""A suite with a fault in each test; without strictness they all pass."""

import asyncio
import logging
import os
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from quartapp.database import DatabaseEngine
from quartapp.testing import Client

kept: list[Any] = []
"""What would otherwise be garbage, and closed as such."""


async def poll() -> None:
    await asyncio.sleep(60)


async def notify() -> None:
    pass


def compute() -> None:
    end = time.thread_time() + 0.3
    while time.thread_time() < end:
        sum(range(1000))


@pytest.fixture
def app() -> Quart:
    app = Quart("shop")

    @app.get("/task")
    async def task() -> str:
        kept.append(asyncio.create_task(poll(), name="polling"))
        return ""

    @app.get("/forgets")
    async def forgets() -> str:
        notify()  # type: ignore[unused-coroutine]
        return ""

    @app.get("/sleeps")
    async def sleeps() -> str:
        time.sleep(0.3)  # noqa: ASYNC251
        return ""

    @app.get("/computes")
    async def computes() -> str:
        compute()
        return ""

    @app.get("/fails")
    async def fails() -> str:
        raise LookupError("no such thing")

    @app.get("/logs")
    async def logs() -> str:
        app.logger.error("the shop is closed")
        return ""

    return app


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[DatabaseEngine]:
    engine = DatabaseEngine(f"sqlite:///{tmp_path}/shop.db")
    yield engine
    await engine.dispose()


async def test_task_of_the_test() -> None:
    kept.append(asyncio.create_task(poll()))


async def test_task_of_a_view(client: Client) -> None:
    await client.get("/task")


@pytest.fixture
async def poller() -> None:
    kept.append(asyncio.ensure_future(poll()))


@pytest.mark.usefixtures("poller")
async def test_task_of_a_fixture() -> None:
    pass


def test_thread() -> None:
    kept.append(threading.Event())
    threading.Thread(target=kept[-1].wait, name="worker", args=[3], daemon=True).start()


def test_executor() -> None:
    kept.append(ThreadPoolExecutor(1, thread_name_prefix="pool"))
    kept[-1].submit(int).result()


def test_timer() -> None:
    kept.append(threading.Timer(3, int))
    kept[-1].daemon = True
    kept[-1].start()


def test_socket() -> None:
    kept.append(socket.socket())


async def test_server() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    kept.append(listening)


async def test_session(database: DatabaseEngine) -> None:
    kept.append(database.session())
    await kept[-1].execute(text("SELECT 1"))


async def test_engine_of_sqlalchemy(tmp_path: Path) -> None:
    kept.append(create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/other.db"))
    kept.append(await kept[-1].connect())


def test_sqlite(tmp_path: Path) -> None:
    kept.append(sqlite3.connect(tmp_path / "own.db"))
    kept[-1].execute("CREATE TABLE things (name)")


def test_file(tmp_path: Path) -> None:
    kept.append((tmp_path / "notes.txt").open("w"))


def test_descriptor(tmp_path: Path) -> None:
    os.open(tmp_path / "raw.txt", os.O_CREAT | os.O_WRONLY)


def test_pipe() -> None:
    os.pipe()


async def test_coroutine_of_the_test() -> None:
    notify()  # type: ignore[unused-coroutine]


async def test_coroutine_of_a_view(client: Client) -> None:
    await client.get("/forgets")


async def test_sleeping_view(client: Client) -> None:
    await client.get("/sleeps")


async def test_computing_view(client: Client) -> None:
    await client.get("/computes")


async def test_blocking_task() -> None:
    async def work() -> None:
        compute()

    await asyncio.gather(work(), asyncio.sleep(0.4))


async def test_error_500(client: Client) -> None:
    await client.get("/fails")


async def test_logged_error(client: Client) -> None:
    assert (await client.get("/logs")).status_code == 200


async def test_failed_task() -> None:
    async def fail() -> None:
        raise LookupError("in a task")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0.01)
    del task


async def test_error_of_a_callback() -> None:
    asyncio.get_running_loop().call_soon(logging.getLogger("shop").error, "from a callback")
    await asyncio.sleep(0)
