"""The outbox of alerts: which are sent on their own, which are merged, which come in a digest."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.mail.delivery import Mail
from quartapp.mail.outbox import WAITING, Outgoing, is_leased, lease, select_due
from quartapp.reporting.alerts.budget import spend
from quartapp.reporting.alerts.policy import Alert, Kind, Limits
from quartapp.reporting.mails.message import Letterhead, build_digest, build_message
from quartapp.reporting.mails.summary import GroupSummary, times
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.report import Report
from quartapp.reporting.tables import (
    MERGED,
    AlertRow,
    ErrorAlert,
    ErrorFeedback,
    ErrorGroup,
    ErrorMinute,
    ErrorSample,
)

_HISTORY_MINUTES = 60

# Of the alerts of a group these are kept, as they say that the error is new or back; otherwise the
# newest is.
_FIRST_KINDS = {Kind.NEW.value, Kind.REGRESSION.value, Kind.UNMUTED.value}


Message = TypeVar("Message")


class BudgetedOutbox(Generic[Message]):
    """Alerts that wait for a message each, within a budget; a class says what the messages are."""

    table: type[AlertRow]

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def build_single(
        self, alert: Alert, group: GroupSummary, report: Report | None, now: float
    ) -> Message:
        """The message about one alert. Called in a thread."""
        raise NotImplementedError

    def build_digest(self, alerts: Sequence[tuple[Alert, GroupSummary]], now: float) -> Message:
        """One message about many alerts. Called in a thread."""
        raise NotImplementedError

    async def lease(self, session: AsyncSession, now: float) -> list[Outgoing[Message]]:
        """Lease alerts: a message for each group, and one digest of what is beyond the budget."""
        due = _merge(await select_due(session, self.table, now))
        plan = spend(
            now,
            await _sent(session, self.table, self.limits, now),
            [row.created_at for row in due],
            await _digests(session, self.table, now),
            self.limits,
        )
        single, digest = due[: plan.send], due[plan.send :] if plan.digest else []
        lease([*single, *digest], now)
        messages = [await self._single(session, row, now) for row in single]
        return [*messages, await self._digest(session, digest, now)] if digest else messages

    async def _single(self, session: AsyncSession, row: AlertRow, now: float) -> Outgoing[Message]:
        row.in_digest = False
        group = await session.get_one(ErrorGroup, row.group_id)
        summary, report = await summarize(session, group, now), await newest_report(session, group)
        return Outgoing(
            (row.id,), partial(self.build_single, _alert(row), summary, report, now=now)
        )

    async def _digest(
        self, session: AsyncSession, rows: Sequence[AlertRow], now: float
    ) -> Outgoing[Message]:
        alerts: list[tuple[Alert, GroupSummary]] = []
        for row in rows:
            row.in_digest = True
            # Only its name: to read a thousand reports would hold the write lock for seconds.
            alerts.append(
                (_alert(row), _name(await session.get_one(ErrorGroup, row.group_id), now))
            )
        ids = tuple(row.id for row in rows)
        return Outgoing(ids, partial(self.build_digest, alerts, now=now))


class AlertOutbox(BudgetedOutbox[Mail]):
    """The alerts that a mailer sends."""

    table = ErrorAlert

    def __init__(self, letterhead: Letterhead, limits: Limits) -> None:
        super().__init__(limits)
        self.letterhead = letterhead

    def build_single(
        self, alert: Alert, group: GroupSummary, report: Report | None, now: float
    ) -> Mail:
        message = build_message(alert, group, report, self.letterhead, now=now)
        return Mail.of(message, self.letterhead.recipients)

    def build_digest(self, alerts: Sequence[tuple[Alert, GroupSummary]], now: float) -> Mail:
        return Mail.of(build_digest(alerts, self.letterhead, now=now), self.letterhead.recipients)


def _merge(rows: Sequence[AlertRow]) -> list[AlertRow]:
    """One message for each group, about everything since its oldest alert."""
    kept: dict[int, AlertRow] = {}
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


async def _sent(
    session: AsyncSession, table: type[AlertRow], limits: Limits, now: float
) -> list[float]:
    """When single messages were sent; those that are being sent count as sent now."""
    sent = await session.scalars(
        select(table.sent_at).where(
            table.sent_at > now - limits.budget_window, table.in_digest.is_(False)
        )
    )
    leased = await session.scalar(
        select(func.count(table.id)).where(table.state == WAITING, is_leased(table, now))
    )
    return [moment for moment in sent if moment is not None] + [now] * (leased or 0)


async def _digests(session: AsyncSession, table: type[AlertRow], now: float) -> list[float]:
    moments = await session.scalars(
        select(table.sent_at)
        .where(table.in_digest.is_(True), table.sent_at > now - 3600)
        .distinct()
    )
    return [moment for moment in moments if moment is not None]


def _alert(row: AlertRow) -> Alert:
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
    texts = select(func.count(ErrorFeedback.id)).where(ErrorFeedback.group_id == group.id)
    written = await session.scalar(texts) or 0
    return replace(
        _name(group, now),
        hosts=tuple(sorted(await session.scalars(hosts))),
        releases=tuple(sorted(await session.scalars(releases))),
        per_minute=tuple(counts.get(minute, 0) for minute in range(since, this_minute + 1)),
        extra={"Feedback": f"people wrote about it {times(written)}"} if written else {},
    )


def _name(group: ErrorGroup, now: float) -> GroupSummary:
    return GroupSummary(
        fingerprint=group.fingerprint,
        title=group.title,
        count=group.count,
        first_seen=group.first_seen.timestamp(),
        last_seen=group.last_seen.timestamp(),
        id=group.id,
        place=group.culprit,
        state=state_of(group, now),
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
