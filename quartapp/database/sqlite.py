"""What SQLite needs to be a server's database.

WAL lets readers and one writer work side by side; foreign keys are off unless asked for; the
busy timeout makes writers wait for each other. The driver's own transaction control is switched
off, because it starts a transaction only at the first write: what was read before may have
changed by then, and an update is lost without any error (SQLAlchemy, "Serializable isolation /
Savepoints / Transactional DDL").
"""

import secrets
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from quartapp.database.onehop import OneHopConnection

BUSY_TIMEOUT = 5.0
"""Seconds that a writer waits for another."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}",
)


def shared_memory(url: URL) -> URL:
    """An address whose connections share a database; one in memory gets a name of its own.

    `:memory:` is private to each connection, and one connection cannot serve two transactions at a
    time. The database lives as long as a connection to it is in the pool.
    """
    if url.get_backend_name() != "sqlite" or url.database not in {None, "", ":memory:"}:
        return url
    name = f"file:/quartapp-{secrets.token_hex(8)}"
    return url.set(database=name, query={"vfs": "memdb", "uri": "true"})


def configure(engine: AsyncEngine, write_option: str) -> None:
    """Prepare each connection of an engine on the dialect `onehop`, and begin its transactions.

    A connection that has the execution option `write_option` begins them with BEGIN IMMEDIATE;
    under the isolation level AUTOCOMMIT there are none.
    """

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("isolation_level") != "AUTOCOMMIT":
            adapted = cast(OneHopConnection, connection.connection.dbapi_connection)
            adapted.begin(immediate=options.get(write_option, False))
