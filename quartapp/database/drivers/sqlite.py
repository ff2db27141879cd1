"""The configuration that SQLite needs as the database of a server.

WAL lets readers and one writer work at the same time; foreign keys are off by default; the busy
timeout makes writers wait for each other. The driver's own transaction control is switched off,
because it begins a transaction only at the first write: what was read before may have changed by
then, and an update is lost without any error (SQLAlchemy, "Serializable isolation / Savepoints /
Transactional DDL").
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from quartapp.permissions import make_private, make_private_file

BUSY_TIMEOUT = 5.0
"""Seconds that a writer waits for another process."""

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}",
)


def shared_memory(url: URL) -> URL:
    """An address whose connections share a database: one in memory gets a new name.

    `:memory:` is private to each connection, and one connection cannot serve two transactions at a
    time. The database in memory exists as long as the pool has a connection to it.
    """
    if url.get_backend_name() != "sqlite" or url.database not in {None, "", ":memory:"}:
        return url
    name = f"file:/quartapp-{secrets.token_hex(8)}"
    return url.set(database=name, query={"vfs": "memdb", "uri": "true"})


def database_file(url: URL) -> Path | None:
    """The file of a database; None for one in memory, or one that is not SQLite's."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return None
    return Path(url.database)


def file_identity(url: URL) -> tuple[int, int] | None:
    """Device and inode of the file that is at the path of a database; None if there is none."""
    try:
        found = os.stat(database_file(url) or "")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sync(database: Path) -> None:
    """Have the disk hold the write-ahead log, which `synchronous = NORMAL` leaves to the kernel.

    The log and never the database itself: closing any handle of the database drops the POSIX locks
    that SQLite's connections in this process have on it, and the log has none. What is no longer
    in the log was synced by the checkpoint that moved it, and its name when SQLite made it. Raises
    OSError.
    """
    path = os.path.realpath(database)  # as SQLite does, to name the log
    with suppress(FileNotFoundError):
        handle = os.open(f"{path}-wal", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def configure(engine: AsyncEngine) -> None:
    """Prepare each new connection of an engine with the dialect `onehop`.

    One whose thread has given way (see `slow.SLOW`) is replaced at its next use. A file is made
    for its owner alone, and made so if it was not.
    """
    file = database_file(engine.url)

    @event.listens_for(engine.sync_engine, "do_connect")
    def protect(*_: object) -> None:
        if file is not None:
            _protect(file)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "checkin")
    def replace(dbapi_connection: Any, record: Any) -> None:
        if dbapi_connection is not None and dbapi_connection.watch.gave_way:
            record.invalidate(soft=True)


def _protect(database: Path) -> None:
    """Make the file of a database, its log and its shared memory private.

    SQLite gives the other two the mode and the owner of the first. No existing file is opened, for
    the reason that `sync` has. Where none can be made, SQLite says why.
    """
    path = os.path.realpath(database)  # as SQLite does, to name the others
    with suppress(OSError):
        make_private_file(Path(path))
    for name in (path, f"{path}-wal", f"{path}-shm"):
        make_private(name)
