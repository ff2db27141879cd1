"""Copying an SQLite database while it is used, and replacing one that is not.

A copy of the file alone lacks what is in the write-ahead log. SQLite's backup API copies what a
reader sees. It begins again when another process writes between two of its steps, and on a busy
database never ends; but not while the reading connection is in a transaction, whose snapshot all
steps then see. Writers do not wait for it; the log grows until the copy is complete.

Never call `replace` where connections to the database are open in this process: it opens and
closes the file, which drops SQLite's POSIX locks on it.
"""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from quartapp.database.backups.files import (
    Accept,
    Backup,
    BackupError,
    Deadline,
    Progress,
    Revisions,
    complete_file,
    full,
    refuse_empty,
    sync,
)
from quartapp.database.drivers.sqlite import BUSY_TIMEOUT

SUFFIX = ".sqlite"

_PAGES = 1024
"""Pages of a step, usually of 4 KB each, after which the time is looked at."""

_INSTRUCTIONS = 100_000
"""SQLite's instructions of a check between two looks at the time."""

_FIRST_LOCKED, _LOCKED_BYTES = 0x40000000, 512
"""Where SQLite locks its file: the bytes PENDING, RESERVED and SHARED (its os.h)."""


def back_up(
    database: Path, target: Path, deadline: Deadline, progress: Progress, *, overwrite: bool = False
) -> Backup:
    """Copy a database as it is now, and check the copy. Blocks; raises BackupError."""
    if not database.is_file():
        raise BackupError(f"There is no database: {database} does not exist.")
    if any(os.path.realpath(target) == name for name in _files_of(database)):
        raise BackupError(f"{target} belongs to the database itself: name another file.")
    if os.path.exists(f"{os.path.realpath(target)}-wal"):
        raise BackupError(f"{target} is a database in use: name another file.")
    with complete_file(target, replace=overwrite) as incomplete:
        _copy(database, incomplete, target, deadline, progress)
        what = "The database is damaged, so the copy was not kept"
        revisions, tables = _check(incomplete, what, deadline)
        refuse_empty(database.name, tables)
        size = incomplete.stat().st_size
    return Backup(target, size, revisions)


def _files_of(database: Path) -> list[str]:
    """A database's file, and those that SQLite keeps beside it."""
    file = os.path.realpath(database)
    return [file, f"{file}-wal", f"{file}-shm", f"{file}-journal"]


def _copy(
    database: Path, incomplete: Path, target: Path, deadline: Deadline, progress: Progress
) -> None:
    def look(_status: int, remaining: int, total: int) -> None:
        deadline.left()
        progress(remaining, total)

    try:
        with closing(_open(database)) as source, closing(_open(incomplete)) as copy:
            copy.execute("PRAGMA journal_mode = OFF")  # the file is deleted if anything fails
            copy.execute("PRAGMA synchronous = OFF")  # and synced at the end
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM sqlite_schema").fetchone()
            source.backup(copy, pages=_PAGES, progress=look)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise full(target) from error
        raise BackupError(f"{database} cannot be copied: {error}.") from error


def _check(file: Path, otherwise: str, deadline: Deadline) -> tuple[Revisions, frozenset[str]]:
    """Check a database that nobody uses; its revisions of Alembic and its tables.

    It writes nothing.

    Raises BackupError, which begins with `otherwise`.
    """
    try:
        with closing(_open(file, "mode=ro&immutable=1")) as connection:
            connection.set_progress_handler(deadline.is_over, _INSTRUCTIONS)
            [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise BackupError(f"{otherwise}: {' '.join(found.split())}.")
            tables = _tables(connection)
            return _revisions(connection) if "alembic_version" in tables else (), tables
    except sqlite3.Error as error:
        deadline.left()
        raise BackupError(f"{otherwise}: {error}.") from error


def _tables(connection: sqlite3.Connection) -> frozenset[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return frozenset(name for (name,) in rows)


def _revisions(connection: sqlite3.Connection) -> Revisions:
    rows = connection.execute("SELECT version_num FROM alembic_version ORDER BY 1")
    return tuple(name for (name,) in rows)


def restore(
    backup: Path,
    database: Path,
    deadline: Deadline,
    accept: Accept,
    *,
    replace: bool = False,
) -> tuple[Revisions, Path | None]:
    """Put a backup in the place of a database; its revisions, and where the replaced one is.

    The backup is copied and checked first, and `accept` may raise; the database is unchanged then.
    At every moment there is one whole database. Blocks; raises BackupError.
    """
    log = backup.with_name(f"{backup.name}-wal")
    if log.is_file() and log.stat().st_size:
        raise BackupError(
            f"{backup} is no backup but a database in use, with its log {log.name}: copy it with"
            " 'db backup'."
        )
    database = Path(os.path.realpath(database))  # SQLite names the log after the real path
    if database.exists() and not replace:
        raise BackupError(f"{database} exists already: --replace keeps it under another name.")
    # The lock that is held is released last, after the file got its name.
    with ExitStack() as held, complete_file(database, replace=replace) as incomplete:
        shutil.copyfile(backup, incomplete)
        revisions, tables = _check(incomplete, f"{backup} is damaged", deadline)
        accept(revisions, tables)
        sync(incomplete)
        kept = held.enter_context(_kept(database)) if database.exists() else None
    return revisions, kept


@contextmanager
def _kept(database: Path) -> Iterator[Path]:
    """Lock a database that is to be replaced, and give it a second, dated name."""
    _empty_log(database)
    kept = database.with_name(f"{database.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    handle = os.open(database, os.O_RDWR)
    try:
        try:
            # In WAL mode each connection has a shared lock as long as it is open.
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCKED_BYTES, _FIRST_LOCKED)
        except OSError as error:
            raise BackupError(
                f"{database} is in use: stop the server, and all else that has opened it."
            ) from error
        os.link(database, kept)
        # There is a log only if SQLite could not read it or the database. It must not lie beside
        # the new database, to which SQLite would apply it.
        for name in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.rename(f"{database}{name}", f"{kept}{name}")
        yield kept
    finally:
        os.close(handle)


def _empty_log(database: Path) -> None:
    """Move what is in the log into the database; SQLite does so where the last one closes it."""
    with suppress(sqlite3.Error), closing(_open(database)) as connection:
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()


def _open(file: Path, options: str = "mode=rw") -> sqlite3.Connection:
    url = f"file:{quote(str(file))}?{options}"
    return sqlite3.connect(url, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT)
