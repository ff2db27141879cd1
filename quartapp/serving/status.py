"""The file by which `quartapp reload` finds a server, and learns how a reload ended.

It holds a JSON object: `pid` of the process that handles signals, `reloads` that have ended,
whether one is `running`, and the `error` of the last one, or "". The server holds a lock on it, so
that a file that a killed server left behind, and whose pid may be another process's, is recognized.
"""

import fcntl
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

_POLL = 0.05


class StatusFile:
    """The file of this server. Without a path, or if another server holds it, nothing is written.

    Raises OSError if the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle = -1
        self._status: dict[str, Any] = {"reloads": 0, "running": False, "error": ""}

    def open(self) -> bool:
        """Write the file; returns whether it is ours: another server may hold it."""
        if not self.path:
            return True
        Path(self.path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        self.write()
        return True

    def write(self, **changes: object) -> None:
        """Write the status with these changes."""
        self._status |= changes
        if self._handle >= 0:
            text = json.dumps({"pid": os.getpid(), **self._status}) + "\n"
            with suppress(OSError):  # a full disk must not end a server
                # One call, so that a reader sees the old status or the new one.
                os.pwrite(self._handle, text.encode().ljust(_SIZE), 0)

    def reloading(self) -> None:
        """Note that a reload has begun."""
        self.write(running=True)

    def reloaded(self, error: str) -> None:
        """Note that a reload has ended, and why it failed, or ""."""
        reloads = self._status["reloads"] + 1
        self.write(running=False, reloads=reloads, error=error[:_LONGEST])

    def close(self) -> None:
        """Remove the file, at the end of the server."""
        if self._handle >= 0:
            with suppress(OSError):
                os.unlink(self.path)
            os.close(self._handle)
            self._handle = -1


_LONGEST = 2000
_SIZE = 16_384


def read_status(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The status of the server that has this file, or None if there is none that runs."""
    try:
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found: dict[str, Any] = json.loads(file.read())
                return found
    except (FileNotFoundError, ValueError):
        pass
    return None


class ReloadFailedError(RuntimeError):
    """The server did not reload; the text says why in one sentence."""


def reload(
    path: str | os.PathLike[str], seconds: float, kill: Callable[[int, int], None] = os.kill
) -> None:
    """Have the server that has this file reload, and wait until it has.

    Raises ReloadFailedError, and OSError if the file cannot be read, or the process belongs to
    another user.
    """
    before = read_status(path)
    if before is None:
        raise ReloadFailedError(f"no server runs that has the file {os.fspath(path)}")
    kill(before["pid"], signal.SIGHUP)
    # What is running may have begun before the change for which somebody calls this.
    ended = before["reloads"] + (2 if before["running"] else 1)
    deadline = monotonic() + seconds
    while (status := read_status(path)) is not None and status["pid"] == before["pid"]:
        if status["reloads"] >= ended:
            if status["error"]:
                raise ReloadFailedError(status["error"])
            return
        if monotonic() > deadline:
            raise ReloadFailedError(f"the reload has not ended within {seconds:g} s")
        sleep(_POLL)
    raise ReloadFailedError("the server has ended")
