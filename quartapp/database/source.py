"""What statements are executed on: a database, or a session that is in a transaction.

A query takes a `Source` and works with either. Outside a transaction a database is several times
faster than a session; what a session has written and not committed only that session sees. So take
a `Database`, which executes on the request's session while that is in a transaction.
"""

import asyncio
from functools import wraps
from typing import Any, Protocol

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session as SyncSession

from quartapp.database.errors import SharedSessionError

Rows = list[tuple[Any, ...]]
Values = dict[str, Any]
READS_ONLY = "quartapp_reads_only"
"""In `Session.info` of a session that refuses to write."""

Step = tuple[Executable, Values]
"""A statement and the values of its bound parameters."""


class Source(Protocol):
    """Executes statements of SQLAlchemy Core. `DatabaseEngine` and `Session` do so with one result.

    Rows are plain tuples, in the order of the statement's columns, with the Python values that the
    types of the columns return. A SELECT of entities returns their columns. A parameter without a
    default whose value is missing raises SQLAlchemy's StatementError.

    Errors are those of SQLAlchemy and of `quartapp.database.errors`. If a method raises, it has
    changed nothing, with one exception: if the connection is lost during a COMMIT, nobody knows,
    and nothing is executed a second time.

    Build a statement once, at the import, with `bindparam()` for what varies: one that is built for
    each execution is executed by SQLAlchemy and gains nothing. So is one with a list in `IN`, with
    `text()`, or with a default that Python computes; pass such a value (`created_at=utc_now()`).
    """

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite; otherwise it is PostgreSQL."""

    async def read(self, statement: Executable, /, **values: Any) -> Rows:
        """The rows of a SELECT. Raises ArgumentError for an INSERT, UPDATE or DELETE."""

    async def write(self, statement: Executable, /, **values: Any) -> int:
        """Execute an INSERT, UPDATE or DELETE, and commit. Returns the number of its rows.

        The number is that of the rows that matched, also if an UPDATE left them as they were, and 0
        for an INSERT that a conflict made do nothing.
        """
        return (await self.write_all((statement, values)))[0]

    async def write_all(self, *steps: Step) -> list[int]:
        """Execute several statements in one transaction, and commit; as `write`."""


class Session(AsyncSession, Source):
    """A session that is a `Source` too: it executes within its transaction.

    `read` sees what the session has written, added and changed. `write` and `write_all` commit what
    the session did before as well, and roll all of it back if they raise. Objects of the session do
    not notice what they change.

    A session belongs to one task at a time: a second one gets SharedSessionError.
    """

    _user: asyncio.Task[Any] | None = None
    _freed: asyncio.Future[None] | None = None

    @property
    def is_sqlite(self) -> bool:
        return self.get_bind().dialect.name == "sqlite"

    async def read(self, statement: Executable, /, **values: Any) -> Rows:
        refuse_change(statement)

        def run(session: SyncSession) -> Rows:
            session.flush()
            return read(session.connection(), statement, values)

        return await self.run_sync(run)

    async def rollback(self) -> None:
        """Roll back, after what another task is doing with the session."""
        await self._until_free()
        await super().rollback()

    async def close(self) -> None:
        """Close it, after what another task is doing with it; a further use begins again."""
        await self._until_free()
        await self.reset()

    async def close_for_good(self) -> None:
        """Close it, after what another task is doing with it; a further use raises."""
        await self._until_free()
        await super().close()

    async def _until_free(self) -> None:
        while self._user is not None and self._user is not asyncio.current_task():
            if self._freed is None:
                self._freed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._freed)

    async def write_all(self, *steps: Step) -> list[int]:
        if READS_ONLY in self.info:
            raise InvalidRequestError("a snapshot only reads")

        def run(session: SyncSession) -> list[int]:
            session.flush()
            counts = write(session.connection(), *steps)
            session.commit()
            return counts

        try:
            return await self.run_sync(run)
        except BaseException:
            await self.rollback()
            raise


def _by_one_task(name: str) -> Any:
    """That method of AsyncSession; it raises SharedSessionError if another task is in one."""
    method = getattr(AsyncSession, name)

    @wraps(method)
    async def checked(self: Session, *args: Any, **kwargs: Any) -> Any:
        task, user = asyncio.current_task(), self._user
        if user is not None and user is not task:
            raise SharedSessionError(
                "this session is in use: a session belongs to one task. For work side by side, as"
                " with asyncio.gather, each task opens its own: 'async with db.begin() as session'"
            )
        self._user = task
        try:
            return await method(self, *args, **kwargs)
        finally:
            self._user = user
            if user is None and self._freed is not None:
                self._freed.set_result(None)
                self._freed = None
            del task, user  # an error's traceback refers to this frame, and the task to the error

    return checked


for _name in (
    "commit",
    "connection",
    "delete",
    "execute",
    "flush",
    "get",
    "merge",
    "refresh",
    "run_sync",
    "scalar",
):
    setattr(Session, _name, _by_one_task(_name))


def refuse_change(statement: Executable) -> None:
    """Raise ArgumentError for an INSERT, UPDATE or DELETE, which `read` would not commit."""
    if statement.is_dml:
        raise ArgumentError("read() executes a SELECT; use write() for an INSERT, UPDATE or DELETE")


def read(connection: Connection, statement: Executable, values: Values) -> Rows:
    """The rows of a SELECT, executed by SQLAlchemy."""
    return [tuple(row) for row in connection.execute(statement, values)]


def write(connection: Connection, *steps: Step) -> list[int]:
    """The numbers of rows of statements that SQLAlchemy executes; the caller commits."""
    return [connection.execute(*step).rowcount for step in steps]
