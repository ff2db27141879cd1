"""Where something was created: the line of the suite or the application, not that of a library."""

import sys
import sysconfig
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

_LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_OURS = str(Path(__file__).parents[2])
_APPLICATION = str(Path(_OURS) / "microblog")
_DEPTH = 80

_is_code_of_others: dict[str, bool] = {}


class Place(NamedTuple):
    """A line of code that was running."""

    code: CodeType
    line: int

    def __str__(self) -> str:
        return f"{short(self.code.co_filename)}:{self.line} in {self.code.co_qualname}"


def short(path: str) -> str:
    """A path, relative to the current folder if it is below it."""
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return path


def is_of_a_library(file: str) -> bool:
    """Whether a file is one of Python, of an installed library, or of the parts of quartapp."""
    found = _is_code_of_others.get(file)
    if found is None:
        found = file.startswith(("<", *_LIBRARIES, _OURS)) and not file.startswith(_APPLICATION)
        _is_code_of_others[file] = found
    return found


def place(frame: FrameType | None) -> Place | None:
    """The innermost line of a stack that is not a library's; otherwise its innermost one."""
    innermost = None
    for current in frames(frame):
        if not is_of_a_library(current.f_code.co_filename):
            return Place(current.f_code, current.f_lineno)
        if innermost is None and not current.f_code.co_filename.startswith("<"):
            innermost = Place(current.f_code, current.f_lineno)
    return innermost


def frames(frame: FrameType | None) -> list[FrameType]:
    """A stack, innermost first, through the greenlets in which SQLAlchemy and templates run."""
    found: list[FrameType] = []
    greenlet = None
    while len(found) < _DEPTH:
        if frame is None:
            if greenlet is None:
                module = sys.modules.get("greenlet")
                greenlet = module.getcurrent() if module is not None else None
            greenlet = greenlet.parent if greenlet is not None else None
            frame = greenlet.gr_frame if greenlet is not None else None
            if frame is None:
                break
        found.append(frame)
        frame = frame.f_back
    return found
