"""A connection to SQLite in a thread: aiosqlite's, with transactions, limits and cancellation.

One hop to the thread costs more than most statements (docs/decisions/0050). What belongs together
is therefore sent as one function, and a BEGIN goes along with the first one.

Private names of aiosqlite are used: `_STOP_RUNNING_SENTINEL`, `_conn`, `_connect`, `_connection`,
`_connector`, `_execute`, `_running`, `_thread` and `_tx`. tests/database/drivers/test_onehop.py
fails when they change.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any, TypeVar

from aiosqlite import Connection
from aiosqlite.core import _STOP_RUNNING_SENTINEL, LOG, set_exception, set_result

from quartapp.database.drivers.write_lock import WriteLock
from quartapp.database.errors import DatabaseLockedError, StatementTimeoutError
from quartapp.priority import give_way, processor_time

IMMEDIATE = "BEGIN IMMEDIATE"

SLOW = 0.1
"""Seconds after which a hop is watched. If the thread still computes this long afterwards, its
priority is lowered: it would take processor time from pages that need no database."""

T = TypeVar("T")


class Driver(Connection):
    """A connection whose transactions begin with their first hop, IMMEDIATE ones in a queue.

    After a cancellation during a method, close the connection, as SQLAlchemy does. That releases
    the file and the write lock, also if the connection was only being opened.

    `begin_with`: how transactions begin; None means that they do not. `gave_way`: the thread's
    priority was lowered, and stays low. `is_interrupted`: the last hop was interrupted.
    """

    def __init__(
        self, connector: Callable[[], sqlite3.Connection], lock: WriteLock, limit: float | None
    ) -> None:
        """`limit`: seconds after which a hop is interrupted; None means no limit."""
        super().__init__(connector, iter_chunk_size=64)
        self._thread = Thread(target=_work, args=(self._tx,), name="sqlite", daemon=True)
        self._lock = lock
        self._limit = limit
        self._begin: str | None = None
        self._is_begun = False
        self._has_lock = False
        self.begin_with: str | None = "BEGIN"
        self.gave_way = False
        self.is_interrupted = False

    @property
    def is_lost(self) -> bool:
        """Whether the connection is closed."""
        return not self._running

    @property
    def in_transaction(self) -> bool:
        """Whether the next hop is within a transaction, also one that it begins.

        The thread may not have come to the last rollback yet: sqlite3 would say that one is open.
        """
        return self._begin is not None or self._is_begun

    def begin(self) -> None:
        """Begin a transaction at the next hop; nothing is sent before.

        Raises the driver's OperationalError if a BEGIN is already pending.
        """
        if self._begin is not None:
            raise sqlite3.OperationalError("cannot start a transaction within a transaction")
        self._begin = self.begin_with

    async def fetch(
        self, method: str, operation: str, parameters: Any
    ) -> tuple[sqlite3.Cursor, Sequence[Any]]:
        """Execute, fetch and close in one hop; `method` is a method of sqlite3.Connection.

        The closed cursor still has the attributes that describe its result.
        """
        return await self._execute(
            partial(_fetch, getattr(self._conn, method)), operation, parameters
        )

    async def execute_all(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        """Execute statements in one transaction and commit, in one hop; the numbers of their rows.

        After an error it is rolled back.
        """
        self._begin = IMMEDIATE
        try:
            return await self._execute(self._execute_all, steps[-1][0], steps)
        except Exception:
            if self._connection is not None and not self._connection.in_transaction:
                self._end()
            raise

    async def commit(self) -> None:
        """Commit. After an error the transaction is still to be rolled back."""
        if self._is_begun:
            await super().commit()
        self._end()

    async def rollback(self) -> None:
        """Roll back. Without the write lock this does not wait: the thread works in order."""
        if self._is_begun and self._has_lock:
            await self._hop(self._conn.rollback)
        elif self._is_begun:
            self._tx.put_nowait((None, self._conn.rollback))
        self._end()

    async def close(self) -> None:
        """Close the file, which rolls back, and end the thread."""
        if self._running and (closing := self.stop()):
            await closing

    def stop(self) -> "asyncio.Future[Any] | None":
        """As `close`, without waiting. The write lock is released when the file is closed."""
        closing = super().stop()
        if closing is None:  # there is no event loop
            self._release()
        else:
            closing.add_done_callback(lambda _: self._release())
        return closing

    async def _connect(self) -> "Driver":
        # aiosqlite stores what the thread opened in the waiting task, which may be cancelled.
        def open_file() -> None:
            self._connection = self._connector()

        try:
            await self._execute(open_file)
        except Exception:
            await self.close()  # the event loop may end before the thread does
            raise
        except BaseException:
            self.stop()
            raise
        return self

    async def _execute(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function in the thread, in the transaction that was begun: all methods use this.

        If it is cancelled, a function that runs is interrupted, and one that waits never runs.
        Raises DatabaseLockedError, StatementTimeoutError, or what the function raises.
        """
        try:
            if self._begin == IMMEDIATE and not self._has_lock:
                await self._lock.acquire()
                self._has_lock = True
            result = await self._hop(partial(self._within, fn, *args, **kwargs))
        except Exception as error:
            if self._begin is not None:
                self._release()
            _raise_as_ours(error, args[0] if args and isinstance(args[0], str) else None)
            raise
        if self._conn.in_transaction:
            self._is_begun = True  # perhaps by a statement
        elif self._is_begun:
            self._end()
        return result

    async def _hop(self, work: Callable[[], T]) -> T:
        if not self._running:
            raise ValueError("no active connection")  # SQLAlchemy knows this text
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self.is_interrupted = False
        self._tx.put_nowait((future, lambda: None if future.cancelled() else work()))
        timer = loop.call_later(SLOW, self._watch, future)
        try:
            return await future
        except asyncio.CancelledError:
            self._interrupt()
            raise
        finally:
            timer.cancel()

    def _within(self, fn: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        # In the thread.
        if self._begin is not None:
            self._conn.execute(self._begin)
            self._begin = None
            self._is_begun = True
        elif self._is_begun and not self._conn.in_transaction:
            # It does so if a statement that writes is interrupted, or finds the disk full. The next
            # statement would be committed on its own.
            raise sqlite3.OperationalError("SQLite has rolled the transaction back")
        return fn(*args, **kwargs)

    def _execute_all(self, _last: str, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        # In the thread.
        counts = []
        try:
            for sql, parameters in steps:
                # With the rows of a RETURNING: SQLite does the rest only then.
                counts.append(_fetch(self._conn.execute, sql, parameters)[0].rowcount)
            if self.is_interrupted:  # between two statements, where SQLite does not notice it
                raise StatementTimeoutError(None, None, sqlite3.OperationalError("interrupted"))
            self._conn.commit()
        except BaseException:
            self._conn.rollback()
            raise
        return counts

    def _end(self) -> None:
        self._begin = None
        self._is_begun = False
        self._release()

    def _release(self) -> None:
        if self._has_lock:
            self._has_lock = False
            self._lock.release()

    def _watch(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            later = future.get_loop().call_later
            later(SLOW, self._give_way, future, processor_time(self._thread))
            if self._limit is not None:
                later(self._limit - SLOW, self._stop_late, future)

    def _give_way(self, future: asyncio.Future[Any], before: float) -> None:
        # A thread that waits for a lock uses no processor time; one that computes gets more than
        # this even if many threads compute.
        if not future.done() and processor_time(self._thread) - before > SLOW / 100:
            self.gave_way = True
            give_way(self._thread.native_id)

    def _stop_late(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            self._interrupt()

    def _interrupt(self) -> None:
        self.is_interrupted = True
        if self._connection is not None:
            with suppress(sqlite3.ProgrammingError):  # it is being closed
                self._connection.interrupt()


def _work(tx: Any) -> None:
    """What aiosqlite's thread does, to the end of the queue also without an event loop.

    A loop may end before the thread does, if connecting or closing was cancelled. aiosqlite's own
    function would end with an error then, and the file stay open.
    """
    result: Any = None
    while result is not _STOP_RUNNING_SENTINEL:
        future, function = tx.get()
        LOG.debug("executing %s", function)
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            result = None
            _answer(future, set_exception, error)
        else:
            _answer(future, set_result, result)
        del future, function


def _answer(future: Any, setter: Callable[[Any, Any], None], value: Any) -> None:
    if future is not None:
        with suppress(RuntimeError):  # its event loop is closed
            future.get_loop().call_soon_threadsafe(setter, future, value)


def _fetch(
    execute: Callable[..., sqlite3.Cursor], operation: str, parameters: Any
) -> tuple[sqlite3.Cursor, Sequence[Any]]:
    cursor = execute(operation, parameters)
    try:
        return cursor, cursor.fetchall() if cursor.description else ()
    finally:
        cursor.close()


def _raise_as_ours(error: Exception, operation: str | None) -> None:
    # The primary code, without SQLite's extended bits.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        raise DatabaseLockedError(operation, None, error) from error
    if code == sqlite3.SQLITE_INTERRUPT:
        raise StatementTimeoutError(operation, None, error) from error
