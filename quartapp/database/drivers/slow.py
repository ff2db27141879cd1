"""Slow statements on SQLite: their threads get a low priority, and a time limit stops them."""

import asyncio
from typing import Any

from aiosqlite import Connection

from quartapp.priority import give_way, processor_time

SLOW = 0.1
"""Seconds after which a statement is watched. If its thread still computes this long afterwards,
its priority is lowered: it would take processor time from pages that need no database."""


class Watch:
    """Watches the statements of one connection, which its thread executes one after the other.

    A statement that takes longer than `limit` seconds is interrupted; None means no limit.
    `is_stopped`: the last statement was interrupted; `is_late`: for that. `gave_way`: the thread's
    priority was lowered, and stays low.
    """

    def __init__(self, connection: Connection, limit: float | None) -> None:
        self._connection = connection
        self._limit = limit
        self.is_late = self.is_stopped = False
        self.gave_way = False

    def begin(self, future: asyncio.Future[Any]) -> asyncio.TimerHandle:
        """Watch a statement until its future is done; then the caller cancels the timer."""
        self.is_late = self.is_stopped = False
        return future.get_loop().call_later(SLOW, self._look, future)

    def interrupt(self) -> None:
        """Interrupt the current statement; SQLite raises its error in the thread."""
        self.is_stopped = True
        self._connection._conn.interrupt()

    def _look(self, future: asyncio.Future[Any]) -> None:
        if future.done():
            return
        loop = future.get_loop()
        loop.call_later(SLOW, self._give_way, future, self._processor_time())
        if self._limit is not None:
            loop.call_later(max(self._limit - SLOW, 0), self._stop, future)

    def _give_way(self, future: asyncio.Future[Any], before: float) -> None:
        # A thread that waits for a lock uses no processor time; one that computes gets more than
        # this even if many threads compute.
        if not future.done() and self._processor_time() - before > SLOW / 100:
            self.gave_way = True
            give_way(self._connection._thread.native_id)

    def _processor_time(self) -> float:
        return processor_time(self._connection._thread)

    def _stop(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            self.is_late = True
            self.interrupt()
