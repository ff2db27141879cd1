"""What operators decide about groups, and write about them.

Every function works inside the caller's transaction, which has to be a writing one (`begin`).
A decision names the version of the group that was seen. If it is another one by now, nothing is
changed, and the operator is shown what has happened since.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete as delete_from
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.mail.strings import moment, one_line
from quartapp.reporting.exceptions import (
    ConflictError,
    DecisionError,
    GroupNotFoundError,
)
from quartapp.reporting.queries.detail import Group
from quartapp.reporting.queries.listing import STATES, Row
from quartapp.reporting.tables import TITLE_LENGTH, ActKind, ErrorAct, ErrorGroup

MOST = 500
"""Groups that one call decides about."""

LONGEST_COMMENT = 4000

_SHOWN = 20
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided: its row in `ErrorAct`, and new values of the group."""

    kind: ActKind
    text: str = ""
    values: Mapping[str, float | int | str | None] = field(default_factory=dict)


_OPEN = {
    "resolved_at": None,
    "resolved_release": None,
    "muted_until": None,
    "muted_more": None,
    "muted_rate": None,
}


def resolve(now: float) -> Decision:
    """It is fixed: the next occurrence is a regression."""
    return Decision(ActKind.RESOLVE, values={**_OPEN, "resolved_at": now, "regressed_at": None})


def resolve_in_next(release: str, now: float) -> Decision:
    """It is fixed in the release after this one, which runs now: an occurrence is a regression if
    it is in a release that has neither occurred in the group nor been deployed before `now`.

    Raises DecisionError if the release has no name.
    """
    if not release:
        raise DecisionError(
            "The running release has no name, so the next one cannot be told from it: set RELEASE,"
            " or resolve the error for all releases."
        )
    release = release[:TITLE_LENGTH]
    values = {**_OPEN, "resolved_at": now, "resolved_release": release, "regressed_at": None}
    return Decision(ActKind.RESOLVE_NEXT, f"in the release after {release}", values)


def reopen() -> Decision:
    """It is neither resolved nor muted any more."""
    return Decision(ActKind.REOPEN, values=_OPEN)


def mute(
    *, until: float | None = None, more: int | None = None, rate: int | None = None
) -> Decision:
    """Send no mail until a time, for so many more occurrences (0: until it happens again), or until
    there are more than `rate` within an hour. The first of them ends it; without any, nothing
    does."""
    limits = [f"until {moment(until)}"] if until is not None else []
    if more is not None:
        limits.append("until it happens again" if more == 0 else f"for {more:,} more")
    if rate is not None:
        limits.append(f"until more than {rate:,} in an hour")
    values: dict[str, float | int | None] = {
        **_OPEN,
        "muted_until": float("inf") if until is None else until,
        "muted_more": more if rate is None else rate,
        "muted_rate": rate,
    }
    return Decision(ActKind.MUTE, " or ".join(limits) or "forever", values)


def comment(text: str) -> Decision:
    """Something to read for the next one who looks. Raises DecisionError."""
    text = _UNSTORABLE.sub("\ufffd", text.replace("\r\n", "\n").strip())
    if not text:
        raise DecisionError("A comment has at least one character.")
    if len(text) > LONGEST_COMMENT:
        raise DecisionError(
            f"A comment has at most {LONGEST_COMMENT:,} characters; this one has {len(text):,}."
        )
    return Decision(ActKind.COMMENT, text)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a decision about many groups: those whose version was another one by then are
    unchanged, and those that are `missing` had been deleted."""

    done: Sequence[ErrorGroup]
    conflicts: Sequence[ErrorGroup]
    missing: Sequence[int]


def version_of(group: ErrorGroup | Row | Group) -> str:
    """What a form carries to name the version that was seen.

    It contains the fingerprint too, because SQLite gives the id of a deleted group to a new one.
    """
    return f"{group.revision}-{group.fingerprint[:16]}"


async def decide(
    session: AsyncSession,
    group_id: int,
    decision: Decision,
    *,
    who: str,
    now: float,
    seen: str | None = None,
) -> ErrorGroup:
    """Carry out a decision about one group.

    `seen` is the version that the operator saw; None for any. A comment is added to any. Raises
    GroupNotFoundError, and ConflictError with what was done since.
    """
    outcome = await decide_all(session, {group_id: seen}, decision, who=who, now=now)
    if outcome.missing:
        raise GroupNotFoundError("There is no such error.")
    if outcome.conflicts:
        raise await _conflict(session, outcome.conflicts[0], seen or "")
    return outcome.done[0]


async def decide_all(
    session: AsyncSession,
    seen: Mapping[int, str | None],
    decision: Decision,
    *,
    who: str,
    now: float,
) -> Outcome:
    """Carry out a decision about at most MOST groups, whose ids are the keys of `seen`."""
    if len(seen) > MOST:
        raise ValueError(f"at most {MOST} groups at once")
    found = await _locked(session, seen)
    done: list[ErrorGroup] = []
    conflicts: list[ErrorGroup] = []
    for group in found:
        is_free = decision.kind is ActKind.COMMENT or seen[group.id] in {None, version_of(group)}
        (done if is_free else conflicts).append(group)
    await _act(session, done, decision, who, now)
    return Outcome(done, conflicts, sorted(set(seen) - {group.id for group in found}))


async def delete(session: AsyncSession, group_id: int, *, seen: str | None = None) -> ErrorGroup:
    """Delete a group with all that belongs to it, also what was written about it; returns it.

    If it occurs again, it is a new one. Raises as `decide`.
    """
    found = await _locked(session, [group_id])
    if not found:
        raise GroupNotFoundError("There is no such error.")
    [group] = found
    if seen not in {None, version_of(group)}:
        raise await _conflict(session, group, seen or "")
    session.expunge(group)
    await session.execute(delete_from(ErrorGroup).where(ErrorGroup.id == group_id))
    return group


async def acts_of(session: AsyncSession, group_id: int, limit: int = 100) -> Sequence[ErrorAct]:
    """What was done and written, the last first."""
    query = select(ErrorAct).where(ErrorAct.group_id == group_id)
    return (await session.scalars(query.order_by(ErrorAct.id.desc()).limit(limit))).all()


async def muted_groups(session: AsyncSession, now: float) -> frozenset[str]:
    """The fingerprints of the groups that are muted at a time."""
    is_muted = STATES["muted"]
    assert is_muted is not None
    query = select(ErrorGroup.fingerprint).where(is_muted)
    return frozenset(await session.scalars(query, {"now": now}))


async def _locked(session: AsyncSession, ids: Iterable[int]) -> Sequence[ErrorGroup]:
    """The groups with these ids, which nobody else changes until the transaction ends."""
    # In the order in which they are counted, so that nobody waits for somebody who waits.
    query = select(ErrorGroup).where(ErrorGroup.id.in_(list(ids))).order_by(ErrorGroup.fingerprint)
    return (await session.scalars(query.with_for_update())).all()


async def _act(
    session: AsyncSession, groups: Sequence[ErrorGroup], decision: Decision, who: str, now: float
) -> None:
    if not groups:
        return
    ids = [group.id for group in groups]
    who = one_line(_UNSTORABLE.sub("\ufffd", who), TITLE_LENGTH)
    changed = update(ErrorGroup).where(ErrorGroup.id.in_(ids))
    await session.execute(
        changed.values(**decision.values, revision=ErrorGroup.revision + 1, changed_at=now),
        execution_options={"synchronize_session": False},
    )
    row = {"at": now, "who": who, "kind": decision.kind.value, "text": decision.text}
    await session.execute(insert(ErrorAct), [{"group_id": each, **row} for each in ids])


async def _conflict(session: AsyncSession, group: ErrorGroup, seen: str) -> ConflictError:
    revision, _, _ = seen.partition("-")
    is_known = revision.isascii() and revision.isdigit() and len(revision) < 10
    since = group.revision - int(revision) if is_known else _SHOWN
    if since <= 0 or not seen.endswith(f"-{group.fingerprint[:16]}"):
        since = _SHOWN  # another group that has the id now
    acts = await acts_of(session, group.id, min(since, _SHOWN))
    for act in acts:
        session.expunge(act)  # or they would expire with the transaction
    return ConflictError("Somebody was faster: nothing was changed.", acts)
