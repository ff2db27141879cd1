"""What is running: the same in all reports of a process.

Asking git takes 20 ms, which a start does not wait for: see `Recorder.prepare`.
"""

import functools
import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

from quartapp import __version__
from quartapp.reporting.report import Origin

_SHOWN = ("quart", "hypercorn", "sqlalchemy", "aiosqlite", "asyncpg")
_GIT_SECONDS = 2.0


def origin(
    environment: str, release: str = "", *, root: Path | None = None, version: str = ""
) -> Origin:
    """Where the reports of this process come from.

    Without a `release` it is what git says of the folder `root`, or the `version`.
    """
    release = release or (described(root) if root else "") or version
    return Origin(
        environment=environment,
        release=release,
        host=host(),
        worker=str(os.getpid()),
        versions=_versions(),
    )


def host() -> str:
    """The name of this machine."""
    return _text(os.fsencode(socket.gethostname()))


@functools.cache
def described(root: Path) -> str:
    """What `git describe` says of a folder; "" if it is no checkout."""
    if not (root / ".git").exists():
        return ""
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--tags", "--dirty"],
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return _text(found.stdout).strip()


def _text(name: bytes) -> str:
    """A name from the system, which may be any bytes, as text that every database stores."""
    return name.decode("utf-8", "replace").replace("\0", "")


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "quartapp": __version__}
    for name in _SHOWN:
        try:
            found[name] = version_of(name)
        except PackageNotFoundError:
            continue
    return found
