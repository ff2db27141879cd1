"""Transactions on an engine that somebody else made, with the stock driver of SQLAlchemy.

sqlite3 begins a transaction before the first statement that writes. What was read before may have
changed by then, and an update is lost; and each SELECT sees another state. So the engines that are
derived here begin explicitly. Nothing is changed on the given engine, with which they share the
pool: its other users notice nothing.
"""

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import StaticPool
from sqlalchemy.util.concurrency import await_

from quartapp.database.drivers.write_lock import WriteLock


def reading_and_writing(engine: AsyncEngine) -> tuple[AsyncEngine, AsyncEngine]:
    """Two engines on the pool of `engine`; transactions of the second take SQLite's write lock."""
    if engine.dialect.name != "sqlite":
        return engine, engine
    turns = _Turns() if isinstance(engine.pool, StaticPool) else None
    return _derived(engine, "BEGIN", turns), _derived(engine, "BEGIN IMMEDIATE", turns)


class _Turns:
    """Transactions one after another, on a pool of one connection: a database in memory.

    SQLAlchemy gives that connection to all who ask, and they would share one transaction.
    """

    def __init__(self) -> None:
        self._lock = WriteLock()
        self._holder: Connection | None = None

    def take(self, connection: Connection) -> None:
        await_(self._lock.acquire())
        self._holder = connection
        # The turn before was given back when its COMMIT was sent to the connection's thread, which
        # works in order: when this returns, that has ended, or failed.
        driver: Any = connection.connection.driver_connection
        await_(driver.rollback())

    def give_back(self, connection: Connection) -> None:
        if self._holder is connection:
            self._holder = None
            self._lock.release()


def _derived(engine: AsyncEngine, statement: str, turns: _Turns | None) -> AsyncEngine:
    derived = engine.execution_options()

    @event.listens_for(derived.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        try:
            if turns is not None:
                turns.take(connection)
            connection.exec_driver_sql(statement)
        except BaseException:
            if turns is not None:
                turns.give_back(connection)
            raise

    @event.listens_for(derived.sync_engine, "before_cursor_execute", retval=True)
    def begin_once(connection: Connection, _: Any, sql: str, values: Any, *__: Any) -> Any:
        # A listener of the engine's owner, as in SQLAlchemy's recipe for SQLite, comes after ours.
        driver: Any = connection.connection.driver_connection
        return ("SELECT 1", ()) if sql == "BEGIN" and driver.in_transaction else (sql, values)

    if turns is not None:
        event.listen(derived.sync_engine, "commit", turns.give_back)
        event.listen(derived.sync_engine, "rollback", turns.give_back)
    return derived
