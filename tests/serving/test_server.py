"""The server as a process that serves a small application: start, stop, exit codes, workers."""

import os
import signal
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import psutil
import pytest

from quartapp.extras import needs
from quartapp.flasklike import App
from quartapp.serving import server, settings, stopping
from quartapp.serving.service import Service
from quartapp.serving.settings import ServingSettings
from quartapp.settings import ConfigurationError
from quartapp.sockets import bind
from quartapp.testing import ForkServer, LiveServer
from quartapp.testing.server import ServerFailedError
from tests.serving.site import works

ROOT = Path(__file__).parents[2]
SERVERS = ("hypercorn", "uvicorn", "granian")

get = partial(httpx.get, timeout=60, trust_env=False)


Serve: TypeAlias = Callable[..., LiveServer]


@pytest.fixture
def serve(fork_server: ForkServer) -> Serve:
    """Serve tests.serving.site: `with serve(workers=2) as server:`."""

    def start(factory: str = "works", **settings: object) -> LiveServer:
        values = (f"{name}={value}" for name, value in settings.items())
        command = ("-m", "tests.serving.site", factory, *values)
        return LiveServer({}, command, cwd=ROOT, fork_server=fork_server)

    return start


def answer_of(server: LiveServer, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = get(server.url, headers=headers).json()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_serves_and_stops_cleanly(serve: Serve, workers: int, sign: signal.Signals) -> None:
    with serve(workers=workers) as server:
        assert (answer_of(server)["pid"] == server.process.pid) is (workers == 1)
        assert server.stop(sign) == 0
        assert "Traceback" not in server.output


@pytest.mark.slow
def test_a_signal_at_the_very_start_stops_it_cleanly(serve: Serve) -> None:
    with serve() as server:  # returns at the line "Running on"
        assert server.stop() == 0


@pytest.mark.slow
def test_a_request_under_way_is_finished_before_the_stop(serve: Serve) -> None:
    with serve() as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(get, f"{server.url}/slow")
        server.wait_for("The slow view begins")
        assert server.stop() == 0
        assert answer.result().text == "slept"


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str], name: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert server.run(works, ServingSettings(port=port, server=name)) == 1
    advice = "stop the other server, or set PORT to a free one"
    assert capsys.readouterr().err == f"quartapp: port {port} is in use: {advice}\n"


@pytest.mark.parametrize("name", ["hypercorn", "uvicorn"])
def test_of_two_starts_at_a_time_one_says_that_the_port_is_in_use(
    capsys: pytest.CaptureFixture[str], name: Any
) -> None:
    with bind("127.0.0.1", 0) as ours, bind("127.0.0.1", ours.getsockname()[1]) as other:
        other.listen()
        ours.setblocking(False)
        with pytest.raises(server.ServingFailedError, match="is in use: stop the other server"):
            server.serve_here(Service(works, settings=ServingSettings(server=name)), ours)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "modules"), [("uvicorn", "uvicorn and no httptools"), ("granian", "granian")]
)
def test_a_server_that_is_not_installed_is_a_wrong_setting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: Any, modules: str
) -> None:
    monkeypatch.setattr(settings, "find_spec", lambda module: module == "wsproto" or None)
    assert server.run(works, ServingSettings(port=0, server=name)) == 2
    assert capsys.readouterr().err == (
        f"quartapp: SERVER is {name}, and this environment has no {modules}: {name} {needs(name)}\n"
    )


def test_a_server_is_one_of_three() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServingSettings.from_config({"SERVER": "nginx"})
    assert str(caught.value) == "SERVER: expected 'hypercorn', 'uvicorn' or 'granian'"


def test_a_socket_sends_small_answers_at_once() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP  # asyncio looks at it


def test_the_socket_that_processes_share_never_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that waits in `accept` for a connection that another one took serves nobody."""
    blocking: list[bool] = []

    async def serve(_app: object, listener: socket.socket, *_: object) -> None:
        blocking.append(os.get_blocking(listener.fileno()))
        listener.close()

    monkeypatch.setattr(server, "_serve_with", lambda _: serve)
    handler = signal.getsignal(signal.SIGQUIT)
    try:
        with bind("127.0.0.1", 0) as bound:
            bound.setblocking(False)
            with socket.socket(fileno=os.dup(bound.fileno())) as sent:  # as a worker gets it
                server.serve_here(Service(works), sent)
    finally:
        signal.signal(signal.SIGQUIT, handler)
    assert blocking == [False]


def test_an_address_of_another_machine_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert server.run(works, ServingSettings(host="203.0.113.9", port=0)) == 1
    said = capsys.readouterr().err
    assert said.startswith("quartapp: cannot listen on 203.0.113.9:0: ")
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_start_is_not_a_success(serve: Serve, workers: int) -> None:
    with pytest.raises(ServerFailedError) as caught, serve("fails", workers=workers):
        pass
    assert "ended with 1" in str(caught.value)
    assert "cannot start" in str(caught.value)


@pytest.mark.slow
def test_the_collector_works_from_the_first_request_on(serve: Serve) -> None:
    with serve() as server:
        answer = answer_of(server)
        assert answer["collects"]
        assert answer["frozen"] > 10_000


@pytest.mark.slow
@pytest.mark.parametrize(("factory", "loop"), [("works", "asyncio."), ("loops", "uvloop")])
def test_uvloop_is_used_where_it_is_asked_for(serve: Serve, factory: str, loop: str) -> None:
    with serve(factory) as server:
        assert answer_of(server)["loop"].startswith(loop)


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_a_worker_that_dies_is_replaced_and_reported(serve: Serve, name: str) -> None:
    with serve(workers=2, server=name) as server:
        # A worker that answers has reported its start to the master; it logs a line before that.
        os.kill(answer_of(server)["pid"], signal.SIGKILL)
        server.wait_for("is replaced")
        server.wait_for(f"with {name}, process", 3)
        assert "A worker was killed by SIGKILL (exit code -9, after " in server.output
        assert answer_of(server)
        assert server.stop() == 0


@pytest.mark.slow
def test_workers_do_not_outlive_their_master(serve: Serve) -> None:
    with serve(workers=2) as server:
        workers = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert gone
        assert not alive


async def test_the_application_learns_that_the_server_begins_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "end_process_after", lambda *_: threading.Timer(0, print))
    app = App("shop")
    stop = stopping.Stop(app, 10)
    assert not app.is_stopping
    stop.begin()
    assert app.is_stopping
    stop.end()
    await app.startup()
    assert not app.is_stopping
    await app.shutdown()
