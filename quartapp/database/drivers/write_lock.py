"""A queue for the write transactions of one process on SQLite.

SQLite allows one writer; the others poll with growing pauses, so newer ones overtake those that
have waited longer. Within a process, the writers of an engine wait in this queue instead.
"""

import asyncio
import sqlite3
import threading

from quartapp.database.errors import DatabaseLockedError

PATIENCE = 5.0
"""Seconds that a writer waits for its turn. SQLite's busy timeout limits the wait for writers of
other processes."""


class WriteLock:
    """A first-come-first-served lock. A waiter that is cancelled leaves the queue."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def locked(self) -> bool:
        """Whether a transaction holds the lock."""
        return self._lock.locked()

    async def acquire(self) -> None:
        """Acquire the lock; the caller must call `release`.

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
        """Release the lock, from any thread: the garbage collector may close a lost connection."""
        if threading.get_ident() == self._thread:
            self._lock.release()
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._lock.release)
