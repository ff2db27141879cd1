"""An exception as reports, mails and logs show it: its message and its calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Frame(NamedTuple):
    """One call. Library frames carry neither source nor locals.

    A tuple, as there are up to 300 in a report: its form in JSON is a list without names. For the
    same reason `module` is "" where it says no more than `file` does; `dotted` has it always.
    `source` holds the lines around `line`, the first of them numbered `first_line`.
    """

    file: str
    module: str
    function: str
    line: int
    in_app: bool = False
    first_line: int = 0
    source: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One exception of a chain.

    `relation` says how it belongs to the exception before it: "" for the first, "cause" (raise ...
    from), "context" (raised while handling it) or "member" (of a group). `frames` run from the
    outermost call to the one that raised; `left_out` of them, from the middle, were too many.
    `columns` has the position of a frame, and the first and last column of the expression in its
    line that failed; it is not in the frame, as the version before reads frames by their length.
    """

    type: str
    message: str
    relation: str = ""
    frames: tuple[Frame, ...] = ()
    left_out: int = 0
    notes: tuple[str, ...] = ()
    columns: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Folded:
    """Consecutive calls inside libraries, of which only the packages are shown at first."""

    frames: tuple[Frame, ...]

    @property
    def count(self) -> int:
        """The number of calls."""
        return len(self.frames)

    @property
    def packages(self) -> tuple[str, ...]:
        """The names of the packages, each once."""
        names = [_package(call.module or call.file) for call in self.frames]
        return tuple(dict.fromkeys(names))


def dotted(frame: Frame) -> str:
    """The module of a call, derived from its file if necessary."""
    return frame.module or frame.file.removesuffix(".py").removesuffix("/__init__").replace(
        "/", "."
    )


def folded(frames: tuple[Frame, ...]) -> Iterator[Frame | Folded]:
    """The application's calls and the last one of all; the others folded."""
    shown = [position for position, frame in enumerate(frames) if frame.in_app]
    last = len(frames) - 1
    if frames and not frames[last].in_app:
        shown.append(last)
    start = 0
    for position in shown:
        if start < position:
            yield Folded(frames[start:position])
        yield frames[position]
        start = position + 1


@lru_cache(maxsize=1024)  # the path through the libraries is nearly always the same
def _package(name: str) -> str:
    return name.partition("/")[0].removesuffix(".py").partition(".")[0]
