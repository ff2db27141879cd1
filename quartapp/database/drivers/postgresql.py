"""Configuration of an engine for PostgreSQL: a check of pooled connections in one round trip.

With asyncpg, SQLAlchemy's `pool_pre_ping` takes three round trips (BEGIN, a query, ROLLBACK), as
many as a page with one SELECT in its transaction, and it has no time limit (docs/decisions/0057).
The dialect is in `limited`, which is imported only when a URL names it: the import takes 60 ms.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import await_

DRIVER = "postgresql+limited"
"""The name of the dialect in a database URL."""

PATIENCE = 2.0
"""Seconds within which a connection must answer the check."""

_WAS_USED = "quartapp_was_used"

registry.register("postgresql.limited", "quartapp.database.drivers.limited", "LimitedDialect")


def configure(engine: AsyncEngine) -> None:
    """Make an engine check pooled connections before use, and replace dead ones."""

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_connection: object, record: Any) -> None:
        record.info[_WAS_USED] = True

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, _fairy: object) -> None:
        if _WAS_USED in record.info:  # a new connection needs no check
            _ask(connection)


def _ask(connection: Any) -> None:
    try:
        await_(connection.driver_connection.execute("SELECT 1", timeout=PATIENCE))
    except Exception as error:  # after any error the connection is unusable
        raise DisconnectionError("this connection was ended or lost") from error
