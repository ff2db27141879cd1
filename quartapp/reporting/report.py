"""The values that travel: what is known of one error, and its form as JSON.

Everything in a `Report` is scrubbed, valid Unicode without NUL (PostgreSQL stores neither NUL nor
lone surrogates), and bounded; a `Context` is raw and never leaves the process.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from quartapp.redact.frame import Frame

MAX_BYTES = 60_000
"""The longest JSON form of a report: journal segments and mails are planned around it."""

_SHORT = 200
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a report comes from: the same for every report of one process."""

    environment: str = "production"
    release: str = ""
    host: str = ""
    worker: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One exception of a chain.

    `relation` says how it belongs to the exception before it in the report: "" for the first,
    "cause" (raise ... from), "context" (raised while handling it) or "member" (of a group).
    `frames` run from the outermost call to the one that raised; `left_out` were too many, from
    their middle.
    """

    type: str
    message: str
    relation: str = ""
    frames: tuple[Frame, ...] = ()
    left_out: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The request that failed; headers by allow-list, never a body."""

    method: str
    url: str
    route: str = ""
    endpoint: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One error, complete.

    `exceptions` begin with the one that escaped; empty for a log record without an exception.
    `culprit` is the place to look at first, as module and function; `time` is in seconds since the
    epoch; `reference` is what the client was told.
    """

    id: str
    fingerprint: str
    time: float
    title: str
    culprit: str = ""
    level: str = "ERROR"
    logger: str = ""
    message: str = ""
    mechanism: str = "log"
    exceptions: tuple[ExceptionInfo, ...] = ()
    request: RequestInfo | None = None
    user_id: str = ""
    reference: str = ""
    extra: tuple[tuple[str, str], ...] = ()
    origin: Origin = field(default_factory=Origin)

    @property
    def short(self) -> str:
        """The first four digits of the fingerprint, for people to name the group by."""
        return self.fingerprint[:4]

    def to_json(self) -> str:
        """The report on one line, at most `MAX_BYTES` long in UTF-8 and always complete JSON.

        What is too much is dropped in the order in which it is missed least: locals, outermost
        frames first, then source, library frames, the rest of the chain; at last texts are cut.
        """
        text = _dump(self)
        if _fits(text):
            return text
        for lighter in _lighter(self, len(text.encode()) - MAX_BYTES):
            text = _dump(lighter)
            if _fits(text):
                return text
        raise AssertionError("the lightest form of a report is bounded")  # pragma: no cover

    @classmethod
    def from_json(cls, text: str | bytes) -> "Report":
        """Read back what `to_json` wrote.

        Raises ValueError for anything else: not JSON, another format, or a field missing.
        """
        try:
            raw = json.loads(text)
            if raw["format"] != FORMAT:
                raise ValueError(f"report format {raw['format']!r}, not {FORMAT}")
            return _load(raw)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a report: {error!r}") from error


def _fits(text: str) -> bool:
    # an isascii str is as long as its UTF-8 form: no copy on the usual path
    if text.isascii():
        return len(text) <= MAX_BYTES
    return len(text) * 4 <= MAX_BYTES or len(text.encode()) <= MAX_BYTES


def _dump(report: Report) -> str:
    exceptions = ",".join([_dump_exception(info) for info in report.exceptions])
    origin = report.origin
    raw: dict[str, Any] = {
        "format": FORMAT,
        "id": report.id,
        "fingerprint": report.fingerprint,
        "time": report.time,
        "title": report.title,
        "culprit": report.culprit,
        "level": report.level,
        "logger": report.logger,
        "message": report.message,
        "door": report.mechanism,
        "request": report.request and _dump_request(report.request),
        "user_id": report.user_id,
        "reference": report.reference,
        "extra": report.extra,
        "origin": {
            "environment": origin.environment,
            "release": origin.release,
            "host": origin.host,
            "worker": origin.worker,
            "versions": dict(origin.versions),
        },
    }
    text = f'{{"exceptions":[{exceptions}],{_encode(raw)[1:]}'
    # The name of a file or a logger is not scrubbed, and may be bytes that are no text.
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _dump_exception(info: ExceptionInfo) -> str:
    raw = {
        "type": info.type,
        "message": info.message,
        "relation": info.relation,
        "left_out": info.left_out,
        "notes": info.notes,
    }
    frames = [_encode(frame) if frame.in_app else _library_call(frame) for frame in info.frames]
    return f'{{"frames":[{",".join(frames)}],{_encode(raw)[1:]}'


@lru_cache(maxsize=4096)  # fifty to a report, and the same ones in the next
def _library_call(frame: Frame) -> str:
    return _encode(frame[:4])


def _dump_request(request: RequestInfo) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "route": request.route,
        "endpoint": request.endpoint,
        "headers": request.headers,
    }


def _load(raw: dict[str, Any]) -> Report:
    request = raw["request"]
    return Report(
        id=raw["id"],
        fingerprint=raw["fingerprint"],
        time=raw["time"],
        title=raw["title"],
        culprit=raw["culprit"],
        level=raw["level"],
        logger=raw["logger"],
        message=raw["message"],
        mechanism=raw["door"],
        exceptions=tuple(_load_exception(info) for info in raw["exceptions"]),
        request=request and RequestInfo(**{**request, "headers": _pairs(request["headers"])}),
        user_id=raw["user_id"],
        reference=raw["reference"],
        extra=_pairs(raw["extra"]),
        origin=Origin(**raw["origin"]),
    )


def _load_exception(raw: dict[str, Any]) -> ExceptionInfo:
    return ExceptionInfo(
        type=raw["type"],
        message=raw["message"],
        relation=raw["relation"],
        frames=tuple(_load_frame(frame) for frame in raw["frames"]),
        left_out=raw["left_out"],
        notes=tuple(raw["notes"]),
    )


def _load_frame(raw: list[Any]) -> Frame:
    if len(raw) == 4:
        return Frame(*raw)
    *head, source, variables = raw
    return Frame._make((*head, tuple(source), _pairs(variables)))


def _pairs(raw: Iterable[Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in raw)


def _lighter(report: Report, excess: int) -> Iterator[Report]:
    yield (report := _without_locals(report, excess))
    for change in (_without_source, _application_only, _innermost_only):
        yield (report := _each_exception(report, change))
    yield _texts_cut(replace(report, exceptions=report.exceptions[:1]))


def _without_locals(report: Report, excess: int) -> Report:
    """Outermost frames first, until what is left out is as long as the excess."""
    chains = [list(info.frames) for info in report.exceptions]
    for depth in range(max(map(len, chains), default=0)):
        for frames in chains:
            if excess > 0 and depth < len(frames) and frames[depth].variables:
                excess -= len(json.dumps(frames[depth].variables, ensure_ascii=False).encode())
                frames[depth] = frames[depth]._replace(variables=())
    exceptions = zip(report.exceptions, chains, strict=True)
    return replace(
        report, exceptions=tuple(replace(info, frames=tuple(left)) for info, left in exceptions)
    )


def _each_exception(report: Report, change: Callable[[ExceptionInfo], ExceptionInfo]) -> Report:
    return replace(report, exceptions=tuple(change(info) for info in report.exceptions))


def _keep(info: ExceptionInfo, frames: Iterable[Frame]) -> ExceptionInfo:
    kept = tuple(frames)
    return replace(info, frames=kept, left_out=info.left_out + len(info.frames) - len(kept))


def _without_source(info: ExceptionInfo) -> ExceptionInfo:
    frames = (frame._replace(source=(), variables=()) for frame in info.frames)
    return replace(info, frames=tuple(frames), notes=())


def _application_only(info: ExceptionInfo) -> ExceptionInfo:
    return _keep(info, [frame for frame in info.frames if frame.in_app] or info.frames[-1:])


def _innermost_only(info: ExceptionInfo) -> ExceptionInfo:
    return replace(_keep(info, info.frames[-5:]), message=info.message[:_SHORT])


def _texts_cut(report: Report) -> Report:
    """Every text short and every list small: bounded whatever was put into it."""
    request = report.request
    return replace(
        _each_exception(report, _cut_exception),
        title=report.title[:_SHORT],
        culprit=report.culprit[:_SHORT],
        logger=report.logger[:_SHORT],
        message=report.message[:_SHORT],
        user_id=report.user_id[:_SHORT],
        reference=report.reference[:_SHORT],
        extra=(),
        origin=Origin(
            report.origin.environment[:_SHORT],
            report.origin.release[:_SHORT],
            report.origin.host[:_SHORT],
            report.origin.worker[:_SHORT],
        ),
        request=request
        and RequestInfo(
            request.method[:_SHORT],
            request.url[:_SHORT],
            request.route[:_SHORT],
            request.endpoint[:_SHORT],
        ),
    )


def _cut_exception(info: ExceptionInfo) -> ExceptionInfo:
    frames = (
        Frame(f.file[:_SHORT], f.module[:_SHORT], f.function[:_SHORT], f.line, f.in_app)
        for f in info.frames
    )
    return replace(
        info, type=info.type[:_SHORT], message=info.message[:_SHORT], frames=tuple(frames)
    )
