"""SQLAlchemy's dialect for asyncpg, with a time limit for every response of the server.

The server cancels a statement that takes too long (`statement_timeout`), and the connection stays
usable. If the network connection is lost, the server cannot report that: the client then closes the
connection, MARGIN seconds later. Without a limit a request holds it until its client leaves.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn, cast

from sqlalchemy.dialects.postgresql.asyncpg import (
    AsyncAdapt_asyncpg_connection,
    AsyncAdapt_asyncpg_dbapi,
    AsyncAdapt_asyncpg_ss_cursor,
    PGDialect_asyncpg,
)
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.util.concurrency import await_

from quartapp.database.drivers import repeats
from quartapp.database.errors import DatabaseUnreachableError, StatementTimeoutError
from quartapp.extras import needs
from quartapp.settings import ConfigurationError

MARGIN = 1.0
"""Seconds by which the client's limit is longer than the server's."""

CONNECT_TIMEOUT = 5.0
"""The most seconds that opening a connection may take."""

CLOSE_TIMEOUT = 0.5
"""Seconds to wait for the server to confirm that a connection is closed. When the application
stops, a pool closes its connections one after another."""

PATIENCE = 2.0
"""Seconds within which a pooled connection must answer the check before its use."""

FRESH = 0.5
"""Seconds after its last use for which a connection needs no check if the caller `repeats`."""

_CANCELLED = "57014"
"""The SQLSTATE of a cancelled statement; the message is in the server's language."""

_NOT_NOW = {"57P03", "53300"}
"""The server starts or stops, or has no connection left."""

_OPTIONS = ("prepared_statement_cache_size", "prepared_statement_name_func")


def _as_ours(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a cursor, with asyncpg's errors translated, as those of `execute` are."""

    def translated(self: AsyncAdapt_asyncpg_ss_cursor, *args: Any) -> Any:
        try:
            return fetch(self, *args)
        except Exception as error:  # noqa: BLE001 it becomes SQLAlchemy's
            self._adapt_connection._handle_exception(error)

    return translated


class StreamCursor(AsyncAdapt_asyncpg_ss_cursor):
    """The cursor for streams. SQLAlchemy's does not translate asyncpg's errors in later rows."""

    __slots__ = ()

    fetchone = _as_ours(AsyncAdapt_asyncpg_ss_cursor.fetchone)
    fetchmany = _as_ours(AsyncAdapt_asyncpg_ss_cursor.fetchmany)
    fetchall = _as_ours(AsyncAdapt_asyncpg_ss_cursor.fetchall)


class LimitedConnection(AsyncAdapt_asyncpg_connection):
    """A connection that is closed when the server does not answer in time.

    `used_at`: when the server last answered a check or a statement without a session.
    """

    __slots__ = ("used_at",)

    _ss_cursor_cls = StreamCursor
    _connection: Any  # the protocol that SQLAlchemy has for asyncpg names less than is used here

    def __init__(self, dbapi: Any, connection: Any, **options: Any) -> None:
        super().__init__(dbapi, connection, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy's
        self.used_at = 0.0

    def close(self) -> None:
        self.rollback()  # type: ignore[no-untyped-call]  # SQLAlchemy's
        with suppress(TimeoutError):  # asyncpg has then aborted it
            await_(self._connection.close(timeout=CLOSE_TIMEOUT))

    @property
    def is_lost(self) -> bool:
        """Whether the connection is closed."""
        return bool(self._connection.is_closed())

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """The rows of a SELECT, in one round trip. Raises what SQLAlchemy's cursor raises."""
        return cast("Sequence[Any]", self._directly(self._connection.fetch(sql, *parameters)))

    def execute_all(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        """Execute statements in one transaction and commit; the numbers of their rows.

        Raises what SQLAlchemy's cursor raises. One statement is one round trip.
        """
        return cast("list[int]", self._directly(self._execute_all(steps)))

    def _directly(self, asked: Awaitable[Any]) -> Any:
        try:
            answer = await_(asked)
        except Exception as error:  # noqa: BLE001 it becomes SQLAlchemy's
            if not (self.is_lost or isinstance(error, TimeoutError)):
                self._end_transaction()
            self._handle_exception(error)
        self.used_at = monotonic()
        return answer

    def _end_transaction(self) -> None:
        # asyncpg refuses a value when the server has parsed the statement and holds locks for it.
        # The server releases them at the next statement.
        try:
            await_(self._connection.execute("SELECT 1", timeout=PATIENCE))
        except Exception:  # noqa: BLE001 after any error the connection is unusable
            self._terminate_force_close()

    async def _execute_all(self, steps: Sequence[tuple[str, Sequence[Any]]]) -> list[int]:
        if len(steps) == 1:
            return [await self._count(*steps[0])]
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            counts = [await self._count(*step) for step in steps]
        except BaseException:
            if not self.is_lost:  # asyncpg's error about that would hide the cause
                await transaction.rollback()
            raise
        await transaction.commit()
        return counts

    async def _count(self, sql: str, parameters: Sequence[Any]) -> int:
        status: str = await self._connection.execute(sql, *parameters)
        return int(status.rpartition(" ")[2])  # "UPDATE 1", "INSERT 0 1"

    def _handle_exception(self, error: Exception) -> NoReturn:
        if isinstance(error, TimeoutError):  # asyncpg's, after its `command_timeout`
            self._terminate_force_close()
        super()._handle_exception(error)

    @classmethod
    def _handle_exception_no_connection(cls, dbapi: Any, error: Exception) -> NoReturn:
        if isinstance(error, TimeoutError) or getattr(error, "sqlstate", None) == _CANCELLED:
            raise StatementTimeoutError(None, None, error) from error
        super()._handle_exception_no_connection(dbapi, error)


class LimitedDBAPI(AsyncAdapt_asyncpg_dbapi):
    """The DBAPI module that SQLAlchemy uses. Each engine has its own."""

    def __init__(self, asyncpg: Any) -> None:
        super().__init__(asyncpg)  # type: ignore[no-untyped-call]  # SQLAlchemy's
        self.statement_timeout: float | None = None
        self.has_pooler = False

    def connect(self, *arg: Any, **kw: Any) -> LimitedConnection:
        options = {name: kw.pop(name) for name in _OPTIONS if name in kw}
        if self.has_pooler:
            # asyncpg parses an unnamed statement again where it executes it, in the same message.
            kw["statement_cache_size"] = 0
            options = {"prepared_statement_cache_size": 0}
        if self.statement_timeout is not None:
            if not self.has_pooler:  # which refuses settings of a connection, or loses them
                milliseconds = str(int(self.statement_timeout * 1000))
                kw.setdefault("server_settings", {"statement_timeout": milliseconds})
            kw.setdefault("command_timeout", self.statement_timeout + MARGIN)
        kw.setdefault("timeout", CONNECT_TIMEOUT)
        opening = LimitedConnection.create(self, self.asyncpg.connect(*arg, **kw), **options)
        try:
            return await_(opening)
        except OSError as error:
            raise DatabaseUnreachableError(None, None, error) from error
        except Exception as error:
            if getattr(error, "sqlstate", None) in _NOT_NOW:
                raise DatabaseUnreachableError(None, None, error) from error
            raise


class LimitedDialect(PGDialect_asyncpg):
    """SQLAlchemy's dialect for asyncpg, with `LimitedConnection`."""

    driver = "limited"
    supports_statement_cache = True

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Check a pooled connection in one round trip; SQLAlchemy's takes three without a limit."""
        if repeats.get() and monotonic() - dbapi_connection.used_at < FRESH:
            return True
        try:
            await_(dbapi_connection.driver_connection.execute("SELECT 1", timeout=PATIENCE))
        except Exception as error:  # after any error the connection is unusable
            raise DisconnectionError("this connection was ended or lost") from error
        dbapi_connection.used_at = monotonic()
        return True

    @classmethod
    def import_dbapi(cls) -> Any:
        try:
            return LimitedDBAPI(__import__("asyncpg"))
        except ModuleNotFoundError:
            raise ConfigurationError(f"A PostgreSQL database {needs('postgresql')}") from None
