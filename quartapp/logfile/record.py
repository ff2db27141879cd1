"""Records for log files and terminals, without secrets, and with short tracebacks."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator

from quartapp.redact.collect import SecretCollector
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of, qualified
from quartapp.redact.messages import MESSAGE, message_of, message_of_record
from quartapp.redact.places import Places
from quartapp.redact.reading import ExceptionReading, attach, attached, summary_of
from quartapp.redact.scrub import Scrubber, cut
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


class Cleaner:
    """Makes a copy of a record that any formatter may write and any thread may hold.

    Its message and its traceback, both text by now, are scrubbed as a report is: a driver's DETAIL
    and HINT lines, the parameters of statements and the secrets in what `request_secrets` returns
    are not in them. The original record is not changed, so other handlers can format it their way.
    Never raises.
    """

    def __init__(
        self,
        *,
        places: Places,
        scrubber: Scrubber,
        request_secrets: Callable[[], Context] = Context,
    ) -> None:
        self._places = places
        self._scrubber = scrubber
        self._request_secrets = request_secrets

    def __call__(self, record: logging.LogRecord) -> logging.LogRecord:
        """The clean record."""
        clean = object.__new__(logging.LogRecord)
        clean.__dict__.update(record.__dict__)  # at a tenth of the time of copy.copy
        clean.args, clean.exc_info, clean.exc_text = None, None, None
        attach(clean, None)
        error = exception_of(record)
        if error is None or record.stack_info:
            message, stack = self._texts(record)
            clean.msg, clean.stack_info = one_line(message), stack or None
        if error is None:
            return clean
        try:
            clean.msg, clean.exc_text = self._message_and_traceback(record, error)
        except Exception as failure:  # noqa: BLE001 - a short line is better than none
            clean.msg = (
                f"{qualified(type(error))}, whose traceback raised {qualified(type(failure))}"
            )
        return clean

    def _texts(self, record: logging.LogRecord) -> list[str]:
        """The message and the stack."""
        texts = [message_of_record(record), record.stack_info or ""]
        collector = SecretCollector()
        with contextlib.suppress(Exception):  # patterns and known secrets are still hidden
            collector.record(record)
            collector.context(self._request_secrets())
        return self._scrubber.clean(texts, secrets=collector.secrets)

    def _message_and_traceback(
        self, record: logging.LogRecord, error: BaseException
    ) -> tuple[str, str]:
        texts = [message_of_record(record)]
        reading = attached(record, error)
        if reading is not None:
            [message] = self._scrubber.clean(texts, secrets=reading.collector.secrets)
        else:
            reading = ExceptionReading(error, self._places, details=False)
            reading.collector.context(self._request_secrets())
            reading.collector.record(record)
            if summary := summary_of(record):
                texts.append(message_of(error))
                message, own = self._scrubber.clean(texts, secrets=reading.collector.secrets)
                own = f"{qualified(type(error))}: {cut(own, MESSAGE)}"
                return one_line(f"{cut(message, MESSAGE)} {own} {summary}"), ""
            [message] = reading.scrub(self._scrubber, texts)
        return one_line(cut(message, MESSAGE)), "\n".join(_lines(reading.exceptions))


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


def _lines(exceptions: tuple[ExceptionInfo, ...]) -> Iterator[str]:
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
