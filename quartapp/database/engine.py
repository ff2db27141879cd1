"""The engine and its pool, on SQLite through aiosqlite or on PostgreSQL through asyncpg."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

from sqlalchemy import Executable, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    async_sessionmaker,
    create_async_engine,
)

from quartapp.database.direct import LoopReader, PooledDriver
from quartapp.database.drivers import POSTGRESQL, SQLITE, sqlite
from quartapp.database.drivers.fifo_pool import FifoQueuePool
from quartapp.database.drivers.shares import largest_share
from quartapp.database.prepared import Declined, Preparer
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
from quartapp.database.url import async_url
from quartapp.permissions import make_private_folder

Observer = Callable[[str, float, int], None]
"""Gets the SQL of a statement, the seconds that it took, and the number of its rows."""

POOL_TIMEOUT = 5.0
"""Seconds that a request waits for a connection before it gets a 503."""

WARM_UP = 2.0
"""The most seconds that a start may spend on opening connections."""

_logger = logging.getLogger(__name__)


class Database(Source):
    """An engine and its session factories. It connects at the first statement.

    Accepts the URLs that the setting DATABASE_URL accepts; raises ValueError for others. The owner
    calls `dispose()` after the last session is closed.

    A request waits at most `pool_timeout` seconds for a connection; `pool_queue` requests of a
    route may wait at a time.

    A statement that takes longer than `statement_timeout` seconds is stopped and raises
    StatementTimeoutError; None means no limit. On PostgreSQL this also detects a lost connection.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = POOL_TIMEOUT,
        pool_queue: int = FifoQueuePool.queue,
        statement_timeout: float | None = None,
    ) -> None:
        self.url = sqlite.shared_memory(async_url(url))
        options: dict[str, Any] = {
            "pool_size": pool_size,
            "max_overflow": 0,
            "poolclass": type(FifoQueuePool.__name__, (FifoQueuePool,), {"queue": pool_queue}),
            "pool_timeout": pool_timeout,
            "pool_pre_ping": not self.is_sqlite,
        }
        if self.is_sqlite:
            _make_folder(self.url.database)
        # Parameters contain user input, so `hide_parameters` keeps them out of messages and logs.
        self._pool_size = pool_size
        self.engine: AsyncEngine = create_async_engine(
            self.url.set(drivername=SQLITE if self.is_sqlite else POSTGRESQL),
            hide_parameters=True,
            **options,
        )
        dbapi: Any = self.engine.dialect.dbapi
        dbapi.statement_timeout = statement_timeout
        # On SQLite only: there it takes the write lock at the start of a transaction.
        writing = {"isolation_level": "IMMEDIATE"} if self.is_sqlite else {}
        self._writing_engine = self.engine.execution_options(**writing)
        self._sessions = async_sessionmaker(self.engine, class_=Session, expire_on_commit=False)
        self._writers = async_sessionmaker(
            self._writing_engine, class_=Session, expire_on_commit=False
        )
        if self.is_sqlite:
            sqlite.configure(self.engine)
        self._observers: list[Observer] = []
        self._preparer = Preparer(self.engine.dialect)
        self._driver = PooledDriver(self.engine)
        self._reader = LoopReader(self.engine) if self.is_sqlite else self._driver

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

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
        async with self.engine.connect() as connection:
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
        its error, and not observed.
        """
        self._observers.append(observer)
        if len(self._observers) > 1:
            return

        # Only now, because with one listener SQLAlchemy checks for listeners at every step.
        @event.listens_for(self.engine.sync_engine, "before_cursor_execute")
        def before(*given: Any) -> None:
            given[4].quartapp_began = monotonic()

        @event.listens_for(self.engine.sync_engine, "after_cursor_execute")
        def after(_: Any, cursor: Any, sql: str, __: Any, context: Any, *___: Any) -> None:
            self._note(sql, context.quartapp_began, cursor.rowcount)

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

    async def ping(self) -> None:
        """Run a trivial query. Raises SQLAlchemy's or the driver's errors."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def warm_up(self) -> None:
        """Open the connections that one route may use, so that the first requests need not wait.

        On SQLite it opens only one: opening a file delays a request by 2 ms, opening ten delays a
        start by 30 ms. It takes at most WARM_UP seconds. A database that is not reachable is
        logged, not raised: the application starts without it and connects later.
        """
        try:
            async with asyncio.timeout(WARM_UP), AsyncExitStack() as stack:
                for _ in range(1 if self.is_sqlite else largest_share(self._pool_size)):
                    connection = self.engine.connect()
                    await stack.enter_async_context(connection)
        except (SQLAlchemyError, OSError) as error:
            # TimeoutError is an OSError.
            _logger.warning("The database did not answer at the start: %s", type(error).__name__)

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


def _make_folder(database: str | None) -> None:
    if database and not database.startswith("file:"):
        make_private_folder(Path(database).parent)
