"""What a mail says, before it is text or HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from quartapp.mail.strings import moment, one_line
from quartapp.redact.traceback import ExceptionInfo
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.report import Report

_BARS = "▁▂▃▄▅▆▇█"
_MINUTES = 30  # more do not fit on the line of a phone

_STEPS = 10
_STEP = 160

_RELATIONS = {
    "cause": "caused by",
    "context": "raised while handling",
    "member": "with",
}


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """A group of errors as it is when the mail is built.

    `id` is None while the database is unreachable; `per_minute` are the counts of the last hour,
    oldest first; `place` is the function to look at first, `state` the one that operators see;
    `extra` are further lines of the summary.
    """

    fingerprint: str
    title: str
    count: int
    first_seen: float
    last_seen: float
    id: int | None = None
    hosts: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    per_minute: tuple[int, ...] = ()
    place: str = ""
    state: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """The four digits by which people call the group."""
        return self.fingerprint[:4]


def reason(alert: Alert, group: GroupSummary) -> str:
    """One sentence: why this mail is sent."""
    if alert.kind is Kind.ESCALATION:  # of other kinds the ordinal may be any number
        return f"This error passed {10**alert.ordinal:,} occurrences."
    count = alert.count or group.count
    since = moment(alert.since or group.first_seen)
    return {
        Kind.NEW: "This error was not seen before.",
        Kind.REGRESSION: "This error was resolved, and is back.",
        Kind.UNMUTED: "This error was muted; it is no longer, and happened again.",
        Kind.RATE: f"This error happened {count:,} times in five minutes.",
        Kind.MORE: f"This error happened {times(count)} since the mail before.",
        Kind.OVER: f"It is over: {times(count)} from {since} to {moment(group.last_seen)}.",
        Kind.OCCURRENCE: "You asked for every occurrence.",
    }[alert.kind]


def label(alert: Alert) -> str:
    """The first word or two of the subject."""
    if alert.kind is Kind.ESCALATION:
        return f"{10**alert.ordinal:,}+"
    return {Kind.OCCURRENCE: "ERROR", Kind.RATE: "FREQUENT"}.get(alert.kind, alert.kind.upper())


def facts(group: GroupSummary, report: Report | None) -> list[tuple[str, str]]:
    """How often, since when, which release, whose request; only what is known."""
    found = [
        ("Count", f"{times(group.count)}{_recently(group)}"),
        ("First seen", moment(group.first_seen)),
        ("Last seen", moment(group.last_seen)),
    ]
    if report:
        origin = report.origin
        found += [
            ("Release", ", ".join(group.releases) or origin.release),
            ("Where", _where(group, report)),
            ("Environment", origin.environment),
            *_facts_of_request(report),
            ("Logger", report.logger),
            ("Reference", report.reference),
            ("Request id", report.request_id),
            ("Trace", report.trace),
            ("Caught by", report.mechanism),
            *report.extra,
            ("Versions", ", ".join(f"{name} {of}" for name, of in origin.versions.items())),
        ]
    return [(name, value) for name, value in [*found, *group.extra.items()] if value]


def detail(alert: Alert, group: GroupSummary) -> str:
    """What a digest says of a group besides its title."""
    return f"{times(group.count)}, last {moment(group.last_seen)}. {reason(alert, group)}"


def message_of(report: Report) -> str:
    """What the error says, or the log record."""
    return report.exceptions[0].message if report.exceptions else report.message


def done_before(report: Report) -> list[tuple[str, str]]:
    """The last log lines and statements before the error, each with its time."""
    shown = []
    for entry in report.breadcrumbs[-_STEPS:]:
        is_sql = entry.kind == "sql"
        source = f"{entry.took * 1000:.1f} ms" if is_sql else f"{entry.level} in {entry.logger}"
        shown.append((f"{entry.seconds:.3f} s", one_line(f"{source}: {entry.text}", _STEP)))
    return shown


def relation(info: ExceptionInfo) -> str:
    """How an exception belongs to the one before it; "" for the first."""
    return _RELATIONS.get(info.relation, info.relation)


def times(count: int) -> str:
    """A count in words."""
    return "once" if count == 1 else f"{count:,} times"


def _facts_of_request(report: Report) -> list[tuple[str, str]]:
    request = report.request
    found = [("User", report.user_id)]
    if request:
        route = f" ({request.route})" if request.route else ""
        found.insert(0, ("Request", f"{request.method} {request.url}{route}"))
        found += [
            (name.title(), value) for name, value in request.headers if name.lower() != "host"
        ]
    return found


def _where(group: GroupSummary, report: Report) -> str:
    hosts = ", ".join(group.hosts) or report.origin.host
    return f"{hosts}, worker {report.origin.worker}" if report.origin.worker else hosts


def _recently(group: GroupSummary) -> str:
    """One bar for each of the last minutes, from the first with an occurrence."""
    counts = group.per_minute[-_MINUTES:]
    first = next((position for position, count in enumerate(counts) if count > 0), len(counts))
    counts = counts[first:]
    if sum(count > 0 for count in counts) < 2:
        return ""
    most = max(counts)
    bars = "".join(_BARS[max(count, 0) * (len(_BARS) - 1) // most] for count in counts)
    return f", by the minute {bars}"
