"""The journal: what was appended to it survives any way in which the process ends.

`append` copies one line into the kernel's page cache with pwrite; there is no buffer, thread or
shutdown hook. A process that is killed right afterwards loses nothing. Only a power failure can
lose a page that the kernel has not written yet (see `sync`).
"""

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from weakref import WeakSet

from quartapp.permissions import make_private
from quartapp.reporting.journal.losses import add_losses
from quartapp.reporting.journal.segments import Segment, disk_usage, make_folder, pack, sync_folder

SEGMENT_BYTES = 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""The limit of all segments of a folder. At the limit a new segment is allocated only after others
are counted."""

REPORTS_BYTES = 48 * 1024 * 1024
"""The limit for full reports; the rest is reserved for counts (see `Journal.is_crowded`)."""

_LOOK_AGAIN = 1.0
_LOOK_AFTER = 0.02
"""Seconds between two checks by `append` that the segment still has its name: in a storm a check
for each line would cost as much as the line. What is written in between is restored too."""

_WAITING = 100

_logger = logging.getLogger(__name__)


class Journal:
    """The journal of one process, in a folder that it shares with the others of its machine.

    Thread-safe and reentrant: a destructor that the garbage collector runs inside `append` may call
    it. A forked child may use it at once, and gets its own segment. Only `sync` raises.
    """

    def __init__(
        self,
        folder: Path,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        max_bytes: int = MAX_BYTES,
        reports_bytes: int = REPORTS_BYTES,
        fsync: bool = False,
    ) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._reports_bytes = reports_bytes
        self._fsync = fsync
        self.restored_at = 0.0
        """When the open segment was last restored, in seconds since the epoch."""
        self.home: tuple[int, int] | None = None
        """Device and inode of the folder in which the last segment was created."""
        self.is_homeless = False
        """Whether the open segment was removed and could not be restored yet."""

        self._begin()
        _journals.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._is_writing = False
        self._segment: Segment | None = None
        self._spare: Segment | None = None
        self._full: dict[str, Segment] = {}
        self._look_after_at = float("-inf")
        self._has_begun = False
        self._unsynced: list[int] = []
        self._unnamed: tuple[Path, ...] = ()
        self._is_dirty = False
        self._is_failing = False
        self._retry_at = 0.0
        self._used = 0
        self._looked_at = float("-inf")

    def prepare(self) -> None:
        """Allocate the first segments and the file of losses before the first error.

        A failure is logged, not raised.
        """
        make_private(self.folder)
        with self._lock:
            try:
                self._segment = self._segment or self._make()
                self._spare = self._spare or self._make()
                add_losses(self.folder, 0, 0, 0.0)
            except OSError as error:
                _logger.error("The journal cannot be written: %s", error)

    def append(self, payload: bytes) -> bool:
        """Write one payload (no LF, no NUL); False if it could not be written.

        After True the kernel has the payload, whatever happens to this process.
        """
        line = pack(payload)
        with self._lock:
            if self._is_writing:
                # A destructor called this during a write in the same thread.
                if len(self._waiting) >= _WAITING or len(line) > self._segment_bytes:
                    return False
                self._waiting.append(line)
                return True
            self._is_writing = True
            try:
                written = self._write(line)
                self._write_all_waiting()
                return written
            finally:
                self._is_writing = False

    def write_waiting(self) -> None:
        """Write what a destructor appended during a write that failed, and restore an open segment
        that was removed while no error occurred."""
        with self._lock:
            if not self._is_writing:
                self._is_writing = True
                try:
                    self._look_after()
                    self._write_all_waiting()
                finally:
                    self._is_writing = False

    def _write_all_waiting(self) -> None:
        while self._waiting and self._write(self._waiting[0]):
            self._waiting.popleft()

    def _write(self, line: bytes) -> bool:
        now = time.monotonic()
        if len(line) > self._segment_bytes or now < self._retry_at:
            return False
        if now >= self._look_after_at:
            self._look_after()
        try:
            segment = self._segment
            if segment is None or not segment.has_room(line):
                segment = self._advance()
            segment.write(line)
        except OSError as error:
            self._give_up(error)
            return False
        self._is_dirty = True
        self._is_failing = False
        return True

    def _look_after(self) -> None:
        """Restore the open segment if it or its folder was removed: its content is available to
        this process as long as it is open.

        The restored segment is then released, and a new one is written: another consumer may have
        finished a copy under its name meanwhile, because nothing locked that copy.
        """
        self._look_after_at = time.monotonic() + _LOOK_AFTER
        segment = self._segment
        if segment is None or segment.is_in_place:
            self.is_homeless = False
            return
        try:
            self._segment = segment.copied_back()
        except OSError as error:
            # The removed file is still written, because its content can be restored later.
            self._look_after_at += _LOOK_AGAIN
            if not self.is_homeless:
                _logger.error("The journal was removed, and cannot be made again: %s", error)
            self.is_homeless = True
            return
        segment.close()
        _logger.error(
            "The journal in %s was removed or replaced while it was written; it was made again,"
            " with the %d bytes of its open segment",
            str(self.folder),
            self._segment.end,
        )
        self.is_homeless = False
        self.restored_at = time.time()
        self._is_named_in(self._segment)
        self._is_dirty = True
        self._retire()
        if self._spare is not None and not self._spare.is_in_place:
            self._spare.close()
            self._spare = None

    def missing(self) -> dict[str, int]:
        """The names and lengths of the full segments of this process that are missing: they were
        counted, or removed. The caller finds out which, and calls `forget` or `put_back`."""
        with self._lock:
            return {name: one.end for name, one in self._full.items() if not one.is_in_place}

    def forget(self, name: str) -> None:
        """Close a full segment of this process that was counted."""
        with self._lock:
            if full := self._full.pop(name, None):
                full.close()

    def put_back(self, names: Iterable[str]) -> None:
        """Restore full segments that were removed before they were counted. Never raises."""
        with self._lock:
            for name in names:
                full = self._full[name]
                try:
                    copy = full.copied_back()
                except OSError as error:
                    _logger.error("The full segment %s cannot be put back: %s", name, error)
                    continue
                _logger.error("The full segment %s was removed; it was put back", name)
                full.close()
                if self._fsync:
                    self._is_named_in(copy)
                    self._unsynced.append(copy.duplicate())
                copy.release()
                self._full[name] = copy

    def _advance(self) -> Segment:
        """Continue in the spare segment, and allocate the next spare."""
        self._look_after()
        fresh, self._spare = self._spare or self._make(), None
        self._retire()
        self._segment = fresh
        try:
            self._spare = self._make()
        except OSError as error:
            # This is noticed one segment early: there is still room for a while.
            _logger.warning("The journal cannot allocate its next segment: %s", error)
        return fresh

    def _make(self) -> Segment:
        # A process may always allocate its first segment: workers must not starve each other.
        if self._has_begun and self.used() >= self._max_bytes:
            raise OSError(errno.EDQUOT, f"all {self._max_bytes} bytes wait to be counted")
        self._looked_at = float("-inf")
        segment = Segment.make(self.folder, self._segment_bytes)
        self._is_named_in(segment)
        self._has_begun = True
        return segment

    def _is_named_in(self, segment: Segment) -> None:
        """Note the folders that `sync` must sync: the segment's, and its parents if it is new."""
        if self._fsync:
            is_known = segment.home == self.home and not self._unnamed[1:]
            self._unnamed = (self.folder,) if is_known else (self.folder, *self.folder.parents[:2])
        self.home = segment.home

    def _retire(self) -> None:
        """Release the open segment to any consumer. Its file stays open here until it is counted,
        so that it can be restored."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        if self._fsync and self._is_dirty:
            self._unsynced.append(segment.duplicate())
        segment.release()
        self._full[segment.name] = segment
        if len(self._full) > self._max_bytes // self._segment_bytes:
            self.forget(next(iter(self._full)))

    def _give_up(self, error: OSError) -> None:
        if not self._is_failing:
            _logger.error("The journal cannot be written: %s", error)
        self._is_failing = True
        # It may end with half a line, which the reader of an orphan skips.
        self._retire()
        self._retry_at = time.monotonic() + _LOOK_AGAIN

    def add_losses(self, reports: int, counted: int, now: float) -> bool:
        """Add to the number of losses of this machine; False if that has to be tried again."""
        return add_losses(self.folder, reports, counted, now)

    def used(self) -> int:
        """Bytes that the segments of all processes use; the value is at most a second old."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_AGAIN:
            try:
                self._used = disk_usage(self.folder)
            except OSError:
                self._used = 0
            self._looked_at = now
        return self._used

    def trouble(self) -> str:
        """Why the journal cannot take all errors now; "" if it can. Blocks: it reads the state of
        the disk, and restores what was removed."""
        self.write_waiting()
        if self.is_homeless:
            return f"{self.folder} was removed and cannot be made again"
        if self._is_failing:
            return f"{self.folder} cannot be written"
        try:
            make_folder(self.folder)
            found = os.statvfs(self.folder)
        except OSError as error:
            return f"{self.folder}: {error.strerror}"
        if found.f_bavail * found.f_frsize < self._segment_bytes:
            return f"the disk of {self.folder} is full"
        return ""

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits to be counted that the remaining room is reserved for counts."""
        return self.used() >= self._reports_bytes

    @property
    def segment_name(self) -> str | None:
        """The name of the open segment."""
        segment = self._segment
        return segment.name if segment else None

    @property
    def survives_power(self) -> bool:
        """Whether recorded errors must survive a power failure (ERRORS_FSYNC)."""
        return self._fsync

    def sync(self) -> None:
        """Sync what was appended to the disk. Blocks, so call it in a thread.

        Raises OSError; the next call tries again what is not on the disk.
        """
        with self._lock:
            handles, self._unsynced = self._unsynced, []
            if self._segment is not None and self._is_dirty:
                handles.append(self._segment.duplicate())
            self._is_dirty = False
            unnamed, self._unnamed = self._unnamed, ()
        try:
            while handles:
                os.fdatasync(handles[0])
                os.close(handles.pop(0))
            for folder in unnamed:  # a file that loses its name loses its content
                with suppress(PermissionError):  # a parent folder may belong to another user
                    sync_folder(folder)
        except OSError:
            with self._lock:
                self._unsynced += handles
                self._unnamed = max(self._unnamed, unnamed, key=len)
            raise

    def close(self) -> None:
        """Release the segments to the next consumer. A later `append` opens a new one."""
        with self._lock:
            self._look_after()
            self._retire()
            for name in list(self._full):
                self.forget(name)
            if self._spare is not None:
                self._spare.close()
                self._spare = None
            self._retry_at = 0.0

    def _after_fork(self) -> None:
        # The lock belongs to the open file, which parent and child share. Closing it in the child
        # leaves the lock to the parent; otherwise the child would still hold it after the parent.
        segments = (self._segment, self._spare, *self._full.values())
        handles = self._unsynced
        self._begin()
        for segment in segments:
            if segment is not None:
                segment.close()
        for handle in handles:
            os.close(handle)


_journals: WeakSet[Journal] = WeakSet()


def _after_fork() -> None:
    for journal in list(_journals):
        journal._after_fork()


os.register_at_fork(after_in_child=_after_fork)
