"""Which locks migrations wait for, and for how long.

On PostgreSQL a statement that alters a table waits for every transaction that uses it, and each
later request that uses it waits for that statement. So it waits for a short time, and is repeated.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

from alembic.util import CommandError
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import await_

LOCK_TIMEOUT = 2.0
"""Seconds that a statement of PostgreSQL waits for a table."""

WAIT = 60.0
"""Seconds for which a command tries to get what others have locked."""

_NUMBER = 7_205_759_403_792
"""The number of PostgreSQL's advisory lock."""

_LOCK_NOT_AVAILABLE = "55P03"

_PAUSE = 0.5

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a command waits: `seconds` in all, `lock_timeout` for each lock of PostgreSQL."""

    seconds: float
    lock_timeout: float

    @contextmanager
    def alone(self, connection: Connection) -> Iterator[None]:
        """Wait until no other process migrates this database of PostgreSQL.

        The lock belongs to a transaction of a second connection, outside of the pool: so it holds
        while migrations commit, also behind a pooler that gives a connection to others after each
        transaction. It is asked for and not waited for, because CREATE INDEX CONCURRENTLY waits for
        all statements that run, also for one that waits for this lock. On SQLite a transaction that
        writes locks the file.
        """
        if connection.dialect.name != "postgresql":
            yield
            return
        with connection.engine.connect() as holder:
            holder.execution_options(isolation_level="READ COMMITTED")
            holder.detach()
            self._take(holder)
            yield

    def _take(self, holder: Connection) -> None:
        end = monotonic() + self.seconds
        has_said = False
        while not holder.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _NUMBER}):
            holder.rollback()
            if monotonic() > end:
                raise CommandError(
                    f"Another process has migrated this database for {self.seconds:.0f} seconds:"
                    " nothing was changed here. Wait for it, and run this again."
                )
            if not has_said:
                has_said = True
                _logger.warning("Another process migrates this database: waiting for it.")
            _pause()
        holder.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))

    def retry(self, connection: Connection, migrate: Callable[[], None]) -> None:
        """Call `migrate`, again while others have locked what it needs. Raises CommandError."""
        end = monotonic() + self.seconds
        while True:
            try:
                return migrate()
            except DBAPIError as error:
                if not _is_locked(error):
                    raise
                connection.rollback()
                if monotonic() > end:
                    raise CommandError(self._why(connection)) from error
                _logger.warning("Others use a table that this migration needs: trying again.")
            _pause()

    def _why(self, connection: Connection) -> str:
        if connection.dialect.name != "postgresql":
            return (
                f"Another process has locked the database for {self.seconds:.0f} seconds: nothing"
                " was changed. Stop it, or run this again later."
            )
        return (
            f"A transaction has used a table for {self.seconds:.0f} seconds that the next migration"
            " needs for itself: that migration was not applied. End the transaction"
            " (pg_stat_activity lists them), or run this again later."
        )


def limit_locks(connection: Connection, seconds: float) -> None:
    """Limit how long each transaction of the connection waits for a lock of PostgreSQL.

    What is executed outside of transactions, such as CREATE INDEX CONCURRENTLY, has no limit: no
    request queues behind it.
    """

    @event.listens_for(connection, "begin")
    def limit(begun: Connection) -> None:
        if begun.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            begun.exec_driver_sql(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")


def _is_locked(error: DBAPIError) -> bool:
    cause: Any = error.orig
    if isinstance(cause, sqlite3.Error):
        code = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
        return code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
    return getattr(cause, "sqlstate", None) == _LOCK_NOT_AVAILABLE


def _pause() -> None:
    await_(asyncio.sleep(_PAUSE))
