"""The mails, as text and HTML; pure. They are built in a thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import blake2b

from quartapp.mail.message import addressed, domain_of, fill, token
from quartapp.mail.strings import one_line
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.mails.rendering import render
from quartapp.reporting.mails.summary import GroupSummary, label
from quartapp.reporting.report import Report

__all__ = ["GroupSummary", "Letterhead", "build_digest", "build_message"]

_SHORT = {"production": "prod", "development": "dev"}
_SUBJECT = 120
_DIGEST = 100


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same on all mails.

    `app` and `environment` make the prefix of the subject unless `prefix` is given; without `app`
    the sender has no name, and the mails are no list. `domain` is that of the Message-IDs and must
    never change; `inbox_url` is the address of the operators' pages ("" for none), to which
    `/<group id>` is added.
    """

    sender: str
    recipients: tuple[str, ...]
    app: str = "application"
    environment: str = "production"
    prefix: str = ""
    domain: str = "localhost"
    inbox_url: str = ""

    def link(self, group: GroupSummary) -> str:
        """The page of a group in the inbox; "" if there is none."""
        if not self.inbox_url or group.id is None:
            return ""
        return f"{self.inbox_url.rstrip('/')}/{group.id}"


def build_message(
    alert: Alert, group: GroupSummary, report: Report | None, letterhead: Letterhead, *, now: float
) -> EmailMessage:
    """The mail of one alert: ASCII on the wire, whatever is in the report.

    Its Message-ID is made of the group and the alert, so a second copy is the same mail; all mails
    of a group are one conversation. Never raises for anything in `group` or `report`.
    """
    message = _about(alert, group, letterhead, now)
    values = {"alert": alert, "group": group, "report": report, "link": letterhead.link(group)}
    return _filled(message, "message", values)


def build_text(
    alert: Alert,
    group: GroupSummary,
    records: Sequence[Report],
    letterhead: Letterhead,
    *,
    now: float,
) -> EmailMessage:
    """The mail of one alert without HTML, with log records as text: their `message`."""
    message = _about(alert, group, letterhead, now)
    text = render("records.txt", alert=alert, group=group, records=records)
    message.set_content(text, cte="quoted-printable")
    return message


def build_digest(
    alerts: Sequence[tuple[Alert, GroupSummary]], letterhead: Letterhead, *, now: float
) -> EmailMessage:
    """One mail about many alerts, when the budget of single mails is spent.

    Its Message-ID is made of all of them, so a second copy is the same mail.
    """
    message = _addressed(letterhead, now)
    groups = len({group.fingerprint for _, group in alerts})
    title = f"{len(alerts):,} alerts about {groups:,} errors"
    message["Subject"] = one_line(f"{_prefix(letterhead)} {title}")
    ids = "\n".join(_message_id(alert, group, letterhead) for alert, group in alerts)
    digest = blake2b(ids.encode(), digest_size=16).hexdigest()
    message["Message-ID"] = f"<digest.{digest}@{domain_of(letterhead.domain)}>"
    values = {
        "title": title,
        "alerts": alerts[:_DIGEST],
        "left_out": len(alerts[_DIGEST:]),
        "letterhead": letterhead,
    }
    return _filled(message, "digest", values)


def _about(alert: Alert, group: GroupSummary, letterhead: Letterhead, now: float) -> EmailMessage:
    message = _addressed(letterhead, now)
    number = f"(#{group.short})"
    what = one_line(f"{_prefix(letterhead)} {label(alert)} {group.title}", _SUBJECT - 8)
    message["Subject"] = one_line(f"{what} {number}")
    message["Message-ID"] = _message_id(alert, group, letterhead)
    first = _message_id(Alert(Kind.NEW, 1, 1), group, letterhead)
    if first != message["Message-ID"]:
        message["In-Reply-To"] = first
        message["References"] = first
    return message


def _addressed(letterhead: Letterhead, now: float) -> EmailMessage:
    message = addressed(
        letterhead.sender,
        letterhead.recipients,
        name=f"{letterhead.app} errors" if letterhead.app else "",
        domain=letterhead.domain,
        now=now,
    )
    if letterhead.app:
        message["List-Id"] = f"<errors.{token(letterhead.app)}.{domain_of(letterhead.domain)}>"
    return message


def _filled(message: EmailMessage, template: str, values: dict[str, object]) -> EmailMessage:
    text, html = (render(f"{template}.{kind}", **values) for kind in ("txt", "html"))
    return fill(message, text, html)


def _prefix(letterhead: Letterhead) -> str:
    environment = _SHORT.get(letterhead.environment, letterhead.environment)
    return letterhead.prefix or f"[{letterhead.app} {environment}]"


def _message_id(alert: Alert, group: GroupSummary, letterhead: Letterhead) -> str:
    name = f"{token(group.fingerprint)}.{alert.kind}.{alert.ordinal}.{alert.episode}"
    return f"<{name}@{domain_of(letterhead.domain)}>"
