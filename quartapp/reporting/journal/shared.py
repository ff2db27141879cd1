"""Small files beside the journal, through which the processes of one machine agree."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from quartapp.permissions import hand_over

_SIZE = 200


@contextlib.contextmanager
def shared_numbers(path: Path, *, wait: bool = True) -> Iterator[list[float]]:
    """The numbers in a file, for one process at a time; what the block changes is written.

    An empty list if nothing was written yet, or if the file is damaged. A change of a file that
    exists is written in place and so needs no room on a full disk. Raises OSError; without `wait`,
    BlockingIOError while another process has the file.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        hand_over(handle, path.parent)
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        found = _numbers(os.pread(handle, _SIZE, 0))
        numbers = found[:]
        yield numbers
        if numbers != found:
            os.pwrite(handle, json.dumps(numbers).encode().ljust(_SIZE), 0)
    finally:
        os.close(handle)


def read_numbers(path: Path) -> list[float]:
    """The numbers in a file, as they are now; an empty list if there is none. Raises OSError."""
    try:
        with path.open("rb") as file:
            return _numbers(file.read(_SIZE))
    except FileNotFoundError:
        return []


def _numbers(data: bytes) -> list[float]:
    try:
        return [float(number) for number in json.loads(data)]
    except (ValueError, TypeError):
        return []
