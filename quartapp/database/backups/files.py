"""The files of backups: named by the time, and complete or not there at all."""

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from click import ClickException

from quartapp.permissions import hand_over, make_private_folder

Revisions = tuple[str, ...]
"""The revisions of Alembic that a database has: none, one, or several heads."""

Accept = Callable[[Revisions, frozenset[str]], None]
"""Gets the revisions and the names of the tables of a backup, and may raise BackupError."""

Progress = Callable[[int, int], None]
"""Gets what is left and the whole, in the same unit."""


class BackupError(ClickException, RuntimeError):
    """A backup cannot be made or restored; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is complete and checked."""

    file: Path
    size: int
    revisions: Revisions


def refuse_empty(name: str, tables: frozenset[str]) -> None:
    """Raise BackupError for a database without tables: it is hardly the one that was meant."""
    if not tables:
        raise BackupError(f"The database {name!r} has no tables, so there is nothing to back up.")


class Deadline:
    """Raises BackupError when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def is_over(self) -> bool:
        return time.monotonic() >= self._end

    def left(self) -> float:
        """The seconds that are left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise BackupError(
                f"It took longer than {self._seconds:g} seconds and was stopped: set --timeout."
            )
        return left


def dated(stem: str, suffix: str, moment: datetime) -> str:
    """The name of a file that was made at a time, in an order that sorts."""
    return f"{stem}-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}{suffix}"


def delete_old(folder: Path, stem: str, suffix: str, keep: int) -> list[Path]:
    """Delete backups with such names but the `keep` newest; the deleted ones. Raises OSError."""
    name = re.compile(re.escape(stem) + r"-\d{8}T\d{6}Z" + re.escape(suffix))
    found = sorted(path for path in folder.iterdir() if name.fullmatch(path.name))
    old = found[:-keep]
    for path in old:
        path.unlink()
    return old


@contextmanager
def complete_file(target: Path, *, replace: bool = False) -> Iterator[Path]:
    """A private, empty file under another name, for the block to write.

    At the end of the block it is synced and renamed to `target`; after an error it is deleted.
    Raises BackupError, for OSError too.
    """
    if target.exists() and not replace:
        raise BackupError(f"{target} exists already: name another file, or use --replace.")
    if target.exists() and not target.is_file():
        raise BackupError(f"{target} is no file.")
    incomplete = target.with_name(f".{target.name}.{secrets.token_hex(4)}.incomplete")
    try:
        make_private_folder(target.parent)
        handle = os.open(incomplete, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise unwritten(target, error) from error
    try:
        try:
            hand_over(handle, target.parent)
        finally:
            os.close(handle)
        yield incomplete
        sync(incomplete)
        if not replace:
            os.link(incomplete, target)  # unlike a renaming, it replaces nothing
            incomplete.unlink()
        else:
            incomplete.replace(target)
        sync(target.parent)
    except FileExistsError as error:
        raise BackupError(f"{target} exists already: name another file.") from error
    except OSError as error:
        raise unwritten(target, error) from error
    finally:
        with suppress(FileNotFoundError):
            incomplete.unlink()


def unwritten(target: Path, error: OSError) -> BackupError:
    """The sentence about a file that cannot be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return full(target)
    return BackupError(f"{target} cannot be written: {error.strerror}.")


def full(target: Path) -> BackupError:
    return BackupError(f"{target} cannot be written: the disk is full. Nothing was changed.")


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
