"""The lines of source around a line, cached as they were when first read; and their colours."""

import keyword
import os
import re
import stat
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

_WIDTH = 200
_LARGEST = 1_000_000

_TOKENS = re.compile(
    r"""(?P<comment>\#.*)
      | (?P<string>[rbfuRBFU]{0,2}(?:\"{3}.*?(?:\"{3}|$)|'{3}.*?(?:'{3}|$)
                                   |"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?))
      | (?P<literal>\b\d[\w.]*)
      | (?P<decorator>^\s*@[\w.]+)
      | (?P<name>[^\W\d]\w*)""",
    re.VERBOSE,
)
_KEYWORDS = frozenset(keyword.kwlist) | {"match", "case", "type"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line. `style` is a CSS class or empty; `marked` is the code that failed."""

    text: str
    style: str
    marked: bool


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


def pieces(line: str, columns: Sequence[int] = (), *, is_python: bool = True) -> list[Piece]:
    """A line in parts of one style, with the characters between the two `columns` marked."""
    start, end = columns or (0, 0)
    return list(_mark(_styles(line) if is_python else [(line, "")], start, end))


def _styles(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    for match in _TOKENS.finditer(text):
        style = match.lastgroup or ""
        if style == "name":
            if match.group() not in _KEYWORDS:
                continue
            style = "keyword"
        found += [(text[position : match.start()], ""), (match.group(), style)]
        position = match.end()
    return [*found, (text[position:], "")]


def _mark(styles: list[tuple[str, str]], start: int, end: int) -> Iterator[Piece]:
    position = 0
    for text, style in styles:
        # Where the marked columns begin and end, within this piece.
        left = min(max(start - position, 0), len(text))
        right = min(max(end - position, 0), len(text))
        for part, marked in ((text[:left], False), (text[left:right], True), (text[right:], False)):
            if part:
                yield Piece(part, style, marked)
        position += len(text)
