"""Connections of aiosqlite to files, none of which stays open without an owner."""

import asyncio
import sqlite3
from functools import partial
from typing import Any

from aiosqlite import Connection


class Driver(Connection):
    """A connection whose file is closed although the task that opened it was cancelled.

    aiosqlite keeps what its thread has opened after the waiting task received it. When that task
    was cancelled meanwhile, nobody has it and nobody closes it. Here the thread keeps it, and
    `stop()`, which the thread works off next, closes it.
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
    """A connection, which opens the file when it is awaited."""
    driver = Driver(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
    driver._thread.daemon = True
    return driver
