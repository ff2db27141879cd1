"""The reloader: a process that starts the server anew whenever a file changed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

INTERVAL = 0.3
"""Seconds between two looks at the files."""

STOP_TIMEOUT = 5.0
"""Seconds that a server gets to end before it is killed."""

MIN_LIFE = 2.0
"""A server that ends sooner by itself is not started again before a file changes."""

Snapshot = dict[str, tuple[int, int]]


class Files:
    """The Python files under some folders, and some files beside them.

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
                continue  # removed between the listing and the look, or not there at all
            found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def _paths(self) -> Iterator[str]:
        for top in self._folders:
            for folder, subfolders, names in os.walk(top):
                subfolders[:] = [name for name in subfolders if _is_source(folder, name)]
                yield from (os.path.join(folder, name) for name in names if name[-3:] == ".py")


class Reloader:
    """Runs a server process until it is interrupted, and a new one after each change.

    `start` starts a server. A server that ends by itself is started again; if it lived for less
    than MIN_LIFE, only after the next change.
    """

    def __init__(
        self, files: Files, start: Callable[[], subprocess.Popen[bytes]], say: Callable[[str], None]
    ) -> None:
        self._files = files
        self._start = start
        self._say = say

    def run(self) -> None:
        """Returns after KeyboardInterrupt, with the server stopped."""
        process = self._start()
        started = time.monotonic()
        try:
            while True:
                time.sleep(INTERVAL)
                changed = self._settled_change()
                ended = process.poll() is not None
                if ended and not changed:
                    lived = time.monotonic() - started
                    self._say(f" * The server ended with code {process.returncode}.")
                    changed = "it ended by itself" if lived >= MIN_LIFE else self._wait()
                if changed:
                    self._say(f" * Restarting: {changed}")
                    stop(process)
                    process = self._start()
                    started = time.monotonic()
        except KeyboardInterrupt:
            pass
        finally:
            stop(process)

    def _wait(self) -> str:
        self._say(" * Waiting for a change.")
        while not (changed := self._settled_change()):
            time.sleep(INTERVAL)
        return changed

    def _settled_change(self) -> str | None:
        changed = self._files.changed()
        if changed is None:
            return None
        # An editor or a checkout may be writing still.
        while self._files.changed():
            time.sleep(INTERVAL / 3)
        return os.path.relpath(changed)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process: politely, then not. A KeyboardInterrupt ends it at once, and goes on."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def source_folders(*more: Path) -> list[Path]:
    """The folders of sys.path that hold the developer's own code, and `more`."""
    installed = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix)}
    found = [Path(entry).resolve() for entry in sys.path if entry and Path(entry).is_dir()]
    own = [path for path in found if not any(path.is_relative_to(base) for base in installed)]
    folders = {*own, *(folder.resolve() for folder in more)}
    return [f for f in folders if not any(f != g and f.is_relative_to(g) for g in folders)]


def _is_source(folder: str, name: str) -> bool:
    if name.startswith(".") or name in {"__pycache__", "node_modules", "site-packages"}:
        return False
    return not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
