"""An exception as sections of frames: one for itself, for each cause and each member of a group."""

import itertools
import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from quartapp.debugger.page.text import bounded, clean

MAX_SECTIONS = 40
MAX_FRAMES = 80
"""Per section. A recursion of a thousand frames would make a page too long for a browser."""

MAX_MESSAGE = 10_000
MAX_PLAIN = 200_000

_LIBRARIES = tuple(
    {
        os.path.join(form, "")
        for name, path in sysconfig.get_paths().items()
        if name in {"stdlib", "platstdlib", "purelib", "platlib"}
        for form in (path, os.path.realpath(path))
    }
)

_EXAMPLES = os.path.join(Path(__file__).parents[2], "breakit", "")
"""The failures of `/break/`, which stand for the application's code."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One call, at the line where the exception left it.

    `number` identifies the frame in the page's commands; it counts through all sections.
    `columns` are positions of characters in the line, or None where the code that failed spans
    several lines.
    """

    number: int
    filename: str
    line: int
    function: str
    columns: tuple[int, int] | None
    is_library: bool
    frame: FrameType
    is_template: bool = False

    @property
    def place(self) -> str:
        """The path of the file, relative to the working directory or to its library's folder."""
        for base in sorted((os.path.join(os.getcwd(), ""), *_LIBRARIES), key=len, reverse=True):
            if self.filename.startswith(base):
                return clean(self.filename.removeprefix(base))
        return clean(self.filename)


@dataclass(frozen=True, eq=False)
class Section:
    """One exception of a chain or a group. `depth` counts the groups that contain it."""

    relation: str
    kind: str
    message: str
    depth: int
    error: BaseException
    frames: list[Frame] = field(default_factory=list)
    omitted: int = 0
    """Number of frames left out, after the first quarter of `frames`."""

    @property
    def runs(self) -> list[tuple[bool, list[Frame]]]:
        """The frames in order, in runs of the application's and of libraries' frames."""
        grouped = itertools.groupby(self.frames, key=lambda frame: frame.is_library)
        return [(is_library, list(frames)) for is_library, frames in grouped]


def sections(error: BaseException, libraries: Sequence[str] = ()) -> list[Section]:
    """The sections of an exception: the exception itself first, then what led to it.

    Files below `libraries` count as a library's, like installed ones. A cycle of causes ends where
    it closes, and MAX_SECTIONS are the most. Never raises, whatever the exception's own methods do.
    """
    numbers = itertools.count(1)
    return [
        _section(found, relation, depth, numbers, libraries)
        for found, relation, depth in itertools.islice(_related(error), MAX_SECTIONS)
    ]


def is_library(filename: str, libraries: Sequence[str] = ()) -> bool:
    """Whether a file is installed, of Python, or below `libraries`."""
    below = (*_LIBRARIES, "<frozen ", "<sqlalchemy generated ", *libraries)
    return filename.startswith(below) and not filename.startswith(_EXAMPLES)


def plain_text(error: BaseException) -> str:
    """Python's own traceback, without control characters and of bounded length."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as failure:  # noqa: BLE001 an exception's own attributes may raise anything
        text = f"{_kind(error)}: {_message(error)}\n(no traceback: {_kind(failure)})\n"
    return bounded(clean(text), MAX_PLAIN)


def release(found: list[Section]) -> None:
    """Release what the frames' variables refer to, such as connections."""
    for section in found:
        traceback.clear_frames(section.error.__traceback__)
        for step, _line in traceback.walk_tb(section.error.__traceback__):
            # Before Python 3.13 a frame keeps the dictionary that f_locals returned last, with the
            # old values. Reading it again empties it.
            _ = step.f_locals
        section.frames.clear()


def _related(error: BaseException) -> Iterator[tuple[BaseException, str, int]]:
    waiting: list[tuple[BaseException, str, int]] = [(error, "", 0)]
    seen: set[int] = set()
    while waiting:
        current, relation, depth = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current, relation, depth
        led_to = list(_members(current, depth))
        if current.__cause__ is not None:
            led_to.append((current.__cause__, f"was the direct cause of {_kind(current)}", depth))
        elif current.__context__ is not None and not current.__suppress_context__:
            relation = f"was being handled when {_kind(current)} happened"
            led_to.append((current.__context__, relation, depth))
        waiting[:0] = led_to


def _members(error: BaseException, depth: int) -> Iterator[tuple[BaseException, str, int]]:
    if isinstance(error, BaseExceptionGroup):
        count = len(error.exceptions)
        for number, member in enumerate(error.exceptions, start=1):
            yield member, f"is member {number} of {count} of {_kind(error)}", depth + 1


def _section(
    error: BaseException,
    relation: str,
    depth: int,
    numbers: Iterator[int],
    libraries: Sequence[str],
) -> Section:
    steps = list(_steps(error.__traceback__))
    omitted = max(0, len(steps) - MAX_FRAMES)
    if omitted:
        first = MAX_FRAMES // 4
        del steps[first : first + omitted]
    frames = [_frame(next(numbers), step, libraries) for step in steps]
    return Section(relation, _kind(error), _message(error), depth, error, frames, omitted)


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        if not step.tb_frame.f_locals.get("__traceback_hide__"):
            yield step
        step = step.tb_next


def _frame(number: int, step: TracebackType, libraries: Sequence[str]) -> Frame:
    code = step.tb_frame.f_code
    # Not the frame's current line: that moves on, into a finally or an __aexit__.
    line = step.tb_lineno or code.co_firstlineno
    return Frame(
        number=number,
        filename=code.co_filename,
        line=line,
        function=code.co_name if _is_template(step) else code.co_qualname,
        columns=_columns(step, code, line),
        is_library=is_library(code.co_filename, libraries),
        frame=step.tb_frame,
        is_template=_is_template(step),
    )


def _columns(step: TracebackType, code: CodeType, line: int) -> tuple[int, int] | None:
    if _is_template(step):
        return None  # the columns are those of the code that Jinja compiled
    position = next(itertools.islice(code.co_positions(), step.tb_lasti // 2, None), None)
    if position is None:
        return None
    first, last, start, end = position
    if first != line or last != line or start is None or end is None:
        return None
    # Python's columns count bytes of UTF-8.
    text = linecache.getline(code.co_filename, line, step.tb_frame.f_globals).encode()
    return len(text[:start].decode(errors="replace")), len(text[:end].decode(errors="replace"))


def _is_template(step: TracebackType) -> bool:
    return "__jinja_exception__" in step.tb_frame.f_globals


def _kind(error: BaseException) -> str:
    kind = type(error)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return clean(name.removeprefix("builtins.").removeprefix("__main__."))


def _message(error: BaseException) -> str:
    try:
        lines = traceback.format_exception_only(error)
        text = "".join(lines).rstrip("\n")
        if not isinstance(error, SyntaxError):
            text = text.removeprefix(_kind(error)).removeprefix(": ")
    except Exception as failure:  # noqa: BLE001 an exception's own attributes may raise anything
        text = f"(no message: reading it raised {_kind(failure)})"
    return bounded(clean(text), MAX_MESSAGE)
