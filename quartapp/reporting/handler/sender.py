"""The thread in which a handler counts and mails, and its event loop."""

import _thread
import asyncio
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar
from weakref import WeakSet

T = TypeVar("T")

_CLOSING = 0.01
_LAST = -1000
"""After what others do at the end of a process, which may log."""

_GATHERING = 0.02
"""Seconds between the first new record and its round: the code that logs goes on meanwhile."""


class _AtWork(threading.local):
    """Whether this thread runs code of a handler: what that logs must not make it work again.

    Nothing of it awaits, so it needs no context variable. One could not be used: before Python 3.12
    a collection may begin within `ContextVar.set`, and if a destructor then logs, and sets it too,
    the interpreter crashes.
    """

    value = False


at_work = _AtWork()


loading = threading.Lock()
"""Held while a handler's thread imports or makes mails: a fork waits for it, or the child had half
of a module."""

_LONGEST_IMPORT = 5.0
"""Seconds after which a process forks nevertheless."""


class Work(Protocol):
    """One round of counting and mailing. Never raises.

    With `hurry` everything is mailed that can be mailed now; with `last` what is open is closed.
    Returns the seconds after which there is more to do, or None.
    """

    def __call__(self, *, hurry: bool, last: bool) -> float | None: ...


class _Request:
    def __init__(self, *, last: bool) -> None:
        self.last = last
        self.done: SimpleQueue[None] = SimpleQueue()


class Sender:
    """A daemon thread, started by the first `wake`, that ends with `flush(last=True)`.

    `wake` never waits, and may be called in a signal handler: nothing here takes a lock that the
    interrupted code may hold. A forked child starts a thread when it needs one.
    """

    def __init__(self, work: Work, renew: Callable[[], None]) -> None:
        self._work = work
        self._renew = renew
        self._begin()
        _senders.add(self)

    def _begin(self) -> None:
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._is_awake = False
        self._starting = threading.Lock()
        self._thread: int | None = None

    def wake(self) -> None:
        """Have a round soon."""
        if not self._is_awake:
            self._is_awake = True
            self._requests.put(None)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float, *, last: bool = False) -> bool:
        """Have a round in which all is mailed, and wait for its end; False if that is too late.

        Where no thread can be started (Python 3.12 refuses that at exit), the round is made here.
        """
        if at_work.value:
            return True
        if not self._start():
            at_work.value = True
            try:
                self._work(hurry=True, last=last)
            finally:
                at_work.value = False
            return True
        request = _Request(last=last)
        self._requests.put(request)
        try:
            request.done.get(timeout=max(timeout, 0.0))
        except Empty:
            return False
        return True

    def _start(self) -> bool:
        """Have a thread; False if none can be started."""
        if not self._starting.acquire(blocking=False):
            return True  # another thread does it, or the code that a signal handler interrupted
        try:
            if self._thread is None:
                # Not `Thread`, whose `start` waits until the new thread has run.
                self._thread = _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no more threads, or the interpreter exits
            return False
        finally:
            self._starting.release()
        return True

    def _run(self) -> None:
        at_work.value = True
        requests = self._requests
        wait: float | None = None
        while True:
            request = _next(requests, wait)
            if request is None and self._is_awake:
                request = _next(requests, _GATHERING)
            self._is_awake = False
            last = request is not None and request.last
            wait = self._work(hurry=request is not None, last=last)
            if request is not None:
                ends = last and requests.empty()
                if ends:
                    self._thread = None
                request.done.put(None)
                if ends:
                    return

    def _after_fork(self) -> None:
        self._begin()
        self._renew()


def _next(requests: SimpleQueue[_Request | None], seconds: float | None) -> _Request | None:
    """The next request; None if it is only to wake up, or if none comes in this time."""
    try:
        return requests.get(timeout=seconds)
    except Empty:
        return None


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that has its thread for itself, so that it may block: names are looked up in
    it. The threads of an executor could not be started, and would be waited for, at exit."""

    def run_in_executor(  # type: ignore[override]
        self, _executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - for the one who awaits it
            future.set_exception(error)
        return future


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a loop of its own, whatever the program's loops are."""
    with asyncio.Runner(loop_factory=_Loop, debug=False) as runner:
        return runner.run(_with_its_ends(coroutine))


async def _with_its_ends(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        return await coroutine
    finally:
        await asyncio.sleep(_CLOSING)  # connections that were closed end in the loop's next rounds


def at_end_of_child(end: Callable[[], None]) -> None:
    """In a child of `multiprocessing`, have this called when it ends.

    Such a child that was forked calls no function of `atexit`, and so not `logging.shutdown`.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, end, exitpriority=_LAST)


_senders: WeakSet[Sender] = WeakSet()
_waited = False


def _before_fork() -> None:
    global _waited
    _waited = loading.acquire(timeout=_LONGEST_IMPORT)


def _after_fork_in_parent() -> None:
    if _waited:
        loading.release()


def _after_fork() -> None:
    global loading
    loading = threading.Lock()
    at_work.value = False
    for sender in list(_senders):
        sender._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork
    )
