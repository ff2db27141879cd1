"""SQLAlchemy on aiosqlite with one hop to the connection's thread for each statement.

The stock dialect (sqlalchemy.dialects.sqlite.aiosqlite) switches to the thread four times for a
SELECT (cursor, execute, fetchall, close), once for BEGIN, and once for a rollback even if there is
nothing to roll back. One such hop costs more than most statements (docs/decisions/0050). Here

- a statement is executed, fetched and closed in one hop, which also carries the BEGIN before it.
  Errors of the driver arrive unchanged; those of the BEGIN arrive with the first statement;
- a transaction in which nothing was sent ends without a hop. The rollback of a transaction that
  only read is sent without waiting: the connection's thread works in order, so the next user of the
  connection comes after it;
- transactions that begin IMMEDIATE queue, first come first served, without polling SQLite;
- a statement that takes longer than the engine's limit is interrupted (see `slow`);
- a statement whose task is cancelled is interrupted too. SQLAlchemy then closes the connection, as
  with every driver, which releases everything that the connection held. A connection whose task is
  cancelled while it opens is closed too (see `opening`).

`stream()` keeps the stock cursor. These modules use private names: `Connection._tx`, `_running`,
`_conn`, `_connection`, `_connector`, `_connect` and `_thread` of aiosqlite, some of which
SQLAlchemy's own dialect uses too, and the interface of that dialect's cursor.
tests/database/drivers/test_onehop.py fails when they change.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, cast

from aiosqlite import Connection as Driver
from sqlalchemy.connectors.asyncio import AsyncAdapt_dbapi_connection
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    AsyncAdapt_aiosqlite_ss_cursor,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.engine.characteristics import ConnectionCharacteristic
from sqlalchemy.util.concurrency import await_

from quartapp.database.drivers.opening import connect
from quartapp.database.drivers.slow import Watch
from quartapp.database.drivers.write_lock import WriteLock
from quartapp.database.errors import DatabaseLockedError, StatementTimeoutError

WRITES = "quartapp_write"
"""Execution option of a connection or an engine: transactions take the write lock at their start.

It is a characteristic of the dialect and not an event listener, because with even one listener on
an engine SQLAlchemy checks for listeners at every step of every statement.
"""

T = TypeVar("T")


class _Outcome(NamedTuple):
    """The result of a statement, whose cursor was closed in the connection's thread."""

    description: Any
    rows: list[Any]
    rowcount: int
    lastrowid: int


_NOTHING = _Outcome(None, [], -1, 0)


class OneHopCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that exists in the connection's thread only while its statement runs."""

    __slots__ = ("_outcome", "_size")

    _adapt_connection: "OneHopConnection"

    # The inherited __init__ is not called, because it opens a driver cursor, which is a hop.
    def __init__(self, adapt_connection: AsyncAdapt_dbapi_connection) -> None:
        self._adapt_connection = cast(OneHopConnection, adapt_connection)
        self._rows = deque()
        self._outcome = _NOTHING
        self._size = 1

    @property
    def description(self) -> Any:
        return self._outcome.description

    @property
    def rowcount(self) -> int:
        return self._outcome.rowcount

    @property
    def lastrowid(self) -> int:
        return self._outcome.lastrowid

    @property
    def arraysize(self) -> int:
        return self._size

    @arraysize.setter
    def arraysize(self, value: int) -> None:
        self._size = value

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        self._keep(self._adapt_connection.run("execute", operation, parameters or ()))

    def executemany(self, operation: Any, seq_of_parameters: Any) -> Any:
        self._keep(self._adapt_connection.run("executemany", operation, seq_of_parameters))

    def _keep(self, outcome: _Outcome) -> None:
        self._outcome = outcome
        self._rows = deque(outcome.rows)

    async def _async_soft_close(self) -> None:
        """There is nothing to close."""

    def close(self) -> None:
        self._rows.clear()


class StreamCursor(AsyncAdapt_aiosqlite_ss_cursor):
    """SQLAlchemy's cursor for streams, which sends the BEGIN first. Each step is watched."""

    __slots__ = ()

    _adapt_connection: "OneHopConnection"

    def execute(self, operation: Any, parameters: Any = None) -> Any:
        self._adapt_connection.send_begin()
        with self._adapt_connection.watched(operation):
            return super().execute(operation, parameters)

    # SQLite computes a row when it is fetched.
    def fetchone(self) -> Any:
        with self._adapt_connection.watched():
            return super().fetchone()

    def fetchmany(self, size: int | None = None) -> Any:
        with self._adapt_connection.watched():
            return super().fetchmany(size)

    def fetchall(self) -> Any:
        with self._adapt_connection.watched():
            return super().fetchall()


class OneHopConnection(AsyncAdapt_aiosqlite_connection):
    """A connection that tracks its pending BEGIN, and whether it holds the write lock."""

    __slots__ = (
        "_begin",
        "_has_turn",
        "_is_ending",
        "autocommits",
        "watch",
        "writes",
    )

    _cursor_cls = OneHopCursor
    _ss_cursor_cls = StreamCursor
    _connection: Driver  # type: ignore[assignment]  # the protocol of all drivers, made precise

    dbapi: "OneHopDBAPI"

    def __init__(self, dbapi: "OneHopDBAPI", connection: Any) -> None:
        super().__init__(dbapi, connection)
        self._begin: str | None = None
        self._has_turn = False
        self._is_ending = False
        self.autocommits = False
        self.watch = Watch(connection, dbapi.statement_timeout)
        self.writes = False

    def begin(self) -> None:
        """Begin a transaction at the next statement; nothing is sent before.

        Raises the driver's OperationalError if a BEGIN is already pending.
        """
        if self._begin is not None:
            raise sqlite3.OperationalError("cannot start a transaction within a transaction")
        if not self.autocommits:
            self._begin = "BEGIN IMMEDIATE" if self.writes else "BEGIN"

    def send_begin(self) -> None:
        """Send the pending BEGIN, before a statement that does not go through `run`."""
        self._is_ending = False
        if self._begin is not None:
            self.run("execute", "SELECT 1", ())

    def run(self, method: str, operation: Any, parameters: Any) -> _Outcome:
        """Execute, fetch and close in one hop; `method` is a method of sqlite3.Connection.

        Raises DatabaseLockedError, StatementTimeoutError, or what SQLAlchemy's dialect raises.
        """
        self._is_ending = False
        try:
            if self._begin == "BEGIN IMMEDIATE" and not self._has_turn:
                await_(self.dbapi.write_lock.acquire())
                self._has_turn = True
            return self._hop(lambda raw: self._run(raw, method, operation, parameters), stop=True)
        except Exception as error:  # noqa: BLE001 SQLAlchemy's dialect translates it
            if self._begin is not None:
                self._end_turn()
            self._raise_as_ours(error, operation)
            self._handle_exception(error)

    @property
    def is_lost(self) -> bool:
        """Whether the connection is closed."""
        return not self._connection._running

    def execute_all(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        """Execute statements in one transaction and commit, in one hop; the numbers of their rows.

        Raises what `run` raises. The pool ends the turn at the write lock, as after a session.
        """
        await_(self.dbapi.write_lock.acquire())
        self._has_turn = True
        try:
            return self._hop(lambda raw: self._execute_all(raw, steps), stop=True)
        except Exception as error:  # noqa: BLE001 see run
            self._raise_as_ours(error, steps[-1][0])
            self._handle_exception(error)

    @contextmanager
    def watched(self, operation: Any = None) -> Iterator[None]:
        """Watch one step of SQLAlchemy's cursor; raises what `run` raises."""
        done = asyncio.get_running_loop().create_future()
        timer = self.watch.begin(done)
        try:
            yield
        except asyncio.CancelledError:
            self.watch.interrupt()
            raise
        except Exception as error:
            self._raise_as_ours(error, operation)
            raise
        finally:
            timer.cancel()
            done.cancel()

    def rollback(self) -> None:
        """Roll back. Does not wait for the thread if the transaction only read."""
        if self._is_idle():
            self._end_turn()
            return
        raw = self._connection._conn
        if not self._has_turn:
            self._connection._tx.put_nowait((None, raw.rollback))
            self._is_ending = True
            return
        try:
            self._hop(sqlite3.Connection.rollback)
        except Exception as error:  # noqa: BLE001 see run
            self._handle_exception(error)
        self._end_turn()

    def commit(self) -> None:
        if not self._is_idle():
            try:
                self._hop(sqlite3.Connection.commit)
            except Exception as error:  # noqa: BLE001 see run
                self._raise_as_ours(error, "COMMIT")
                self._handle_exception(error)
        self._end_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._end_turn()

    def terminate(self) -> None:
        try:
            super().terminate()
        finally:
            self._end_turn()

    def _is_idle(self) -> bool:
        """Whether SQLite has no transaction of this connection."""
        if self._begin is not None:
            self._begin = None
            return True
        raw = self._connection._connection
        # SQLAlchemy rolls back once for the session and once for the pool.
        if self._is_ending or raw is None:
            return True
        return not raw.in_transaction

    def _hop(self, work: Callable[[sqlite3.Connection], T], *, stop: bool = False) -> T:
        """Run work in the connection's thread. With `stop`, a cancellation or the statement timeout
        interrupts it."""
        raw = self._connection._conn
        if not self._connection._running:
            raise ValueError("Connection closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def unless_cancelled() -> T | None:
            return None if future.cancelled() else work(raw)

        self._connection._tx.put_nowait((future, unless_cancelled))
        timer = self.watch.begin(future) if stop else None
        try:
            return await_(future)
        except asyncio.CancelledError:
            if stop:
                self.watch.interrupt()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _raise_as_ours(self, error: Exception, operation: Any) -> None:
        code = (
            getattr(error, "sqlite_errorcode", 0) & 0xFF
        )  # the primary code, without SQLite's extended bits
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise DatabaseLockedError(operation, None, error) from error
        if code == sqlite3.SQLITE_INTERRUPT and self.watch.is_late:
            raise StatementTimeoutError(operation, None, error) from error

    def _run(
        self, raw: sqlite3.Connection, method: str, operation: Any, parameters: Any
    ) -> _Outcome:
        # In the connection's thread.
        if self._begin is not None:
            raw.execute(self._begin)
            self._begin = None
        cursor = getattr(raw, method)(operation, parameters)
        try:
            rows = cursor.fetchall() if cursor.description else []
            return _Outcome(cursor.description, rows, cursor.rowcount, cursor.lastrowid)
        finally:
            cursor.close()

    def _execute_all(
        self, raw: sqlite3.Connection, steps: Sequence[tuple[str, Sequence[Any]]]
    ) -> list[int]:
        # In the connection's thread.
        raw.execute("BEGIN IMMEDIATE")
        counts = []
        try:
            for sql, parameters in steps:
                cursor = raw.execute(sql, parameters)
                cursor.fetchall()  # of a RETURNING: SQLite does the rest only then
                counts.append(cursor.rowcount)
                cursor.close()
            if self.watch.is_stopped:  # between two statements, where SQLite does not notice it
                stopped = sqlite3.OperationalError("interrupted")
                stopped.sqlite_errorcode = sqlite3.SQLITE_INTERRUPT
                raise stopped
            raw.commit()
        except BaseException:
            raw.rollback()
            raise
        return counts

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self.dbapi.write_lock.release()


class OneHopDBAPI(AsyncAdapt_aiosqlite_dbapi):
    """The DBAPI module that SQLAlchemy uses. Each engine has its own."""

    def __init__(self, aiosqlite: Any, sqlite: Any) -> None:
        super().__init__(aiosqlite, sqlite)
        self.write_lock = WriteLock()
        self.statement_timeout: float | None = None

    def connect(self, *arg: Any, **kw: Any) -> OneHopConnection:
        connection = super().connect(*arg, async_creator_fn=connect, **kw)
        return OneHopConnection(self, connection._connection)


class _Writes(ConnectionCharacteristic):
    """Sets the option WRITES on a connection, until it is returned to the pool."""

    __slots__ = ()

    transactional = True

    def reset_characteristic(self, dialect: Any, dbapi_conn: Any) -> None:
        dbapi_conn.writes = False

    def set_characteristic(self, dialect: Any, dbapi_conn: Any, value: Any) -> None:
        dbapi_conn.writes = bool(value)

    def get_characteristic(self, dialect: Any, dbapi_conn: Any) -> Any:
        return dbapi_conn.writes


class OneHopDialect(SQLiteDialect_aiosqlite):
    """SQLAlchemy's dialect for aiosqlite, with `OneHopConnection` and its cursors."""

    driver = "onehop"
    supports_statement_cache = True
    connection_characteristics = SQLiteDialect_aiosqlite.connection_characteristics.union(
        {WRITES: _Writes()}
    )

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.begin()

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """As in SQLAlchemy's dialect; under AUTOCOMMIT, `begin` then sends no BEGIN."""
        dbapi_connection.autocommits = level == "AUTOCOMMIT"
        super().set_isolation_level(dbapi_connection, level)

    @classmethod
    def import_dbapi(cls) -> OneHopDBAPI:
        return OneHopDBAPI(__import__("aiosqlite"), sqlite3)
