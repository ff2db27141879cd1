"""From an exception or a log record to a report, by a bounded walk.

Everything is read first, then scrubbed at once, then put together: a secret that is found in the
last frame is taken out of the message of the first exception.
"""

import logging
from collections.abc import Iterable
from itertools import islice
from types import FrameType
from typing import Any
from uuid import uuid4

from quartapp.redact.chain import calls, chain, shortened
from quartapp.redact.collect import SecretCollector, locals_of
from quartapp.redact.context import Context
from quartapp.redact.frame import Frame, dotted
from quartapp.redact.introspection import exception_of, qualified
from quartapp.redact.messages import MESSAGE, message_of, message_of_record, notes_of
from quartapp.redact.places import Places, module_of
from quartapp.redact.scrub import Scrubber, window
from quartapp.redact.source import around
from quartapp.redact.values import ITEMS, named
from quartapp.reporting.capture.fingerprint import fingerprint as fingerprint_of
from quartapp.reporting.report import MAX_BYTES, ExceptionInfo, Origin, Report, RequestInfo

_TEXT = 500
_VALUE = 1000
_TITLE = 120
_HEADERS = (
    *("accept", "accept-language", "content-length", "content-type", "host", "origin"),
    *("referer", "sec-fetch-site", "user-agent", "x-request-id"),
)


def capture(
    subject: BaseException | logging.LogRecord,
    context: Context,
    *,
    now: float,
    places: Places,
    origin: Origin,
    scrubber: Scrubber,
    fingerprint: str | None = None,
) -> Report:
    """The scrubbed and bounded report of one error; some 0.2 ms.

    A log record with `exc_info` gives the report of its exception, with the record's message,
    logger and level beside it. Calls no `__repr__`, attribute or iterator of the application's
    objects. Never raises: what cannot be read is left out.
    `fingerprint` is taken instead of being made again.
    """
    fingerprint = fingerprint or fingerprint_of(subject, places)
    known: dict[str, Any] = {
        "id": uuid4().hex,
        "fingerprint": fingerprint,
        "time": now,
        "origin": origin,
    }
    known |= {"mechanism": context.mechanism, "reference": context.reference}
    if isinstance(subject, logging.LogRecord):
        known |= {"level": subject.levelname, "logger": subject.name}
    try:
        return _Draft(places, context, subject).report(scrubber, known)
    except Exception as failure:  # noqa: BLE001 - a report of little is worth more than none
        error = exception_of(subject)
        what = qualified(type(error)) if error else known["logger"]
        title = f"{what}, whose capture raised {qualified(type(failure))}"
        return Report(title=title, message=title, **known)


class _Draft:
    """All that will be in a report, read but not yet scrubbed.

    `report` takes the texts in the order in which they were put down.
    """

    def __init__(
        self, places: Places, context: Context, subject: BaseException | logging.LogRecord
    ) -> None:
        self._places = places
        self._context = context
        self._record = subject if isinstance(subject, logging.LogRecord) else None
        self._texts: list[str] = []
        self._source: list[str] = []
        self._room = MAX_BYTES
        self._collector = SecretCollector()
        error = exception_of(subject)
        self._exceptions = [self._read(*link) for link in chain(error)] if error else []
        self._headers = [
            (name, value) for name, value in context.headers if name.lower() in _HEADERS
        ][:ITEMS]
        self._extra = list(islice(context.extra.items(), ITEMS))
        self._read_context(context)

    def _read_context(self, context: Context) -> None:
        self._collector.context(context)
        record = self._record
        if record is not None:
            self._collector.record(record)
        self._texts += [message_of_record(record) if record else "", _first_words(record)]
        self._texts += [context.user_id[: window(_TEXT)]]
        self._texts += [named(name, value) for name, value in self._extra]
        self._texts += [context.url[: window(_TEXT)]]
        self._texts += [_readable(value)[: window(_TEXT)] for _, value in self._headers]

    def _read(self, error: BaseException, relation: str) -> ExceptionInfo:
        notes = notes_of(error)
        self._collector.named("", error)
        self._texts += [message_of(error), *notes]
        walked, left_out = shortened(calls(error.__traceback__))
        frames: list[Frame] = []
        for call in reversed(walked):  # so that the innermost have room for their locals
            frame = self._places.call(call)
            frames.append(self._frame(frame, call.tb_frame) if frame.in_app else frame)
        return ExceptionInfo(
            *(qualified(type(error)), "", relation, tuple(frames)),
            *(left_out, ("",) * len(notes)),
        )

    def _frame(self, known: Frame, frame: FrameType) -> Frame:
        first_line, source = around(frame.f_code.co_filename, known.line)
        self._source += source
        names = tuple([(name, "") for name in self._variables(frame)])
        return Frame(
            *(known.file, module_of(frame), known.function, known.line, True),
            *(first_line, tuple(source), names),
        )

    def _variables(self, frame: FrameType) -> Iterable[str]:
        """Put down the locals to show, read the others for secrets; the names of the first."""
        names: list[str] = []
        for name, value in locals_of(frame):
            self._collector.named(name, value)
            if len(names) < ITEMS and self._room > 0:
                text = named(name, value)
                self._room -= min(len(text), _VALUE)
                self._texts.append(text)
                names.append(name)
        return names

    def report(self, scrubber: Scrubber, known: dict[str, Any]) -> Report:
        """The report of what was read; `known` are its fields that need no scrubbing."""
        clean = scrubber.clean(self._texts, secrets=self._collector.secrets, source=self._source)
        self._source = clean[: len(self._texts) - 1 : -1] if self._source else []
        self._texts = clean[len(self._texts) - 1 :: -1]
        exceptions = tuple(self._finished(info) for info in self._exceptions)
        message, first_words, user_id = self._take(MESSAGE), self._take(_TITLE), self._take(_TEXT)
        culprit = self._culprit(exceptions[0].frames) if exceptions else self._logged_at()
        return Report(
            title=_title(exceptions[0], culprit) if exceptions else first_words,
            culprit=culprit,
            message=message,
            exceptions=exceptions,
            user_id=user_id,
            extra=tuple((name[:_TITLE], self._take(_VALUE)) for name, _ in self._extra),
            request=self._request(),
            **known,
        )

    def _take(self, limit: int) -> str:
        text = self._texts.pop()
        return text if len(text) <= limit else text[: limit - 1] + "…"

    def _finished(self, info: ExceptionInfo) -> ExceptionInfo:
        message = self._take(MESSAGE)
        notes = tuple([self._take(_TEXT) for _ in info.notes])
        frames = [self._finished_frame(each) if each.in_app else each for each in info.frames]
        frames.reverse()
        return ExceptionInfo(info.type, message, info.relation, tuple(frames), info.left_out, notes)

    def _finished_frame(self, frame: Frame) -> Frame:
        source = tuple([self._source.pop() for _ in frame.source])
        variables = tuple([(name, self._take(_VALUE)) for name, _ in frame.variables])
        return Frame(
            *(frame.file, frame.module, frame.function, frame.line, True),
            *(frame.first_line, source, variables),
        )

    def _request(self) -> RequestInfo | None:
        context = self._context
        url = self._take(_TEXT)
        headers = tuple((name, self._take(_TEXT)) for name, _ in self._headers)
        if not context.method and not url:
            return None
        return RequestInfo(context.method[:_TITLE], url, context.route, context.endpoint, headers)

    def _culprit(self, frames: tuple[Frame, ...]) -> str:
        """Where to look first: the innermost of the application's functions, else the last one."""
        if not frames:
            return ""
        frame = next((frame for frame in reversed(frames) if frame.in_app), frames[-1])
        module = self._places.inner(frame.module) if frame.in_app else dotted(frame)
        return f"{module}.{frame.function.replace('.<locals>', '')}"

    def _logged_at(self) -> str:
        assert self._record is not None
        module = self._places.inner(
            dotted(Frame(self._places.of(self._record.pathname).name, "", "", 0))
        )
        return f"{module}.{self._record.funcName or '<module>'}"


def _readable(header: str) -> str:
    """A header's value as it was meant: servers read it as Latin-1, clients send UTF-8."""
    if header.isascii():
        return header
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _title(info: ExceptionInfo, culprit: str) -> str:
    name = info.type.rpartition(".")[2]
    return f"{name} in {culprit}" if culprit else name


def _first_words(record: logging.LogRecord | None) -> str:
    """What a group of log records is called: the message before the arguments are put in."""
    if record is None:
        return ""
    message = record.msg if type(record.msg) is str else qualified(type(record.msg))
    return message[: window(_TITLE)].partition("\n")[0]
