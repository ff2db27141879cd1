"""The start and the stop of an application by ASGI's lifespan protocol, equal under each server.

The servers have this too, but they differ in what they do about failures and time limits.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


class LifespanFailedError(RuntimeError):
    """The application failed to start or to stop; the text says why."""


class LifespanTimeoutError(LifespanFailedError):
    """The application did not answer in time."""


class Lifespan:
    """Runs what an application does before and after serving, in one task.

    An application that raises an Exception before it answers does not know the protocol, and is
    served without.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._answers: asyncio.Queue[str | None] = asyncio.Queue()
        self._task: asyncio.Task[None]

    async def start(self, seconds: float) -> None:
        """Raises LifespanFailedError."""
        self._task = asyncio.create_task(self._run())
        await self._ask("startup", seconds)

    async def stop(self, seconds: float) -> None:
        """Raises LifespanFailedError."""
        try:
            if not self._task.done():
                await self._ask("shutdown", seconds)
        finally:
            self._task.cancel()

    async def _run(self) -> None:
        async def send(message: Any) -> None:
            has_failed = message["type"].endswith(".failed")
            reason = message.get("message") or "it gave no reason"
            self._answers.put_nowait(reason if has_failed else None)

        await self._app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._events.get, send)

    async def _ask(self, step: str, seconds: float) -> None:
        self._events.put_nowait({"type": f"lifespan.{step}"})
        answering = asyncio.create_task(self._answers.get())
        try:
            both = (answering, self._task)
            await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
        if answering.done():
            reason = answering.result()
        elif self._task.done():
            error = None if self._task.cancelled() else self._task.exception()
            is_unknown = step == "startup" and isinstance(error, Exception)
            reason = None if error is None or is_unknown else repr(error)
        else:
            raise LifespanTimeoutError("it took too long")
        if reason is not None:
            raise LifespanFailedError(reason)


def without_lifespan(app: Application) -> Application:
    """The application for a server that need not start or stop it."""

    def call(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        return _nothing() if scope["type"] == "lifespan" else app(scope, receive, send)

    return call


async def _nothing() -> None:
    pass
