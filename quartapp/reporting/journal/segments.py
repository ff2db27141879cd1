"""The files of the journal: how one is made, owned, read and removed.

A segment is a file of fixed size, allocated completely when it is made, so that a write to it
cannot fail because the disk is full. It holds lines `crc32 payload LF`, followed by zeros. Its
owner keeps an exclusive flock on it. The kernel releases the lock when that process ends, however
it ends, and the process that takes the lock then finishes the segment.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from quartapp.permissions import hand_over, make_private_folder

SUFFIX = ".journal"
_INCOMPLETE = ".new"
_INCOMPLETE_LIFETIME = 60.0
_NAME = re.compile(r"[A-Za-z0-9._-]{1,80}")  # of the length that the database takes

_LONGEST_LINE = 256 * 1024
"""Bytes of which the first line is taken: that of a report is shorter."""

_ZERO = 0

_logger = logging.getLogger(__name__)


class Segment:
    """A segment that this process writes. Only one thread at a time may call `write`."""

    def __init__(self, path: Path, handle: int, size: int) -> None:
        self.path = path
        self.end = 0
        self._handle = handle
        self._size = size
        self.home: tuple[int, int] | None = None
        """The folder in which it was made, as `identity` names it."""

        self._identity = identity(os.fstat(handle))

    @classmethod
    def make(cls, folder: Path, size: int, name: str = "", content: bytes = b"") -> "Segment":
        """Create a segment, allocated and locked by this process.

        Raises OSError; no file is left then.
        """
        make_folder(folder)
        name = name or f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(8)}"
        incomplete = folder / (name + _INCOMPLETE)
        handle = os.open(incomplete, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            hand_over(handle, folder)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _allocate(handle, size)
            segment = cls(folder / (name + SUFFIX), handle, size)
            segment.write(content)
            # Other processes look for this name, so only a locked file may have it.
            incomplete.rename(segment.path)
            segment.home = identity(folder.stat())
        except BaseException:
            os.close(handle)
            with contextlib.suppress(OSError):
                incomplete.unlink()
            raise
        return segment

    @property
    def name(self) -> str:
        """The name by which the database remembers how far a segment was read; never reused."""
        return self.path.stem

    @property
    def is_in_place(self) -> bool:
        """Whether the file still has its name; True if that cannot be found out."""
        try:
            return identity(os.stat(self.path)) == self._identity
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def copied_back(self) -> "Segment":
        """Create a file with the same name and content, locked by this process.

        The offset in the database stays valid, as the name is the same. This segment stays open.
        Raises OSError.
        """
        content = os.pread(self._handle, self.end, 0)
        return Segment.make(self.path.parent, self._size, self.path.stem, content)

    def release(self) -> None:
        """Let any consumer finish the segment. Its content stays readable until `close`."""
        fcntl.flock(self._handle, fcntl.LOCK_UN)

    def has_room(self, line: bytes) -> bool:
        return self.end + len(line) <= self._size

    def write(self, line: bytes) -> None:
        """Append a whole line. Raises OSError; then the segment must not be used any more."""
        start = self.end
        self.end = start + len(line)
        written = 0
        while written < len(line):
            written += os.pwrite(self._handle, line[written:], start + written)

    def duplicate(self) -> int:
        """A second handle, which the caller closes; the segment stays owned until then."""
        return os.dup(self._handle)

    def close(self) -> None:
        """Release the segment. It is then an orphan, which any consumer finishes."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def identity(status: os.stat_result) -> tuple[int, int]:
    """What distinguishes a file from all others that exist at the same time."""
    return status.st_dev, status.st_ino


def make_folder(folder: Path) -> None:
    """Create the folder of a journal if it does not exist; a file of that name is renamed.

    Raises OSError.
    """
    if folder.is_dir():
        return
    target = Path(os.path.realpath(folder))  # a link may lead to what was there before
    if target.exists() and not target.is_dir():
        other = target.with_name(f"{target.name}.aside-{time.time_ns()}")
        target.rename(other)
        _logger.error("%s is not a folder; it was renamed to %s", target, other.name)
    make_private_folder(target)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk (fsync). Blocks; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _allocate(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:  # pragma: no cover - macOS
        os.truncate(handle, size)


def pack(payload: bytes) -> bytes:
    """The line of a payload, which must not contain LF or NUL."""
    return b"%08x %b\n" % (crc32(payload), payload)


@dataclass(frozen=True, slots=True)
class Content:
    """What was read: whole payloads, the offset of the next reading, and how many pieces of data
    were no valid lines."""

    payloads: list[bytes]
    end: int
    corrupt: int = 0


def parse(data: bytes, *, final: bool) -> Content:
    """Read the lines at the beginning of `data`.

    Data that is no valid line is counted and skipped up to the next LF. Unless `final`, reading
    stops at the first zero or unfinished line, because the owner may be writing there. With
    `final`, nothing more will be written, and zeros (pages lost in a power failure) are skipped if
    something follows them.
    """
    payloads: list[bytes] = []
    offset = corrupt = 0
    while offset < len(data):
        if data[offset] == _ZERO:
            if not final:
                break
            following = _next_data(data, offset)
            if following == len(data):
                break  # this may be a copy of a file that goes on here
            offset = following
            continue
        end = data.find(b"\n", offset)
        if end < 0 and not final:
            break
        piece = data[offset : end if end >= 0 else len(data)]
        if b"\0" in piece:
            if not final:
                break
            # The end of this piece may be a whole line that was written after a torn one.
            torn, _, piece = piece.rpartition(b"\0")
            corrupt += bool(torn.strip(b"\0"))
        payload = _unpack(piece) if end >= 0 else None
        if payload is not None:
            payloads.append(payload)
        elif piece:
            corrupt += 1
        offset = end + 1 if end >= 0 else len(data)
    return Content(payloads, offset, corrupt)


def _next_data(data: bytes, offset: int) -> int:
    return len(data) - len(data[offset:].lstrip(b"\0"))


def _unpack(line: bytes) -> bytes | None:
    checksum, _, payload = line.partition(b" ")
    return payload if payload and checksum == b"%08x" % crc32(payload) else None


@dataclass(frozen=True, slots=True)
class Reading:
    """A segment open for reading. `final`: its owner is gone, and this process holds its lock."""

    path: Path
    handle: int
    final: bool

    @property
    def name(self) -> str:
        """The name by which the database remembers how far a segment was read; never reused."""
        return self.path.stem

    def read(self, offset: int) -> Content:
        """The lines from `offset` on; `end` counts from the beginning of the segment."""
        size = os.fstat(self.handle).st_size
        content = parse(os.pread(self.handle, max(0, size - offset), offset), final=self.final)
        return Content(content.payloads, offset + content.end, content.corrupt)

    def first(self, offset: int) -> bytes | None:
        """The first payload from `offset` on; None if there is none. It does not read the rest."""
        payloads = parse(os.pread(self.handle, _LONGEST_LINE, offset), final=False).payloads
        return payloads[0] if payloads else None

    def has_data(self, offset: int) -> bool:
        return os.pread(self.handle, 1, offset) not in {b"", b"\0"}

    def remove(self) -> None:
        """Delete the file. Everything in it must be in the database."""
        if not self.final:
            raise ValueError("the owner of this segment still writes to it")
        self.path.unlink(missing_ok=True)


def list_segments(folder: Path) -> list[Path]:
    """All segments, oldest first; an empty list if there is no such folder. Raises OSError."""
    return listed(folder)[0]


def listed(folder: Path) -> tuple[list[Path], list[str]]:
    """The segments, oldest first, and the names of entries that only look like segments.

    Raises OSError.
    """
    segments, strangers = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.endswith(SUFFIX):
                    continue
                is_name = _NAME.fullmatch(entry.name.removesuffix(SUFFIX))
                if is_name and entry.is_file(follow_symlinks=False):
                    segments.append(entry.name)
                else:
                    strangers.append(entry.name)
    except FileNotFoundError:
        pass
    return [folder / name for name in sorted(segments)], strangers


@contextlib.contextmanager
def open_segment(path: Path) -> Iterator[Reading | None]:
    """A segment for reading, locked if its owner is gone; None if it was removed."""
    try:
        # By now it may be something else: opening a FIFO would wait for a writer.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        yield None
        return
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a file", str(path))
        final = _lock(handle)
        # Between opening and locking another process may have finished it.
        gone = os.fstat(handle).st_nlink == 0
        yield None if gone else Reading(path, handle, final)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sweep(folder: Path) -> None:
    """Remove the files of processes that ended while they were making a segment."""
    missing = (FileNotFoundError, NotADirectoryError)
    with contextlib.suppress(*missing), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_INCOMPLETE):
                with contextlib.suppress(OSError):  # gone meanwhile, or not one of ours
                    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    if age > _INCOMPLETE_LIFETIME:
                        os.unlink(entry.path)


def disk_usage(folder: Path) -> int:
    """Bytes taken by all segments. Raises OSError if the folder cannot be read."""
    total = 0
    for path in list_segments(folder):
        with contextlib.suppress(OSError):  # removed meanwhile, or not one of ours
            total += path.stat().st_size
    return total
