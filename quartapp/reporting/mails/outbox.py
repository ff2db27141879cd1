"""The outbox of alerts: which are mailed on their own, which are merged, which come in a digest."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from email.message import EmailMessage
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.mail.delivery import Mail
from quartapp.mail.outbox import WAITING, OutboxRow, OutgoingMail, is_leased, lease, select_due
from quartapp.reporting.alerts.budget import spend
from quartapp.reporting.alerts.policy import Alert, Kind, Limits
from quartapp.reporting.mails.message import Letterhead, build_digest, build_message
from quartapp.reporting.mails.summary import GroupSummary
from quartapp.reporting.report import Report
from quartapp.reporting.tables import MERGED, ErrorAlert, ErrorGroup, ErrorMinute, ErrorSample

_HISTORY_MINUTES = 60

# Of the alerts of a group these are kept, as they say that the error is new or back; otherwise the
# newest is.
_FIRST_KINDS = {Kind.NEW.value, Kind.REGRESSION.value, Kind.UNMUTED.value}


class AlertOutbox:
    """The alerts that a mailer sends, within the budget of mails."""

    table: type[OutboxRow] = ErrorAlert

    def __init__(self, letterhead: Letterhead, limits: Limits) -> None:
        self.letterhead = letterhead
        self.limits = limits

    async def lease(self, session: AsyncSession, now: float) -> list[OutgoingMail]:
        """Lease alerts: one mail for each group, and one digest of what is beyond the budget."""
        due = _merge(await select_due(session, ErrorAlert, now))
        plan = spend(
            now,
            await _sent(session, self.limits, now),
            [row.created_at for row in due],
            await _digests(session, now),
            self.limits,
        )
        single, digest = due[: plan.send], due[plan.send :] if plan.digest else []
        lease([*single, *digest], now)
        mails = [await self._single(session, row, now) for row in single]
        return [*mails, await self._digest(session, digest, now)] if digest else mails

    async def _single(self, session: AsyncSession, row: ErrorAlert, now: float) -> OutgoingMail:
        row.in_digest = False
        group = await session.get_one(ErrorGroup, row.group_id)
        summary, report = await summarize(session, group, now), await newest_report(session, group)
        build = partial(build_message, _alert(row), summary, report, self.letterhead, now=now)
        return OutgoingMail((row.id,), partial(self._mail, build))

    async def _digest(
        self, session: AsyncSession, rows: Sequence[ErrorAlert], now: float
    ) -> OutgoingMail:
        alerts: list[tuple[Alert, GroupSummary]] = []
        for row in rows:
            row.in_digest = True
            # Only its name: to read a thousand reports would hold the write lock for seconds.
            alerts.append((_alert(row), _name(await session.get_one(ErrorGroup, row.group_id))))
        build = partial(build_digest, alerts, self.letterhead, now=now)
        return OutgoingMail(tuple(row.id for row in rows), partial(self._mail, build))

    def _mail(self, build: Callable[[], EmailMessage]) -> Mail:
        return Mail.of(build(), self.letterhead.recipients)


def _merge(rows: Sequence[ErrorAlert]) -> list[ErrorAlert]:
    """One mail for each group, about everything since its oldest alert."""
    kept: dict[int, ErrorAlert] = {}
    for row in rows:
        other = kept.get(row.group_id)
        if other is None:
            kept[row.group_id] = row
            continue
        stays, goes = (other, row) if other.kind in _FIRST_KINDS else (row, other)
        if stays.episode == goes.episode:
            stays.count, stays.since = max(row.count, other.count), min(row.since, other.since)
        goes.state = MERGED
        kept[row.group_id] = stays
    return sorted(kept.values(), key=lambda row: row.id)


async def _sent(session: AsyncSession, limits: Limits, now: float) -> list[float]:
    """When single mails were sent; those that a mailer is sending count as sent now."""
    sent = await session.scalars(
        select(ErrorAlert.sent_at).where(
            ErrorAlert.sent_at > now - limits.budget_window, ErrorAlert.in_digest.is_(False)
        )
    )
    leased = await session.scalar(
        select(func.count(ErrorAlert.id)).where(
            ErrorAlert.state == WAITING, is_leased(ErrorAlert, now)
        )
    )
    return [moment for moment in sent if moment is not None] + [now] * (leased or 0)


async def _digests(session: AsyncSession, now: float) -> list[float]:
    moments = await session.scalars(
        select(ErrorAlert.sent_at)
        .where(ErrorAlert.in_digest.is_(True), ErrorAlert.sent_at > now - 3600)
        .distinct()
    )
    return [moment for moment in moments if moment is not None]


def _alert(row: ErrorAlert) -> Alert:
    return Alert(Kind(row.kind), row.ordinal, row.episode, row.count, row.since)


async def summarize(session: AsyncSession, group: ErrorGroup, now: float) -> GroupSummary:
    """What a mail says of a group."""
    this_minute = int(now // 60)
    since = this_minute - _HISTORY_MINUTES + 1
    minutes = await session.execute(
        select(ErrorMinute.minute, func.sum(ErrorMinute.count))
        .where(ErrorMinute.group_id == group.id, ErrorMinute.minute >= since)
        .group_by(ErrorMinute.minute)
    )
    counts = {minute: int(count) for minute, count in minutes}
    hosts = select(ErrorMinute.host).where(ErrorMinute.group_id == group.id).distinct()
    releases = select(ErrorSample.release).where(ErrorSample.group_id == group.id).distinct()
    return replace(
        _name(group),
        hosts=tuple(sorted(await session.scalars(hosts))),
        releases=tuple(sorted(await session.scalars(releases))),
        per_minute=tuple(counts.get(minute, 0) for minute in range(since, this_minute + 1)),
    )


def _name(group: ErrorGroup) -> GroupSummary:
    return GroupSummary(
        fingerprint=group.fingerprint,
        title=group.title,
        count=group.count,
        first_seen=group.first_seen.timestamp(),
        last_seen=group.last_seen.timestamp(),
        id=group.id,
    )


async def newest_report(session: AsyncSession, group: ErrorGroup) -> Report | None:
    """The newest report of a group that can be read."""
    query = select(ErrorSample.report).where(ErrorSample.group_id == group.id)
    for stored in await session.scalars(query.order_by(ErrorSample.id.desc()).limit(3)):
        try:
            return Report.from_json(stored)
        except ValueError:  # of another version
            continue
    return None
