"""The outbox: which mails are due, who sends them, and what became of them.

Every function works inside of its caller's transaction. A mail is leased to one mailer at a time;
one that is killed in the middle loses its lease to the clock, and the mail goes out again, under
the same Message-ID.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.mail.smtp import Outcome
from quartapp.reporting.alerts.budget import spend
from quartapp.reporting.alerts.policy import Alert, Kind, Limits
from quartapp.reporting.mails.message import Group
from quartapp.reporting.report import Report
from quartapp.reporting.tables import ErrorAlert, ErrorGroup, ErrorMinute, ErrorSample

LEASE = 300.0
_AT_ONCE = 1000
_LOCK = 0x71756172  # the application's own number among PostgreSQL's advisory locks
_BACKOFF = (60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0)
_POISON_TRIES = 3
_HISTORY_MINUTES = 60

# The first word about an error tells all that came since; of the others the newest does.
_FIRST_WORDS = {Kind.NEW.value, Kind.REGRESSION.value, Kind.UNMUTED.value}


@dataclass(frozen=True, slots=True)
class Letter:
    """One alert with all that its mail needs."""

    id: int
    alert: Alert
    group: Group
    report: Report | None


@dataclass(frozen=True, slots=True)
class Lease:
    """What one mailer may send now: each of `single` on its own, all of `digest` in one."""

    single: tuple[Letter, ...] = ()
    digest: tuple[Letter, ...] = ()


async def is_any_due(session: AsyncSession, now: float) -> bool:
    """A cheap look, without a lock."""
    query = select(ErrorAlert.id).where(ErrorAlert.state == "waiting", _is_due(now))
    return await session.scalar(query.limit(1)) is not None


async def lease(session: AsyncSession, limits: Limits, now: float) -> Lease:
    """Lease what is due, as far as the budget of mails goes, and merge what tells the same."""
    if session.get_bind().dialect.name != "sqlite":
        # One mailer at a time counts the budget; SQLite's write lock does the same.
        await session.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    query = select(ErrorAlert).where(ErrorAlert.state == "waiting", _is_due(now), ~_is_leased(now))
    rows = (await session.scalars(query.order_by(ErrorAlert.id).limit(_AT_ONCE))).all()
    kept = _merge(rows)
    plan = spend(
        now,
        await _sent(session, limits, now),
        [row.created_at for row in kept],
        await _digests(session, now),
        limits,
    )
    chosen = kept if plan.digest else kept[: plan.send]
    for row in chosen:
        row.leased_until = now + LEASE
    await session.flush()
    single = [await _letter(session, row, now) for row in chosen[: plan.send]]
    digest = [await _line(session, row) for row in chosen[plan.send :]]
    return Lease(tuple(single), tuple(digest))


def _is_due(now: float) -> ColumnElement[bool]:
    """Now, or later than any wait is long: then the clock was set back."""
    return (ErrorAlert.due_at <= now) | (ErrorAlert.due_at > now + 2 * _BACKOFF[-1])


def _is_leased(now: float) -> ColumnElement[bool]:
    # Not for ever after the clock was set back. Twice the length, because the lease of a rival that
    # looked at the clock later than we did ends later than one from `now`.
    return (ErrorAlert.leased_until > now) & (ErrorAlert.leased_until <= now + 2 * LEASE)


def _merge(rows: Sequence[ErrorAlert]) -> list[ErrorAlert]:
    """One mail a group, about everything since the oldest of them."""
    kept: dict[int, ErrorAlert] = {}
    for row in rows:
        other = kept.get(row.group_id)
        if other is None:
            kept[row.group_id] = row
            continue
        stays, goes = (other, row) if other.kind in _FIRST_WORDS else (row, other)
        if stays.episode == goes.episode:
            stays.count, stays.since = max(row.count, other.count), min(row.since, other.since)
        goes.state = "merged"
        kept[row.group_id] = stays
    return sorted(kept.values(), key=lambda row: row.id)


async def _sent(session: AsyncSession, limits: Limits, now: float) -> list[float]:
    sent = await session.scalars(
        select(ErrorAlert.sent_at).where(
            ErrorAlert.sent_at > now - limits.budget_window, ErrorAlert.in_digest.is_(False)
        )
    )
    on_their_way = await session.scalar(
        select(func.count(ErrorAlert.id)).where(ErrorAlert.state == "waiting", _is_leased(now))
    )
    return [moment for moment in sent if moment is not None] + [now] * (on_their_way or 0)


async def _digests(session: AsyncSession, now: float) -> list[float]:
    moments = await session.scalars(
        select(ErrorAlert.sent_at)
        .where(ErrorAlert.in_digest.is_(True), ErrorAlert.sent_at > now - 3600)
        .distinct()
    )
    return [moment for moment in moments if moment is not None]


async def record_outcomes(
    session: AsyncSession, outcomes: Sequence[tuple[int, Outcome]], *, digest: bool, now: float
) -> None:
    """Write down what became of leased mails; what failed is due again later, and never dropped.

    A mail that the server refuses for itself three times is put aside for people to look at.
    """
    for row_id, outcome in outcomes:
        row = await session.get(ErrorAlert, row_id)
        if row is None:  # its group was pruned meanwhile
            continue
        row.leased_until = 0.0
        if outcome.is_sent:
            row.state, row.sent_at, row.in_digest, row.error = "sent", now, digest, outcome.note
        elif outcome.tried:
            row.tries += 1
            row.error = outcome.error[:500]
            row.due_at = now + backoff(row.tries)
            if outcome.own and row.tries >= _POISON_TRIES:
                row.state = "aside"


def backoff(tries: int) -> float:
    """Seconds until the next try: 1, 2, 5, 15, 30 minutes, 1 hour, then 2 hours; with jitter."""
    return _BACKOFF[min(tries, len(_BACKOFF)) - 1] * random.uniform(0.9, 1.1)


async def _letter(session: AsyncSession, row: ErrorAlert, now: float) -> Letter:
    group = await session.get_one(ErrorGroup, row.group_id)
    told = await describe(session, group, now)
    return Letter(row.id, _alert(row), told, await sample(session, group))


async def _line(session: AsyncSession, row: ErrorAlert) -> Letter:
    """As much as a digest says of it: a thousand reports would hold the write lock for seconds."""
    group = await session.get_one(ErrorGroup, row.group_id)
    return Letter(row.id, _alert(row), _named(group), None)


def _alert(row: ErrorAlert) -> Alert:
    return Alert(Kind(row.kind), row.ordinal, row.episode, row.count, row.since)


async def describe(session: AsyncSession, group: ErrorGroup, now: float) -> Group:
    """A group as mails tell of it."""
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
        _named(group),
        hosts=tuple(sorted(await session.scalars(hosts))),
        releases=tuple(sorted(await session.scalars(releases))),
        per_minute=tuple(counts.get(minute, 0) for minute in range(since, this_minute + 1)),
    )


def _named(group: ErrorGroup) -> Group:
    return Group(
        fingerprint=group.fingerprint,
        title=group.title,
        count=group.count,
        first_seen=group.first_seen.timestamp(),
        last_seen=group.last_seen.timestamp(),
        id=group.id,
    )


async def sample(session: AsyncSession, group: ErrorGroup) -> Report | None:
    """The newest report of a group that can be read."""
    query = select(ErrorSample.report).where(ErrorSample.group_id == group.id)
    for stored in await session.scalars(query.order_by(ErrorSample.id.desc()).limit(3)):
        try:
            return Report.from_json(stored)
        except ValueError:  # of another version
            continue
    return None


async def hurry(session: AsyncSession, now: float) -> None:
    """Have every waiting mail tried at once; for the time after the server was mended."""
    await session.execute(
        update(ErrorAlert).where(ErrorAlert.state == "waiting").values(due_at=now)
    )
