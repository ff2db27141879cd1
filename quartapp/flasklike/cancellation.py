"""Telling a cancelled task from a CancelledError that application code let out."""

import asyncio
from typing import Any


class StrayCancelledError(RuntimeError):
    """Application code raised CancelledError although nobody cancelled the request."""


def being_cancelled() -> bool:
    """Whether somebody has asked the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def as_error(cancelled: asyncio.CancelledError) -> StrayCancelledError:
    """The same failure as an ordinary exception, so that it is handled like one.

    A CancelledError that only says that something else was cancelled (a task the view awaited) must
    neither end the request without an answer nor pass for the client's leaving.
    """
    error = StrayCancelledError("a CancelledError left the application, but its request goes on")
    error.__cause__ = cancelled
    return error


def settle(requests: int) -> None:
    """Forget requests to end the current task, beyond so many, that were answered otherwise.

    To be called when the application has given an answer or an error: before Python 3.13 a
    TaskGroup whose member fails while the group is being left asks its task to end, and does not
    take that back.
    """
    task = asyncio.current_task()
    while task is not None and task.cancelling() > requests:
        task.uncancel()


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel *task* and return when it has ended, however it did."""
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        if not task.done() or being_cancelled():
            raise
