"""Which groups there are, and which one somebody names."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.reporting.exceptions import GroupNotFoundError
from quartapp.reporting.references import as_typed, number_of
from quartapp.reporting.tables import ErrorGroup, ErrorReference, ErrorSample


async def list_groups(
    session: AsyncSession, *, limit: int = 50, offset: int = 0
) -> Sequence[ErrorGroup]:
    """Groups, the one that occurred last first."""
    query = select(ErrorGroup).order_by(ErrorGroup.last_seen.desc(), ErrorGroup.id.desc())
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
    """The group of the occurrence with this reference, as somebody may have typed it.

    Raises GroupNotFoundError.
    """
    number = number_of(as_typed(reference) or "")
    if number is not None:
        query = select(ErrorGroup, ErrorReference).where(
            ErrorReference.number == number, ErrorGroup.id == ErrorReference.group_id
        )
        for group, row in await session.execute(query):
            if row.is_of(group.first_seen):
                return group
    # A sample of before references were stored, or the application's own reference.
    sample = ErrorSample.reference == reference.strip()
    found = await session.scalar(select(ErrorGroup).join(ErrorSample).where(sample).limit(1))
    if found is None:
        raise GroupNotFoundError("There is no such error.")
    return found


async def list_samples(session: AsyncSession, group_id: int) -> Sequence[ErrorSample]:
    """The samples of a group, the newest first."""
    query = select(ErrorSample).where(ErrorSample.group_id == group_id)
    return (await session.scalars(query.order_by(ErrorSample.id.desc()))).all()
