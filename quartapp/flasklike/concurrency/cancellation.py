"""The cancellation of tasks, and exceptions that would end the event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from quartapp.flasklike._upstream import TEST_CLIENT_KEY

P = ParamSpec("P")
T = TypeVar("T")


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
