"""A deadline whose timer starts only where something waits."""

import asyncio
from collections.abc import Coroutine, Generator
from types import coroutine as awaitable
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def awaited_before(deadline: asyncio.Timeout, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await *coroutine* in ``async with deadline``, which is entered only where it first waits.

    Starting and cancelling a timer costs more than most of what never waits.
    """
    try:
        waits_for = coroutine.send(None)
    except StopIteration as ended:
        return cast(T, ended.value)
    async with deadline:
        try:
            return await _rest(coroutine, waits_for)
        finally:
            # A future that has failed refers to its error, and the traceback to this frame.
            del waits_for


@awaitable
def _rest(coroutine: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Await a coroutine that has been started in this task, and waits for *waits_for*."""
    while True:
        value, error = None, None
        try:
            value = yield waits_for
        except BaseException as thrown:
            error = thrown
        waits_for = None  # as above
        try:
            waits_for = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as ended:
            return cast(T, ended.value)
        finally:
            error = None
