"""The end of requests and of the server, seen from outside: what is answered, what is counted."""

import asyncio
import os
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

from quartapp.reporting.journal.entries import decode
from quartapp.reporting.journal.segments import list_segments, open_segment
from quartapp.reporting.report import Report
from quartapp.testing import ForkServer, LiveServer
from quartapp.testing.server import ServerFailedError
from tests.shop.endings import ENDINGS, prepare

ROOT = Path(__file__).parents[3]

get = partial(httpx.get, timeout=60, trust_env=False)

Serve = Callable[..., LiveServer]


@pytest.fixture
def serve(tmp_path: Path, fork_server: ForkServer) -> Serve:
    """Serve tests.shop.endings: `with serve(workers=2) as server:`."""
    prepare(tmp_path)

    def start(hooks: str = "", **settings: object) -> LiveServer:
        values = [f"{name}={value}" for name, value in settings.items()]
        command = ("-m", "tests.shop.endings", str(tmp_path), *values)
        return LiveServer({"HOOKS": hooks}, command, cwd=ROOT, fork_server=fork_server)

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


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[], list[str]]:
    """The titles of the reports in the journal, which a server counts at its next start."""

    def read() -> list[str]:
        titles = []
        for path in list_segments(tmp_path / "instance" / "journal"):
            with open_segment(path) as reading:
                assert reading is not None
                entries = map(decode, reading.read(0).payloads)
                titles += [entry.title for entry in entries if isinstance(entry, Report)]
        return titles

    return read


Recorded = Callable[[], list[str]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_answers_what_it_cuts_off(serve: Serve, counted: Counted, workers: int) -> None:
    paths = ["/slow/60.0", "/slow/1.5", "/hanging_page", "/hanging_teardown", "/thread/4.0"]
    with serve(workers=workers, graceful_timeout=2) as server, ThreadPoolExecutor() as pool:
        answers = [pool.submit(get, server.url + path) for path in paths]
        server.wait_for("A request begins", len(paths))
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 40
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
        server.wait_for("A request begins", len(paths))
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


@pytest.mark.parametrize(("hook", "workers"), [("start_fails", 1), ("start_exits", 2)])
def test_a_start_that_fails_is_recorded(
    serve: Serve, recorded: Recorded, hook: str, workers: int
) -> None:
    with pytest.raises(ServerFailedError) as failed, serve(hook, workers=workers):
        pass
    assert "ended with 1" in str(failed.value)
    assert "quartapp: the application did not start: " in str(failed.value)
    assert {title.partition(" in ")[0] for title in recorded()} == {
        "RuntimeError" if hook == "start_fails" else "StrayExitError"
    }


@pytest.mark.parametrize(
    ("hook", "workers", "title"),
    [
        ("stop_fails", 2, "RuntimeError in __mp_main__._raise.fail"),
        ("stop_exits", 1, "StrayExitError in __main__._raise.fail"),
        ("stop_hangs", 1, "The application did not stop cleanly: it took too long"),
        ("stop_blocks", 2, "The application did not stop cleanly: it took too long"),
    ],
)
def test_a_stop_that_fails_is_recorded_and_named(
    serve: Serve, recorded: Recorded, hook: str, workers: int, title: str
) -> None:
    with serve(hook, workers=workers, graceful_timeout=0.5) as server:
        server.wait_for("Running on", workers)
        began = time.monotonic()
        assert server.stop() == 1
        assert time.monotonic() - began < 40
        assert "quartapp: the application did not stop cleanly: " in server.output
        assert "did not start" not in server.output
    assert set(recorded()) == {title}


def test_a_signal_ends_a_start_that_hangs(serve: Serve, recorded: Recorded) -> None:
    server = serve("start_hangs", graceful_timeout=0.5)
    server._wait_until_running = lambda: server.wait_for("Hanging")  # type: ignore[method-assign]
    with server:
        assert server.stop() == 1
        assert "quartapp: the application did not start: it was stopped before" in server.output
    assert recorded() == ["The application did not start: it was stopped before it had started"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_ctrl_c_hurries(serve: Serve, workers: int) -> None:
    settings = {"workers": workers, "graceful_timeout": 60}
    with serve("stop_hangs", **settings) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(get, f"{server.url}/slow/60.0")
        server.wait_for("A request begins")
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)  # supervisors may repeat it
        time.sleep(0.5)
        assert not answer.done()
        assert server.stop(signal.SIGINT) == 1
        assert time.monotonic() - began < 40
        assert answer.result().status_code == 503


def test_ctrl_c_at_a_terminal_stops_once_and_refuses_newcomers(serve: Serve) -> None:
    with serve(workers=2, graceful_timeout=60) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(get, f"{server.url}/slow/2.0")
        server.wait_for("A request begins")
        os.killpg(server.process.pid, signal.SIGINT)  # all processes, as a terminal does
        time.sleep(0.5)
        assert not answer.done()
        with pytest.raises(httpx.ConnectError):
            get(f"{server.url}/slow/0.0")
        assert not answer.done()
        assert answer.result().text == "slept"
        assert server.wait() == 0


def test_what_nobody_can_catch_is_recorded(serve: Serve, recorded: Recorded) -> None:
    with serve("atexit") as server:
        assert get(f"{server.url}/destructor").status_code == 200
        assert server.stop() == 0
    assert recorded() == [
        "RuntimeError in __main__.Failing.__del__",
        "RuntimeError in __main__._raise_at_exit",
    ]


def test_a_worker_that_dies_is_an_error(serve: Serve, counted: Counted) -> None:
    with serve(workers=2) as server:
        server.wait_for("Running on", 2)
        with pytest.raises(httpx.HTTPError):
            get(f"{server.url}/die", params={"signal": int(signal.SIGSEGV)})
        server.wait_for("Running on", 3)
        assert "A worker was killed by SIGSEGV (exit code -11, after " in server.output
        assert server.stop() == 0
    assert counted() == {"A worker was killed by SIGSEGV (\u2026)": 1}
