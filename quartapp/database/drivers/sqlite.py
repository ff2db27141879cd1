"""The configuration of SQLite as the database of a server.

WAL lets readers and one writer work at the same time; foreign keys are off by default; the busy
timeout makes writers wait for each other. The driver's own transaction control is disabled because
it begins a transaction only at the first write. What the transaction read before may have changed
by then, and an update is lost without an error (SQLAlchemy, "Serializable isolation / Savepoints /
Transactional DDL").
"""

import os
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from quartapp.permissions import make_private, make_private_file, make_private_folder

BUSY_TIMEOUT = 5.0
"""Seconds that a writer waits for a writer in another process."""

_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
)


def shared_memory(url: URL) -> URL:
    """A URL whose connections share one database: one in memory gets a unique name.

    `:memory:` is private to each connection, and one connection cannot run two transactions at a
    time. The named database in memory exists as long as the pool has a connection to it.
    """
    if url.get_backend_name() != "sqlite" or url.database not in {None, "", ":memory:"}:
        return url
    name = f"file:/quartapp-{secrets.token_hex(8)}"
    return url.set(database=name, query={"vfs": "memdb", "uri": "true"})


def database_file(url: URL) -> Path | None:
    """The file of an SQLite database; None for one in memory, and for other databases."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return None
    return Path(url.database)


def file_identity(url: URL) -> tuple[int, int] | None:
    """Device and inode of the file now at the path of a database; None if there is none."""
    try:
        found = os.stat(database_file(url) or "")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def sync(database: Path) -> None:
    """Sync the write-ahead log to the disk; with `synchronous = NORMAL` a commit does not.

    Never the database file: closing any handle of it drops the POSIX locks that SQLite's
    connections in this process hold on it, and the log has none. Data that is no longer in the log
    was synced by the checkpoint that moved it; the log's name was synced when SQLite created it.
    Blocks. Raises OSError.
    """
    path = os.path.realpath(database)  # SQLite names the log after the real path
    with suppress(FileNotFoundError):
        handle = os.open(f"{path}-wal", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def connect(database: str, **options: Any) -> sqlite3.Connection:
    """Open a database, which only its owner may read: an existing file loses the rights of others.

    Transactions are begun explicitly. Blocks.
    """
    if not options.get("uri"):
        _protect(Path(database))
    options |= {"isolation_level": None, "timeout": BUSY_TIMEOUT}
    connection: sqlite3.Connection = sqlite3.connect(database, **options)
    try:
        _use_wal(connection)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def configure(engine: AsyncEngine) -> None:
    """Replace a connection whose thread has a lowered priority (`driver.SLOW`) at its next use."""

    @event.listens_for(engine.sync_engine, "checkin")
    def replace(_connection: object, record: Any) -> None:
        if record.driver_connection is not None and record.driver_connection.gave_way:
            record.invalidate(soft=True)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Set the journal mode of the file, which is another one only in a new file.

    If another connection is doing so, or writes, SQLite reports a locked database at once, without
    the busy timeout: this connection has a lock for reading, and needs the one for writing as well.
    """
    end = monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > end:
                raise
            sleep(0.01)
        else:
            return


def _protect(database: Path) -> None:
    """Make the file of a database, its log, its shared memory and a missing folder private.

    SQLite gives the log and the shared memory the mode and the owner of the database. No existing
    file is opened, because that would drop locks (see `sync`). If the file cannot be created, this
    raises nothing, and SQLite reports why.
    """
    path = os.path.realpath(database)  # SQLite names the others after the real path
    with suppress(OSError):
        make_private_folder(Path(path).parent)
        make_private_file(Path(path))
    for name in (path, f"{path}-wal", f"{path}-shm"):
        make_private(name)
