"""An exception, read once: its report and its log line are made from the same reading.

Everything is read first and scrubbed together, so a secret that is found in the last call is also
removed from the message of the first exception.
"""

import logging
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import NamedTuple

from quartapp.redact.chain import calls, chain, shortened
from quartapp.redact.collect import SecretCollector, locals_of
from quartapp.redact.introspection import qualified
from quartapp.redact.messages import MESSAGE, message_of, notes_of
from quartapp.redact.places import Places, module_of
from quartapp.redact.scrub import Scrubber, cut
from quartapp.redact.source import around
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.redact.values import ITEMS, named

VALUE = 1000
"""Characters of a local that are shown."""

_ROOM = 60_000
"""Characters of all locals together: about as many as a report may have."""

_BEFORE, _AFTER = 3, 2
_ATTRIBUTE = "_quartapp_reading"
_SUMMARY = "_quartapp_summary"


class _Call(NamedTuple):
    """What is added to the frame at a position, if the call is one of the application.

    `source` and `values` say where its texts are in the lists that are scrubbed: with
    `values=slice(3, 5)` the values of the two `names` are the texts 3 and 4. For `columns` see
    `Places.columns`.
    """

    position: int
    module: str
    first_line: int
    source: slice
    names: list[str]
    values: slice
    columns: tuple[int, ...]


class _Read(NamedTuple):
    """One exception of the chain; `texts` says where its message and notes are."""

    type: str
    relation: str
    texts: slice
    frames: list[Frame]
    calls: list[_Call]
    left_out: int


class ExceptionReading:
    """An exception and those that led to it, by a bounded walk; empty without an exception.

    With `details` it has up to 20 locals of each of the application's calls and the lines around
    the call, otherwise only the line itself. `collector` holds the secrets that were found. A
    caller that knows more adds them before it calls `scrub`, after which `exceptions` is complete.

    Calls no `__repr__`, attribute or iterator of the application's objects.
    """

    def __init__(self, error: BaseException | None, places: Places, *, details: bool) -> None:
        self.collector = SecretCollector()
        self.exceptions: tuple[ExceptionInfo, ...] = ()
        self._error = error
        self._traceback = error.__traceback__ if error else None
        self._places = places
        self._details = details
        self._room = _ROOM if details else 0
        self._texts: list[str] = []
        self._source: list[str] = []
        self._chain = [self._read(*link) for link in chain(error)] if error else []

    def scrub(self, scrubber: Scrubber, texts: list[str]) -> list[str]:
        """Scrub what was read together with further texts, which are returned without secrets."""
        read = len(self._texts)
        clean, source = scrubber.clean_with_source(
            self._texts + texts, self._source, secrets=self.collector.secrets
        )
        self.exceptions = tuple(
            [_finished(each, clean, source, self._source) for each in self._chain]
        )
        return clean[read:]

    def is_of(self, error: BaseException) -> bool:
        """Whether it is a reading of this exception, with all calls that it has left until now."""
        return self._error is error and self._traceback is error.__traceback__

    def _read(self, error: BaseException, relation: str) -> _Read:
        self.collector.named("", error)
        texts = self._put([message_of(error), *notes_of(error)])
        walked, left_out = shortened(calls(error.__traceback__))
        frames = [self._places.call(call) for call in walked]
        own = [position for position, frame in enumerate(frames) if frame.in_app]
        # from the innermost: if there is no room for all locals, the outermost calls have none
        read = [self._read_call(at, walked[at], frames[at].line) for at in reversed(own)]
        return _Read(qualified(type(error)), relation, texts, frames, read, left_out)

    def _read_call(self, position: int, call: TracebackType, line: int) -> _Call:
        frame = call.tb_frame
        names, values = self._read_locals(frame)
        before, after = (_BEFORE, _AFTER) if self._details else (0, 0)
        first, lines = around(frame.f_code.co_filename, line, before=before, after=after)
        start = len(self._source)
        self._source += lines
        source = slice(start, len(self._source))
        columns = self._places.columns(call)
        return _Call(position, module_of(frame), first, source, names, self._put(values), columns)

    def _read_locals(self, frame: FrameType) -> tuple[list[str], list[str]]:
        """Names and values to show; further locals are only searched for secrets."""
        names: list[str] = []
        values: list[str] = []
        for name, value in locals_of(frame):
            self.collector.named(name, value)
            if self._room > 0 and len(names) < ITEMS:
                text = named(name, value)
                self._room -= min(len(text), VALUE)
                names.append(name)
                values.append(text)
        return names, values

    def _put(self, texts: list[str]) -> slice:
        start = len(self._texts)
        self._texts += texts
        return slice(start, len(self._texts))


def _finished(
    read: _Read, texts: list[str], source: list[str], raw_source: list[str]
) -> ExceptionInfo:
    message, *notes = [cut(text, MESSAGE) for text in texts[read.texts]]
    frames = read.frames.copy()
    columns: list[tuple[int, int, int]] = []
    for call in read.calls:
        known = frames[call.position]
        values = [cut(text, VALUE) for text in texts[call.values]]
        frames[call.position] = Frame(
            known.file,
            call.module,
            known.function,
            known.line,
            known.in_app,
            call.first_line,
            tuple(source[call.source]),
            tuple(zip(call.names, values, strict=True)),
        )
        if call.columns and call.first_line:
            at = call.source.start + known.line - call.first_line
            # Not in a line that is another one without its secrets.
            if (line := source[at]) == raw_source[at]:
                columns += [(call.position, *found) for found in _characters(line, *call.columns)]
    return ExceptionInfo(
        read.type,
        message,
        read.relation,
        tuple(frames),
        read.left_out,
        tuple(notes),
        tuple(columns),
    )


def _characters(line: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Columns of a line that count bytes, as columns that count characters, if there are such."""
    if not line.isascii():
        data = line.encode()
        start = len(data[:start].decode(errors="replace"))
        end = len(data[:end].decode(errors="replace")) if end >= 0 else end
    end = len(line) if end < 0 else min(end, len(line))
    if start < end:
        yield start, end


def attach(record: logging.LogRecord, reading: ExceptionReading | None) -> None:
    """Attach the reading of its exception to a log record, for the handlers after this one."""
    setattr(record, _ATTRIBUTE, reading)


def attached(record: logging.LogRecord, error: BaseException) -> ExceptionReading | None:
    """The scrubbed reading that an earlier handler made of the record's exception.

    None if the exception has left further calls since. None, too, if the record has arguments with
    names: they may hold secrets that the reading did not know.
    """
    reading: ExceptionReading | None = getattr(record, _ATTRIBUTE, None)
    if reading is None or type(record.args) is dict or not reading.is_of(error):
        return None
    return reading


def summarize(record: logging.LogRecord, summary: str) -> None:
    """Have `summary`, which holds no secret, logged in the place of the record's traceback, after
    the message of the exception."""
    setattr(record, _SUMMARY, summary)


def summary_of(record: logging.LogRecord) -> str:
    """What `summarize` was given; "" if the traceback is to be logged."""
    summary: str = getattr(record, _SUMMARY, "")
    return summary
