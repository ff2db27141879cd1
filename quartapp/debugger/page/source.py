"""The lines of source around a frame's line, highlighted."""

import keyword
import linecache
import re
from collections.abc import Iterator
from dataclasses import dataclass

from quartapp.debugger.page.frames import Frame
from quartapp.debugger.page.text import bounded, clean

CONTEXT = 6
"""Lines before and after the marked one."""

MAX_LINE = 400

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


@dataclass(frozen=True)
class Piece:
    """A part of a line. `style` is a CSS class or empty; `marked` is the code that failed."""

    text: str
    style: str
    marked: bool


@dataclass(frozen=True)
class Line:
    number: int
    current: bool
    pieces: list[Piece]


def source_lines(frame: Frame) -> list[Line]:
    """The lines around a frame's line; empty if there is no source."""
    lines = linecache.getlines(frame.filename, frame.frame.f_globals)
    if not 0 < frame.line <= len(lines):
        return []
    first = max(1, frame.line - CONTEXT)
    return [
        _line(number, lines[number - 1], frame)
        for number in range(first, min(len(lines), frame.line + CONTEXT) + 1)
    ]


def _line(number: int, text: str, frame: Frame) -> Line:
    text = bounded(text.rstrip("\r\n"), MAX_LINE)
    current = number == frame.line
    columns = (frame.columns or (0, 0)) if current else (0, 0)
    styles = _styles(text) if frame.filename.endswith(".py") else [(text, "")]
    return Line(number, current, list(_mark(styles, *columns)))


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
                yield Piece(clean(part), style, marked)
        position += len(text)
