"""The engine and its pool, on SQLite through aiosqlite or on PostgreSQL through asyncpg."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Self

from sqlalchemy import Executable, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    async_sessionmaker,
    create_async_engine,
)

from quartapp.database.direct import LoopReader, PooledDriver
from quartapp.database.drivers import POSTGRESQL, SQLITE, sqlite, stock
from quartapp.database.drivers.fifo_pool import FifoQueuePool
from quartapp.database.drivers.shares import largest_share
from quartapp.database.errors import POOLER, explain, is_of_pooler
from quartapp.database.prepared import Declined, Preparer, Unprepared
from quartapp.database.source import (
    READS_ONLY,
    Rows,
    Session,
    Source,
    Step,
    read,
    refuse_change,
    write,
)
from quartapp.database.url import async_url, without_pooler

Observer = Callable[[str, float, int], None]
"""Gets the SQL of a statement, the seconds that it took, and the number of its rows."""

POOL_TIMEOUT = 5.0
"""Seconds that a request waits for a connection before it gets a 503."""

WARM_UP = 2.0
"""The most seconds that a start may spend on opening connections."""

_logger = logging.getLogger(__name__)


class DatabaseEngine(Source):
    """An engine and its session factories. It connects at the first statement.

    Accepts the URLs that the setting DATABASE_URL accepts; raises ValueError for others. The owner
    calls `dispose()` after the last session is closed. `from_engine` takes an engine of SQLAlchemy.

    A request waits at most `pool_timeout` seconds for a connection; `pool_queue` requests of a
    route may wait at a time.

    A statement that takes longer than `statement_timeout` seconds is stopped and raises
    StatementTimeoutError; None means no limit. On PostgreSQL this also detects a lost connection.

    `engine_options` are further ones of SQLAlchemy's `create_async_engine`, and `session_options`
    those of its `AsyncSession`.
    """

    _preparer: Preparer
    _reader: LoopReader | PooledDriver
    _sessions: async_sessionmaker[Session]
    _writers: async_sessionmaker[Session]

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 10,
        pool_timeout: float = POOL_TIMEOUT,
        pool_queue: int = FifoQueuePool.queue,
        statement_timeout: float | None = None,
        engine_options: Mapping[str, Any] | None = None,
        session_options: Mapping[str, Any] | None = None,
    ) -> None:
        full_url = sqlite.shared_memory(async_url(url))
        url_of_pool, has_pooler = without_pooler(full_url)
        is_sqlite = full_url.get_backend_name() == "sqlite"
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": 0,
            "poolclass": type(FifoQueuePool.__name__, (FifoQueuePool,), {"queue": pool_queue}),
            "pool_timeout": pool_timeout,
            "pool_pre_ping": not is_sqlite,
            # Parameters contain user input; so they stay out of messages and logs.
            "hide_parameters": True,
            **(engine_options or {}),
        }
        engine = create_async_engine(
            url_of_pool.set(drivername=SQLITE if is_sqlite else POSTGRESQL), **options
        )
        dbapi: Any = engine.dialect.dbapi
        dbapi.statement_timeout = statement_timeout
        dbapi.has_pooler = has_pooler
        if is_sqlite:
            sqlite.configure(engine)
        # On SQLite only: there it takes the write lock at the start of a transaction.
        writing = {"isolation_level": "IMMEDIATE"} if is_sqlite else {}
        engines = engine, engine.execution_options(**writing)
        self._set_up(full_url, engine, engines, session_options)
        self._warm = 1 if is_sqlite else largest_share(pool_size)
        self._preparer = Preparer(engine.dialect)
        if is_sqlite:
            self._reader = LoopReader(engine)

    @classmethod
    def from_engine(
        cls, engine: AsyncEngine, *, session_options: Mapping[str, Any] | None = None
    ) -> Self:
        """One on an engine that was made elsewhere, with its driver and its pool.

        Transactions are as safe as with ours: those that write take SQLite's write lock at their
        start. All statements are executed by SQLAlchemy. Limits of time, the fair queue of
        requests, and what is set on a connection are the engine's own. `dispose()` disposes of
        `engine`. Raises ValueError for a database other than SQLite and PostgreSQL.
        """
        if engine.dialect.name not in {"sqlite", "postgresql"}:
            raise ValueError(
                f"expected an engine of SQLite or PostgreSQL, not {engine.dialect.name}"
            )
        made = cls.__new__(cls)
        made._set_up(engine.url, engine, stock.reading_and_writing(engine), session_options)
        return made

    def _set_up(
        self,
        url: URL,
        engine: AsyncEngine,
        engines: tuple[AsyncEngine, AsyncEngine],
        session_options: Mapping[str, Any] | None,
    ) -> None:
        self.url = url
        self.engine = engine
        self._reading_engine, self._writing_engine = engines
        options: dict[str, Any] = {
            "expire_on_commit": False,
            "close_resets_only": False,  # so that `Session.close_for_good` can be
            **(session_options or {}),
        }
        self._sessions = async_sessionmaker(self._reading_engine, class_=Session, **options)
        self._writers = async_sessionmaker(self._writing_engine, class_=Session, **options)
        self._observers: list[Observer] = []
        self._warm = 1
        self._preparer = Unprepared(engine.dialect)
        self._driver = PooledDriver(engine)
        self._reader = self._driver

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def is_in_memory(self) -> bool:
        """Whether the database is gone when its last connection closes."""
        if not self.is_sqlite:
            return False
        return sqlite.database_file(self.url) in {None, Path(":memory:")}

    @property
    def address(self) -> str:
        """The URL of the database without user, password and options."""
        return self.url.set(username=None, password=None, query={}).render_as_string()

    def file_identity(self) -> tuple[int, int] | None:
        """Device and inode of the file now at an SQLite database's path; None if there is none."""
        return sqlite.file_identity(self.url)

    async def read(self, statement: Executable, /, **values: Any) -> Rows:
        """See `Source.read`. Each call sees what is committed at its moment: see `snapshot`."""
        refuse_change(statement)
        with suppress(Declined):
            prepared = self._preparer.find(statement, values)
            began = monotonic()
            rows = prepared.rows(await self._reader.read(prepared, prepared.parameters(values)))
            self._note(prepared.sql, began, len(rows))
            return rows
        async with self._reading_engine.connect() as connection:
            return await connection.run_sync(read, statement, values)

    async def write_all(self, *steps: Step) -> list[int]:
        """See `Source.write_all`; the transaction is its own."""
        if not steps:
            return []
        with suppress(Declined):
            forms = [(self._preparer.find(*step), step[1]) for step in steps]
            ready = [(prepared.sql, prepared.parameters(values)) for prepared, values in forms]
            began = monotonic()
            counts = await self._driver.write(ready)
            for (sql, _), count in zip(ready, counts, strict=True):
                self._note(sql, began, count)
            return counts
        async with self._writing_engine.begin() as connection:
            return await connection.run_sync(write, *steps)

    def observe(self, observer: Observer) -> None:
        """Call `observer(sql, seconds, rows)` after each statement, also of sessions.

        It gets no values, and must not raise. `seconds` are those of the transaction for
        `write_all`, and contain the wait for a connection or a turn unless SQLAlchemy executed the
        statement; `rows` is -1 for a SELECT that SQLAlchemy executed. A statement that fails is in
        its error, and not observed. The same observer again changes nothing.
        """
        if observer in self._observers:
            return
        self._observers.append(observer)
        if len(self._observers) > 1:
            return

        # Only now, because with one listener SQLAlchemy checks for listeners at every step.
        @event.listens_for(self.engine.sync_engine, "before_cursor_execute")
        def before(*given: Any) -> None:
            given[4].quartapp_began = monotonic()

        @event.listens_for(self.engine.sync_engine, "after_cursor_execute")
        def after(_: Any, cursor: Any, sql: str, __: Any, context: Any, *___: Any) -> None:
            # A statement that was being executed at the first `observe` has no beginning.
            if (began := getattr(context, "quartapp_began", None)) is not None:
                self._note(sql, began, cursor.rowcount)

    def _note(self, sql: str, began: float, rows: int) -> None:
        for observer in self._observers:
            observer(sql, monotonic() - began, rows)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """A session whose reads all see the state of the database at the first one.

        It only reads: `write` raises InvalidRequestError. Take it where rows of several statements
        must fit together; it costs what a session costs, and holds a connection until the end of
        the block.
        """
        async with self.session(write=False) as session:
            session.info[READS_ONLY] = True
            if not self.is_sqlite:  # on SQLite each transaction sees one state
                options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                await session.connection(execution_options=options)
            yield session

    def session(self, *, write: bool = True) -> Session:
        """A new session, which the caller closes.

        With `write`, a transaction on SQLite takes the write lock at its start, so nothing that it
        reads can be changed by another transaction before it writes. It waits for the lock no
        longer than the busy timeout. On PostgreSQL, `SELECT ... FOR UPDATE` or a single UPDATE
        statement gives the same protection.
        """
        return (self._writers if write else self._sessions)()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Session]:
        """A writing session in a transaction: committed at the end, rolled back after an error."""
        async with self.session() as session, session.begin():
            yield session

    def connect(self) -> AsyncConnection:
        """A connection for `async with`; its transactions take SQLite's write lock at the start."""
        return self._writing_engine.connect()

    async def ping(self) -> None:
        """Run a trivial query. Raises SQLAlchemy's or the driver's errors."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def warm_up(self) -> bool:
        """Open the connections that one route may use, so that the first requests need not wait.

        Returns whether the database answered.

        On SQLite it opens only one: opening a file delays a request by 2 ms, opening ten delays a
        start by 30 ms. It takes at most WARM_UP seconds. A database that is not reachable is
        logged, not raised: the application starts without it and connects later.
        """
        try:
            async with asyncio.timeout(WARM_UP), AsyncExitStack() as stack:
                for _ in range(self._warm):
                    connection = await stack.enter_async_context(self.engine.connect())
                if advice := await _advice_on_pooler(connection):
                    _logger.warning("%s", advice)
        except (SQLAlchemyError, OSError) as error:
            # TimeoutError is an OSError.
            why = explain(error) if is_of_pooler(error) else type(error).__name__
            _logger.warning("The database did not answer at the start: %s", why)
            return False
        return True

    async def advice_on_pooler(self) -> str:
        """What should be set because of a pooler between here and PostgreSQL; "" if nothing."""
        async with self.engine.connect() as connection:
            return await _advice_on_pooler(connection)

    def sync(self) -> None:
        """Sync what is committed to the disk. Blocks, so call it in a thread.

        PostgreSQL does so at each COMMIT. Raises OSError.
        """
        if file := sqlite.database_file(self.url):
            sqlite.sync(file)

    async def dispose(self) -> None:
        """Close all connections."""
        if isinstance(self._reader, LoopReader):
            self._reader.close()
        await self.engine.dispose()


async def _advice_on_pooler(connection: AsyncConnection) -> str:
    if connection.dialect.driver != POSTGRESQL.partition("+")[2]:
        return ""
    dbapi: Any = connection.dialect.dbapi
    driver: Any = (await connection.get_raw_connection()).driver_connection
    query = text("SELECT pg_backend_pid(), current_setting('statement_timeout')")
    process, limit = (await connection.execute(query)).one()
    if not dbapi.has_pooler:
        # A pooler names a process of its own, so that it gets requests to cancel a statement.
        return POOLER if process != driver.get_server_pid() else ""
    if dbapi.statement_timeout is None or limit != "0":
        return ""
    return (
        "Statements that reach DATABASE_TIMEOUT go on in PostgreSQL, because a pooler does not pass"
        " the limit on: let an administrator of the database execute ALTER ROLE"
        f" {connection.engine.url.username or 'microblog'} SET statement_timeout ="
        f" '{dbapi.statement_timeout:g}s'."
    )
