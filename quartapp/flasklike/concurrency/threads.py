"""Synchronous functions in threads.

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
            # not what is being handled here
            BaseException.__setattr__(error, "__context__", raised_while_handling)
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
            active.with_traceback(traceback)  # without this frame; an exception may be frozen
            return func(), None
    except BaseException as error:  # it is raised again where the call is awaited
        return None, error
