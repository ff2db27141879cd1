"""Whether a PostgreSQL connection still lives, asked where that can be in doubt.

SQLAlchemy's `pool_pre_ping` asks at each use: with asyncpg three round trips, as many as a page's
one SELECT takes in its transaction. A server that ends, or ends a connection, says so, and
asyncpg hears it between two uses. Only a connection that idled can have been lost in silence, by
a firewall or a server that lost its power.
"""

import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import await_

IDLE = 30.0
"""Seconds after which a connection is asked before it is used."""

PATIENCE = 2.0
"""Seconds that it has for its answer."""

_RETURNED = "quartapp_returned"


def configure(engine: AsyncEngine) -> None:
    """Replace dead connections before a statement meets them."""

    @event.listens_for(engine.sync_engine, "checkin")
    def note(_connection: object, record: Any) -> None:
        record.info[_RETURNED] = time.monotonic()

    @event.listens_for(engine.sync_engine, "checkout")
    def check(connection: Any, record: Any, _fairy: object) -> None:
        returned = record.info.get(_RETURNED)
        if returned is None:
            return  # it was opened just now
        if connection.driver_connection.is_closed():
            raise DisconnectionError("the server has ended this connection")
        if time.monotonic() - returned > IDLE:
            _ask(connection)


def _ask(connection: Any) -> None:
    driver = connection.dbapi.asyncpg
    try:
        await_(connection.driver_connection.execute("SELECT 1", timeout=PATIENCE))
    except (driver.PostgresError, driver.InterfaceError, OSError) as error:  # a timeout too
        raise DisconnectionError("this connection was lost while it idled") from error
