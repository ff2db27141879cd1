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
from collections.abc import Awaitable, Callable
from inspect import iscoroutine
from typing import Any, Protocol, TypeVar, TypeVarTuple, cast

from greenlet import GreenletExit, getcurrent, greenlet

from quartapp.flasklike._upstream import running_loop

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_DONE: Any = object()
_MOST_IDLE = 64


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
        given = caller.switch((func, args))
    else:
        given = caller.switch((_while_handling, (active, func, *args)))
        del active
    while given is not _DONE:
        given = await _give(caller, given)
    result, error = cast(Any, caller.outcome)
    caller.outcome = caller.gr_context = None
    if len(idle) < _MOST_IDLE:
        idle.append(caller)
    if error is None:
        return cast(T, result)
    raised_while_handling = error.__context__
    try:
        raise error
    finally:
        error.__context__ = raised_while_handling  # not what is being handled here
        del error  # the traceback refers to this frame, which would refer back to the error


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
        active.__traceback__ = traceback  # without this frame
        return func(*args)
    finally:
        del active, traceback


def can_wait() -> bool:
    """Whether `wait` works here: below `driven`, or in the thread of a request."""
    current = getcurrent()
    if type(current) is _Caller:
        return not current.closing
    return local.bridge is not None and running_loop() is None


def wait(awaitable: Awaitable[T]) -> T:
    """The result of *awaitable*, for synchronous code below `driven` or in a request's thread.

    Raises what awaiting it raises, and RuntimeError where nothing can await it.
    """
    current = getcurrent()
    if type(current) is _Caller and not current.closing:
        return cast(T, cast(greenlet, current.parent).switch(awaitable))
    bridge = local.bridge
    if bridge is not None and running_loop() is None:
        return bridge.wait(awaitable)
    if iscoroutine(awaitable):
        awaitable.close()  # or Python warns that it was never awaited
    raise RuntimeError(f"{described(awaitable)} cannot be awaited here")


def described(awaitable: Awaitable[Any]) -> str:
    """*awaitable* in the text of an error: the name of the function, and what it is."""
    kind = "a coroutine" if iscoroutine(awaitable) else f"an awaitable {type(awaitable).__name__}"
    name = getattr(awaitable, "__qualname__", None)
    return kind if name is None else f"{name!r}, {kind},"
