"""The mails, as text and HTML; pure. They are built in a thread."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import Address
from email.headerregistry import Group as Recipients
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from hashlib import blake2b
from typing import Any

from quartapp.mail.strings import ascii_address, one_line
from quartapp.reporting.alerts.policy import Alert, Kind
from quartapp.reporting.mails.rendering import render
from quartapp.reporting.mails.summary import GroupSummary, label
from quartapp.reporting.report import Report

__all__ = ["GroupSummary", "Letterhead", "build_digest", "build_message"]

_SHORT = {"production": "prod", "development": "dev"}
_SUBJECT = 120
_LINE = 500
_DIGEST = 100


class _OneLine(EmailPolicy):
    """Headers in ASCII are not folded: the standard library would break the line after `Subject:`
    and `Message-ID:`. RFC 5322, 2.2.3 allows that, but not all mail programs understand it."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        line = f"{name}: {value}"
        if line.isascii() and len(line) <= _LINE and "\n" not in line:
            return f"{line}\r\n".encode()
        if name.lower() == "subject":  # Python 3.13.0 doubles spaces where it folds such a text
            words = Header(str(value), "utf-8", header_name=name).encode(linesep="\r\n")
            return f"{name}: {words}\r\n".encode()
        return super().fold_binary(name, value)


_POLICY = _OneLine(linesep="\r\n")


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same on all mails.

    `app` and `environment` make the prefix of the subject unless `prefix` is given; `domain` is
    that of the Message-IDs and must never change; `inbox_url` is the address of the operators'
    pages ("" for none), to which `/<group id>` is added.
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
    message = _addressed(letterhead, now)
    number = f"(#{group.short})"
    what = one_line(f"{_prefix(letterhead)} {label(alert)} {group.title}", _SUBJECT - 8)
    message["Subject"] = one_line(f"{what} {number}")
    message["Message-ID"] = _message_id(alert, group, letterhead)
    first = _message_id(Alert(Kind.NEW, 1, 1), group, letterhead)
    if first != message["Message-ID"]:
        message["In-Reply-To"] = first
        message["References"] = first
    values = {"alert": alert, "group": group, "report": report, "link": letterhead.link(group)}
    return _filled(message, "message", values)


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
    message["Message-ID"] = f"<digest.{digest}@{_domain(letterhead)}>"
    values = {
        "title": title,
        "alerts": alerts[:_DIGEST],
        "left_out": len(alerts[_DIGEST:]),
        "letterhead": letterhead,
    }
    return _filled(message, "digest", values)


def _addressed(letterhead: Letterhead, now: float) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"] = _sender(letterhead)
    known = [Address(addr_spec=to) for to in map(ascii_address, letterhead.recipients) if to]
    # an address that needs SMTPUTF8 is only in the envelope, which the mailer handles
    message["To"] = known or Recipients("undisclosed-recipients")
    message["Date"] = format_datetime(_date(now))
    message["List-Id"] = f"<errors.{_token(letterhead.app)}.{_domain(letterhead)}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    return message


def _sender(letterhead: Letterhead) -> Address:
    name, address = parseaddr(letterhead.sender)
    safe = ascii_address(address)
    if safe is None:
        safe = f"no-reply@{_domain(letterhead)}"
    return Address(one_line(name or f"{letterhead.app} errors"), addr_spec=safe)


def _filled(message: EmailMessage, template: str, values: dict[str, object]) -> EmailMessage:
    message.set_content(render(f"{template}.txt", **values), cte="quoted-printable")
    html = render(f"{template}.html", **values)
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    return message


def _prefix(letterhead: Letterhead) -> str:
    environment = _SHORT.get(letterhead.environment, letterhead.environment)
    return letterhead.prefix or f"[{letterhead.app} {environment}]"


def _message_id(alert: Alert, group: GroupSummary, letterhead: Letterhead) -> str:
    name = f"{_token(group.fingerprint)}.{alert.kind}.{alert.ordinal}.{alert.episode}"
    return f"<{name}@{_domain(letterhead)}>"


def _domain(letterhead: Letterhead) -> str:
    address = ascii_address(f"errors@{letterhead.domain}")
    return _token(address.rpartition("@")[2]) if address else "localhost"


def _token(text: str) -> str:
    """A text as part of a Message-ID or List-Id."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text)[:64].strip(".-") or "unknown"


def _date(now: float) -> datetime:
    try:
        return datetime.fromtimestamp(now, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
