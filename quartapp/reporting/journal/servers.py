"""The processes that write and count a journal: a file for each, locked while the process lives.

Commands read these files. Without them a command would examine the journal and the database that it
opened itself, not those that the server uses. The files are in a separate folder next to the
journal, so that they remain when the journal is removed.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from quartapp.permissions import hand_over, make_private_folder

_FOLDER = "servers"
_SIZE = 4096

SENT, KEPT = "sent", "kept"

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a process uses now.

    `journal` (the folder of its open segment) and `database` (the file) are device and inode;
    `address` is the URL of the database. `restored_at` is when its journal was last restored, in
    seconds since the epoch. `trouble` says why errors are not recorded or counted; "" if they are.
    `mails`: what becomes of them: SENT, KEPT in the mailbox of a development server, or "" where
    none are made.
    """

    pid: int
    journal: Identity | None = None
    database: Identity | None = None
    address: str = ""
    restored_at: float = 0.0
    trouble: str = ""
    mails: str = ""


class Presence:
    """The file of this process. Blocks, so call it in a thread; only one call at a time."""

    def __init__(self, journal: Path) -> None:
        self._folder = journal.with_name(_FOLDER)
        self._path: Path | None = None
        self._handle = -1
        self._noted: ServerState | None = None

    def note(self, state: ServerState) -> None:
        """Write the state if it has changed, or if the file was removed. Never raises OSError,
        because the file is only information for people."""
        if self._handle >= 0 and os.fstat(self._handle).st_nlink == 0:
            self.close()
        if state == self._noted:
            return
        with contextlib.suppress(OSError):
            if self._handle < 0:
                self._open()
            text = json.dumps(asdict(state)).encode()
            os.pwrite(self._handle, text[:_SIZE].ljust(_SIZE), 0)
            self._noted = state

    def close(self) -> None:
        handle, self._handle, self._noted = self._handle, -1, None
        if handle >= 0:
            with contextlib.suppress(OSError):
                assert self._path is not None
                self._path.unlink()
            os.close(handle)

    def _open(self) -> None:
        make_private_folder(self._folder)
        living_servers(self._folder)  # removes the files of dead processes
        self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        hand_over(self._handle, self._folder)
        fcntl.flock(self._handle, fcntl.LOCK_EX)


def living_servers(journal: Path) -> list[ServerState]:
    """The states of the processes that write and count this journal now, ordered by PID."""
    states = [state for path in _files(journal) if (state := _read(path)) is not None]
    return sorted(states, key=lambda state: state.pid)


def _files(journal: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from journal.with_name(_FOLDER).iterdir()


def _read(path: Path) -> ServerState | None:
    """The state in a locked file, else None. The file of a process that has ended is removed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.fstat(handle).st_size:  # otherwise it is being created
                path.unlink()
            return None
        values = json.loads(os.pread(handle, _SIZE, 0))
        for name in ("journal", "database"):
            values[name] = values[name] and tuple(values[name])
        return ServerState(**values)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    finally:
        os.close(handle)
