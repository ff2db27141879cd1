"""From an exception or a log record to a report."""

import logging
import re
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple
from uuid import uuid4

from quartapp.breadcrumbs import Breadcrumb
from quartapp.redact.context import Context
from quartapp.redact.introspection import exception_of, qualified
from quartapp.redact.messages import MESSAGE, message_of_record
from quartapp.redact.places import Places
from quartapp.redact.reading import VALUE, ExceptionReading
from quartapp.redact.scrub import Scrubber, cut, window
from quartapp.redact.traceback import ExceptionInfo, Frame, dotted
from quartapp.redact.values import ITEMS, named
from quartapp.reporting.capture.fingerprint import fingerprint as fingerprint_of
from quartapp.reporting.capture.fingerprint import former_fingerprints
from quartapp.reporting.report import REFERENCE_SUFFIX, Origin, Report, RequestInfo, person_of

_TEXT = 500
_BREADCRUMB = 300
_TITLE = 120
_ARGUMENT = re.compile(r"%(?:%|(?:\(\w+\))?[-#0 +]*[\d*]*(?:\.[\d*]+)?[hlL]?[a-zA-Z])")  # printf's
_HEADERS = {
    "accept",
    "accept-language",
    "content-length",
    "content-type",
    "host",
    "origin",
    "referer",
    "sec-fetch-site",
    "user-agent",
    "x-request-id",
}


class Captured(NamedTuple):
    """A report, and the reading of its exception for the log line (None if that failed)."""

    report: Report
    reading: ExceptionReading | None


def capture(
    subject: BaseException | logging.LogRecord,
    context: Context,
    *,
    now: float,
    places: Places,
    origin: Origin,
    scrubber: Scrubber,
    fingerprint: str | None = None,
) -> Captured:
    """The scrubbed and bounded report of one error, made in about 0.2 ms.

    A log record with `exc_info` gives the report of its exception, with the record's message,
    logger and level. Calls no `__repr__`, attribute or iterator of the application's objects.
    Never raises: what cannot be read is left out. `fingerprint` is computed if it is not given.
    """
    known: dict[str, Any] = {
        "id": uuid4().hex,
        "fingerprint": fingerprint or fingerprint_of(subject, places),
        "former": former_fingerprints(subject, places),
        "time": now,
        "origin": origin,
        "mechanism": context.mechanism,
        "reference": context.reference,
        "person": person_of(context.user_id),
        "trace": context.trace,
        "request_id": context.request_id,
    }
    if isinstance(subject, logging.LogRecord):
        known |= {"level": subject.levelname, "logger": subject.name}
    error = exception_of(subject)
    try:
        reading = ExceptionReading(error, places, details=True)
        return Captured(_report(subject, context, reading, places, scrubber, known), reading)
    except Exception as failure:  # noqa: BLE001 - a short report is better than none
        what = qualified(type(error)) if error else known["logger"]
        title = f"{what}, whose capture raised {qualified(type(failure))}"
        return Captured(Report(title=title, message=title, **known), None)


def _report(
    subject: BaseException | logging.LogRecord,
    context: Context,
    reading: ExceptionReading,
    places: Places,
    scrubber: Scrubber,
    known: dict[str, Any],
) -> Report:
    """The report of a reading; `known` are the fields that need no scrubbing."""
    record = subject if isinstance(subject, logging.LogRecord) else None
    headers = [(name, value) for name, value in context.headers if name.lower() in _HEADERS][:ITEMS]
    extra = list(islice(context.extra.items(), ITEMS))
    reading.collector.context(context)
    if record is not None:
        reading.collector.record(record)
    message, first_words, user_id, url, *rest = reading.scrub(
        scrubber,
        [
            message_of_record(record) if record else "",
            _first_words(record) if record else "",
            context.user_id[: window(_TEXT)],
            context.url[: window(_TEXT)],
            *[named(name, value) for name, value in extra],
            *[_readable(value)[: window(_TEXT)] for _, value in headers],
            *[entry.text[: window(_BREADCRUMB)] for entry in context.breadcrumbs],
        ],
    )
    values, rest = rest[: len(extra)], rest[len(extra) :]
    header_values, entries = rest[: len(headers)], rest[len(headers) :]
    exceptions = tuple([_with_short_notes(info) for info in reading.exceptions])
    culprit = _culprit(exceptions, record, places)
    return Report(
        title=_title(exceptions[0], culprit) if exceptions else cut(first_words, _TITLE),
        culprit=culprit,
        message=cut(message, MESSAGE),
        exceptions=exceptions,
        user_id=cut(user_id, _TEXT),
        breadcrumbs=tuple(
            [
                Breadcrumb(kind, round(seconds, 4), cut(text, _BREADCRUMB), *more)
                for (kind, seconds, _, *more), text in zip(
                    context.breadcrumbs, entries, strict=True
                )
            ]
        ),
        extra=tuple(
            (name[:_TITLE], cut(text, VALUE)) for (name, _), text in zip(extra, values, strict=True)
        ),
        request=_request(
            context,
            cut(url, _TEXT),
            tuple(
                (name, cut(text, _TEXT))
                for (name, _), text in zip(headers, header_values, strict=True)
            ),
        ),
        **known,
    )


def _request(
    context: Context, url: str, headers: tuple[tuple[str, str], ...]
) -> RequestInfo | None:
    if not context.method and not url:
        return None
    return RequestInfo(context.method[:_TITLE], url, context.route, context.endpoint, headers)


def _with_short_notes(info: ExceptionInfo) -> ExceptionInfo:
    if not info.notes:
        return info
    return replace(info, notes=tuple(cut(note, _TEXT) for note in info.notes))


def _culprit(
    exceptions: tuple[ExceptionInfo, ...], record: logging.LogRecord | None, places: Places
) -> str:
    """Where to look first: the application's innermost function, otherwise the innermost of all;
    for a log record without an exception, where it was logged."""
    if not exceptions:
        assert record is not None
        file = Frame(places.of(record.pathname).name, "", "", 0)
        return f"{places.inner(dotted(file))}.{record.funcName or '<module>'}"
    frames = exceptions[0].frames
    if not frames:
        return ""
    frame = next((frame for frame in reversed(frames) if frame.in_app), frames[-1])
    module = places.inner(frame.module) if frame.in_app else dotted(frame)
    return f"{module}.{frame.function.replace('.<locals>', '')}"


def _readable(header: str) -> str:
    """A header's value as the client meant it: servers decode Latin-1, clients send UTF-8."""
    if header.isascii():
        return header
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _title(info: ExceptionInfo, culprit: str) -> str:
    name = info.type.rpartition(".")[2]
    return f"{name} in {culprit}" if culprit else name


def _first_words(record: logging.LogRecord) -> str:
    """The title of a group of log records: the first line of the message, with an ellipsis for each
    argument, because these vary within the group."""
    if type(record.msg) is not str:
        return qualified(type(record.msg))
    first = record.msg[: window(_TITLE)].partition("\n")[0].removesuffix(REFERENCE_SUFFIX)
    return _ARGUMENT.sub(_ellipsis, first) if record.args else first


def _ellipsis(conversion: re.Match[str]) -> str:
    return "%" if conversion[0] == "%%" else "\u2026"
