"""Synchronous functions in threads, and the cancellation of tasks.

`asyncio`'s executor loses three things on which an application relies: a StopIteration leaves the
awaiting task hanging, `sys.exc_info()` is empty in an error handler, and a cancelled await ends
while its thread still runs. `in_thread` loses none of them.
"""

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import Context, copy_context
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar, cast

from quartapp.flasklike._upstream import TEST_CLIENT_KEY

P = ParamSpec("P")
T = TypeVar("T")

Outcome = tuple[Any, BaseException | None]  # a result, or the error instead

_END: Any = object()


def in_thread(
    func: Callable[P, T], discard: Callable[[T], object] | None = None
) -> Callable[P, Awaitable[T]]:
    """Make *func* awaitable: it runs in the loop's default executor, with the caller's context.

    The exception that is being handled where the call is awaited is also the active one inside
    *func*, so a bare ``raise``, ``sys.exc_info()`` and ``logger.exception`` work in error handlers.
    A StopIteration arrives as RuntimeError, as from any coroutine. A generator is returned as an
    asynchronous iterator.

    When the awaiting task is cancelled, the cancellation is delivered after the thread has ended:
    what runs next (teardown functions) never runs at the same time. The result is then lost, so
    *discard* is called with it, in a thread, to close what *func* opened. An error of *func*, or of
    *discard*, becomes the ``__cause__`` of the CancelledError.
    """

    @wraps(func)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        active = sys.exc_info()[1]
        result = await _run(copy_context(), active, lambda: func(*args, **kwargs), discard)
        if inspect.isgenerator(result):
            return iterate_in_thread(result)  # type: ignore[return-value]  # as Quart's run_sync
        return result

    call._quart_async_wrapper = True  # type: ignore[attr-defined]  # Quart's mark of such wrappers
    return call


async def iterate_in_thread(iterable: Iterator[T]) -> AsyncIterator[T]:
    """Iterate in threads, every step in the same context.

    When the loop over it ends, a generator is closed, in a thread.
    """
    context = copy_context()
    try:
        while (item := await _run(context, None, lambda: next(iterable, _END))) is not _END:
            yield item
    finally:
        close = getattr(iterable, "close", None)
        if close is not None:
            await _run(context, None, close)


async def _run(
    context: Context,
    active: BaseException | None,
    func: Callable[[], T],
    discard: Callable[[T], object] | None = None,
) -> T:
    future = _start(context, active, func)
    try:
        result, error = await asyncio.shield(future)
    except asyncio.CancelledError as cancelled:
        result, error = await _outcome_of(future)
        if result is not None and discard is not None:
            _, error = await _outcome_of(_start(context, None, partial(discard, result)))
        raise cancelled from error
    if error is not None:
        raised_while_handling = error.__context__
        try:
            raise error
        finally:
            error.__context__ = raised_while_handling  # not what is being handled here
            del error  # the traceback refers to this frame, which would refer back to the error
    return cast(T, result)


def _start(
    context: Context, active: BaseException | None, func: Callable[[], Any]
) -> asyncio.Future[Outcome]:
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(None, context.run, _call, active, func)


async def _outcome_of(future: asyncio.Future[Outcome]) -> Outcome:
    """Wait for *future*, even if the current task is cancelled again."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if future.cancelled() or future.exception() is not None:
        return None, None
    return future.result()


def _call(active: BaseException | None, func: Callable[[], Any]) -> Outcome:
    try:
        if active is None:
            return func(), None
        traceback = active.__traceback__
        try:
            raise active
        except BaseException:
            active.__traceback__ = traceback  # without this frame
            return func(), None
    except BaseException as error:  # it is raised again where the call is awaited
        return None, error


class StrayCancelledError(RuntimeError):
    """Application code raised CancelledError although nobody cancelled the request."""


class StrayExitError(RuntimeError):
    """Application code raised SystemExit, KeyboardInterrupt, GeneratorExit or a group of such."""


def as_failure(ending: BaseException) -> StrayExitError:
    """Make *ending* an ordinary exception with the same traceback.

    Where it went on to the event loop it would end the worker, with all its other requests.
    """
    text = f"{type(ending).__name__} left the application"
    error = StrayExitError(f"{text}: {ending.code}" if isinstance(ending, SystemExit) else text)
    error.__cause__ = ending
    return error.with_traceback(ending.__traceback__)  # it names the view


def errors_of(func: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """*func*, whose endings are errors: for a task of which nobody awaits the result."""

    @wraps(func)
    async def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await func(*args, **kwargs)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as ending:
            if not may_become_error(()):
                raise
            raise as_failure(ending) from ending

    return call


def may_become_error(scope: Any) -> bool:
    """Whether an ending (see `as_failure`) of the request of a scope may be handled as an error.

    The test client gets the ending itself, as Flask's does. A coroutine that is being closed
    cannot wait for any handler.
    """
    if TEST_CLIENT_KEY in scope:
        return False
    try:
        return asyncio.current_task() is not None
    except RuntimeError:  # the loop has ended
        return False


def is_error(raised: BaseException, scope: Any) -> bool:
    """Whether what was raised is handled as an error: an exception, or an ending that becomes one.

    A CancelledError counts as one; ask `being_cancelled` first.
    """
    return isinstance(raised, (Exception, asyncio.CancelledError)) or may_become_error(scope)


def being_cancelled() -> bool:
    """Whether the cancellation of the current task was requested."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def as_error(cancelled: asyncio.CancelledError) -> StrayCancelledError:
    """Make *cancelled* an ordinary exception, so that it is handled like one.

    A CancelledError may only say that something else was cancelled, such as a task that the view
    awaited. It must neither end the request without an answer nor look as if the client had left.
    """
    error = StrayCancelledError("a CancelledError left the application, but its request goes on")
    error.__cause__ = cancelled
    return error.with_traceback(cancelled.__traceback__)  # it names the view


def uncancel_beyond(allowed: int) -> None:
    """Withdraw requests to cancel the current task until *allowed* are left.

    Call it when the application has given an answer or an error. Before Python 3.13 a TaskGroup
    whose member fails while the group is being left requests the cancellation of its task, and does
    not withdraw it.
    """
    task = asyncio.current_task()
    while task is not None and task.cancelling() > allowed:
        task.uncancel()


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel *task* and return when it has ended. Its error, if any, is raised."""
    current = asyncio.current_task()
    before = current.cancelling() if current is not None else 0
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if not task.done() or (current is not None and current.cancelling() > before):
            raise
