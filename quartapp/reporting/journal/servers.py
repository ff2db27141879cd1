"""Which processes write and count a journal: a file for each of them, locked while it lives.

For commands, which are other processes: without these files they would examine what they have
opened themselves, and not what the server uses. The files are in a folder of their own beside the
journal, so that removing the journal does not hide who still writes to it.
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

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a process uses now: the folder of its open segment and the file of its database, by
    device and inode, the address of its database, when its journal was last made again, and why it
    does not count."""

    pid: int
    journal: Identity | None = None
    database: Identity | None = None
    address: str = ""
    restored_at: float = 0.0
    trouble: str = ""


class Presence:
    """The file of this process. One call at a time; blocks, so call it off the loop."""

    def __init__(self, journal: Path) -> None:
        self._folder = journal.with_name(_FOLDER)
        self._path: Path | None = None
        self._handle = -1
        self._noted: ServerState | None = None

    def note(self, state: ServerState) -> None:
        """Write the state if it has changed, or if the file was removed. Never raises: what is
        here is for people."""
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
        living_servers(self._folder)  # which removes the files of the dead
        self._path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        hand_over(self._handle, self._folder)
        fcntl.flock(self._handle, fcntl.LOCK_EX)


def living_servers(journal: Path) -> list[ServerState]:
    """What the processes use that write and count this journal now, ordered by process."""
    states = [state for path in _files(journal) if (state := _read(path)) is not None]
    return sorted(states, key=lambda state: state.pid)


def _files(journal: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield from journal.with_name(_FOLDER).iterdir()


def _read(path: Path) -> ServerState | None:
    """None for the file of a process that has ended, which is removed, and for anything else."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.fstat(handle).st_size:  # else it is being made
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
