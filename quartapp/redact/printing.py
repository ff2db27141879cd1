"""An exception as Python prints it, with the calls inside libraries folded."""

import re
from collections.abc import Iterator, Sequence

from quartapp.redact.traceback import ExceptionInfo, Folded, Frame, folded

# Also those that end a line, or turn its direction, for some readers.
_CONTROL = re.compile(
    "[\x00-\x08\n-\x1f\x7f-\x9f\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}"
    "\N{LEFT-TO-RIGHT EMBEDDING}-\N{RIGHT-TO-LEFT OVERRIDE}"
    "\N{LEFT-TO-RIGHT ISOLATE}-\N{POP DIRECTIONAL ISOLATE}]"
)

_BETWEEN = {
    "cause": "The above exception was the direct cause of the following exception:",
    "context": "During handling of the above exception, another exception occurred:",
    "member": "The above exception is a member of the following group:",
}


def one_line(text: str) -> str:
    r"""A text whose control characters are escapes, `\n` for a line feed.

    Otherwise a client could write lines of its own into the log, or commands to a terminal.
    """
    return text if text.isprintable() else _CONTROL.sub(_escape, text)


def _indented(text: str) -> str:
    """A text of several lines, none of which can be taken for the first of an entry."""
    if text.isprintable():
        return text
    return "\n  ".join(map(one_line, text.split("\n")))


def _escape(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()


def printed(exceptions: Sequence[ExceptionInfo]) -> str:
    """A traceback without secrets, of the exceptions of a reading that was scrubbed."""
    return "\n".join(_lines(exceptions))


def _lines(exceptions: Sequence[ExceptionInfo]) -> Iterator[str]:
    """As Python prints an exception, with the calls inside libraries folded."""
    for info in reversed(exceptions):
        if info.frames:
            yield "Traceback (most recent call last):"
        for call in folded(info.frames):
            yield from _folded(call) if isinstance(call, Folded) else _call(call)
        if info.left_out:
            yield f"  … {info.left_out} more calls"
        yield f"{info.type}: {_indented(info.message)}" if info.message else info.type
        yield from map(_indented, info.notes)
        if info.relation:
            yield from ("", _BETWEEN[info.relation], "")


def _folded(calls: Folded) -> Iterator[str]:
    yield f"  … {calls.count} in {', '.join(calls.packages)}"


def _call(frame: Frame) -> Iterator[str]:
    yield f'  File "{frame.file}", line {frame.line}, in {frame.function}'
    if frame.source:
        line = frame.source[frame.line - frame.first_line].strip()
        if line:
            yield f"    {line}"
