"""Lists of people, in the order in which they registered, newest first."""

from typing import Any

from sqlalchemy import bindparam, select

from quartapp.database import Source
from quartapp.database.types import Id
from quartapp.microblog.models.paging import Page, PageRequest, Pages
from quartapp.microblog.models.user import PROFILES, Profile, User, followers

_PERSON = bindparam("person_id", type_=Id)

_FOLLOWERS = select(followers.c.follower_id).where(followers.c.followed_id == _PERSON)
_FOLLOWED = select(followers.c.followed_id).where(followers.c.follower_id == _PERSON)

_ID = User.__table__.c.id
_EMAIL = select(User.__table__.c.email).where(_ID == _PERSON)

_ALL = Pages(PROFILES, _ID)
_WHO_FOLLOW = Pages(PROFILES.where(_ID.in_(_FOLLOWERS)), _ID)
_WHOM_ONE_FOLLOWS = Pages(PROFILES.where(_ID.in_(_FOLLOWED)), _ID)


async def all_people(source: Source, wanted: PageRequest) -> Page[Profile]:
    """Everybody. Raises NotFoundError for a numbered page past the end, as the other lists do."""
    return await _page(source, _ALL, wanted)


async def followers_of(source: Source, user_id: int, wanted: PageRequest) -> Page[Profile]:
    """The people who follow a person."""
    return await _page(source, _WHO_FOLLOW, wanted, person_id=user_id)


async def followed_by(source: Source, user_id: int, wanted: PageRequest) -> Page[Profile]:
    """The people whom a person follows."""
    return await _page(source, _WHOM_ONE_FOLLOWS, wanted, person_id=user_id)


async def find_email(source: Source, user_id: int) -> str | None:
    """A person's email address, to be shown only to that person."""
    rows = await source.read(_EMAIL, person_id=user_id)
    return rows[0][0] if rows else None


async def _page(source: Source, pages: Pages, wanted: PageRequest, **values: Any) -> Page[Profile]:
    # No viewer: lists do not say whether the viewer follows somebody.
    rows = await pages.find(source, wanted, viewer_id=0, **values)
    return wanted.collect([Profile._make(row) for row in rows])
