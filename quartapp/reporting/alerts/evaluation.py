"""Asking the policy about groups, and inserting the alerts that it wants.

Every function works inside the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy import insert as insert_into
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
from quartapp.reporting.tables import (
    ActKind,
    ErrorAct,
    ErrorAlert,
    ErrorGroup,
    ErrorMinute,
    ErrorRelease,
    ErrorTag,
    ErrorWebhook,
)

_RECENT_MINUTES = 5
_HOUR_MINUTES = 60
_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What counting needs to know besides the sums.

    An alert is inserted for a mail with `mails`, and for a webhook with `webhooks`.
    """

    host: str
    limits: Limits
    mails: bool
    webhooks: bool = False


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
    recent = await _since(session, [group.id for group in groups], now, _RECENT_MINUTES)
    by_rate = [group.id for group in groups if group.muted_rate is not None]
    hour = await _since(session, by_rate, now, _HOUR_MINUTES) if by_rate else {}
    newer = await _newer_releases(session, groups)
    changes: list[dict[str, object]] = []
    alerts: list[dict[str, object]] = []
    ends: list[_End] = []
    for group in groups:
        counts = Counts(
            now=now,
            batch=batches.get(group.id, 0),
            total=group.count,
            recent=recent.get(group.id, 0),
            first=group.first_seen.timestamp(),
            last=group.last_seen.timestamp(),
            hour=hour.get(group.id, 0),
            is_newer=group.id in newer,
        )
        triage = _triage(group)
        decision = decide(_state(group.alert_state), triage, counts, rules.limits)
        changes.append(_change(group, decision))
        alerts += [_alert_row(group, alert, now) for alert in decision.alerts]
        if decision.triage == Triage() != triage:
            ends.append(_End(group, counts.last, newer.get(group.id, "")))
    await session.execute(update(ErrorGroup), changes)
    await _end(session, ends, now)
    for table, is_used in ((ErrorAlert, rules.mails), (ErrorWebhook, rules.webhooks)):
        for some in chunks(alerts) if is_used else ():
            await session.execute(
                insert(table, is_sqlite(session)).values(some).on_conflict_do_nothing()
            )


def _triage(group: ErrorGroup) -> Triage:
    return Triage(
        group.resolved_at,
        group.muted_until,
        group.muted_more,
        group.muted_rate,
        group.resolved_release,
    )


def _change(group: ErrorGroup, decision: Decision) -> dict[str, object]:
    return {
        "id": group.id,
        "alert_state": decision.state.to_json(),
        "wake_at": decision.wake_at,
        "muted_more": decision.triage.muted_more,
    }


class _End(NamedTuple):
    """A resolution or a mute that an occurrence has ended."""

    group: ErrorGroup
    at: float
    release: str


async def _end(session: AsyncSession, ends: Sequence[_End], now: float) -> None:
    """What operators decided holds no longer; and the trail says so."""
    if not ends:
        return
    changes: list[dict[str, object]] = []
    acts: list[dict[str, object]] = []
    for group, at, release in ends:
        is_back = group.resolved_at is not None
        changes.append(
            {
                "id": group.id,
                "resolved_at": None,
                "resolved_release": None,
                "muted_until": None,
                "muted_rate": None,
                "regressed_at": at if is_back else group.regressed_at,
                "revision": group.revision + 1,
            }
        )
        kind = ActKind.REGRESSED if is_back else ActKind.UNMUTED
        text = f"in release {release}" if release else ""
        acts.append({"group_id": group.id, "at": now, "who": "", "kind": kind.value, "text": text})
    await session.execute(update(ErrorGroup), changes)
    await session.execute(insert_into(ErrorAct), acts)


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


async def _since(
    session: AsyncSession, ids: Sequence[int], now: float, minutes: int
) -> dict[int, int]:
    """How often groups have occurred in the last minutes."""
    rows = await session.execute(
        select(ErrorMinute.group_id, func.sum(ErrorMinute.count))
        .where(ErrorMinute.group_id.in_(ids), ErrorMinute.minute > now // 60 - minutes)
        .group_by(ErrorMinute.group_id)
    )
    return {group_id: int(total) for group_id, total in rows}


async def _newer_releases(session: AsyncSession, groups: Sequence[ErrorGroup]) -> dict[int, str]:
    """Of the groups that were resolved in the next release, those that have occurred in one that
    was unknown then, with its name."""
    ids = [group.id for group in groups if group.resolved_release is not None]
    if not ids:
        return {}
    group, tag = ErrorGroup, ErrorTag
    deployed = select(ErrorRelease.name).where(ErrorRelease.at <= group.resolved_at)
    rows = await session.execute(
        select(tag.group_id, tag.value)
        .join(group, group.id == tag.group_id)
        .where(
            tag.group_id.in_(ids),
            tag.name == "release",
            tag.value.not_in(["", group.resolved_release]),
            tag.first_seen > group.resolved_at,
            tag.value.not_in(deployed.correlate(group)),
        )
        .order_by(tag.first_seen)
    )
    return {row.group_id: row.value for row in rows}
