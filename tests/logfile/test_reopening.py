"""A file that somebody renames, and SIGUSR1."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.flasklike import App
from quartapp.logfile import LogFile
from quartapp.logfile.handler import ThreadedHandler, reopen_at_signal, reopen_files, to_file
from quartapp.logfile.rotation import RotatingFile


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[ThreadedHandler]:
    file = RotatingFile(tmp_path / "a.log", max_bytes=0, backups=0)
    handler = ThreadedHandler(to_file(file, logging.Formatter("%(message)s")))
    yield handler
    handler.close()


@pytest.fixture(autouse=True)
def _own_signal() -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("create", [True, False])
def test_no_line_is_lost_while_logrotate_renames(
    handler: ThreadedHandler, tmp_path: Path, create: bool
) -> None:
    """As it does with `create`, and without, all while lines are written."""
    reopen_at_signal()
    numbers = range(3000)

    def write() -> None:
        for number in numbers:
            handler.write(str(number))
            if number % 50 == 49:  # 1000 wait at most
                handler.flush()

    writer = threading.Thread(target=write)
    writer.start()
    for rotation in range(5):
        time.sleep(0.01)
        handler.write(str(3000 + rotation))
        handler.flush()
        (tmp_path / "a.log").rename(tmp_path / f"a.log.{rotation}")
        if create:
            (tmp_path / "a.log").touch()
        os.kill(os.getpid(), signal.SIGUSR1)
    writer.join()
    handler.flush()
    lines = [int(line) for path in tmp_path.glob("a.log*") for line in path.read_text().split()]
    assert sorted(lines) == list(range(3005))
    assert len(list(tmp_path.glob("a.log.*"))) == 5


def test_the_old_file_is_closed_without_another_line(
    handler: ThreadedHandler, tmp_path: Path
) -> None:
    handler.write("before")
    handler.flush()
    (tmp_path / "a.log").rename(tmp_path / "old.log")
    assert open_files(tmp_path) == {"old.log"}
    reopen_files()
    deadline = time.monotonic() + 60
    while open_files(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert open_files(tmp_path) == set(), "its disk space is free after it was deleted"
    handler.write("after")
    handler.flush()
    assert (tmp_path / "a.log").read_text() == "after\n"


def open_files(folder: Path) -> set[str]:
    found = set()
    for number in Path("/proc/self/fd").iterdir():
        try:
            path = number.readlink()
        except FileNotFoundError:
            continue
        if path.parent == folder and path.suffix == ".log":
            found.add(path.name)
    return found


def test_a_signal_that_somebody_else_handles_is_left_to_them() -> None:
    def theirs(*_: object) -> None:
        pass

    signal.signal(signal.SIGUSR1, theirs)
    reopen_at_signal()
    assert signal.getsignal(signal.SIGUSR1) is theirs


def test_outside_of_the_main_thread_nothing_is_installed() -> None:
    thread = threading.Thread(target=reopen_at_signal)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


async def test_an_application_that_serves_survives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", [])
    app = App("till")
    LogFile(app)
    async with app.test_app():
        os.kill(os.getpid(), signal.SIGUSR1)
        app.logger.info("alive")
    for one in logging.getLogger("till").handlers[:]:
        if isinstance(one, ThreadedHandler):
            one.close()
            logging.getLogger("till").removeHandler(one)
    assert "alive" in (tmp_path / "logs" / "till.log").read_text()
    # What quartapp.serving calls, which has a handler of its own.
    assert app.extensions["quartapp.serving.signals"] == [reopen_files]
