"""SQLAlchemy's dialect for asyncpg, with a time limit for every response of the server.

The server cancels a statement that takes too long (`statement_timeout`), and the connection stays
usable. If the network connection is lost, the server cannot report that: the client then closes the
connection, MARGIN seconds later. Without a limit a request holds it until its client leaves.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from sqlalchemy.dialects.postgresql.asyncpg import (
    AsyncAdapt_asyncpg_connection,
    AsyncAdapt_asyncpg_dbapi,
    AsyncAdapt_asyncpg_ss_cursor,
    PGDialect_asyncpg,
)
from sqlalchemy.util.concurrency import await_

from quartapp.database.errors import StatementTimeoutError

MARGIN = 1.0
"""Seconds by which the client's limit is longer than the server's."""

CONNECT_TIMEOUT = 5.0
"""The most seconds that opening a connection may take."""

CLOSE_TIMEOUT = 0.5
"""Seconds to wait for the server to confirm that a connection is closed. When the application
stops, a pool closes its connections one after another."""

_CANCELLED = "57014"
"""The SQLSTATE of a cancelled statement; the message is in the server's language."""

_OPTIONS = ("prepared_statement_cache_size", "prepared_statement_name_func")


class StreamCursor(AsyncAdapt_asyncpg_ss_cursor):
    """The cursor for streams. SQLAlchemy's does not translate asyncpg's errors in later rows."""

    __slots__ = ()

    def fetchone(self) -> Any:
        with self._as_ours():
            return super().fetchone()  # type: ignore[no-untyped-call]  # SQLAlchemy's

    def fetchmany(self, size: int | None = None) -> Any:
        with self._as_ours():
            return super().fetchmany(size)  # type: ignore[no-untyped-call]  # SQLAlchemy's

    def fetchall(self) -> Any:
        with self._as_ours():
            return super().fetchall()  # type: ignore[no-untyped-call]  # SQLAlchemy's

    @contextmanager
    def _as_ours(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 it becomes SQLAlchemy's, as in `execute`
            self._adapt_connection._handle_exception(error)


class LimitedConnection(AsyncAdapt_asyncpg_connection):
    """A connection that is closed when the server does not answer in time."""

    __slots__ = ()

    _ss_cursor_cls = StreamCursor

    def close(self) -> None:
        self.rollback()  # type: ignore[no-untyped-call]  # SQLAlchemy's
        connection: Any = self._connection
        with suppress(TimeoutError):  # asyncpg has then aborted it
            await_(connection.close(timeout=CLOSE_TIMEOUT))

    def _handle_exception(self, error: Exception) -> NoReturn:
        if isinstance(error, TimeoutError):  # asyncpg's, after its `command_timeout`
            self._terminate_force_close()
            raise StatementTimeoutError(None, None, error) from error
        if getattr(error, "sqlstate", None) == _CANCELLED:
            raise StatementTimeoutError(None, None, error) from error
        super()._handle_exception(error)


class LimitedDBAPI(AsyncAdapt_asyncpg_dbapi):
    """The DBAPI module that SQLAlchemy uses. Each engine has its own."""

    def __init__(self, asyncpg: Any) -> None:
        super().__init__(asyncpg)  # type: ignore[no-untyped-call]  # SQLAlchemy's
        self.statement_timeout: float | None = None

    def connect(self, *arg: Any, **kw: Any) -> LimitedConnection:
        options = {name: kw.pop(name) for name in _OPTIONS if name in kw}
        if self.statement_timeout is not None:
            milliseconds = str(int(self.statement_timeout * 1000))
            kw.setdefault("server_settings", {"statement_timeout": milliseconds})
            kw.setdefault("command_timeout", self.statement_timeout + MARGIN)
        kw.setdefault("timeout", CONNECT_TIMEOUT)
        try:
            opening = LimitedConnection.create(self, self.asyncpg.connect(*arg, **kw), **options)
            connection: LimitedConnection = await_(opening)
        except TimeoutError as error:
            raise StatementTimeoutError(None, None, error) from error
        return connection


class LimitedDialect(PGDialect_asyncpg):
    """SQLAlchemy's dialect for asyncpg, with `LimitedConnection`."""

    driver = "limited"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return LimitedDBAPI(__import__("asyncpg"))
