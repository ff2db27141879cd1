"""Prepared statements on a driver, without SQLAlchemy between.

SQLite is read in the thread of the event loop, because a hop to another thread costs more than most
statements. So nothing there may wait: a statement that takes long is stopped, a lock declines it.
And readers take turns with all else that the loop serves: see `turns`.
Everything else runs on a connection of the engine's pool: reads on PostgreSQL in one round trip,
writes on SQLite in one hop. Limits, fairness and the end of a cancelled statement are the pool's.
"""

import sqlite3
from collections.abc import Sequence
from time import monotonic, thread_time
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn

from quartapp.database.drivers import repeats, sqlite
from quartapp.database.errors import StatementTimeoutError
from quartapp.database.prepared import Declined, Prepared
from quartapp.database.turns import Turns
from quartapp.priority import blocks_read

BUDGET = 0.002
"""Seconds of processor time that a statement may take from the event loop."""

PATIENCE = 0.02
"""Seconds that it may last if it waits: for a disk, the processor or Python's lock."""

_INSTRUCTIONS = 1000
"""SQLite's instructions between two looks at the clock, each of which takes Python's lock."""

_REST = 500
"""A statement that computed or read from a disk for too long is declined for so many times as long.
"""


class LoopReader:
    """A connection to SQLite that only reads, in the thread of the event loop.

    Each statement is a transaction, which has ended when `read` returns.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: sqlite3.Connection | None = None
        self._turns = Turns()
        self._began = self._used = 0.0

    async def read(self, prepared: Prepared, parameters: list[Any]) -> Sequence[Any]:
        """The driver's rows. Raises Declined."""
        if monotonic() < prepared.late_until:
            raise Declined
        await self._turns.take()
        connection = self._connection or self.open()
        self._began, self._used, blocks = monotonic(), thread_time(), blocks_read()
        if self._began < prepared.late_until:  # by now, of a task whose turn came before
            raise Declined
        try:
            return connection.execute(prepared.sql, parameters).fetchall()
        except Exception as error:  # also an OverflowError or a UnicodeError
            raise Declined from error
        finally:
            # Also for a statement that was not stopped: counting a table is one instruction.
            if self._is_late():
                now, used = monotonic(), thread_time() - self._used
                if used > BUDGET:
                    prepared.late_until = now + _REST * used
                elif blocks_read() > blocks:
                    prepared.late_until = now + _REST * (now - self._began)
                # Otherwise it waited for the processor or for Python's lock, as anything might.

    def open(self) -> sqlite3.Connection:
        """Open the connection; takes two milliseconds. Raises Declined if that is impossible."""
        url = self._engine.url
        if sqlite.database_file(url) and not sqlite.file_identity(url):
            raise Declined  # SQLite would create it
        (name, *_), given = self._engine.dialect.create_connect_args(url)
        options: Any = {**given, "check_same_thread": False, "isolation_level": None, "timeout": 0}
        try:
            connection: sqlite3.Connection = sqlite3.connect(name, **options)
        except sqlite3.Error as error:
            raise Declined from error
        connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(self._is_late, _INSTRUCTIONS)
        self._connection = connection
        return connection

    def close(self) -> None:
        """Close the connection; the next read opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_late(self) -> bool:
        waited = monotonic() - self._began
        return waited > BUDGET and (waited > PATIENCE or thread_time() - self._used > BUDGET)


class PooledDriver:
    """The connections of an engine's pool, for statements that need no SQLAlchemy."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self, prepared: Prepared, parameters: list[Any]) -> Sequence[Any]:
        """The driver's rows, in one round trip. Raises Declined, or StatementTimeoutError."""
        before = repeats.set(True)
        try:
            return await greenlet_spawn(self._run, prepared.sql, "fetch", prepared.sql, parameters)
        except StatementTimeoutError:
            raise
        except DBAPIError as error:
            raise Declined from error
        finally:
            repeats.reset(before)

    async def write(self, steps: Sequence[tuple[str, list[Any]]]) -> list[int]:
        """Execute statements with their parameters in one transaction, and commit.

        Raises what SQLAlchemy would raise. Nothing is executed a second time: if the connection was
        lost, nobody knows what the database has done.
        """
        return await greenlet_spawn(self._run, steps[-1][0], "execute_all", steps)

    def _run(self, sql: str, method: str, *arguments: Any) -> Any:
        engine: Any = self._engine.sync_engine
        base = engine.dialect.dbapi.Error
        connection: Any = None
        try:
            connection = engine.raw_connection()
            result = getattr(connection.dbapi_connection, method)(*arguments)
        except Exception as error:
            is_lost = connection is None or connection.dbapi_connection.is_lost
            if connection is not None:
                connection.invalidate() if is_lost else connection.close()
            if isinstance(error, base):
                raise DBAPIError.instance(
                    sql, None, error, base, hide_parameters=True, connection_invalidated=is_lost
                ) from error
            raise
        except BaseException:  # cancelled: the driver ends the statement
            if connection is not None:
                connection.invalidate()
            raise
        connection.close()
        return result
