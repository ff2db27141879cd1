"""Where records wait until they are counted: in memory, or in a spool folder.

Both are the log of a `Recorder`. The sender's thread takes entries from them, and calls `save` when
they are counted.
"""

import contextlib
import fcntl
import json
import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from quartapp.permissions import hand_over
from quartapp.reporting.handler.groups import Groups
from quartapp.reporting.journal.aside import keep_aside, set_strangers_aside
from quartapp.reporting.journal.segments import (
    Reading,
    identity,
    list_segments,
    make_folder,
    open_segment,
    sweep,
)
from quartapp.reporting.journal.writer import Journal

_CROWDED = 500
_FULL = 20_000
_FINISHED = 1000

_logger = logging.getLogger(__name__)


class Memory:
    """Entries in the memory of this process, for one thread that takes them.

    While 500 wait, the text of further records is left out; while 20,000 wait, the recorder keeps
    counts by group.
    """

    poll: float | None = None
    """Seconds after which to look for new entries that nobody announced."""

    def __init__(self) -> None:
        self._payloads: deque[bytes] = deque()

    @property
    def is_crowded(self) -> bool:
        return len(self._payloads) >= _CROWDED

    @property
    def may_wait(self) -> bool:
        """Whether something may wait that this process has not recorded."""
        return False

    def append(self, payload: bytes) -> bool:
        if len(self._payloads) >= _FULL:
            return False
        self._payloads.append(payload)
        return True

    def write_waiting(self) -> None:
        """Nothing is written."""

    def add_losses(self, _reports: int, _counted: int, _now: float) -> bool:
        return True

    def is_ours(self, _groups: Groups) -> bool:
        """Whether this process counts and mails."""
        return True

    def take(self) -> Iterator[list[bytes]]:
        """New entries, in pieces."""
        payloads = [self._payloads.popleft() for _ in range(len(self._payloads))]
        if payloads:
            yield payloads

    @property
    def waiting(self) -> list[bytes]:
        """Entries that the thread has not taken yet."""
        return list(self._payloads.copy())

    def keep_aside(self, _payloads: list[bytes]) -> None:
        """All lines are entries."""

    def save(self, _groups: Groups, *, changed: bool) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is open."""

    def release(self) -> None:
        """Let another process continue. Nothing is shared."""

    def renew(self) -> None:
        """In a forked child: the parent mails what it has recorded."""
        self._payloads = deque()


class Spool:
    """A folder that several processes may share, and the next ones too.

    Each process appends to its own segments in `journal`. One at a time, which holds the lock of
    the file `mailer`, reads the segments of all, and keeps in the file `state` what it has counted
    and mailed and how far it has read. Offsets and counts are replaced together, by a rename: a
    process that is killed has counted nothing or all of a piece. A segment is removed only after
    the state that has its counts is saved.
    """

    poll: float | None = 0.5

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.journal = Journal(folder / "journal")
        self._lock = -1
        self._offsets: dict[str, int] = {}
        self._is_changed = False
        self._held = ExitStack()
        self._finished: list[Reading] = []

    @property
    def is_crowded(self) -> bool:
        return self.journal.is_crowded

    @property
    def may_wait(self) -> bool:
        """Whether something may wait that this process has not recorded."""
        try:
            if list_segments(self.journal.folder):
                return True
            return bool(self._stored().get("unmailed"))
        except (OSError, ValueError):
            return True

    def append(self, payload: bytes) -> bool:
        return self.journal.append(payload)

    def write_waiting(self) -> None:
        self.journal.write_waiting()

    def add_losses(self, reports: int, counted: int, now: float) -> bool:
        return self.journal.add_losses(reports, counted, now)

    def is_ours(self, groups: Groups) -> bool:
        """Whether this process counts and mails: whether it has the lock, or gets it now.

        With a new lock the state is loaded into `groups`. Raises OSError.
        """
        path = self._folder / "mailer"
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                if identity(path.stat()) == identity(os.fstat(self._lock)):
                    return True
            # The folder was removed or replaced. What this process has counted is in memory.
            self.release()
            self._is_changed = True
            return self._acquire(path)
        if not self._acquire(path):
            self._forget_counted()
            return False
        try:
            stored = self._stored()
            self._offsets = _offsets(stored)
            if stored:
                groups.load(stored["groups"])
        except (ValueError, TypeError, KeyError, AttributeError):
            self._set_aside()
        return True

    def _acquire(self, path: Path) -> bool:
        make_folder(self._folder)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            hand_over(handle, self._folder)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except BaseException:
            os.close(handle)
            raise
        self._lock = handle
        return True

    def _stored(self) -> dict[str, Any]:
        """The state; empty if there is none. Raises OSError, and ValueError if it is damaged."""
        try:
            text = (self._folder / "state").read_bytes()
        except FileNotFoundError:
            return {}
        stored = json.loads(text)
        if type(stored) is not dict:
            raise ValueError("not a state")
        return stored

    def _set_aside(self) -> None:
        path = self._folder / "state"
        aside = path.with_name(f"state.aside-{time.time_ns()}")
        path.rename(aside)
        _logger.error("The state of the spool, %s, is damaged; it was renamed to %s", path, aside)

    def take(self) -> Iterator[list[bytes]]:
        """New entries of all processes, one segment at a time. Raises OSError.

        Segments whose process is gone stay locked until `save`.
        """
        folder = self.journal.folder
        sweep(folder)
        set_strangers_aside(folder)
        for path in list_segments(folder):
            with ExitStack() as opened:
                try:
                    reading = opened.enter_context(open_segment(path))
                except OSError as error:
                    _logger.error("A segment of the spool cannot be read: %s", error)
                    continue
                if reading is None:
                    continue
                content = reading.read(self._offsets.get(reading.name, 0))
                if content.corrupt:
                    _logger.error("%d pieces of segment %s are unreadable", content.corrupt, path)
                self._offsets[reading.name] = content.end
                if reading.final:
                    self._finished.append(reading)
                    self._held.enter_context(opened.pop_all())
            if content.payloads:
                yield content.payloads

    def keep_aside(self, payloads: list[bytes]) -> None:
        """Keep lines that are no entries."""
        keep_aside(self.journal.folder, f"{time.time_ns()}.lines", payloads)

    def save(self, groups: Groups, *, changed: bool) -> None:
        """Save what is counted and mailed, and remove the segments that are counted to their end.

        Raises OSError: then nothing is removed, and the next call tries again.
        """
        self._is_changed |= changed
        with self._held:
            finished, self._finished = self._finished, []
            if self._is_changed or finished:
                self._forget_names()
                state = {
                    "offsets": self._offsets,
                    "groups": groups.to_json(),
                    "unmailed": groups.unmailed,
                }
                self._replace(json.dumps(state, separators=(",", ":")).encode())
                self._is_changed = False
            for reading in finished:
                reading.remove()
                self.journal.forget(reading.name)
        self._forget_counted()

    def _forget_names(self) -> None:
        """Forget segments that were removed, except the last ones, of which others may ask."""
        gone = [name for name in self._offsets if not self._path(name).exists()]
        for name in gone[: max(len(gone) - _FINISHED, 0)]:
            del self._offsets[name]

    def _path(self, name: str) -> Path:
        return self.journal.folder / f"{name}.journal"

    def _replace(self, state: bytes) -> None:
        new = self._folder / "state.new"
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            hand_over(handle, self._folder)
            while state:
                state = state[os.write(handle, state) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        new.rename(self._folder / "state")

    def _forget_counted(self) -> None:
        """Forget this process's full segments that were counted and removed; restore others."""
        missing = self.journal.missing()
        if missing and self._lock < 0:
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
                self._offsets = _offsets(self._stored())
        for name, end in missing.items():
            if self._offsets.get(name, 0) >= end:
                self.journal.forget(name)
            else:
                self.journal.put_back([name])

    def close(self) -> None:
        """Let whichever process mails finish the segments of this one."""
        self.journal.close()

    def release(self) -> None:
        """Let another process continue."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def renew(self) -> None:
        """In a forked child: the parent keeps the lock, which belongs to the open file."""
        with contextlib.suppress(Exception):  # the parent may have been in the middle of it
            self._held.pop_all().close()
        self._finished = []
        self._offsets = {}
        self._is_changed = False
        self.release()


def _offsets(stored: dict[str, Any]) -> dict[str, int]:
    offsets: dict[str, int] = stored.get("offsets", {})
    if not all(type(offset) is int for offset in offsets.values()):
        raise ValueError("an offset is no number")
    return offsets
