"""Threads, file descriptors, database connections and tasks that are there after a test.

`Origins` notes where they were created, by an audit hook of Python and, for what has no audit
event, in place of `Thread.start` and of the event loop's task factory.
"""

import asyncio
import gc
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

from quartapp.testing.strictness.places import Place, place

GRACE = 0.25
"""Seconds that something may take to end which has been told to: only then the test is delayed."""

_DESCRIPTORS = "/proc/self/fd"


class Origins:
    """Where the tasks, threads, sockets, files and connections of this process were created."""

    def __init__(self) -> None:
        self.is_active = False
        self.threads: WeakKeyDictionary[threading.Thread, Place | None] = WeakKeyDictionary()
        self.tasks: WeakKeyDictionary[asyncio.Future[Any], Place | None] = WeakKeyDictionary()
        self.sockets: WeakKeyDictionary[socket.socket, Place | None] = WeakKeyDictionary()
        self.checkouts: dict[int, tuple[Any, Place | None]] = {}
        self.paths: dict[str, Place | None] = {}
        self.databases: set[str] = set()
        self.logs: set[str] = set()
        self._listens = False
        self._hook()

    def begin(self) -> None:
        """Forget what was before this test, and note what is created from now on."""
        self.paths.clear()
        self.databases.clear()
        self.is_active = True
        if not self._listens and "sqlalchemy.pool" in sys.modules:
            self._listens = True
            self._listen()

    def _hook(self) -> None:
        start = threading.Thread.start

        def started(thread: threading.Thread) -> None:
            if self.is_active:
                self.threads[thread] = place(sys._getframe(1))
            start(thread)

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if not self.is_active:
                return
            if event == "open" or event == "sqlite3.connect":
                with suppress(TypeError, ValueError):
                    path = os.fsdecode(arguments[0])
                    origin = self.paths[path] = place(sys._getframe(1))
                    if origin is not None and "/quartapp/logfile/" in origin.code.co_filename:
                        self.logs.add(os.path.realpath(path))
                    if event == "sqlite3.connect":
                        self.databases.add(path)
            elif event == "socket.__new__":
                with suppress(TypeError):
                    self.sockets[arguments[0]] = place(sys._getframe(1))

        threading.Thread.start = started  # type: ignore[method-assign, assignment]
        sys.addaudithook(audit)

    def _listen(self) -> None:
        from sqlalchemy import event
        from sqlalchemy.pool import Pool

        @event.listens_for(Pool, "checkout")
        def checkout(_connection: Any, record: Any, _fairy: Any) -> None:
            if self.is_active:
                self.checkouts[id(record)] = record, place(sys._getframe(1))

        @event.listens_for(Pool, "checkin")
        def checkin(_connection: Any, record: Any) -> None:
            self.checkouts.pop(id(record), None)

        @event.listens_for(Pool, "invalidate")
        def invalidate(_connection: Any, record: Any, _error: Any) -> None:
            self.checkouts.pop(id(record), None)

    @contextmanager
    def of_tasks(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """Note where the tasks of a loop are created."""
        before = loop.get_task_factory()

        def create(loop: Any, coroutine: Any, **options: Any) -> Any:
            make: Any = before or _make_task
            task = make(loop, coroutine, **options)
            self.tasks[task] = place(sys._getframe(1))
            return task

        loop.set_task_factory(create)
        try:
            yield
        finally:
            loop.set_task_factory(before)


def _make_task(loop: Any, coroutine: Any, **options: Any) -> Any:
    return asyncio.Task(coroutine, loop=loop, **options)


class Held:
    """The threads, descriptors and connections that a process has at one moment."""

    def __init__(self) -> None:
        self.threads = set(threading.enumerate())
        self.descriptors = descriptors()

    def keep(self, before: "Held", origins: Origins) -> None:
        """Add what came since `before`: it belongs to a fixture that outlives the test."""
        now = Held()
        self.threads |= now.threads - before.threads
        self.descriptors |= now.descriptors - before.descriptors
        origins.checkouts.clear()


def descriptors() -> set[str]:
    """The numbers of the open file descriptors; empty where the system does not list them."""
    try:
        found = set(os.listdir(_DESCRIPTORS))
        listing = os.open(os.devnull, os.O_RDONLY)  # it gets the number that the listing had
    except OSError:
        return set()
    os.close(listing)
    return found - {str(listing)}


def leaked_threads(held: Held, origins: Origins) -> list[str]:
    """A sentence for each thread that has been started since and that still runs."""

    def left() -> list[threading.Thread]:
        # Those of the event loop's executor end with it, those of flasklike when they are idle. A
        # dummy stands for a thread that `threading` has not started, also after that has ended.
        return [
            thread
            for thread in threading.enumerate()
            if thread not in held.threads
            and not isinstance(thread, threading._DummyThread)
            and not thread.name.startswith(("asyncio_", "quartapp-", "sync-"))
            and not (thread.name == "log" and _log_handlers(_LOGFILE))
        ]

    if not left() or not _still(left):
        return []
    return [
        f"the thread {thread.name!r} still runs{_started(origins.threads.get(thread))}. Join it, "
        "or shut its executor down."
        for thread in left()
    ]


def _is_of_the_log(path: str, origins: Origins) -> bool:
    """Whether a handler that is attached to a logger writes to a file: it is the process's."""
    files = {getattr(handler, "baseFilename", "") for handler in _log_handlers()}
    if path in map(os.path.realpath, files):
        return True
    return path in origins.logs and bool(_log_handlers(_LOGFILE))


_LOGFILE = "quartapp.logfile"


def _log_handlers(package: str = "") -> list[logging.Handler]:
    """The handlers that are attached to a logger, of classes in a package."""
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    handlers = [one for logger in loggers for one in getattr(logger, "handlers", ())]
    return [one for one in handlers if type(one).__module__.startswith(package)]


def leaked_descriptors(held: Held, origins: Origins) -> list[tuple[str, str]]:
    """The kind, "files" or "connections", and a sentence for each descriptor that is still open."""

    def left() -> list[tuple[str, str]]:
        found = []
        for number in descriptors() - held.descriptors:
            with suppress(OSError):  # it has just been closed
                target = os.readlink(f"{_DESCRIPTORS}/{number}")
                # An event loop's own are closed with it. The newest application's journal stays
                # open, for errors at the exit, and so do the log files of the process.
                kept = target.startswith("anon_inode:") or target.removesuffix(
                    " (deleted)"
                ).endswith(".journal")
                if not kept and not _is_of_the_log(target, origins):
                    found.append((number, target))
        return found

    if not left() or not _still(left):
        return []
    described = (_describe(number, target, origins) for number, target in sorted(left()))
    return list(dict.fromkeys(described))


def leaked_connections(origins: Origins) -> list[str]:
    """A sentence for each connection that was taken from a pool and not returned."""
    left = [
        (record, origin)
        for record, origin in origins.checkouts.values()
        if record.dbapi_connection is not None and record.fairy_ref is not None
    ]
    origins.checkouts.clear()
    return [
        f"a database connection was not returned to its pool{_taken(origin)}. Close its session: "
        "`async with ... as session`."
        for _, origin in left
    ]


async def leaked_tasks(before: set[Any], origins: Origins) -> list[str]:
    """A sentence for each task of the running loop that has not ended."""
    current = asyncio.current_task()
    left = {
        task
        for task in asyncio.all_tasks() - before
        # That of anyio's plugin waits for the end of the fixture in which this runs.
        if task is not current and _name(task) != "TestRunner._call_in_runner_task"
    }
    if left:
        await asyncio.wait(left, timeout=GRACE)
    return [
        f"the task {task.get_name()!r} of {_name(task)} still runs"
        f"{_created(origins.tasks.get(task))}. Await it, or cancel and await it."
        for task in left
        if not task.done()
    ]


def _name(task: Any) -> str:
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", repr(coroutine))


def _still(left: Callable[[], object]) -> bool:
    gc.collect()  # what is garbage is no leak
    end = time.monotonic() + GRACE
    while left():
        if time.monotonic() > end:
            return True
        time.sleep(0.01)
    return False


def _describe(number: str, target: str, origins: Origins) -> tuple[str, str]:
    if target.startswith("socket:"):
        for each, origin in list(origins.sockets.items()):
            with suppress(OSError):
                if each.fileno() == int(number):
                    return (
                        "connections",
                        f"a socket{_ends(each)} is still open{_created(origin)}. Close it.",
                    )
        return "connections", "a socket is still open. Close it, or what holds it."
    for suffix in ("-wal", "-shm"):
        target = target.removesuffix(suffix)
    origin, database = _opened(target, origins)
    if database:
        return "connections", f"a connection to {target} is still open{_created(origin)}. Close it."
    return (
        "files",
        f"the file {target} is still open{_created(origin)}. Close it: `with open(...)`.",
    )


def _ends(each: socket.socket) -> str:
    for name, words in ((each.getpeername, "to"), (each.getsockname, "at")):
        with suppress(OSError):
            address = name()
            if isinstance(address, tuple):
                return f" {words} {address[0]}:{address[1]}"
    return ""


def _opened(target: str, origins: Origins) -> tuple[Place | None, bool]:
    for path, origin in origins.paths.items():
        if os.path.realpath(path) == target:
            return origin, path in origins.databases
    return None, False


def _created(origin: Place | None) -> str:
    return f", created at {origin}" if origin else ""


def _started(origin: Place | None) -> str:
    return f", started at {origin}" if origin else ""


def _taken(origin: Place | None) -> str:
    return f", taken at {origin}" if origin else ""
