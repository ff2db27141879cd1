"""The journal: what was appended to it survives any end of the process.

`append` copies one line into the kernel's page cache with pwrite: there is no buffer, thread or
shutdown hook. A process that is killed right afterwards has lost nothing. Only a power failure can
lose a page that the kernel has not written yet (see `sync`).
"""

import errno
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path
from weakref import WeakSet

from quartapp.reporting.journal.losses import add_losses
from quartapp.reporting.journal.segments import Segment, disk_usage, pack

SEGMENT_BYTES = 1024 * 1024
MAX_BYTES = 64 * 1024 * 1024
"""What all segments of a folder may take; then none is allocated until some are counted."""

REPORTS_BYTES = 48 * 1024 * 1024
"""What full reports may take; the rest is kept for counts (see `Journal.is_crowded`)."""

_LOOK_AGAIN = 1.0
_WAITING = 100

_logger = logging.getLogger(__name__)


class Journal:
    """The journal of one process, in a folder that it shares with the others of its machine.

    Thread-safe, also if a destructor that the garbage collector runs inside `append` calls it. A
    forked child may use it at once, and gets its own segment. Never raises.
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
        self._begin()
        _journals.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._is_writing = False
        self._segment: Segment | None = None
        self._spare: Segment | None = None
        self._has_begun = False
        self._unsynced: list[int] = []
        self._is_dirty = False
        self._is_failing = False
        self._retry_at = 0.0
        self._used = 0
        self._looked_at = float("-inf")

    def prepare(self) -> None:
        """Allocate the first segments ahead of the first error, and the file of losses.

        A fault is logged, not raised.
        """
        with self._lock:
            try:
                self._segment = self._segment or self._make()
                self._spare = self._spare or self._make()
                add_losses(self.folder, 0, 0, 0.0)
            except OSError as error:
                _logger.error("The journal cannot be written: %s", error)

    def append(self, payload: bytes) -> bool:
        """Write one payload (no LF, no NUL); False if the disk did not take it.

        On return the kernel has the payload, whatever happens to this process.
        """
        line = pack(payload)
        with self._lock:
            if self._is_writing:
                # A destructor called this in the middle of a write of its own thread.
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
        """Write what a destructor appended during a write that failed."""
        with self._lock:
            if self._waiting and not self._is_writing:
                self._is_writing = True
                try:
                    self._write_all_waiting()
                finally:
                    self._is_writing = False

    def _write_all_waiting(self) -> None:
        while self._waiting and self._write(self._waiting[0]):
            self._waiting.popleft()

    def _write(self, line: bytes) -> bool:
        if len(line) > self._segment_bytes or time.monotonic() < self._retry_at:
            return False
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

    def _advance(self) -> Segment:
        """Continue in the spare segment, and allocate the next spare."""
        fresh, self._spare = self._spare or self._make(), None
        self._retire()
        self._segment = fresh
        try:
            self._spare = self._make()
        except OSError as error:
            # Found out one segment early: there is still room for a while.
            _logger.warning("The journal cannot allocate its next segment: %s", error)
        return fresh

    def _make(self) -> Segment:
        # A process may always allocate its first segment: workers must not starve each other.
        if self._has_begun and self.used() >= self._max_bytes:
            raise OSError(errno.EDQUOT, f"all {self._max_bytes} bytes wait to be counted")
        self._looked_at = float("-inf")
        segment = Segment.make(self.folder, self._segment_bytes)
        self._has_begun = True
        return segment

    def _retire(self) -> None:
        if self._segment is not None:
            if self._fsync and self._is_dirty:
                self._unsynced.append(self._segment.duplicate())
            self._segment.close()
            self._segment = None

    def _give_up(self, error: OSError) -> None:
        if not self._is_failing:
            _logger.error("The journal cannot be written: %s", error)
        self._is_failing = True
        # Half a line may be at its end, which the reader of an orphan skips.
        self._retire()
        self._retry_at = time.monotonic() + _LOOK_AGAIN

    def used(self) -> int:
        """Bytes that the segments of all processes take, at most a second old."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_AGAIN:
            try:
                self._used = disk_usage(self.folder)
            except OSError:
                self._used = 0
            self._looked_at = now
        return self._used

    @property
    def is_crowded(self) -> bool:
        """Whether so much waits to be counted that the remaining room is kept for counts."""
        return self.used() >= self._reports_bytes

    @property
    def segment_name(self) -> str | None:
        """The name of the segment being written."""
        segment = self._segment
        return segment.path.stem if segment else None

    def sync(self) -> None:
        """Write what was appended to the disk itself. Blocks, so call it in a thread.

        Raises OSError.
        """
        with self._lock:
            handles, self._unsynced = self._unsynced, []
            if self._segment is not None and self._is_dirty:
                handles.append(self._segment.duplicate())
            self._is_dirty = False
        for handle in handles:
            try:
                os.fdatasync(handle)
            finally:
                os.close(handle)

    def close(self) -> None:
        """Leave the segments to the next consumer. A later `append` opens a new one."""
        with self._lock:
            self._retire()
            if self._spare is not None:
                self._spare.close()
                self._spare = None
            self._retry_at = 0.0

    def _after_fork(self) -> None:
        # The lock belongs to the open file, which the parent shares. Closed here, it stays with the
        # parent; kept, it would stay locked by the child when the parent has ended.
        segments, handles = (self._segment, self._spare), self._unsynced
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
