"""New groups inherit from those that a former rule gave their errors.

A new rule of grouping moves no counts: the group of the former rule stays as it is, and the new one
begins at its first occurrence. What operators decided, and what was mailed, goes on in it: a muted
error stays muted, and a release with a new rule mails nothing that was mailed before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from quartapp.reporting.alerts.policy import AlertState
from quartapp.reporting.capture.fingerprint import VERSION
from quartapp.reporting.counting.aggregate import Aggregate
from quartapp.reporting.tables import ActKind, ErrorAct, ErrorGroup, ErrorTag

_DECISIONS = (
    "resolved_at",
    "resolved_release",
    "regressed_at",
    "muted_until",
    "muted_more",
    "muted_rate",
)


async def inherit(
    session: AsyncSession,
    aggregates: Iterable[Aggregate],
    groups: Mapping[str, ErrorGroup],
    now: float,
) -> None:
    """Give what is decided about former groups to those of `groups` that are new.

    Called before their first evaluation, inside the caller's transaction.
    """
    new = [one for one in aggregates if one.former and _is_new(groups[one.fingerprint])]
    if not new:
        return
    names = sorted({name for one in new for name in one.former})
    query = select(ErrorGroup).where(ErrorGroup.fingerprint.in_(names))
    known = {group.fingerprint: group for group in await session.scalars(query)}
    releases = await _releases(session, [group.id for group in known.values()])
    changes: list[dict[str, object]] = []
    acts: list[dict[str, object]] = []
    for one in new:
        group = groups[one.fingerprint]
        former = _former(one, known, releases)
        if former is None:
            continue
        values = {name: getattr(former, name) for name in _DECISIONS}
        values |= {"alert_state": _continued(former.alert_state), "revision": group.revision + 1}
        for name, value in values.items():
            set_committed_value(group, name, value)
        changes.append({"id": group.id, **values})
        acts.append(
            {
                "group_id": group.id,
                "at": now,
                "who": "",
                "kind": ActKind.REGROUPED.value,
                "text": former.fingerprint,
            }
        )
    if changes:
        await session.execute(update(ErrorGroup), changes)
        await session.execute(insert(ErrorAct), acts)


def _is_new(group: ErrorGroup) -> bool:
    return group.alert_state is None


def _former(
    one: Aggregate, known: Mapping[str, ErrorGroup], releases: Mapping[int, set[str]]
) -> ErrorGroup | None:
    """The group that the errors belonged to before.

    Under the rule of now, a group of another name is only a former one if it has not occurred in
    the same release: an application may choose the group for some errors of a kind and leave others
    to the rule.
    """
    here = set(one.tags.get("release", ()))
    for name in one.former:
        group = known.get(name)
        if group is None or group.fingerprint == one.fingerprint:
            continue
        is_of_now = name.endswith(f"-{VERSION}")
        if not (is_of_now and here & releases.get(group.id, set())):
            return group
    return None


def _continued(alert_state: str | None) -> str | None:
    """What the policy remembers, for a group whose counts begin again.

    The magnitude that was mailed stays: the new group is mailed when it exceeds that.
    """
    try:
        state = AlertState.from_json(alert_state)
    except (ValueError, TypeError):
        return None
    state = replace(
        state,
        before_episode=0,
        told_total=0,
        waiting=None,
        waiting_since=0.0,
        burst=0,
        burst_since=0.0,
        last=0.0,
    )
    return state.to_json()


async def _releases(session: AsyncSession, ids: Sequence[int]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    query = select(ErrorTag.group_id, ErrorTag.value).where(
        ErrorTag.group_id.in_(ids), ErrorTag.name == "release"
    )
    for group_id, release in await session.execute(query):
        found.setdefault(group_id, set()).add(release)
    return found
