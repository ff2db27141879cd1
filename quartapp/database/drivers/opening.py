"""Opening aiosqlite connections so that a cancellation leaves no file open."""

import asyncio
import sqlite3
from functools import partial
from typing import Any

from aiosqlite import Connection


class Driver(Connection):
    """A connection whose file is closed even if the task that opens it is cancelled.

    In aiosqlite the waiting task stores what its thread opened; if the task is cancelled meanwhile,
    nothing refers to the open file and nothing closes it. Here the thread stores it, and `stop()`,
    the next item in the thread's queue, closes it.
    """

    async def _connect(self) -> "Driver":
        future = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, self._open))
        try:
            await future
        except BaseException:
            self.stop()
            raise
        return self

    def _open(self) -> None:
        self._connection = self._connector()


def connect(database: str, **options: Any) -> Driver:
    """A connection; awaiting it opens the file."""
    driver = Driver(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
    driver._thread.daemon = True
    return driver
