"""The files through which the workers of a machine know each other's numbers.

Each worker has a slot: a file with a small number as its name, locked (flock) while the worker
lives. The kernel releases the lock however the process ends. A worker that starts takes the slot of
one that has ended and continues its counters, so there are never more files than workers at a time,
and a sum over all files never falls. If no other worker lives, it begins at zero.

A file is allocated when it is made, and written with pwrite: on a full disk nothing fails later,
and nothing ends the process, as a write to mapped memory would.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from quartapp.metrics.store import FILE_BYTES, NAMES_BYTES, Row, Store, read_rows
from quartapp.permissions import hand_over, make_private_folder

_LOCK = "lock"

PATIENCE = 2.0
"""Seconds to wait for another process; it has the folder for milliseconds, unless it is stopped."""

_MAGIC = b'["quartapp metrics 1"]\n'


class Slot:
    """The slot of this process. Every method blocks for the time of a system call."""

    def __init__(self, number: int, path: Path, handle: int, names: bytes) -> None:
        self.number = number
        self._path = path
        self._handle = handle
        self._names = len(names)

    @property
    def is_removed(self) -> bool:
        """Whether somebody removed or replaced the file, or a folder above it."""
        try:
            return not os.path.samestat(os.stat(self._path), os.fstat(self._handle))
        except OSError:
            return True

    def write(self, names: bytes, numbers: bytes) -> None:
        """Write what `Store.content` returns. Raises OSError."""
        # The numbers first: whoever reads a new name finds its numbers.
        os.pwrite(self._handle, numbers, NAMES_BYTES)
        if len(names) > self._names:  # names are only added
            os.pwrite(self._handle, names[self._names :], len(_MAGIC) + self._names)
            self._names = len(names)

    def close(self) -> None:
        """Leave the slot to another worker."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class Found(NamedTuple):
    """A slot as it was read."""

    number: int
    is_alive: bool
    rows: list[Row]


def take(folder: Path, store: Store) -> Slot:
    """Take a slot for the numbers of this process, which then continue those of the worker that had
    it. Raises OSError; then the numbers are as before."""
    make_private_folder(folder)
    with _locked(folder, os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX), contextlib.ExitStack() as held:
        ended: dict[int, int] = {}
        living: set[int] = set()
        for number, path in _files(folder):
            handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            held.callback(os.close, handle)
            if _is_free(handle):
                ended[number] = handle
            else:
                living.add(number)
        if not living:
            for number in ended:
                (folder / str(number)).unlink()
            ended = {}
        number = min(ended or ({*range(len(living) + 1)} - living))
        rows = _read(ended[number]) if ended else None
        return _make(folder, number, store, rows or [])


def read_all(folder: Path) -> list[Found]:
    """The slots of all workers, also of those that have ended. Raises OSError."""
    found = []
    # Shared with other readers: a worker that starts must not take a file that is read for locked.
    with _locked(folder, os.O_RDONLY, fcntl.LOCK_SH):
        for number, path in _files(folder):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                is_alive = not _is_free(handle, fcntl.LOCK_SH)
                rows = _read(handle)
                if rows is not None:
                    found.append(Found(number, is_alive, rows))
            finally:
                os.close(handle)
    return found


@contextlib.contextmanager
def _locked(folder: Path, flags: int, kind: int) -> Iterator[None]:
    lock = os.open(folder / _LOCK, flags, 0o600)
    try:
        if flags & os.O_CREAT:
            hand_over(lock, folder)
        until = monotonic() + PATIENCE
        while not _is_free(lock, kind):
            if monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, "another process holds the lock", str(folder))
            sleep(0.002)
        yield
    finally:
        os.close(lock)


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    names = [name for name in os.listdir(folder) if name.isascii() and name.isdigit()]
    return ((number, folder / str(number)) for number in sorted(map(int, names)))


def _read(handle: int) -> list[Row] | None:
    """The rows of a file; None if it is not one of this version."""
    names = os.pread(handle, NAMES_BYTES, 0).partition(b"\0")[0]
    if not names.startswith(_MAGIC):
        return None
    numbers = os.pread(handle, FILE_BYTES - NAMES_BYTES, NAMES_BYTES)
    try:
        return list(read_rows(names.removeprefix(_MAGIC), numbers))
    except (ValueError, TypeError):  # from another program
        return None


def _make(folder: Path, number: int, store: Store, rows: list[Row]) -> Slot:
    """Make a file with this name, locked and allocated; it may replace one that has ended."""
    incomplete = folder / f"{number}.new"
    handle = os.open(incomplete, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        hand_over(handle, folder)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, FILE_BYTES)
        else:  # pragma: no cover - macOS
            os.truncate(handle, FILE_BYTES)
        store.take_over(rows)
        names, numbers = store.content()
        os.pwrite(handle, _MAGIC + names, 0)
        os.pwrite(handle, numbers, NAMES_BYTES)
        incomplete.rename(folder / str(number))
    except BaseException:
        os.close(handle)
        with contextlib.suppress(OSError):
            incomplete.unlink()
        raise
    return Slot(number, folder / str(number), handle, names)


def _is_free(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock a file; False if another process has it."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
