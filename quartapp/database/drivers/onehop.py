"""SQLAlchemy on SQLite with one hop to the connection's thread for each statement.

The stock dialect (sqlalchemy.dialects.sqlite.aiosqlite) switches to the thread four times for a
SELECT (cursor, execute, fetchall, close), once for BEGIN, and once for a rollback even if there is
nothing to roll back. Here a statement is executed, fetched and closed in one hop, which also
carries the BEGIN before it; an error of the BEGIN arrives with the first statement. `driver` does
the rest: transactions, the write lock, limits and cancellation. `stream()` keeps the stock cursor.
"""

import sqlite3
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util.concurrency import await_

from quartapp.database.drivers import sqlite
from quartapp.database.drivers.driver import IMMEDIATE, Driver
from quartapp.database.drivers.write_lock import WriteLock

_BEGINS = {"SERIALIZABLE": "BEGIN", "IMMEDIATE": IMMEDIATE, "AUTOCOMMIT": None}
"""The isolation levels. With IMMEDIATE, a transaction takes the write lock at its start."""


class OneHopCursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor whose rows are fetched, and which is closed, when its statement was executed.

    `_cursor` is then the closed cursor of the driver, which still has its attributes.
    """

    __slots__ = ()

    _cursor: Any
    _connection: Any

    def _make_new_cursor(self, connection: Any) -> Any:
        """None: a cursor of the driver would be a hop."""

    def _aenter_cursor(self, cursor: Any) -> Any:
        return cursor

    async def _execute_async(self, operation: Any, parameters: Any) -> None:
        await self._fetch("execute", operation, parameters or ())

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:
        await self._fetch("executemany", operation, seq_of_parameters)

    async def _fetch(self, method: str, operation: Any, parameters: Any) -> None:
        self._cursor, rows = await self._connection.fetch(method, operation, parameters)
        self._rows = deque(rows)

    async def _async_soft_close(self) -> None:
        """There is nothing to close."""

    def close(self) -> None:
        self._rows.clear()


class OneHopConnection(AsyncAdapt_aiosqlite_connection):
    """SQLAlchemy's form of a `Driver`."""

    __slots__ = ()

    _cursor_cls = OneHopCursor
    _connection: Driver  # type: ignore[assignment]  # the protocol of all drivers, made precise

    @property
    def is_lost(self) -> bool:
        """Whether the connection is closed."""
        return self._connection.is_lost

    def execute_all(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        """See `Driver.execute_all`. Raises what a cursor raises."""
        try:
            return await_(self._connection.execute_all(steps))
        except Exception as error:  # noqa: BLE001 it becomes SQLAlchemy's
            self._handle_exception(error)


class OneHopDBAPI(AsyncAdapt_aiosqlite_dbapi):
    """The DBAPI module that SQLAlchemy uses. Each engine has its own."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)
        self.write_lock = WriteLock()
        self.statement_timeout: float | None = None

    def connect(self, *arg: Any, **kw: Any) -> OneHopConnection:
        connector = partial(sqlite.connect, *arg, **kw)
        driver: Any = Driver(connector, self.write_lock, self.statement_timeout)
        return OneHopConnection(self, await_(driver))


class OneHopDialect(SQLiteDialect_aiosqlite):
    """SQLAlchemy's dialect for aiosqlite, with `OneHopConnection` and its cursors."""

    driver = "onehop"
    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.driver_connection.begin()

    def get_isolation_level_values(self, dbapi_connection: Any) -> list[Any]:
        return list(_BEGINS)

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        dbapi_connection.driver_connection.begin_with = _BEGINS[level]

    @classmethod
    def import_dbapi(cls) -> OneHopDBAPI:
        return OneHopDBAPI()
