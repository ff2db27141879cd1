"""Lists of people, in the order in which they registered, newest first."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.models.paging import Page, PageRequest
from quartapp.models.user import PROFILES, Profile, User, followers


async def all_people(session: AsyncSession, wanted: PageRequest) -> Page[Profile]:
    return await _page(session, PROFILES, wanted)


async def followers_of(session: AsyncSession, user_id: int, wanted: PageRequest) -> Page[Profile]:
    """Who follows a person."""
    ids = select(followers.c.follower_id).where(followers.c.followed_id == user_id)
    return await _page(session, PROFILES.where(User.id.in_(ids)), wanted)


async def followed_by(session: AsyncSession, user_id: int, wanted: PageRequest) -> Page[Profile]:
    """Whom a person follows."""
    ids = select(followers.c.followed_id).where(followers.c.follower_id == user_id)
    return await _page(session, PROFILES.where(User.id.in_(ids)), wanted)


async def find_email(session: AsyncSession, user_id: int) -> str | None:
    """A person's address, which only they themselves are to see."""
    return await session.scalar(select(User.email).where(User.id == user_id))


async def _page(
    session: AsyncSession, statement: Select[Any], wanted: PageRequest
) -> Page[Profile]:
    # No viewer: whether one follows somebody is no part of a list.
    rows = await session.execute(wanted.apply(statement, User.id), {"viewer_id": 0})
    return wanted.collect([Profile._make(row) for row in rows])
