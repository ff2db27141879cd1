"""Awaiting from synchronous code: a template, or a function in the thread of a request.

A coroutine that awaits `driven` calls a synchronous function in the same task. The function may
call `wait`, which hands an awaitable to the coroutine, and returns when the coroutine has awaited
it. The function runs in a greenlet, which has a stack that can be left and entered again::

    the task                      the greenlet
    await driven(render)   ---->  render() ... wait(value)
    await value            <----
                           ---->  ... return text
    text                   <----

Task, thread and contextvars are those of the coroutine. In another thread, which `local.bridge`
connects with a task, `wait` works too.
"""

import sys
import threading
from asyncio import AbstractEventLoop, iscoroutine
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from typing import Any, Protocol, TypeVar, TypeVarTuple, cast

from greenlet import GreenletExit, getcurrent, greenlet

from quartapp.flasklike._upstream import running_loop, set_running_loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_DONE: Any = object()
_MOST_IDLE = 64
_MOST_AT_ONCE = 32


class Bridge(Protocol):
    """What connects a thread with the task for which it runs a function."""

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Let the task await *awaitable*; called in the thread, which waits for the result."""
        ...


class _Caller(greenlet):
    """Calls one function after another, because starting a greenlet costs more than the calls."""

    outcome: tuple[Any, BaseException | None] | None = None

    # Set while a coroutine is being closed, which cannot await anything more.
    closing = False

    # What `without_loop` has hidden from the function.
    hidden_loop: AbstractEventLoop | None = None

    # SQLAlchemy awaits, as a lazy load does, only in greenlets that have this attribute.
    __sqlalchemy_greenlet_provider__ = False

    def run(self) -> None:
        while True:
            func, args = self._leave(_DONE)
            try:
                self.outcome = func(*args), None
            except GreenletExit:  # nothing can enter this greenlet again
                raise
            except BaseException as error:  # `driven` raises it again
                traceback = error.__traceback__
                self.outcome = None, error.with_traceback(traceback and traceback.tb_next)
                del traceback
            del func, args

    def _leave(self, value: Any) -> Any:
        return cast(greenlet, self.parent).switch(value)


class _Local(threading.local):
    bridge: Bridge | None = None
    """Set in a thread that runs synchronous functions for a task; see `wait`."""

    def __init__(self) -> None:
        self.idle: list[_Caller] = []


local = _Local()


async def driven(func: Callable[[*Ts], T], *args: *Ts, lazy_loads: bool = False) -> T:
    """Call *func* at once, in this task; below it, `wait` returns what an awaitable results in.

    The exception that is being handled here is also the active one in *func*. The awaitables are
    awaited here, so that a cancellation arrives in *func* where it waits. When this coroutine is
    closed, *func* gets GeneratorExit there, and can wait no more. With *lazy_loads*, SQLAlchemy's
    asynchronous sessions load attributes in *func* where they are first used.
    """
    caller, given = _begin(func, args, lazy_loads)
    while given is not _DONE:
        given = await _give(caller, given)
    result, error = _end(caller)
    if error is None:
        return cast(T, result)
    raised_while_handling = error.__context__
    try:
        raise error
    finally:  # not what is being handled here; and an exception may be frozen
        BaseException.__setattr__(error, "__context__", raised_while_handling)
        del error  # the traceback refers to this frame, which would refer back to the error


async def stepped(items: Generator[T], *, lazy_loads: bool = False) -> AsyncGenerator[T]:
    """Iterate over *items* as `driven` calls a function, and close them.

    Several items are taken at once, more and more, because entering a greenlet takes longer than
    most steps. Those that were taken are yielded before anything is awaited.
    """
    taken: deque[T] = deque()
    count, ended = 1, False
    try:
        while not ended:
            caller, given = _begin(_take, (items, taken, count), lazy_loads)
            while given is not _DONE:
                try:
                    while taken:
                        yield taken.popleft()
                except BaseException:  # the consumer has left
                    await _abandon(caller, given)
                    raise
                caller.gr_context = getcurrent().gr_context  # the consumer may be another task
                given = await _give(caller, given)
            ended, error = _end(caller)
            while taken:
                yield taken.popleft()
            if error is not None:
                try:
                    raise error
                finally:
                    del error
            count = min(2 * count, _MOST_AT_ONCE)
    finally:
        await driven(items.close)


def _take(items: Iterator[T], taken: deque[T], count: int) -> bool:
    """Move *count* of the items; returns whether they have ended."""
    for _ in range(count):
        item = next(items, _DONE)
        if item is _DONE:
            return True
        taken.append(item)
    return False


def _begin(
    func: Callable[..., Any], args: tuple[Any, ...], lazy_loads: bool
) -> tuple[_Caller, Any]:
    """Let a greenlet call *func*; returns what it gives first: an awaitable, or _DONE."""
    idle = local.idle
    if idle:
        caller = idle.pop()
    else:
        caller = _Caller()
        caller.switch()  # to where it waits for a function
    caller.parent = current = getcurrent()
    caller.gr_context = current.gr_context
    caller.__sqlalchemy_greenlet_provider__ = lazy_loads
    active = sys.exc_info()[1]
    if active is None:
        return caller, caller.switch((func, args))
    try:
        return caller, caller.switch((_while_handling, (active, func, *args)))
    finally:
        del active


def _end(caller: _Caller) -> tuple[Any, BaseException | None]:
    """The outcome of a greenlet that is done, which others may use now."""
    outcome = cast(tuple[Any, BaseException | None], caller.outcome)
    caller.outcome = caller.gr_context = None
    if len(local.idle) < _MOST_IDLE:
        local.idle.append(caller)
    return outcome


async def _abandon(caller: _Caller, awaitable: Any) -> None:
    """End the function in *caller*, which waits for *awaitable* in vain; it may clean up."""
    drop(awaitable)
    caller.parent = current = getcurrent()
    caller.gr_context = current.gr_context
    given = caller.throw(GeneratorExit)
    while given is not _DONE:
        given = await _give(caller, given)
    _end(caller)


async def _give(caller: _Caller, awaitable: Awaitable[Any]) -> Any:
    """Await *awaitable*, and give its result or error to *caller*; returns what that gives next."""
    failure: BaseException
    try:
        result = await awaitable
    except BaseException as error:
        failure = error
    else:
        caller.parent = getcurrent()
        return caller.switch(result)
    traceback = failure.__traceback__
    caller.closing = isinstance(failure, GeneratorExit)
    caller.parent = getcurrent()
    try:
        return caller.throw(type(failure), failure, traceback and traceback.tb_next)
    finally:
        caller.closing = False
        del failure, traceback  # the traceback refers to this frame


def _while_handling(active: BaseException, func: Callable[..., T], *args: Any) -> T:
    traceback = active.__traceback__
    try:
        raise active
    except BaseException:
        active.with_traceback(traceback)  # without this frame; an exception may be frozen
        return func(*args)
    finally:
        del active, traceback


def can_wait() -> bool:
    """Whether `wait` works here: below `driven`, or in the thread of a request."""
    current = getcurrent()
    if type(current) is _Caller:
        # With a hidden loop, one that runs here was started by the function itself.
        return not current.closing and (current.hidden_loop is None or running_loop() is None)
    return local.bridge is not None and running_loop() is None


def wait(awaitable: Awaitable[T]) -> T:
    """The result of *awaitable*, for synchronous code below `driven` or in a request's thread.

    Raises what awaiting it raises, and RuntimeError where nothing can await it.
    """
    current = getcurrent()
    if type(current) is _Caller:
        if can_wait():
            loop = current.hidden_loop
            if loop is None:
                return cast(T, cast(greenlet, current.parent).switch(awaitable))
            set_running_loop(loop)
            try:
                return cast(T, cast(greenlet, current.parent).switch(awaitable))
            finally:
                set_running_loop(None)
    elif (bridge := local.bridge) is not None and running_loop() is None:
        return bridge.wait(awaitable)
    drop(awaitable)
    raise RuntimeError(f"{described(awaitable)} cannot be awaited here")


def without_loop(func: Callable[[], T]) -> T:
    """Call *func* below `driven` as if no event loop ran, as it would be called in a thread.

    So `asyncio.run` works in it, and what needs the running loop fails as on a server.
    """
    caller = cast(_Caller, getcurrent())
    caller.hidden_loop = loop = running_loop()
    set_running_loop(None)
    try:
        return func()
    finally:
        set_running_loop(loop)
        caller.hidden_loop = None


def drop(value: object) -> None:
    """Close *value* if it is a coroutine: Python would warn that it was never awaited."""
    if iscoroutine(value):
        value.close()


def described(awaitable: Awaitable[Any]) -> str:
    """*awaitable* in the text of an error: the name of the function, and what it is."""
    kind = "a coroutine" if iscoroutine(awaitable) else f"an awaitable {type(awaitable).__name__}"
    name = getattr(awaitable, "__qualname__", None)
    return kind if name is None else f"{name!r}, {kind},"
