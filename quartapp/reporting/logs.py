"""The application's log: the rotating file of the tutorial, and the terminal; off the loop.

Errors do not depend on it: they are in the journal. What is logged goes through a bounded queue to
a thread, which formats and writes; where lines come faster than the disk takes them, their number
is written instead.
"""

import atexit
import copy
import hashlib
import logging
import multiprocessing
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO
from weakref import WeakSet

from quartapp.reporting.formatter import remember
from quartapp.reporting.report import Context
from quartapp.reporting.rotation import RotatingFile
from quartapp.reporting.wording import message_of_record

FILE_FORMAT = "%(asctime)s %(levelname)s: %(message)s [in %(pathname)s:%(lineno)d]"
STREAM_FORMAT = "[%(asctime)s] %(levelname)s in %(module)s: %(message)s"
STARTUP = "Microblog startup"

_QUEUE = 1000
_QUEUE_WITH_TRACEBACKS = 100
_FLUSH_SECONDS = 2.0

Write = Callable[[str], None]
Target = tuple[logging.Formatter, Write]


def to_file(file: RotatingFile, formatter: logging.Formatter) -> Target:
    """A target that is UTF-8 whatever the locale says."""
    return formatter, lambda line: file.write(line.encode("utf-8", "backslashreplace"))


def to_stream(stream: TextIO, formatter: logging.Formatter) -> Target:
    def write(line: str) -> None:
        encoding = stream.encoding or "utf-8"
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()

    return formatter, write


class ThreadedHandler(logging.Handler):
    """Formats and writes in a thread of its own, which begins with the first record.

    `emit` takes microseconds and never blocks. At most 1000 records wait, at most 100 of them with
    a traceback, which keeps its frames alive; what is left out is counted in the log. Lines that
    wait when the process ends normally are written; `kill -9` loses them. `describe` is asked for
    the request whose secrets are not to be written.
    """

    def __init__(self, *targets: Target, describe: Callable[[], Context] = Context) -> None:
        super().__init__()
        self._targets = targets
        self._describe = describe
        self._begin()
        _handlers.add(self)

    def _begin(self) -> None:
        self._queue: queue.SimpleQueue[logging.LogRecord | threading.Event] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._left_out = 0
        self._has_complained = False

    def emit(self, record: logging.LogRecord) -> None:
        waiting = self._queue.qsize()
        if waiting >= _QUEUE:
            self._left_out += 1
            return
        record = copy.copy(record)
        # The arguments may change before the thread comes to them, and the request will be gone.
        record.msg, record.args = message_of_record(record), None
        if record.exc_info:
            remember(record, self._describe())
        if record.exc_info and waiting >= _QUEUE_WITH_TRACEBACKS:
            record.msg += " [traceback left out: too many at once]"
            record.exc_info = None
        self._queue.put(record)
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                self._write(_line_about(left_out))
            self._write(item)

    def _write(self, record: logging.LogRecord) -> None:
        for formatter, write in self._targets:
            try:
                write(formatter.format(record) + "\n")
            except Exception as error:  # noqa: BLE001 - the log must outlive a full disk
                self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._has_complained and sys.stderr is not None:
            self._has_complained = True
            print(f"quartapp: the log cannot be written: {error}", file=sys.stderr)  # noqa: T201

    def flush(self) -> None:
        """Wait until everything logged so far is written, two seconds at the most."""
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            written = threading.Event()
            self._queue.put(written)
            written.wait(_FLUSH_SECONDS)


_handlers: WeakSet[ThreadedHandler] = WeakSet()


def _after_fork() -> None:
    for handler in list(_handlers):
        handler._begin()


def _flush_all() -> None:
    for handler in list(_handlers):
        handler.flush()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_flush_all)


def _line_about(left_out: int) -> logging.LogRecord:
    message = "%d lines were left out: they came faster than they could be written"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (left_out,), None)


def attach(logger: logging.Logger, handler: ThreadedHandler | None, *, alone: bool) -> None:
    """Make `handler` the only one of its kind on a logger.

    With `alone`, nothing goes on to the root logger, so whatever is attached there prints no line
    a second time.
    """
    for other in logger.handlers[:]:
        if isinstance(other, ThreadedHandler):
            other.flush()
            logger.removeHandler(other)
    if handler is not None:
        logger.addHandler(handler)
    logger.propagate = not alone


def is_first_worker(file: RotatingFile) -> bool:
    """Whether this is the first process of this server start to ask.

    Workers of one server share the key that multiprocessing made for their parent; a process
    without such a parent is a server of its own.
    """
    if multiprocessing.parent_process() is None:
        return True
    start = hashlib.blake2b(multiprocessing.current_process().authkey, digest_size=16).hexdigest()
    try:
        with file.locked() as path:
            if path.read_text() == start:
                return False
            path.write_text(start)
    except OSError:
        return True
    return True


def log_path(folder: Path) -> Path:
    return folder / "microblog.log"
