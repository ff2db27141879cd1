"""The end of requests and of the server, seen from outside: what is answered, what is counted."""

import asyncio
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from quartapp.testing import LiveServer
from tests.shop.endings import ENDINGS, prepare

ROOT = Path(__file__).parents[3]

get = partial(httpx.get, timeout=60, trust_env=False)

Serve = Callable[..., LiveServer]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Serve tests.shop.endings: `with serve(workers=2) as server:`."""
    prepare(tmp_path)

    def start(hooks: str = "", **settings: object) -> LiveServer:
        values = [f"{name}={value}" for name, value in settings.items()]
        command = ("-m", "tests.shop.endings", str(tmp_path), *values)
        return LiveServer({"HOOKS": hooks}, command, cwd=ROOT)

    return start


@pytest.fixture
def counted(tmp_path: Path) -> Callable[[], dict[str, int]]:
    """The groups of errors in the database: their titles, and how often they occurred."""

    def read() -> dict[str, int]:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as database:
            return dict(
                database.execute("SELECT title, sum(count) FROM error_groups GROUP BY title")
            )

    return read


Counted = Callable[[], dict[str, int]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_answers_what_it_cuts_off(serve: Serve, counted: Counted, workers: int) -> None:
    paths = ["/slow/60.0", "/slow/1.5", "/hanging_page", "/hanging_teardown", "/thread/4.0"]
    with serve(workers=workers, graceful_timeout=2) as server, ThreadPoolExecutor() as pool:
        answers = [pool.submit(get, server.url + path) for path in paths]
        time.sleep(1)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        slow, finished, *late = (answer.result() for answer in answers)
        assert (slow.status_code, slow.text) == (503, "<h1>styled</h1>")
        assert finished.text == "slept"
        assert [answer.status_code for answer in late] == [503, 503, 503]
        assert {answer.headers["Retry-After"] for answer in [slow, *late]} == {"5"}
        assert server.output.count("The server stopped before /slow/<float:seconds> [GET]") == 1
        assert "Traceback" not in server.output
    assert counted() == {}


def test_a_stop_closes_websockets_with_1012(serve: Serve, counted: Counted) -> None:
    async def talk(server: LiveServer) -> int | None:
        async with connect(server.url.replace("http", "ws") + "/ws", proxy=None) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        return closed.value.rcvd.code if closed.value.rcvd else None

    with serve(graceful_timeout=0.5) as server:
        assert asyncio.run(talk(server)) == 1012
        assert server.wait() == 0
    assert counted() == {}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there it waits as long as requests last")
def test_a_stop_of_hypercorns_own_workers_answers_too(tmp_path: Path, counted: Counted) -> None:
    prepare(tmp_path)
    application = "tests.shop.endings:from_environment()"
    command = ("-m", "hypercorn", "--bind", "127.0.0.1:0", "--graceful-timeout", "1", application)
    environment = {"FOLDER": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with LiveServer(environment, command) as server, ThreadPoolExecutor() as pool:
        paths = ("/slow/60.0", "/hanging_page")
        answers = [pool.submit(get, server.url + path) for path in paths]
        time.sleep(1)
        assert server.stop() == 0
        assert [answer.result().status_code for answer in answers] == [503, 503]
    assert counted() == {}


def test_exits_are_errors_and_end_nothing_else(serve: Serve, counted: Counted) -> None:
    kinds = [kind for kind in ENDINGS if kind != "error"]
    with serve() as server, ThreadPoolExecutor() as pool:
        other = pool.submit(get, f"{server.url}/slow/3.0")
        for path in ("view", "sync", "teardown", "stream", "background"):
            for kind in kinds:
                try:
                    status = get(f"{server.url}/{path}", params={"kind": kind}).status_code
                except httpx.RemoteProtocolError:  # a stream that was broken off
                    status = 0
                assert status == {"stream": 0, "background": 200}.get(path, 500)
        for path in ("task", "cancel"):
            assert get(f"{server.url}/{path}").status_code == 500
        assert other.result().text == "slept"
        assert server.stop() == 0
    assert sum(counted().values()) == 5 * len(kinds) + 2
