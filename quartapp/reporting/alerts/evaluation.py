"""Asking the policy about groups, and inserting the alerts that it wants.

Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import ROWS, chunks, insert, is_sqlite
from quartapp.reporting.alerts.policy import (
    Alert,
    AlertState,
    Counts,
    Decision,
    Limits,
    Triage,
    decide,
)
from quartapp.reporting.tables import ErrorAlert, ErrorGroup, ErrorMinute

_RECENT_MINUTES = 5
_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What counting needs to know besides the sums. Without `mails`, no alert is inserted."""

    host: str
    limits: Limits
    mails: bool


async def is_any_awake(session: AsyncSession, now: float) -> bool:
    """Whether a group may have to be evaluated: a cheap query, without a lock."""
    query = select(ErrorGroup.id).where(_is_awake(now)).limit(1)
    return await session.scalar(query) is not None


def _is_awake(now: float) -> ColumnElement[bool]:
    """The time has come, or is later than any wait can end: then the clock was set back."""
    return (ErrorGroup.wake_at <= now) | (ErrorGroup.wake_at > now + _LONGEST_WAIT)


async def wake(session: AsyncSession, rules: Rules, now: float) -> int:
    """Ask the policy about the groups for which it wanted to be asked again; returns how many."""
    query = (
        select(ErrorGroup)
        .where(_is_awake(now))
        .order_by(ErrorGroup.id)
        .limit(ROWS)
        .with_for_update(skip_locked=True)
    )
    groups = (await session.scalars(query)).all()
    await evaluate(session, groups, {}, rules, now)
    return len(groups)


async def evaluate(
    session: AsyncSession,
    groups: Sequence[ErrorGroup],
    batches: dict[int, int],
    rules: Rules,
    now: float,
) -> None:
    """Ask the policy about each group; `batches` has what was just counted, by group id."""
    if not groups:
        return
    recent = await _recent(session, [group.id for group in groups], now)
    changes: list[dict[str, object]] = []
    alerts: list[dict[str, object]] = []
    for group in groups:
        batch = batches.get(group.id, 0)
        decision = _decision(group, batch, recent.get(group.id, 0), rules.limits, now)
        changes.append(_change(group, decision))
        alerts += [_alert_row(group, alert, now) for alert in decision.alerts]
    await session.execute(update(ErrorGroup), changes)
    if rules.mails:
        for some in chunks(alerts):
            await session.execute(
                insert(ErrorAlert, is_sqlite(session)).values(some).on_conflict_do_nothing()
            )


def _decision(group: ErrorGroup, batch: int, recent: int, limits: Limits, now: float) -> Decision:
    counts = Counts(
        now=now,
        batch=batch,
        total=group.count,
        recent=recent,
        first=group.first_seen.timestamp(),
        last=group.last_seen.timestamp(),
    )
    triage = Triage(group.resolved_at, group.muted_until, group.muted_more)
    return decide(_state(group.alert_state), triage, counts, limits)


def _change(group: ErrorGroup, decision: Decision) -> dict[str, object]:
    return {
        "id": group.id,
        "alert_state": decision.state.to_json(),
        "wake_at": decision.wake_at,
        "resolved_at": decision.triage.resolved_at,
        "muted_until": decision.triage.muted_until,
        "muted_more": decision.triage.muted_more,
    }


def _alert_row(group: ErrorGroup, alert: Alert, now: float) -> dict[str, object]:
    return {
        "group_id": group.id,
        "kind": alert.kind.value,
        "ordinal": alert.ordinal,
        "episode": alert.episode,
        "count": alert.count,
        "since": alert.since,
        "created_at": now,
        "due_at": now,
    }


def _state(text: str | None) -> AlertState:
    try:
        return AlertState.from_json(text)
    except (ValueError, TypeError):
        # Better an error that is mailed twice than one that is no longer counted.
        return AlertState()


async def _recent(session: AsyncSession, ids: Sequence[int], now: float) -> dict[int, int]:
    rows = await session.execute(
        select(ErrorMinute.group_id, func.sum(ErrorMinute.count))
        .where(ErrorMinute.group_id.in_(ids), ErrorMinute.minute > now // 60 - _RECENT_MINUTES)
        .group_by(ErrorMinute.group_id)
    )
    return {group_id: int(total) for group_id, total in rows}
