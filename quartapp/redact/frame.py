"""One call of a traceback, as reports and logs show it."""

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


def dotted(frame: Frame) -> str:
    """The module of a call, made of its file if need be."""
    return frame.module or frame.file.removesuffix(".py").removesuffix("/__init__").replace(
        "/", "."
    )
