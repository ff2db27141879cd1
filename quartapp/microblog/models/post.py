"""Posts: short texts by people."""

import hashlib
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    Table,
    bindparam,
    column,
    delete,
    select,
    table,
)
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database import Session, Source, dialect
from quartapp.database.source import Rows
from quartapp.database.types import MAX_ID, Id, UTCDateTime
from quartapp.microblog.exceptions import ForbiddenError, NotFoundError
from quartapp.microblog.models.base import Base, utc_now
from quartapp.microblog.models.paging import Page, PageRequest, Pages

BODY_LENGTH = 140


class Post(Base):
    """A short text by one person. Lists are ordered by id, newest first."""

    __tablename__ = "posts"
    __table_args__ = (
        Index("ix_posts_user_id_id", "user_id", "id"),
        # Posts without a digest are all different: NULL is unique in both databases.
        Index("ix_posts_user_id_form_digest", "user_id", "form_digest", unique=True),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    body: Mapped[str] = mapped_column(String(BODY_LENGTH))
    timestamp: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    # Of form key and text; None for a post that did not come from a form.
    form_digest: Mapped[str | None] = mapped_column(String(32))

    def __repr__(self) -> str:
        return f"<Post {self.__dict__.get('id', '?')}>"


class PostRow(NamedTuple):
    """A post with its author's name, as lists show it."""

    id: int
    body: str
    timestamp: datetime
    user_id: int
    username: str


# Rows are selected from tables, not entities, so that the ORM has no objects to load and track.
_TABLE = cast(Table, Post.__table__)
_COLUMNS = _TABLE.c

# The other tables by name only, because `user` imports this module for its counts.
_USERS = table("users", column("id"), column("username"))
_FOLLOWERS = table("followers", column("follower_id"), column("followed_id"))

_POSTS = select(
    _COLUMNS.id, _COLUMNS.body, _COLUMNS.timestamp, _COLUMNS.user_id, _USERS.c.username
).join_from(_TABLE, _USERS, _COLUMNS.user_id == _USERS.c.id)

_AUTHOR = bindparam("author_id", type_=Id)

# One list of authors, not an OR: SQLite would walk an index for each half of it.
_FOLLOWED_AND_SELF = (
    select(_FOLLOWERS.c.followed_id)
    .where(_FOLLOWERS.c.follower_id == _AUTHOR)
    .union_all(select(_AUTHOR))
)
_KEYS = _TABLE.alias("chosen").c

_TIMELINE = Pages(
    _POSTS, _COLUMNS.id, select(_KEYS.id).where(_KEYS.user_id.in_(_FOLLOWED_AND_SELF))
)
_ALL = Pages(_POSTS, _COLUMNS.id)
_OF_ONE = Pages(_POSTS.where(_COLUMNS.user_id == _AUTHOR), _COLUMNS.id)
_IS_ONE = _COLUMNS.id == bindparam("post_id", type_=Id)
_ONE = _POSTS.where(_IS_ONE)
_DELETE = delete(_TABLE).where(_IS_ONE)


async def timeline(source: Source, user_id: int, wanted: PageRequest) -> Page[PostRow]:
    """The posts of a person and of everyone they follow."""
    return _page(await _TIMELINE.find(source, wanted, author_id=user_id), wanted)


async def all_posts(source: Source, wanted: PageRequest) -> Page[PostRow]:
    """The posts of everybody."""
    return _page(await _ALL.find(source, wanted), wanted)


async def posts_of(source: Source, user_id: int, wanted: PageRequest) -> Page[PostRow]:
    """The posts of one person; an empty page if there is no such person."""
    return _page(await _OF_ONE.find(source, wanted, author_id=user_id), wanted)


async def find_post(source: Source, post_id: int) -> PostRow:
    """One post. Raises NotFoundError."""
    rows = await source.read(_ONE, post_id=post_id) if 0 < post_id <= MAX_ID else []
    if not rows:
        raise NotFoundError("There is no such post.")
    return PostRow._make(rows[0])


async def add_post(session: Session, user_id: int, body: str) -> PostRow:
    """Publish a post and commit. What is returned was read before the commit: after it nothing
    can fail, so a post is published exactly if its author is told so."""
    post = Post(body=body, user_id=user_id)
    session.add(post)
    await session.flush()
    row = await find_post(session, post.id)
    await session.commit()
    return row


async def add_post_once(source: Source, user_id: int, body: str, form_key: str) -> bool:
    """Publish a post and commit; False if this form was sent with the same text before.

    The unique index decides: of two workers that receive one form, one publishes it. A different
    text under the same key, as after "Back", is a different post.
    """
    digest = hashlib.sha256(f"{form_key} {body}".encode()).hexdigest()[:32]
    statement = _insert_once(source.is_sqlite)
    number = await source.write(
        statement, body=body, timestamp=utc_now(), user_id=user_id, form_digest=digest
    )
    return number > 0


@cache
def _insert_once(for_sqlite: bool) -> Any:
    return dialect.insert(_TABLE, for_sqlite).on_conflict_do_nothing()


async def delete_post(source: Source, post_id: int, user_id: int) -> None:
    """Delete a post and commit. Raises NotFoundError; ForbiddenError for somebody else's post."""
    post = await find_post(source, post_id)
    if post.user_id != user_id:
        raise ForbiddenError("Only its author may delete a post.")
    await source.write(_DELETE, post_id=post_id)


def _page(rows: Rows, wanted: PageRequest) -> Page[PostRow]:
    return wanted.collect([PostRow._make(row) for row in rows])
