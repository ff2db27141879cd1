"""What the page of one error says, before it is HTML; pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from quartapp.inbox.charts import Mark, Series
from quartapp.mail.outbox import DEAD, SENT, WAITING
from quartapp.mail.strings import moment
from quartapp.redact.scrub import cut
from quartapp.redact.source import Piece, pieces
from quartapp.redact.traceback import ExceptionInfo, Folded, Frame, folded
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.mails.summary import GroupSummary, label, reason, times
from quartapp.reporting.queries.detail import Detail, Group, Message, SampleName
from quartapp.reporting.report import Report
from quartapp.reporting.tables import MERGED

MAX_LINE = 400
"""Characters of a line of source."""

_ACTS: Mapping[str, str] = {
    "resolve": "resolved it",
    "resolve_next": "resolved it in the next release",
    "reopen": "reopened it",
    "mute": "muted it",
    "comment": "wrote",
    "delete": "deleted it",
    "regressed": "came back",
    "unmuted": "is no longer muted",
    "regrouped": "was put into another group",
}
_MARKED = frozenset({"resolve", "resolve_next"})
_STATES = {
    WAITING: "waits",
    SENT: "sent",
    DEAD: "rejected by the server: it is not tried again",
    MERGED: "in another mail about this error",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of source; `current` is the one that was executed."""

    number: int
    current: bool
    pieces: list[Piece]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is shown, with the lines around it."""

    frame: Frame
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Step:
    """A log line or a statement; `at` is the time since the request began."""

    at: str
    kind: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, or a message to a webhook, in words; `at` is when it was sent, or tried."""

    channel: str
    kind: str
    why: str
    state: str
    at: float
    error: str


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a sample is among those of its group, and what to ask for to get others.

    A query is None for the sample itself, and where there is none.
    """

    place: int
    total: int
    first: dict[str, str] | None
    previous: dict[str, str] | None
    next: dict[str, str] | None
    last: dict[str, str] | None


def calls(info: ExceptionInfo) -> Iterator[Call | Folded]:
    """The application's calls and the last one, with their source; the others folded."""
    columns = {at: (start, end) for at, start, end in info.columns}
    position = 0
    for item in folded(info.frames):
        if isinstance(item, Folded):
            position += item.count
            yield item
        else:
            yield Call(item, _lines(item, columns.get(position, ())))
            position += 1


def _lines(frame: Frame, columns: Sequence[int]) -> list[Line]:
    is_python = not frame.file.endswith((".html", ".htm", ".xml", ".txt", ".j2", ".jinja"))
    return [
        Line(
            number,
            number == frame.line,
            pieces(
                cut(text, MAX_LINE),
                columns if number == frame.line else (),
                is_python=is_python,
            ),
        )
        for number, text in enumerate(frame.source, start=frame.first_line)
    ]


def place(report: Report) -> str:
    """The file and line of the application's innermost call, or of the innermost of all."""
    frames = report.exceptions[0].frames if report.exceptions else ()
    found = next(
        (frame for frame in reversed(frames) if frame.in_app), frames[-1] if frames else None
    )
    return f"{found.file}:{found.line}" if found else ""


def request_facts(report: Report) -> list[tuple[str, str]]:
    """The request and its header fields."""
    request = report.request
    if request is None:
        return []
    found = [
        ("Request", f"{request.method} {request.url}"),
        ("Route", request.route),
        ("Endpoint", request.endpoint),
        *((name.title(), value) for name, value in request.headers),
    ]
    return _known(found)


def occurrence_facts(report: Report) -> list[tuple[str, str]]:
    """Where, in which release, for whom and how the error was caught."""
    origin = report.origin
    found = [
        ("Reference", report.reference),
        ("Request id", report.request_id),
        ("Trace", report.trace),
        ("Person", report.user_id),
        ("Release", origin.release),
        ("Environment", origin.environment),
        ("Host", origin.host),
        ("Worker", origin.worker),
        ("Logger", report.logger),
        ("Caught by", report.mechanism),
        ("Versions", ", ".join(f"{name} {of}" for name, of in origin.versions.items())),
    ]
    return _known(found)


def steps(report: Report) -> list[Step]:
    """The log lines and statements of the request before the error, the oldest first."""
    found = []
    for entry in report.breadcrumbs:
        if entry.kind == "sql":
            rows = (
                ""
                if entry.rows is None
                else f", {entry.rows:,} row{'' if entry.rows == 1 else 's'}"
            )
            what = f"SQL, {entry.took * 1000:.1f} ms{rows}"
        else:
            what = f"{entry.level} in {entry.logger}"
        found.append(Step(f"{entry.seconds * 1000:,.1f} ms", entry.kind, what, entry.text))
    return found


def _known(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in pairs if value]


def decision(group: Group, now: float) -> str:
    """What operators decided about a group, in one sentence; "" if nothing holds now."""
    if group.resolved_at is not None:
        release = group.resolved_release
        what = f" in the release after {release}" if release else ""
        return f"Resolved{what}, since {moment(group.resolved_at)}."
    if group.muted_until is not None and group.muted_until <= now:
        return ""
    if group.muted_rate is not None:
        return f"Muted until it happens more than {group.muted_rate:,} times in an hour."
    ends = []
    if group.muted_until is not None and isfinite(group.muted_until):
        ends.append(moment(group.muted_until))
    if group.muted_more is not None:
        ends.append(f"it happens {times(group.muted_more + 1)} more")
    if ends:
        return f"Muted until {' or until '.join(ends)}."
    return "Muted without an end." if group.muted_until is not None else ""


def places(detail: Detail) -> list[tuple[str, list[str]]]:
    """Releases, hosts and environments, the last one first."""
    names = (("release", "Releases"), ("host", "Hosts"), ("environment", "Environments"))
    found = [
        (title, [tag.value for tag in detail.tags if tag.name == name]) for name, title in names
    ]
    return [(title, values) for title, values in found if any(values)]


def letters(detail: Detail) -> list[Letter]:
    """The mails and the messages to the webhook, the newest first."""
    found = [_letter("mail", each, detail.group) for each in detail.mails]
    found += [_letter("webhook", each, detail.group) for each in detail.webhooks]
    return sorted(found, key=lambda letter: letter.at, reverse=True)


def _letter(channel: str, message: Message, group: Group) -> Letter:
    try:
        kind = Kind(message.kind)
    except ValueError:  # of a newer version
        word, why = message.kind, ""
    else:
        alert = Alert(kind, message.ordinal, message.episode, message.count, message.since)
        first, last = group.first_seen.timestamp(), group.last_seen.timestamp()
        summary = GroupSummary(group.fingerprint, group.title, group.count, first, last)
        word, why = label(alert), reason(alert, summary)
    state = _STATES.get(message.state, message.state)
    if message.state == WAITING and message.tries:
        state = f"not sent in {message.tries} tries; the next is due at {moment(message.due_at)}"
    if message.state == SENT and message.in_digest:
        state = "sent in a digest"
    return Letter(channel, word, why, state, message.sent_at or message.created_at, message.error)


def act_words(kind: str) -> str:
    """What an act did, as the verb after a name."""
    return _ACTS.get(kind, kind)


def marks(detail: Detail) -> list[Mark]:
    """Releases and resolutions, for the charts; the oldest first."""
    found = [Mark(at, "release", f"Release {name}") for name, at in detail.releases]
    found += [
        Mark(act.at, "resolve", f"Resolved by {act.who}")
        for act in detail.acts
        if act.kind in _MARKED
    ]
    return sorted(found, key=lambda mark: mark.at)


def charts(detail: Detail, now: float) -> list[tuple[str, Series]]:
    """How often it happened in the last hour, day and 30 days."""
    days: Counter[int] = Counter()
    for hour, count in detail.hours.items():
        days[hour // 24] += count
    return [
        ("Last hour", Series.until(now, 60, 60, detail.minutes)),
        ("Last day", Series.until(now, 3600, 24, detail.hours)),
        ("Last 30 days", Series.until(now, 86400, 30, days)),
    ]


def query_of(sample: SampleName, samples: Sequence[SampleName]) -> dict[str, str]:
    """The query that asks for a sample: its reference, or its id where that is not unique."""
    named = sum(each.reference == sample.reference for each in samples)
    if sample.reference and named == 1:
        return {"reference": sample.reference}
    return {"sample": str(sample.id)}


def pager(samples: Sequence[SampleName], sample: SampleName) -> Pager:
    """The way from one sample to the others, which are the oldest first."""
    at, last = samples.index(sample), len(samples) - 1
    ways = [
        *((0, at - 1) if at else (None, None)),
        *((at + 1, last) if at < last else (None, None)),
    ]
    queries = [None if way is None else query_of(samples[way], samples) for way in ways]
    return Pager(at + 1, len(samples), *queries)
