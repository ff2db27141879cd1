"""What is known of one error, and its form as JSON.

Everything in a `Report` is scrubbed, valid Unicode without NUL (PostgreSQL stores neither NUL nor
lone surrogates), and bounded; a `Context` is raw and never leaves the process.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from quartapp.breadcrumbs import Breadcrumb
from quartapp.redact.traceback import ExceptionInfo, Frame

MAX_BYTES = 60_000
"""The longest JSON form of a report: journal segments and mails are planned around it."""

REFERENCE_SUFFIX = " [reference %s]"
"""What a message has at its end that was logged in a request."""

FINGERPRINT_LENGTH = 40
"""The most characters of the name of a group."""

_SHORT = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a report comes from: the same for every report of one process."""

    environment: str = "production"
    release: str = ""
    host: str = ""
    worker: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


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
    epoch; `reference` is what the client was shown; `person` stands for the user (see `person_of`);
    `trace` is the trace id of W3C's Trace Context, by which other systems know the request, and
    `request_id` the id that the response had as X-Request-ID;
    `breadcrumbs` are what the request did before, the oldest first; `former` are the fingerprints
    by former rules; `format` is that of the JSON.
    """

    id: str
    fingerprint: str
    time: float
    title: str
    culprit: str = ""
    level: str = "ERROR"
    logger: str = ""
    message: str = ""
    mechanism: Annotated[str, Field(alias="door")] = "log"
    exceptions: tuple[ExceptionInfo, ...] = ()
    request: RequestInfo | None = None
    user_id: str = ""
    reference: str = ""
    person: str = ""
    trace: str = ""
    request_id: str = ""
    breadcrumbs: tuple[Breadcrumb, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    origin: Origin = field(default_factory=Origin)
    former: tuple[str, ...] = ()
    format: Literal[1] = 1

    @property
    def short(self) -> str:
        """The first four digits of the fingerprint, by which people call the group."""
        return self.fingerprint[:4]

    def encode(self) -> bytes:
        """The report as JSON on one line: UTF-8, complete, and at most `MAX_BYTES` long.

        The least useful is dropped first: breadcrumbs and locals (the oldest, and those of the
        outermost frames first), then source, library frames and the rest of the chain. At last
        texts are cut.
        """
        data = _dump(self)
        if len(data) <= MAX_BYTES:
            return data
        for lighter in _lighter(self, len(data) - MAX_BYTES):
            data = _dump(lighter)
            if len(data) <= MAX_BYTES:
                return data
        raise AssertionError("the lightest form of a report is bounded")  # pragma: no cover

    def to_json(self) -> str:
        """The text of `encode`."""
        return self.encode().decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "Report":
        """Read back what `encode` wrote, now or in a version before.

        Raises ValueError for anything else: not JSON, another format, or a field missing.
        """
        try:
            return adapter().validate_json(text)
        except ValidationError as error:
            [first, *_] = error.errors(include_url=False, include_input=False)
            raise ValueError(f"not a report: {first['msg']} at {first['loc']}") from None


@functools.lru_cache(maxsize=1024)
def person_of(user_id: str) -> str:
    """What stands for a user where people are counted: a hash of 16 hexadecimal digits, or "".

    It is the same on all machines. It hides no user id from a reader who can try all of them.
    """
    if not user_id:
        return ""
    raw = user_id.encode("utf-8", "surrogatepass")
    return blake2b(raw, digest_size=8, key=b"quartapp.reporting.people").hexdigest()


@functools.cache
def adapter() -> TypeAdapter[Report]:
    """Reads and writes reports.

    It takes 10 ms to make, which neither a start nor a request should wait for: see
    `Recorder.prepare`.
    """
    return TypeAdapter(Report)


def _dump(report: Report) -> bytes:
    try:
        return adapter().dump_json(report, by_alias=True, warnings=False)
    except PydanticSerializationError:
        # The name of a file or of a logger is not scrubbed, and may be bytes that are no text.
        raw = adapter().dump_python(report, by_alias=True, warnings=False)
        return json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace")


def _lighter(report: Report, excess: int) -> Iterator[Report]:
    report, excess = _without_breadcrumbs(report, excess)
    yield report
    yield (report := _without_locals(report, excess))
    for change in (_without_source, _application_only, _innermost_only):
        yield (report := _each_exception(report, change))
    yield _texts_cut(replace(report, exceptions=report.exceptions[:1]))


def _without_breadcrumbs(report: Report, excess: int) -> tuple[Report, int]:
    """The oldest first, until what is left out is as long as the excess; and what is left of it."""
    left = list(report.breadcrumbs)
    while left and excess > 0:
        excess -= len(json.dumps(left.pop(0), ensure_ascii=False).encode())
    return replace(report, breadcrumbs=tuple(left)), excess


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
    return replace(info, frames=tuple(frames), notes=(), columns=())


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
        person=report.person[:_SHORT],
        trace=report.trace[:_SHORT],
        request_id=report.request_id[:_SHORT],
        breadcrumbs=(),
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
