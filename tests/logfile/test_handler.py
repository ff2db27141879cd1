"""The log file: shared by processes, rotated without loss, written in a thread."""

import contextlib
import logging
import os
import re
import resource
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from quartapp.logfile import handler as logs
from quartapp.logfile.handler import ThreadedHandler, attach, to_file
from quartapp.logfile.rotation import NotWritten, RotatingFile
from quartapp.testing import LiveServer

ROOT = Path(__file__).parents[2]
PLAIN = logging.Formatter("%(message)s")


def lines(path: Path) -> list[str]:
    found: list[str] = []
    for file in path.parent.glob(f"{path.name}*"):
        found += file.read_text("utf-8").splitlines()
    return found


def test_a_line_on_the_terminal_names_its_logger() -> None:
    name = "quartapp.reporting.pipeline"
    record = logging.LogRecord(name, logging.ERROR, "pipeline.py", 7, "away", (), None)
    line = logging.Formatter(logs.STREAM_FORMAT).format(record)
    assert line.endswith("] ERROR in quartapp.reporting.pipeline: away")


def test_rotates_like_the_standard_library(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    file = RotatingFile(path, max_bytes=20, backups=2)
    for number in range(8):
        file.write(b"line %d..\n" % number)
    assert path.read_text() == "line 6..\nline 7..\n"
    assert path.with_name("app.log.1").read_text() == "line 4..\nline 5..\n"
    assert path.with_name("app.log.2").read_text() == "line 2..\nline 3..\n"
    assert not path.with_name("app.log.3").exists()


class HesitantFile(RotatingFile):
    """Waits between reading the size and rotating, so that other processes interfere."""

    def _is_full(self, more: int) -> bool:
        found = super()._is_full(more)
        time.sleep(0.0005)
        return found


@pytest.mark.slow
def test_processes_that_rotate_together_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    children = []
    for name in range(4):
        if (pid := os.fork()) == 0:
            file = HesitantFile(path, max_bytes=100, backups=500)
            for number in range(150):
                file.write(b"%d %d\n" % (name, number))
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    assert sorted(lines(path)) == sorted(f"{name} {n}" for name in range(4) for n in range(150))


@pytest.mark.parametrize("max_bytes", [0, 1, 9, 10, 19, 20, 21, 45, 1000])
@pytest.mark.parametrize("begun", [1, 2, 5])
def test_lines_written_together_rotate_as_one_by_one(
    tmp_path: Path, max_bytes: int, begun: int
) -> None:
    made = [b"line %d..\n" % number for number in range(9)]
    contents = []
    for folder, written in (
        ("one", [[line] for line in made]),
        ("all", [made[:begun], made[begun:]]),
    ):
        file = RotatingFile(tmp_path / folder / "app.log", max_bytes=max_bytes, backups=20)
        for lines in written:
            file.write(*lines)
        contents.append({path.name: path.read_bytes() for path in file.path.parent.glob("app*")})
    assert contents[0] == contents[1]


def test_a_file_that_was_moved_away_is_created_again(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    file = RotatingFile(path, max_bytes=0, backups=0)
    file.write(b"one\n")
    path.rename(tmp_path / "moved")
    file.write(b"two\n")
    assert path.read_text() == "two\n"


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("quartapp", logging.INFO, __file__, 1, message, arguments, None)


def test_writes_in_a_thread_and_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    handler = ThreadedHandler(to_file(RotatingFile(path, max_bytes=0, backups=0), PLAIN))
    changing = ["日本 \udcff"]
    handler.emit(record("%s", changing))
    changing.append("later")
    handler.flush()
    assert path.read_text("utf-8") == "['日本 \\udcff']\n"


def test_closing_writes_what_waits_and_ends_the_thread_until_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    handler = ThreadedHandler(to_file(RotatingFile(path, max_bytes=0, backups=0), PLAIN))
    before = set(threading.enumerate())
    handler.emit(record("one"))
    handler.close()
    assert path.read_text() == "one\n"
    assert set(threading.enumerate()) <= before
    assert not [each for each in Path("/proc/self/fd").iterdir() if leads_to(each, path)]
    handler.emit(record("two"))
    handler.flush()
    assert path.read_text() == "one\ntwo\n"
    handler.close()


def leads_to(link: Path, path: Path) -> bool:
    try:
        return link.readlink() == path
    except OSError:  # closed meanwhile
        return False


def test_a_handler_that_is_replaced_is_closed(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    logger = logging.getLogger("tests.replaced")
    for _ in range(3):
        attach(logger, ThreadedHandler((PLAIN, lambda _lines: None)), alone=True)
        logger.error("a line")
    attach(logger, None, alone=True)
    assert set(threading.enumerate()) <= before


def test_lines_that_come_together_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_PAUSE", 60)  # until flush: how long 20 lines take is unknown
    writes: list[list[str]] = []
    handler = ThreadedHandler((PLAIN, writes.append))
    for number in range(20):
        handler.emit(record("%d", number))
        time.sleep(0.001)  # as long as a thread that is woken for each line needs
    handler.flush()
    assert writes == [[f"{number}\n" for number in range(20)]]


class SlowDisk:
    """Writes nothing before its gate is open."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.gate = threading.Event()
        self._is_asked = threading.Event()

    def write(self, lines: list[str]) -> None:
        self._is_asked.set()
        self.gate.wait(60)
        self.written.extend(lines)

    def handler(self) -> ThreadedHandler:
        """A handler whose thread is writing a first line and waits, so that the queue is empty."""
        made = ThreadedHandler((PLAIN, self.write))
        made.emit(record("first"))
        assert self._is_asked.wait(60)
        return made


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    monkeypatch.setattr(logs, "_FLUSH_SECONDS", 60)
    return SlowDisk()


def test_a_line_that_waits_keeps_nothing_of_the_error_alive(disk: SlowDisk) -> None:

    class Broken(Exception):
        """An exception that weak references can point to."""

    handler = disk.handler()
    error = Broken()
    kept = weakref.ref(error)
    handler.emit(logging.LogRecord("app", 40, "", 1, "x", (), (Broken, error, None)))
    del error
    assert kept() is None
    disk.gate.set()
    handler.flush()
    assert disk.written == ["first\n", f"x\n{__name__}.{Broken.__qualname__}\n"]


def test_tracebacks_are_left_out_where_too_many_wait(disk: SlowDisk) -> None:
    handler = disk.handler()
    error = ValueError("broken")
    for _ in range(150):
        info = (ValueError, error, None)
        handler.emit(logging.LogRecord("app", 40, "", 1, "failed %d", (7,), info))
    disk.gate.set()
    handler.flush()
    text = "".join(disk.written)
    assert text.count("failed 7") == 150
    assert text.count("ValueError: broken") == 100
    assert "failed 7 [traceback left out: too many at once]\n" in text


def test_a_slow_disk_costs_lines_but_no_time_and_they_are_counted(disk: SlowDisk) -> None:
    handler = disk.handler()
    for number in range(5000):
        handler.emit(record("%d", number))
    assert disk.written == [], "nobody waited for the disk"
    assert (handler.waiting, handler.dropped) == (1000, 4000)
    disk.gate.set()
    handler.flush()
    handler.emit(record("after"))
    handler.flush()
    left_out = re.findall(r"(\d+) lines were left out", "".join(disk.written))
    assert left_out == ["4000"]
    assert len(disk.written) == 1 + 1000 + 1 + 1


def test_a_full_disk_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    def full(_lines: list[str]) -> None:
        raise OSError(28, "No space left on device")

    handler = ThreadedHandler((PLAIN, full))
    for _ in range(3):
        handler.emit(record("x"))
    handler.flush()
    assert capsys.readouterr().err.count("No space left") == 1


def test_lines_that_a_full_disk_does_not_take_are_counted_and_leave_no_part(tmp_path: Path) -> None:
    path, seen = tmp_path / "x.log", list[str]()
    file = logs.to_file(RotatingFile(path, max_bytes=0, backups=0), PLAIN)
    handler = ThreadedHandler((PLAIN, seen.extend), file)
    with at_most(1000):
        for number in range(30):
            handler.emit(record("%d " + 50 * "x", number))
            handler.flush()
        full = path.read_text()
    handler.emit(record("after"))
    handler.flush()
    handler.emit(record("and on"))
    handler.flush()
    assert full == "".join(f"{number} {50 * 'x'}\n" for number in range(full.count("\n")))
    lost = 30 - full.count("\n")
    assert handler.dropped == lost > 10
    about = f"{lost} lines were left out: they could not be written\n"
    assert path.read_text() == f"{full}{about}after\nand on\n"
    assert len(seen) == 32, "the terminal has them all, and no line about the file"


def test_a_terminal_that_is_gone_costs_no_line_of_the_log(tmp_path: Path) -> None:
    def gone(_lines: list[str]) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "x.log"
    file = logs.to_file(RotatingFile(path, max_bytes=0, backups=0), PLAIN)
    handler = ThreadedHandler((PLAIN, gone), file)
    handler.emit(record("a line"))
    handler.flush()
    assert (handler.dropped, path.read_text()) == (0, "a line\n")


def test_lines_that_rotation_has_saved_are_not_counted_as_lost(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "x.log", max_bytes=100, backups=1)
    with at_most(150), pytest.raises(NotWritten, match="File too large") as caught:
        file.write(60 * b"a" + b"\n", 60 * b"b" + b"\n", 200 * b"c" + b"\n", b"d\n")
    assert caught.value.lines == 2
    assert (tmp_path / "x.log.1").read_bytes() == 60 * b"b" + b"\n"
    assert (tmp_path / "x.log").read_bytes() == b""


@contextlib.contextmanager
def at_most(size: int) -> Iterator[None]:
    """Files cannot grow above this size: the system takes a part first, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def served(folder: Path, **config: object) -> subprocess.CompletedProcess[str]:
    """Run a program that serves a shop with these settings and logs on two loggers."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SERVED.format(folder=str(folder), config=config))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SERVED = """
    import asyncio, logging
    from pathlib import Path
    logging.basicConfig()
    from tests.shop.app import create_app
    app = create_app(Path({folder!r}), "sqlite://", **{config!r})
    async def main():
        async with app.test_app():
            app.logger.info("to be seen once")
            logging.getLogger("shop.web.posts").error("an error, once")
    asyncio.run(main())
"""


@pytest.mark.slow
def test_no_line_is_doubled_by_what_the_root_logger_has(tmp_path: Path) -> None:
    result = served(tmp_path)
    assert result.returncode == 0, result.stderr
    log = (tmp_path / "logs" / "shop.log").read_text()
    for text in ("Shop startup", "to be seen once", "an error, once"):
        assert log.count(text) == 1
        assert result.stderr.count(text) == 1
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO: Shop startup \[in /", log)


@pytest.mark.slow
def test_logs_to_standard_output_instead_of_the_file(tmp_path: Path) -> None:
    result = served(tmp_path, LOG_TO_STDOUT=True)
    assert result.stdout.count("to be seen once") == 1
    assert "to be seen once" not in result.stderr
    assert not (tmp_path / "logs" / "shop.log").exists()


@pytest.mark.slow
def test_writes_no_file_under_debug(tmp_path: Path) -> None:
    result = served(tmp_path, DEBUG=True)
    assert result.stderr.count("to be seen once") == 1
    assert not (tmp_path / "logs" / "shop.log").exists()


@pytest.mark.slow
def test_several_workers_start_once(tmp_path: Path) -> None:
    for _ in range(2):
        with LiveServer({}, ("-m", "tests.shop.serve", str(tmp_path), "2"), cwd=ROOT) as server:
            server.wait_for("Running on", 2)
    assert (tmp_path / "logs" / "shop.log").read_text().count("Shop startup") == 2
