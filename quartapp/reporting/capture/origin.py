"""What is running: found once a process, and the same on every report of it."""

import functools
import os
import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from quartapp import __version__
from quartapp.reporting.report import Origin

_SHOWN = ("quart", "hypercorn", "sqlalchemy", "aiosqlite", "asyncpg")
_GIT_SECONDS = 2.0
_ROOT = Path(__file__).parents[3]


def origin(environment: str, release: str) -> Origin:
    """Where the reports of this process come from; `release` "" stands for what git says."""
    return Origin(
        environment=environment,
        release=release or _described(_ROOT),
        host=_text(os.fsencode(socket.gethostname())),
        worker=str(os.getpid()),
        versions=_versions(),
    )


@functools.cache
def _described(root: Path) -> str:
    if not (root / ".git").exists():
        return __version__
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--tags", "--dirty"],
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return __version__
    return _text(found.stdout).strip() or __version__


def _text(name: bytes) -> str:
    """A name of the system, which may be any bytes, as text that every database stores."""
    return name.decode("utf-8", "replace").replace("\0", "")


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "quartapp": __version__}
    for name in _SHOWN:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
