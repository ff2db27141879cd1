"""Whether a PostgreSQL connection still lives, asked in one round trip before it is used.

SQLAlchemy's `pool_pre_ping` takes three with asyncpg (BEGIN, a query, ROLLBACK), as many as a
page's one SELECT in its transaction, and waits as long as the network lets it.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import await_

PATIENCE = 2.0
"""Seconds that a connection has for its sign of life."""

_WAS_USED = "quartapp_was_used"


def configure(engine: AsyncEngine) -> None:
    """Replace dead connections before a statement meets them."""

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_connection: object, record: Any) -> None:
        record.info[_WAS_USED] = True

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, _fairy: object) -> None:
        if _WAS_USED in record.info:  # else it was opened just now
            _ask(connection)


def _ask(connection: Any) -> None:
    try:
        await_(connection.driver_connection.execute("SELECT 1", timeout=PATIENCE))
    except Exception as error:  # whatever it is, the connection is of no use
        raise DisconnectionError("this connection was ended or lost") from error
