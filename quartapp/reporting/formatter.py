"""Tracebacks for log files and terminals: light to read, and without secrets."""

import copy
import logging
from collections.abc import Iterator

from quartapp.reporting.capture import capture
from quartapp.reporting.places import Places
from quartapp.reporting.report import Context, ExceptionInfo, Frame, Origin, Report
from quartapp.reporting.scrub import Scrubber
from quartapp.reporting.summary import Folded, folded
from quartapp.reporting.wording import message_of_record

_BETWEEN = {
    "cause": "The above exception was the direct cause of the following exception:",
    "context": "During handling of the above exception, another exception occurred:",
    "member": "The above exception is a member of the following group:",
}


_CONTEXT = "_quartapp_context"


def remember(record: logging.LogRecord, context: Context) -> None:
    """Keep the request with a record, for the formatter that comes later and in another thread."""
    setattr(record, _CONTEXT, context)


class ScrubbingFormatter(logging.Formatter):
    """A formatter whose messages and tracebacks come from the same scrubbed structure as reports.

    Tracebacks look like Python's, with the calls inside libraries folded; a driver's DETAIL and
    HINT lines and the parameters of statements are not in them. Neither changes the record, so
    that other handlers are free to format it their way. Secrets of the request are kept out if it
    was remembered with the record.
    """

    def __init__(
        self,
        fmt: str,
        *,
        places: Places,
        scrubber: Scrubber,
    ) -> None:
        super().__init__(fmt)
        self._places = places
        self._scrubber = scrubber

    def format(self, record: logging.LogRecord) -> str:
        """The line of the record, and the traceback below it. Never raises."""
        clean = copy.copy(record)
        clean.args, clean.exc_info, clean.exc_text = None, None, None
        if record.stack_info:
            clean.stack_info = self._scrubber.text(record.stack_info)
        if not record.exc_info or not record.exc_info[1]:
            clean.msg = self._scrubber.text(message_of_record(record))
            return super().format(clean)
        report = capture(
            record,
            getattr(record, _CONTEXT, Context()),
            now=record.created,
            places=self._places,
            origin=Origin(),
            scrubber=self._scrubber,
            fingerprint="-",
        )
        clean.msg = report.message
        return f"{super().format(clean)}\n{traceback_text(report)}"


def traceback_text(report: Report) -> str:
    """The traceback of a report as Python would print it, the calls inside libraries folded."""
    lines: list[str] = []
    for info in reversed(report.exceptions):
        lines += _lines(info)
        if info.relation in _BETWEEN:
            lines += ["", _BETWEEN[info.relation], ""]
    return "\n".join(lines)


def _lines(info: ExceptionInfo) -> Iterator[str]:
    if info.frames:
        yield "Traceback (most recent call last):"
    for call in folded(info):
        if isinstance(call, Folded):
            yield f"  … {call.count} in {', '.join(call.packages)}"
        else:
            yield from _call(call)
    if info.left_out:
        yield f"  … {info.left_out} more calls"
    yield f"{info.type}: {info.message}" if info.message else info.type
    yield from info.notes


def _call(frame: Frame) -> Iterator[str]:
    yield f'  File "{frame.file}", line {frame.line}, in {frame.function}'
    position = frame.line - frame.first_line
    if 0 <= position < len(frame.source):
        yield f"    {frame.source[position].strip()}"
