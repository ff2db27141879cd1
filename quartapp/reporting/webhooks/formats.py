"""What a message says, as plain JSON or as Slack reads it; pure. Built in a thread.

Texts of a report are what strangers may have written: in JSON they are strings, and in Slack's
format they are code, in which nothing is a link, a mention or markup.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from quartapp.mail.strings import plain
from quartapp.reporting.alerts.policy import Alert
from quartapp.reporting.mails.message import Letterhead
from quartapp.reporting.mails.summary import GroupSummary, label, reason, times
from quartapp.reporting.report import Report

_TEXT = 200
_DIGEST = 100
_SLACK = 1900
"""Characters of a message: Discord refuses more than 2,000."""
_PIECE = 250


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its id, which is the same at each try, and its body, which is JSON."""

    id: str
    body: bytes


def as_json(
    alert: Alert, group: GroupSummary, report: Report | None, head: Letterhead, *, now: float
) -> Message:
    """The message about one alert. docs/report.md describes its members."""
    data = _event(alert, group, head) | _of_report(report)
    return _json(_id(head, [(alert, group)]), f"error.{alert.kind}", data, head, now)


def digest_as_json(
    alerts: Sequence[tuple[Alert, GroupSummary]], head: Letterhead, *, now: float
) -> Message:
    """One message about many alerts, when the budget is spent."""
    events = [_event(alert, group, head) for alert, group in alerts[:_DIGEST]]
    data: dict[str, object] = {"alerts": len(alerts), "events": events}
    return _json(_id(head, alerts), "error.digest", data, head, now)


def as_slack(
    alert: Alert, group: GroupSummary, report: Report | None, head: Letterhead, *, now: float
) -> Message:
    """The message about one alert, for Slack and what reads its format."""
    where = f" in {_code(group.place)}" if group.place else ""
    known = _of_report(report)
    facts = [f"{name} {_code(str(known[name]))}" for name in ("release", "host") if known[name]]
    if known["reference"]:
        facts.append(f"reference {_code(str(known['reference']))}")
    lines = [
        f"*{label(alert)}* {_site(head)}",
        f"{_code(group.title)}{where}",
        f"{_escaped(reason(alert, group))} {times(group.count).capitalize()} in all.",
        ", ".join(facts),
        *(f"{name}: {_escaped(_line(text))}" for name, text in group.extra.items()),
        _link(head.link(group), "Open in the inbox"),
    ]
    return _slack(_id(head, [(alert, group)]), lines)


def digest_as_slack(
    alerts: Sequence[tuple[Alert, GroupSummary]], head: Letterhead, *, now: float
) -> Message:
    """One message about many alerts, for Slack."""
    lines = [f"*{len(alerts):,} alerts about errors* {_site(head)}"]
    room = _SLACK - len(lines[0]) - 200
    for number, (alert, group) in enumerate(alerts):
        line = f"{label(alert)} {_code(group.title)}, {times(group.count)}"
        room -= len(line) + 1
        if room < 0:
            lines.append(f"and {len(alerts) - number:,} more")
            break
        lines.append(line)
    lines.append(_link(head.inbox_url, "Open the inbox"))
    return _slack(_id(head, alerts), lines)


def _event(alert: Alert, group: GroupSummary, head: Letterhead) -> dict[str, object]:
    return {
        "kind": alert.kind.value,
        "reason": reason(alert, group),
        "group": group.id,
        "fingerprint": group.fingerprint,
        "title": _line(group.title),
        "place": _line(group.place),
        "state": group.state,
        "count": alert.count or group.count,
        "since": _time(alert.since or group.first_seen),
        "total": group.count,
        "first_seen": _time(group.first_seen),
        "last_seen": _time(group.last_seen),
        "link": head.link(group),
        "notes": {name.lower(): _line(text) for name, text in group.extra.items()},
    }


def _of_report(report: Report | None) -> dict[str, object]:
    found = (report.origin.release, report.origin.host, report.reference) if report else ("",) * 3
    return dict(zip(("release", "host", "reference"), map(_line, found), strict=True))


def _json(name: str, kind: str, data: dict[str, object], head: Letterhead, now: float) -> Message:
    site = {"app": _line(head.app), "environment": _line(head.environment)}
    body = {"type": kind, "timestamp": _time(now), "data": site | data}
    return Message(name, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))


def _slack(name: str, lines: Sequence[str]) -> Message:
    # No previews of what is linked: Slack would ask the inbox for it.
    body = {"text": "\n".join(filter(None, lines)), "unfurl_links": False}
    return Message(name, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"))


def _site(head: Letterhead) -> str:
    return _escaped(f"{_line(head.app)} {_line(head.environment)}".strip())


def _line(text: str) -> str:
    text = " ".join(plain(text[: 4 * _TEXT]).split())
    return text if len(text) <= _TEXT else f"{text[: _TEXT - 1]}…"


def _code(text: str) -> str:
    """A text of a report: in a code span nothing is a link or markup, and none is a mention."""
    return f"`{_escaped(_line(text).replace('`', chr(39)))}`"


def _escaped(text: str) -> str:
    """A text without markup, short enough for several of them in a message."""
    while len(escaped := _escape(text)) > _PIECE:
        text = text[: len(text) * 3 // 4]
    return escaped


def _escape(text: str) -> str:
    # https://docs.slack.dev/messaging/formatting-message-text. A program that reads Slack's format
    # may know other mentions, such as @everyone: a space without width ends them.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("@", "@\u200b")


def _link(address: str, text: str) -> str:
    if not address:
        return ""
    written = address.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E")
    return f"<{written.replace('|', '%7C')}|{text}>"


def _id(head: Letterhead, alerts: Sequence[tuple[Alert, GroupSummary]]) -> str:
    names = [
        f"{group.fingerprint} {alert.kind} {alert.ordinal} {alert.episode}"
        for alert, group in alerts
    ]
    text = "\n".join([head.app, head.environment, *names])
    return f"msg_{blake2b(text.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def _time(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
