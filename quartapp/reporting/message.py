"""The mails, as text and HTML; pure, and to be built off the loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage

from quartapp.reporting.policy import Alert
from quartapp.reporting.report import Report


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What is the same on all mails.

    `app` and `environment` make the prefix of the subject unless `prefix` is given; `domain` is
    that of the Message-IDs and must never change; `inbox_url` is the address of the
    operators' pages ("" for none), to which `/<group id>` is added.
    """

    sender: str
    recipients: tuple[str, ...]
    app: str = "microblog"
    environment: str = "production"
    prefix: str = ""
    domain: str = "localhost"
    inbox_url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of errors as it is when the mail is built. `id` is None while the database is away;
    `per_minute` counts of the last hour, oldest first."""

    fingerprint: str
    title: str
    count: int
    first_seen: float
    last_seen: float
    id: int | None = None
    hosts: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    per_minute: tuple[int, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


def build_message(
    alert: Alert, group: Group, report: Report | None, letterhead: Letterhead, *, now: float
) -> EmailMessage:
    """The mail of one alert: ASCII on the wire, whatever is in the report.

    Its Message-ID is made of the group and the alert, so a second copy is the same mail; all mails
    of a group are one conversation. Never raises for anything in `group` or `report`.
    """
    raise NotImplementedError


def build_digest(
    alerts: Sequence[tuple[Alert, Group]], letterhead: Letterhead, *, now: float
) -> EmailMessage:
    """One mail about many alerts, when the budget of single mails is spent."""
    raise NotImplementedError
