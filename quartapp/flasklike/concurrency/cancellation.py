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


def without_cancellations(raised: BaseException) -> BaseException:
    """What remains of a group when CancelledErrors are left out.

    That is a CancelledError if nothing else was in it. Anything but a group, and a group that holds
    an exit such as SystemExit, is returned as it is.
    """
    if not isinstance(raised, BaseExceptionGroup) or isinstance(raised, Exception):
        return raised
    remaining = _remaining(raised)
    if remaining is None:
        return asyncio.CancelledError(str(raised)).with_traceback(raised.__traceback__)
    return remaining if isinstance(remaining, Exception) else raised


def _remaining(group: BaseExceptionGroup[Any]) -> BaseExceptionGroup[Any] | None:
    # Not `split`, which makes all groups inside again, and those of the application's classes
    # without `derive` as plain ones: their handlers would not be found.
    kept = []
    for member in group.exceptions:
        if isinstance(member, BaseExceptionGroup) and not isinstance(member, Exception):
            member = _remaining(member)
        if member is not None and not isinstance(member, asyncio.CancelledError):
            kept.append(member)
    if not kept:
        return None
    remaining = group.derive(kept).with_traceback(group.__traceback__)
    # A cause, so that it does not get *group* as its context when it is raised.
    hidden = group.__cause__ is not None or group.__suppress_context__
    remaining.__cause__ = group.__cause__ if hidden else group.__context__
    for note in getattr(group, "__notes__", ()):
        remaining.add_note(note)
    return remaining


def answerable(raised: BaseException) -> Exception:
    """The error for which a handler is looked up. Raises what has none: a CancelledError of a
    request that is being cancelled, and exits."""
    error = without_cancellations(raised)
    if isinstance(error, asyncio.CancelledError) and not being_cancelled():
        return as_error(raised)
    if isinstance(error, Exception):
        return error
    raise error


def as_exception(raised: BaseException, scope: Any) -> Exception:
    """The error as which anything that was raised is handled: `as_failure`, where that may be."""
    if not is_error(raised, scope):
        raise raised
    return as_failure(raised)


def as_failure(ending: BaseException) -> Exception:
    """Make *ending* an ordinary exception with the same traceback.

    Where it went on to the event loop it would end the worker, with all its other requests.
    """
    remaining = without_cancellations(ending)
    if isinstance(remaining, Exception):
        return remaining
    if isinstance(remaining, asyncio.CancelledError):
        return as_error(ending)
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
            failure = as_failure(ending)
            raise failure from failure.__cause__

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
    raised = without_cancellations(raised)
    return isinstance(raised, (Exception, asyncio.CancelledError)) or may_become_error(scope)


def being_cancelled() -> bool:
    """Whether the cancellation of the current task was requested."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def as_error(cancelled: BaseException) -> StrayCancelledError:
    """Make *cancelled*, or a group of such, an ordinary exception, which is handled like one.

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
