"""Waiting in a thread that has no event loop, as in a script or a synchronous test."""

import asyncio
from collections.abc import Awaitable
from contextvars import Context, copy_context
from typing import TypeVar

from greenlet import getcurrent

from quartapp.flasklike._upstream import running_loop
from quartapp.flasklike.concurrency.awaiting import can_wait, local

T = TypeVar("T")


class OwnLoop:
    """An event loop for a ``with`` block, which runs only while the block waits.

    Synchronous functions that are awaited in it run in the block's own thread.
    """

    def __init__(self) -> None:
        self.blocks = 0
        self._runner = asyncio.Runner()
        copy_context()  # a thread may have none before
        self._outside: Context | None = getcurrent().gr_context
        assert self._outside is not None, "a thread that has used a context has one"
        self._context = self._outside
        try:
            self._outside.run(int)
        except RuntimeError:  # the block is inside of its `run`, so tasks could not enter it
            self._context = getcurrent().gr_context = copy_context()

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Run the loop until *awaitable* is done."""

        async def result() -> T:
            return await awaitable

        return self._runner.run(result(), context=self._context)

    def close(self) -> None:
        """Close the loop, and keep what was set in the context."""
        local.bridge = None
        self._runner.close()
        if self._context is not self._outside:
            getcurrent().gr_context = self._outside
            for variable, value in self._context.items():
                if variable.get(None) is not value:
                    variable.set(value)


def enter_block(instead: str) -> None:
    """Make `wait` possible in this thread until `leave_block`.

    Raises RuntimeError where an event loop runs, which says what to write *instead*.
    """
    if not can_wait():
        if running_loop() is not None:
            raise RuntimeError(
                "a plain 'with' cannot wait here, because the event loop runs in this thread:"
                f" write '{instead}' in an 'async def' function"
            )
        local.bridge = OwnLoop()
    if isinstance(local.bridge, OwnLoop):
        local.bridge.blocks += 1


def leave_block() -> None:
    """Leave what `enter_block` has entered."""
    loop = local.bridge
    if isinstance(loop, OwnLoop):
        loop.blocks -= 1
        if not loop.blocks:
            loop.close()
