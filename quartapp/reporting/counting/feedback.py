"""What people write about errors, from the journal to the groups.

A text has the reference of an occurrence, which another process may count later: until then the
text belongs to no group.
"""

import logging
from collections.abc import Iterable, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.reporting.journal.entries import Feedback, decode_feedback, is_feedback
from quartapp.reporting.references import number_of
from quartapp.reporting.tables import ErrorFeedback, ErrorGroup, ErrorReference

MOST = 5
"""Texts that are kept about one occurrence."""

_AT_ONCE = 100

_logger = logging.getLogger(__name__)


def written(payloads: Iterable[bytes]) -> list[Feedback]:
    """What people wrote, among the lines of a piece of the journal."""
    found = []
    for payload in filter(is_feedback, payloads):
        try:
            found.append(decode_feedback(payload))
        except ValueError as error:
            _logger.error("What somebody wrote about an error cannot be read: %s", error)
    return found


async def keep(session: AsyncSession, texts: Sequence[Feedback]) -> None:
    """Store texts, inside the caller's transaction; no more than MOST of an occurrence."""
    groups = await _groups(session, [text.reference for text in texts])
    for text in texts:
        number = select(func.count()).where(ErrorFeedback.reference == text.reference)
        if (await session.scalar(number) or 0) >= MOST:
            continue
        group_id = groups.get(text.reference)
        session.add(
            ErrorFeedback(
                group_id=group_id, reference=text.reference, at=float(text.time), text=text.text
            )
        )
        await session.flush()


async def is_any_alone(session: AsyncSession) -> bool:
    """Whether a text belongs to no group yet: a cheap query, without a lock."""
    query = select(ErrorFeedback.id).where(ErrorFeedback.group_id.is_(None)).limit(1)
    return await session.scalar(query) is not None


async def join(session: AsyncSession) -> int:
    """Give the newest texts that belong to no group the group of their reference, inside the
    caller's transaction; returns how many now have one."""
    alone = select(ErrorFeedback.id, ErrorFeedback.reference).where(
        ErrorFeedback.group_id.is_(None)
    )
    rows = (await session.execute(alone.order_by(ErrorFeedback.id.desc()).limit(_AT_ONCE))).all()
    groups = await _groups(session, [reference for _, reference in rows])
    changes = [
        {"id": row_id, "group_id": groups[reference]}
        for row_id, reference in rows
        if reference in groups
    ]
    if changes:
        await session.execute(update(ErrorFeedback), changes)
    return len(changes)


async def _groups(session: AsyncSession, references: Iterable[str]) -> dict[str, int]:
    """The groups of references that are counted and whose group still exists."""
    numbers = {number_of(reference): reference for reference in references}
    rows = await session.execute(
        select(ErrorReference, ErrorGroup.first_seen)
        .join(ErrorGroup, ErrorGroup.id == ErrorReference.group_id)
        .where(ErrorReference.number.in_([number for number in numbers if number is not None]))
    )
    return {numbers[row.number]: row.group_id for row, first_seen in rows if row.is_of(first_seen)}
