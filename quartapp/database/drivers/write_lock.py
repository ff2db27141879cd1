"""The order in which transactions of a process write to SQLite.

SQLite lets one transaction write and makes the others poll, with growing pauses, so that newcomers
overtake those that have waited. Within a process, the writers of an engine queue here instead.
"""

import asyncio
import sqlite3
import threading

from quartapp.database.errors import DatabaseLockedError

PATIENCE = 5.0
"""Seconds that a writer waits for its turn. SQLite's busy timeout limits the wait for other
processes."""


class WriteLock:
    """A lock, first come first served. A wait that is cancelled leaves the queue."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def locked(self) -> bool:
        """Whether somebody writes."""
        return self._lock.locked()

    async def acquire(self) -> None:
        """Wait for the turn; the caller calls `release` after it.

        Raises DatabaseLockedError, with SQLite's message, after PATIENCE seconds.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._lock.acquire()
        except TimeoutError:
            locked = sqlite3.OperationalError("database is locked")
            raise DatabaseLockedError(None, None, locked) from None
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    def release(self) -> None:
        """End the turn; also from another thread, in which a lost connection was collected."""
        if threading.get_ident() == self._thread:
            self._lock.release()
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._lock.release)
