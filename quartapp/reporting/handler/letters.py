"""What a handler's mails say; pure."""

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import parseaddr

from quartapp.reporting.alerts.policy import Alert
from quartapp.reporting.handler.envelope import SUBJECT, Envelope
from quartapp.reporting.handler.groups import Group
from quartapp.reporting.mails.message import Letterhead, build_digest, build_text
from quartapp.reporting.mails.summary import GroupSummary, times


def build(groups: Sequence[Group], series: str, envelope: Envelope, now: float) -> EmailMessage:
    """The mail about one group, or the digest about several.

    `series` is a part of its Message-ID, which is the same for a second copy.
    """
    domain = parseaddr(envelope.sender)[1].rpartition("@")[2] or envelope.server.host
    letterhead = Letterhead(
        sender=envelope.sender,
        recipients=envelope.recipients,
        app="",
        prefix=_subject(groups) or envelope.subject or "Error",
        domain=f"{series}.{domain}",
    )
    described = [(_alert(group), _summary(group)) for group in groups]
    if len(groups) > 1:
        return build_digest(described, letterhead, now=now)
    [(alert, summary)] = described
    return build_text(alert, summary, groups[0].records, letterhead, now=now)


def _alert(group: Group) -> Alert:
    assert group.alert is not None
    return group.alert


def _summary(group: Group) -> GroupSummary:
    extra = {}
    if group.mailed:
        extra["New"] = f"{times(group.unmailed)}, after the last mail"
    if silent := group.unmailed - len(group.records):
        extra["Text"] = f"{silent:,} of {group.unmailed:,} had no text of their own"
    return GroupSummary(
        fingerprint=group.fingerprint,
        title=group.title,
        count=group.count,
        first_seen=group.first,
        last_seen=group.last,
        extra=extra,
    )


def _subject(groups: Sequence[Group]) -> str:
    """The subject that the handler gave to the newest record of the group."""
    records = groups[0].records if len(groups) == 1 else []
    return dict(records[-1].extra).get(SUBJECT, "") if records else ""
