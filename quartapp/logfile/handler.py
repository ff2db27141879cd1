"""The application's log: the rotating file of the tutorial and the terminal, written in a thread.

Lines go through a bounded queue to the thread, which writes several at a time. If lines come faster
than the disk can write them, or the disk is full, some are left out and counted in the log.
"""

import atexit
import contextlib
import copy
import hashlib
import logging
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from typing import TextIO
from weakref import WeakSet

from quartapp.logfile.rotation import NotWritten, RotatingFile
from quartapp.redact.messages import message_of_record

FILE_FORMAT = "%(asctime)s %(levelname)s: %(message)s [in %(pathname)s:%(lineno)d]"
STREAM_FORMAT = "[%(asctime)s] %(levelname)s in %(name)s: %(message)s"

_QUEUE = 1000
_QUEUE_WITH_TRACEBACKS = 100
_FLUSH_SECONDS = 2.0

_REOPEN = "reopen"

_PAUSE = 0.05
"""Seconds for which lines are gathered: a thread that is woken for each line takes the interpreter
from the event loop several times per error, which costs more than the writing."""

Write = Callable[[list[str]], None]
"""Writes lines; without any it closes what it has opened, until the next ones."""
Target = tuple[logging.Formatter, Write]
Clean = Callable[[logging.LogRecord], logging.LogRecord]


def to_file(file: RotatingFile, formatter: logging.Formatter) -> Target:
    """A target that is UTF-8 whatever the locale says."""

    def write(lines: list[str]) -> None:
        if lines:
            file.write(*(line.encode("utf-8", "backslashreplace") for line in lines))
        else:
            file.close()

    return formatter, write


def to_stream(stream: TextIO, formatter: logging.Formatter) -> Target:
    def write(lines: list[str]) -> None:
        if not lines:
            return
        encoding = stream.encoding or "utf-8"
        stream.write("".join(lines).encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()

    return formatter, write


class ThreadedHandler(logging.Handler):
    """Formats at once, and writes in a thread, which starts with the first record.

    `emit` never blocks. It formats what `clean` makes of the record, so a later change of the
    record has no effect. At most 1000 lines wait; while more than 100 do, tracebacks are left out.
    Lines that were left out are counted in the log and in `dropped`, and so are those that a target
    did not take: in that target, and in `dropped` if it is the last one, which is the log itself.
    Lines that wait (50 ms, if the disk is fast enough) when the process ends normally are written;
    `kill -9` loses them.
    """

    def __init__(self, *targets: Target, clean: Clean = lambda record: record) -> None:
        super().__init__()
        self._targets = targets
        self._clean = clean
        self._begin()
        _handlers.add(self)

    def _begin(self) -> None:
        self._queue: queue.SimpleQueue[list[str] | threading.Event | str | None]
        self._queue = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.dropped = self._left_out = 0
        self._not_taken = [0] * len(self._targets)
        self._has_complained = False

    def emit(self, record: logging.LogRecord) -> None:
        waiting = self._queue.qsize()
        if waiting >= _QUEUE:
            self._left_out += 1
            self.dropped += 1
            return
        if record.exc_info and waiting >= _QUEUE_WITH_TRACEBACKS:
            record = _without_traceback(record)
        try:
            self._queue.put(self._formatted(self._clean(record)))
        except Exception as error:  # noqa: BLE001 - logging never raises
            self._complain(error)
        if self._thread is None:
            self._start()

    def write(self, line: str) -> None:
        """Write a line that is no record, to each target as it is. Never blocks."""
        if self._queue.qsize() >= _QUEUE:
            self._left_out += 1
            self.dropped += 1
            return
        self._queue.put([line + "\n"] * len(self._targets))
        if self._thread is None:
            self._start()

    def reopen(self) -> None:
        """Have the thread close its files after the lines that wait; the next ones open them by
        their names. May be called in a signal handler."""
        if self._thread is not None:
            self._queue.put(_REOPEN)  # an Event has a lock, which this thread may hold

    @property
    def waiting(self) -> int:
        """The number of lines that wait to be written."""
        return self._queue.qsize()

    def _formatted(self, record: logging.LogRecord) -> list[str]:
        """The record's line for each target."""
        return [formatter.format(record) + "\n" for formatter, _ in self._targets]

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            items = [self._queue.get()]
            self._hurry.wait(_PAUSE)
            self._hurry.clear()
            while not self._queue.empty():
                items.append(self._queue.get())
            lines = [item for item in items if isinstance(item, list)]
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                lines.insert(0, self._formatted(_line_about(left_out, _TOO_FAST)))
            self._write(lines)
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            if None in items or _REOPEN in items:
                for number in range(len(self._targets)):
                    self._try(number, [])
            if None in items:
                return

    def _write(self, lines: list[list[str]]) -> None:
        for number, column in enumerate(zip(*lines, strict=True)):
            self._try(number, list(column))

    def _try(self, number: int, lines: list[str]) -> None:
        formatter, write = self._targets[number]
        not_taken = self._not_taken[number] if lines else 0
        about = [formatter.format(_line_about(not_taken, _NOT_TAKEN)) + "\n"] if not_taken else []
        try:
            write(about + lines)
        except Exception as error:  # noqa: BLE001 - the log must outlive a full disk
            count = error.lines if isinstance(error, NotWritten) else len(about + lines)
            lost = min(count, len(lines))
            self._not_taken[number] += lost if count > len(lines) else lost - not_taken
            if number == len(self._targets) - 1:
                self.dropped += lost
            self._complain(error)
        else:
            self._not_taken[number] -= not_taken

    def _complain(self, error: Exception) -> None:
        if not self._has_complained and sys.stderr is not None:
            self._has_complained = True
            print(f"quartapp: the log cannot be written: {error}", file=sys.stderr)  # noqa: T201

    def flush(self) -> None:
        """Wait until everything logged so far is written, at most two seconds."""
        thread = self._thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            written = threading.Event()
            self._queue.put(written)
            self._hurry.set()
            written.wait(_FLUSH_SECONDS)

    def close(self) -> None:
        """Write what waits, for at most two seconds, and end the thread. A later record starts it
        again."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None and thread.is_alive():
                self._queue.put(None)
                self._hurry.set()
                thread.join(_FLUSH_SECONDS)
        super().close()


_handlers: WeakSet[ThreadedHandler] = WeakSet()


def _after_fork() -> None:
    for handler in list(_handlers):
        handler._begin()


def _flush_all() -> None:
    for handler in list(_handlers):
        handler.flush()


def reopen_files(*_: object) -> None:
    """Have all handlers of this process open their files again. May be a signal handler."""
    for _attempt in range(3):
        with contextlib.suppress(RuntimeError):  # a handler was made or deleted meanwhile
            for handler in list(_handlers):
                handler.reopen()
            return


def reopen_at_signal() -> None:
    """Call `reopen_files` at SIGUSR1 from now on, which would end the process otherwise.

    Does nothing if somebody else handles the signal, and outside of the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGUSR1) in {signal.SIG_DFL, signal.SIG_IGN}:
        signal.signal(signal.SIGUSR1, reopen_files)


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_flush_all)


def _without_traceback(record: logging.LogRecord) -> logging.LogRecord:
    record = copy.copy(record)
    record.msg = f"{message_of_record(record)} [traceback left out: too many at once]"
    record.args, record.exc_info = None, None
    return record


_TOO_FAST = "they came faster than they could be written"
_NOT_TAKEN = "they could not be written"


def _line_about(left_out: int, why: str) -> logging.LogRecord:
    message = "%d lines were left out: %s"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (left_out, why), None)


def attach(logger: logging.Logger, handler: ThreadedHandler | None, *, alone: bool) -> None:
    """Make `handler` the only one of its kind on a logger.

    With `alone`, records do not reach the root logger, whose handlers would print lines again.
    """
    for other in logger.handlers[:]:
        if isinstance(other, ThreadedHandler):
            logger.removeHandler(other)
            other.close()
    if handler is not None:
        logger.addHandler(handler)
    logger.propagate = not alone


def is_first_worker(file: RotatingFile) -> bool:
    """Whether this is the first process that asks since the server was started.

    Workers of one server share the key that multiprocessing made for their parent; a process
    without such a parent is a separate server.
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
