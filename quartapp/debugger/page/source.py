"""The lines of source around a frame's line, highlighted."""

import linecache
from dataclasses import dataclass

from quartapp.debugger.page.frames import Frame
from quartapp.debugger.page.text import bounded
from quartapp.redact.source import Piece, pieces

CONTEXT = 6
"""Lines before and after the marked one."""

MAX_LINE = 400


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
    columns = frame.columns or () if current else ()
    return Line(number, current, pieces(text, columns, is_python=frame.filename.endswith(".py")))
