"""The lines of source around a line, cached as they were when first read."""

import os
import stat
import tokenize
from functools import lru_cache

_WIDTH = 200
_LARGEST = 1_000_000


def around(filename: str, line: int, *, before: int = 0, after: int = 0) -> tuple[int, list[str]]:
    """The number of the first line and the lines; none if the file cannot be read as source."""
    lines = _lines(filename)
    first = max(line - before, 1)
    if not 0 < line <= len(lines):
        return 0, []
    return first, lines[first - 1 : line + after]


@lru_cache(maxsize=256)
def _lines(filename: str) -> list[str]:
    try:
        status = os.stat(filename)
        # code can be compiled under any name, also that of a pipe, a device or a video
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return []
        with tokenize.open(filename) as file:
            return [line.rstrip()[:_WIDTH] for line in file]
    except (OSError, ValueError, SyntaxError):
        return []
