"""The releases that were deployed, and when: marks in charts, and what is fixed in the next one."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database.dialect import insert, is_sqlite
from quartapp.reporting.tables import TITLE_LENGTH, ErrorRelease


async def mark(session: AsyncSession, name: str, at: float, *, who: str, again: bool) -> float:
    """Store that a release was deployed at a time, inside the caller's transaction.

    Of a release that is known the time stays, unless it is given `again`. Returns the time that is
    stored.
    """
    name = name[:TITLE_LENGTH]
    adding = insert(ErrorRelease, is_sqlite(session)).values(name=name, at=at, who=who)
    if again:
        await session.execute(
            adding.on_conflict_do_update(
                index_elements=[ErrorRelease.name], set_={"at": at, "who": who}
            )
        )
    else:
        await session.execute(adding.on_conflict_do_nothing())
    stored = await session.scalar(select(ErrorRelease.at).where(ErrorRelease.name == name))
    return float(stored or at)


async def list_releases(session: AsyncSession, *, limit: int = 50) -> Sequence[ErrorRelease]:
    """The releases, the last one first."""
    query = select(ErrorRelease).order_by(ErrorRelease.at.desc(), ErrorRelease.name)
    return (await session.scalars(query.limit(limit))).all()
