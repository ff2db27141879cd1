"""The master of several workers, with processes that only seem to be some."""

import os
import signal
import socket
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from quartapp.serving import reloading, workers
from quartapp.serving.process import Death, Link, Worker
from quartapp.serving.reloading import Progress
from quartapp.serving.service import Service
from quartapp.serving.status import StatusFile
from quartapp.serving.stopping import SIGHURRY


def serve(service: Service, listener: socket.socket, link: Link, death: Death) -> None:
    """What these workers would do."""


def master_of(listener: socket.socket, first: list[Worker]) -> workers.Master:
    return workers.Master(serve, Service(dict), listener, Progress(StatusFile("")), first)


class Crashing(Worker):
    """One that ends by SIGKILL, `age` seconds after it began to serve."""

    age = 0.0
    has_started = True
    started: list[Death] = []
    handles: list[Any] = []
    failure = ""

    def __init__(self, serve: object, service: object, listener: object, death: Death = ()) -> None:
        self.process: Any = SimpleNamespace(exitcode=-signal.SIGKILL, pid=1, sentinel=None)
        self.started.append(death)

    def has_ended(self) -> bool:
        return True


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, int], list[float]]:
    """The times between the starts of so many workers that end at such an age."""

    def run(age: float, count: int) -> list[float]:
        now = [100.0]
        times: list[float] = []
        reader, writer = os.pipe()
        os.write(writer, bytes([signal.SIGTERM]))

        def wait(sentinels: list[Any], timeout: float | None) -> list[Any]:
            times.append(now[0])
            now[0] += timeout or 0
            return [reader] if len(Crashing.started) > count else []

        Crashing.started.clear()
        monkeypatch.setattr(Crashing, "age", age)
        monkeypatch.setattr(workers, "Worker", Crashing)
        monkeypatch.setattr(workers, "monotonic", lambda: now[0])
        monkeypatch.setattr(workers, "wait", wait)
        with socket.socket() as listener:
            first = Crashing(None, None, listener)
            assert master_of(listener, [first]).watch(reader) == 0
        os.close(reader)
        os.close(writer)
        return sorted({later - time for time, later in pairwise(times)} - {0})

    return run


@pytest.mark.parametrize(
    ("code", "has_started", "has_failed"),
    [
        (0, True, False),
        (1, True, True),
        (-signal.SIGKILL, True, True),
        (-signal.SIGTERM, True, True),
        (-signal.SIGTERM, False, False),
        (-SIGHURRY, True, False),
        (-SIGHURRY, False, False),
    ],
)
def test_a_worker_may_end_by_a_signal_where_nothing_listens_to_it(
    monkeypatch: pytest.MonkeyPatch, code: int, has_started: bool, has_failed: bool
) -> None:
    monkeypatch.setattr(Crashing, "has_started", has_started)
    worker = Crashing(None, None, None)
    worker.process.exitcode = code
    assert worker.has_failed is has_failed


def test_a_crash_loop_backs_off_and_says_so(
    pauses: Callable[[float, int], list[float]], caplog: pytest.LogCaptureFixture
) -> None:
    assert pauses(0.5, 9) == [1, 2, 4, 8, 16]
    kinds = {death[0] for death in Crashing.started[1:]}
    assert kinds == {"A worker was killed by SIGKILL (%s)"}
    details = (
        "exit code -9, after 0 s of serving; workers keep ending, the next one starts 1 s later"
    )
    assert f"A worker was killed by SIGKILL ({details})" in caplog.messages


def test_workers_that_served_for_a_while_are_replaced_at_once(
    pauses: Callable[[float, int], list[float]],
) -> None:
    assert pauses(6, 9) == []


@pytest.mark.parametrize(
    ("handler", "answers"),
    [
        (signal.SIG_DFL, ["reload", "stop", "stop"]),
        (signal.SIG_IGN, ["reload", "nothing", "reload"]),  # as `nohup` starts it
    ],
)
def test_a_terminal_that_is_closed_asks_for_no_reload(
    handler: signal.Handlers, answers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = [True, True, False, False]
    monkeypatch.setattr(reloading, "has_terminal", lambda: terminal.pop(0))
    before = signal.signal(signal.SIGHUP, handler)
    try:
        progress = Progress(StatusFile(""))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [progress.asked() for _ in range(3)] == answers
