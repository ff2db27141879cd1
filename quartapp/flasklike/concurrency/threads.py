"""Synchronous functions and iterators of an application, run in threads.

`asyncio`'s executor loses three things on which an application relies: a StopIteration leaves the
awaiting task hanging, `sys.exc_info()` is empty in an error handler, and a cancelled await ends
while its thread still runs. `in_thread` loses none of them.

The functions that the task of a request runs share one thread, which is borrowed for the first of
them and given back at the end of the request (`ThreadOwner`). Task and thread alternate, like one
stack: where a function waits (`awaiting.wait`), the task awaits for it, and the functions that the
task runs meanwhile run in the same thread, on top of the one that waits::

    the task                        its thread
    await in_thread(view)()  ---->  view() ... wait(coroutine)
    await coroutine          <----
      await in_thread(f)()   ---->    f() ... return
                             <----
                             ---->  ... return
                             <----

So neither waits for the other in vain, and both use the same contextvars, one at a time. Other
tasks, such as the members of a TaskGroup, borrow a thread for each function.
"""

import asyncio
import inspect
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextvars import Context
from functools import partial, wraps
from itertools import count
from queue import SimpleQueue
from typing import Any, NoReturn, ParamSpec, TypeVar, cast

from greenlet import getcurrent

from quartapp.flasklike._upstream import cv_app
from quartapp.flasklike.concurrency.awaiting import (
    can_wait,
    driven,
    drop,
    local,
    wait,
    without_loop,
)
from quartapp.flasklike.concurrency.blocks import OwnLoop
from quartapp.flasklike.concurrency.turns import RELEASED, Turns, Wait, current_turns

P = ParamSpec("P")
T = TypeVar("T")

Outcome = tuple[Any, BaseException | None]  # a result, or the error instead

MOST_AT_ONCE = 40
"""The default of SYNC_THREADS: how many functions run at the same time."""

_MOST_IDLE = 64
"""Threads without a task that are kept. Starting one costs several times as much as a call."""

_END: Any = object()
_RESUME: Any = object()


def in_thread(
    func: Callable[P, T], discard: Callable[[T], object] | None = None
) -> Callable[P, Awaitable[T]]:
    """Make *func* awaitable: it runs in the thread of the task, with its contextvars.

    The exception that is being handled where the call is awaited is also the active one inside
    *func*, so a bare ``raise``, ``sys.exc_info()`` and ``logger.exception`` work in error handlers.
    A StopIteration arrives as RuntimeError, as from any coroutine. A generator is returned as an
    asynchronous iterator.

    When the awaiting task is cancelled, the cancellation is delivered after *func* has ended: what
    runs next (teardown functions) never runs at the same time. Where *func* waits for an awaitable,
    it gets the CancelledError. A result is lost then, so *discard* is called with it, in the
    thread, to close what *func* opened. An error of *func*, or of *discard*, becomes the
    ``__cause__`` of the CancelledError. Only an application that stops does not wait for *func*
    until it ends; see `Stopping.note_cancelled_wait`.
    """

    @wraps(func)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        result = await _run(sys.exc_info()[1], lambda: func(*args, **kwargs), discard)
        if inspect.isgenerator(result):
            return iterate_in_thread(result)  # type: ignore[return-value]  # as Quart's run_sync
        return result

    call._quart_async_wrapper = True  # type: ignore[attr-defined]  # Quart's mark of such wrappers
    return call


async def iterate_in_thread(iterable: Iterator[T]) -> AsyncIterator[T]:
    """Iterate in the thread of the task.

    When the loop over it ends, a generator is closed, in the thread.
    """
    try:
        while (item := await _run(None, lambda: next(iterable, _END))) is not _END:
            yield item
    finally:
        close = getattr(iterable, "close", None)
        if close is not None:
            await _run(None, close)


def also_sync(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """*function*, for synchronous code as well: where that can wait, it returns the result itself.

    The type is that for asynchronous code; `quartapp.flasklike.sync` has the other.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Any:
        coroutine = function(*args, **kwargs)
        return wait(coroutine) if can_wait() else coroutine

    return call


ALSO_SYNC = also_sync(asyncio.sleep).__code__
"""The code of what `also_sync` makes; it keeps the coroutine function as ``__wrapped__``."""


class ThreadOwner:
    """What keeps the thread of a task: its connection, or the context that it has entered."""

    app: Any
    thread: "Thread | None" = None
    stays: bool = False  # functions run in the event loop's thread, if none has run in another

    def own_thread_of(self, task: asyncio.Task[Any]) -> None:
        """From now on the functions that *task* runs share a thread, until `give_back_thread`."""
        _owners[task] = self

    def give_back_thread(self, task: asyncio.Task[Any]) -> None:
        """Note that the last function of *task* has ended."""
        _owners.pop(task, None)
        if self.thread is not None:
            self.thread.give_back()
            self.thread = None


_owners: dict[asyncio.Task[Any], ThreadOwner] = {}


def has_thread_owner(task: asyncio.Task[Any]) -> bool:
    """Whether the functions of *task* share a thread already."""
    return task in _owners


async def _run(
    active: BaseException | None,
    func: Callable[[], T],
    discard: Callable[[T], object] | None = None,
) -> T:
    if isinstance(local.bridge, OwnLoop):
        return await driven(without_loop, func)
    task = asyncio.current_task()
    owner = None if task is None else _owners.get(task)
    if owner is None:
        thread = await _borrow(cv_app.get(None))
        try:
            return await thread.call(active, func, discard)
        finally:
            thread.give_back()
    if (held := owner.thread) is not None:
        await held.take_turn()
        return await held.call(active, func, discard)
    if owner.stays:
        return await driven(func)
    owner.thread = thread = await _borrow(owner)
    return await thread.call(active, func, discard)


async def _borrow(holder: Any) -> "Thread":
    app = None if holder is None else holder.app
    most = MOST_AT_ONCE if app is None else app.config.get("SYNC_THREADS", MOST_AT_ONCE)
    turns = current_turns()
    if not turns.take(most):
        await turns.wait(holds_thread=False)
    try:
        thread = _idle.pop() if _idle else Thread()
    except BaseException:  # the system allows no more threads
        turns.give_back()
        raise
    thread.serve(app, most, turns)
    return thread


_idle: "list[Thread]" = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # a child has no threads
_numbers = count(1)


class Thread(threading.Thread):
    """Runs the functions of one task at a time.

    It is a daemon, so a function that never ends does not keep the process alive.
    """

    _app: Any
    _most: int
    _turns: Turns
    _reply: Wait  # what the task waits for while the function on top runs; only the thread uses it

    def __init__(self) -> None:
        super().__init__(name=f"sync-{next(_numbers)}", daemon=True)
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._lost = False
        self.start()

    # In the thread:

    def run(self) -> None:
        """Run functions until there is no further use for it."""
        local.bridge = self
        while not self._lost and (work := self._inbox.get()) is not None:
            self._execute(*work)
            getcurrent().gr_context = None
            del work, self._reply  # an idle thread keeps nothing alive

    def _execute(
        self,
        reply: Wait,
        context: Context,
        active: BaseException | None,
        func: Callable[[], object],
    ) -> None:
        getcurrent().gr_context = context
        self._reply = reply
        outcome = _outcome_of(active, func)
        del active, func
        try:
            self._tell(True, *outcome)
        except RuntimeError:  # the loop is closed, so nobody waits
            self._lost = True

    def _tell(self, done: bool, value: Any, error: BaseException | None) -> None:
        message = done, value, error
        self._turns.loop.call_soon_threadsafe(self._deliver, self._reply, message)

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Let the task await *awaitable*; returns or raises what results.

        Raises CancelledError if the task has ended before its function.
        """
        try:
            if self._lost:
                raise _ended()
            self._tell(False, awaitable, None)
        except BaseException:
            drop(awaitable)
            raise
        while True:
            work = self._next_work()
            if work[0] is not _RESUME:
                self._execute(*work)
                del work
                continue
            _, self._reply, value, error = work
            del work
            if error is None:
                return cast(T, value)
            try:
                _raise(error)
            finally:
                del error

    def _next_work(self) -> Any:
        work = None if self._lost else self._inbox.get()
        if work is None:
            raise _ended()
        return work

    # In the loop:

    def serve(self, app: Any, most: int, turns: Turns) -> None:
        """Serve a task of *app*, for which a turn was taken."""
        self._app, self._most, self._turns = app, most, turns

    def give_back(self) -> None:
        """Let another task have this thread."""
        self._app = None
        if self._lost:
            return
        if len(_idle) < _MOST_IDLE:
            _idle.append(self)
        else:
            self._inbox.put(None)

    async def take_turn(self) -> None:
        """Return when it is the turn of another function of the task."""
        if not self._turns.take(self._most):
            await self._turns.wait(holds_thread=True)

    async def call(
        self,
        active: BaseException | None,
        func: Callable[[], T],
        discard: Callable[[T], object] | None = None,
    ) -> T:
        """Run *func* in the turn that was taken, while *active* is handled; see `in_thread`."""
        value, error, cancelled = await self._call(active, func)
        del active
        if cancelled is not None:
            if value is not None and discard is not None:
                error = await self._discard(partial(discard, value))
            try:
                raise cancelled from error
            finally:
                del cancelled, error  # the traceback refers to this frame
        if error is not None:
            try:
                _raise(error)
            finally:
                del error  # its traceback refers to this frame
        return cast(T, value)

    async def _discard(self, func: Callable[[], object]) -> BaseException | None:
        if not self._turns.take(self._most):
            message, _ = await self._turns.wait_to_go_on(Wait(self._app))
            if message is RELEASED:
                return None
        _, error, _ = await self._call(None, func)
        return error

    async def _call(
        self, active: BaseException | None, func: Callable[[], object]
    ) -> tuple[Any, BaseException | None, asyncio.CancelledError | None]:
        """Run *func*, then return its outcome, and the cancellation that came while it ran."""
        has_turn = True
        try:
            if self._lost:
                await _cancel_again()
            reply = Wait(self._app)
            self._inbox.put((reply, getcurrent().gr_context, active, func))
            del active
            while True:
                message, cancelled = await reply.outcome()
                if message is RELEASED:
                    raise _ended() if cancelled is None else cancelled
                done, value, error = message
                del message
                if done:
                    return value, error, cancelled
                has_turn = False
                self._turns.give_back()
                value, error = await _awaited(value, cancelled)
                if not self._turns.take(self._most):
                    message, cancelled = await self._turns.wait_to_go_on(Wait(self._app))
                    if message is RELEASED:
                        raise _ended() if cancelled is None else cancelled
                    if cancelled is not None:
                        value, error = None, cancelled
                has_turn = True
                reply = Wait(self._app)
                self._inbox.put((_RESUME, reply, value, error))
                del value, error, cancelled
        except BaseException:  # nobody will know when the function has ended
            self._lost = True
            self._inbox.put(None)
            raise
        finally:
            if has_turn:
                self._turns.give_back()

    def _deliver(self, reply: Wait, message: tuple[bool, Any, BaseException | None]) -> None:
        if self._lost or reply.done():
            drop(message[1])
        else:
            reply.set_result(message)


async def _awaited(awaitable: Any, cancelled: asyncio.CancelledError | None) -> Outcome:
    """The outcome of *awaitable* in this task; if that was cancelled before, the cancellation."""
    if cancelled is not None:
        drop(awaitable)
        return None, cancelled
    try:
        return await awaitable, None
    except GeneratorExit:
        raise
    except BaseException as error:  # it is raised where the function waits
        return None, error


def _outcome_of(active: BaseException | None, func: Callable[[], object]) -> Outcome:
    try:
        if active is None:
            return func(), None
        traceback = active.__traceback__
        try:
            raise active
        except BaseException:
            active.with_traceback(traceback)  # without this frame; an exception may be frozen
            return func(), None
    except BaseException as error:  # it is raised again where the call is awaited
        return None, error


async def _cancel_again() -> None:
    """Raise the CancelledError of a task that has no thread for its functions any more.

    The application may have withdrawn the cancellation to answer, but cannot go on.
    """
    task = asyncio.current_task()
    if task is not None:
        task.cancel()
    await asyncio.sleep(0)


def _raise(error: BaseException) -> NoReturn:
    """Raise *error* with the context that it has, which is not what is being handled here."""
    raised_while_handling = error.__context__
    try:
        raise error
    finally:
        BaseException.__setattr__(error, "__context__", raised_while_handling)
        del error


def _ended() -> asyncio.CancelledError:
    return asyncio.CancelledError("the task has ended before the function in its thread")
