"""The reloader, which runs the server in a process and restarts it when a file changes."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from quartapp.debugger.server.process import ServerProcess

INTERVAL = 0.3
"""Seconds between two checks of the files."""

MIN_LIFE = 2.0
"""Seconds. A server that ends by itself sooner is not started again before a file changes."""

Snapshot = dict[str, tuple[int, int]]
"""Of each file its time of modification, in nanoseconds, and its size."""


class Files:
    """The Python files below some folders, and some more files.

    Hidden folders, virtual environments and `site-packages` are left out.
    """

    def __init__(self, folders: Iterable[Path], files: Iterable[Path] = ()) -> None:
        self._folders = sorted({folder.resolve() for folder in folders})
        self._files = [file.absolute() for file in files]
        self._seen = self._snapshot()

    def changed(self) -> str | None:
        """A file that was written, added or removed since the last call; None if none was."""
        seen, self._seen = self._seen, self._snapshot()
        differences = dict(seen.items() ^ self._seen.items())
        return min(differences, default=None)

    def _snapshot(self) -> Snapshot:
        found: Snapshot = {}
        for path in (*self._paths(), *map(str, self._files)):
            try:
                status = os.stat(path)
            except OSError:
                continue  # it does not exist, or no longer
            found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def _paths(self) -> Iterator[str]:
        for top in self._folders:
            for folder, subfolders, names in os.walk(top):
                subfolders[:] = [name for name in subfolders if _is_source(folder, name)]
                yield from (os.path.join(folder, name) for name in names if name[-3:] == ".py")


class Reloader:
    """Runs a server until it is interrupted, and restarts it after each change.

    A server that ends by itself is started again; if it lived for less than MIN_LIFE, only after
    the next change.
    """

    def __init__(
        self, files: Files, start: Callable[[], ServerProcess], say: Callable[[str], None]
    ) -> None:
        self._files = files
        self._start = start
        self._say = say

    def run(self) -> None:
        """Returns after KeyboardInterrupt, with the server stopped."""
        server = self._start()
        started = time.monotonic()
        try:
            while True:
                time.sleep(INTERVAL)
                reason = self._finished_change()
                exit_code = server.exit_code
                if exit_code is not None and not reason:
                    lived = time.monotonic() - started
                    self._say(f" * The server ended with code {exit_code}.")
                    reason = "it ended by itself" if lived >= MIN_LIFE else self._wait()
                if reason:
                    self._say(f" * Restarting: {reason}")
                    server.stop()
                    server = self._start()
                    started = time.monotonic()
        except KeyboardInterrupt:
            pass
        finally:
            server.stop()

    def _wait(self) -> str:
        self._say(" * Waiting for a change.")
        while not (changed := self._finished_change()):
            time.sleep(INTERVAL)
        return changed

    def _finished_change(self) -> str | None:
        """The name of a file that changed, once nothing more changes; None if nothing did."""
        changed = self._files.changed()
        if changed is None:
            return None
        # An editor or a checkout may still be writing.
        while self._files.changed():
            time.sleep(INTERVAL / 3)
        return os.path.relpath(changed)


def source_folders(*more: Path) -> list[Path]:
    """The folders of sys.path with the developer's own code, and `more`. Folders inside another
    one of these are left out."""
    installed = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    found = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).is_dir()]
    own = [path for path in found if not any(path.is_relative_to(base) for base in installed)]
    folders = {*own, *(folder.resolve() for folder in more)}
    return [f for f in folders if not any(f != g and f.is_relative_to(g) for g in folders)]


def _is_source(folder: str, name: str) -> bool:
    if name.startswith(".") or name in {"__pycache__", "node_modules", "site-packages"}:
        return False
    return not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
