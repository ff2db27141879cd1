"""What operators ask about errors, and what they decide about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.tables import ErrorGroup, ErrorMinute, ErrorSample, ErrorSegment


async def list_groups(
    session: AsyncSession, *, state: str = "", limit: int = 50, offset: int = 0
) -> Sequence[ErrorGroup]:
    """Groups, the one that occurred last first; with `state`, only the groups in that state."""
    query = select(ErrorGroup).order_by(ErrorGroup.last_seen.desc(), ErrorGroup.id.desc())
    if state:
        query = query.where(_IN_STATE[state])
    return (await session.scalars(query.limit(limit).offset(offset))).all()


async def find_group(session: AsyncSession, key: int | str) -> ErrorGroup:
    """A group by its id, or by the first digits of its fingerprint. Raises GroupNotFoundError."""
    query = select(ErrorGroup).order_by(ErrorGroup.id.desc()).limit(1)
    if isinstance(key, int):
        query = query.where(ErrorGroup.id == key)
    else:
        query = query.where(ErrorGroup.fingerprint.startswith(key, autoescape=True))
    group = (await session.scalars(query)).one_or_none()
    if group is None:
        raise GroupNotFoundError("There is no such error.")
    return group


async def find_by_reference(session: AsyncSession, reference: str) -> ErrorGroup:
    """The group of the error with this reference. Raises GroupNotFoundError."""
    sample = ErrorSample.reference == reference
    query = select(ErrorGroup).join(ErrorSample).where(sample).limit(1)
    group = (await session.scalars(query)).one_or_none()
    if group is None:
        raise GroupNotFoundError("There is no such error.")
    return group


async def list_samples(session: AsyncSession, group_id: int) -> Sequence[ErrorSample]:
    """The samples of a group, the newest first."""
    query = select(ErrorSample).where(ErrorSample.group_id == group_id)
    return (await session.scalars(query.order_by(ErrorSample.id.desc()))).all()


async def resolve(session: AsyncSession, group_id: int, now: float) -> None:
    """Mark an error as fixed, and commit: its next occurrence is a regression."""
    await _triage(session, group_id, resolved_at=now, muted_until=None, muted_more=None)


async def mute(
    session: AsyncSession, group_id: int, *, until: float = float("inf"), more: int | None = None
) -> None:
    """Send no mail about an error until a time, for at most `more` occurrences; and commit."""
    await _triage(session, group_id, resolved_at=None, muted_until=until, muted_more=more)


async def muted_groups(session: AsyncSession, now: float) -> frozenset[str]:
    """The fingerprints of the groups that are muted at a time."""
    silent = (ErrorGroup.muted_until > now) | (
        ErrorGroup.muted_until.is_(None) & ErrorGroup.muted_more.is_not(None)
    )
    return frozenset(await session.scalars(select(ErrorGroup.fingerprint).where(silent)))


async def reopen(session: AsyncSession, group_id: int) -> None:
    """End a resolution or a mute, and commit."""
    await _triage(session, group_id, resolved_at=None, muted_until=None, muted_more=None)


async def _triage(session: AsyncSession, group_id: int, **values: float | int | None) -> None:
    await session.execute(update(ErrorGroup).where(ErrorGroup.id == group_id).values(**values))
    await session.commit()


async def prune(session: AsyncSession, before: datetime) -> int:
    """Delete groups that last occurred before a time, with all that belongs to them; and commit.

    Counts of earlier minutes are deleted too, and rows of segments whose files are long gone.
    Returns the number of groups.
    """
    seconds = before.timestamp()
    await session.execute(delete(ErrorMinute).where(ErrorMinute.minute < seconds // 60))
    await session.execute(
        delete(ErrorSegment).where(
            ErrorSegment.finished, ErrorSegment.updated_at < seconds - _A_WEEK
        )
    )
    gone = await session.execute(delete(ErrorGroup).where(ErrorGroup.last_seen < before))
    await session.commit()
    return cast("CursorResult[Any]", gone).rowcount


_A_WEEK = 7 * 86400.0
_IS_MUTED = ErrorGroup.muted_until.is_not(None) | ErrorGroup.muted_more.is_not(None)
_IN_STATE = {
    "open": ErrorGroup.resolved_at.is_(None) & ~_IS_MUTED,
    "resolved": ErrorGroup.resolved_at.is_not(None),
    "muted": ErrorGroup.resolved_at.is_(None) & _IS_MUTED,
}
