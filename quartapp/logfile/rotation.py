"""A log file that several processes share, and rotate without losing a line.

Each line is written under a lock on another file in the same folder, so only one process rotates at
a time; the others notice that the name belongs to a new file, and open that.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


class NotWritten(OSError):
    """The last `lines` of those that were to be written are not in the file."""

    def __init__(self, reason: OSError, lines: int) -> None:
        super().__init__(reason.errno, reason.strerror, reason.filename)
        self.lines = lines


class RotatingFile:
    """`path`, with `path.1` (the newest) to `path.<backups>` behind it.

    As with the standard library's handler, a file that a line would fill to `max_bytes` is rotated
    before it; 0 in either number means never. For one thread of each process. Blocks.
    """

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._handle = -1

    def write(self, *lines: bytes) -> None:
        """Write one or more whole lines. Raises NotWritten, and leaves no part of a line; the next
        call opens the file again if it has to."""
        waiting = len(lines)
        try:
            with self.locked():
                self._follow()
                for piece in self._pieces(lines):
                    if self._is_full(sum(map(len, piece))):
                        self._rotate()
                    self._append(b"".join(piece))
                    waiting -= len(piece)
        except OSError as error:
            raise NotWritten(error, waiting) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[Path]:
        """Hold the lock of this log, which all its processes respect; yields its file's path."""
        path = self.path.with_name(f".{self.path.name}.lock")
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield path
        finally:
            os.close(handle)

    def close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)

    def _follow(self) -> None:
        """Open the file that has the name now: another process may have rotated."""
        with contextlib.suppress(FileNotFoundError):
            if self._handle >= 0 and os.path.samestat(os.stat(self.path), os.fstat(self._handle)):
                return
        self.close()
        self._handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def _append(self, piece: bytes) -> None:
        """Write all of it or nothing: a disk that becomes full takes a part without an error."""
        before = os.fstat(self._handle).st_size
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, before)
            raise

    def _is_full(self, more: int) -> bool:
        size = os.fstat(self._handle).st_size
        # A line of any length fits into an empty file.
        return bool(self._max_bytes and self._backups and size and size + more >= self._max_bytes)

    def _pieces(self, lines: tuple[bytes, ...]) -> Iterator[list[bytes]]:
        """The lines in as few pieces as possible. The file is rotated before the same lines as if
        they were written one by one."""
        size = 0 if self._is_full(len(lines[0])) else os.fstat(self._handle).st_size
        room = self._max_bytes if self._backups else 0
        piece: list[bytes] = []
        for line in lines:
            if piece and room and size + len(line) >= room:
                yield piece
                size, piece = 0, []
            piece.append(line)
            size += len(line)
        yield piece

    def _rotate(self) -> None:
        for number in range(self._backups - 1, -1, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        self._follow()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path
