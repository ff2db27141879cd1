"""People, and who follows whom."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Label,
    String,
    Table,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database import Source, dialect
from quartapp.database.source import Step
from quartapp.database.types import MAX_ID, Id, UTCDateTime, is_storable
from quartapp.microblog.exceptions import (
    ConflictError,
    EmailTakenError,
    NotFoundError,
    UsernameTakenError,
)
from quartapp.microblog.models.base import Base, utc_now
from quartapp.microblog.models.post import Post
from quartapp.microblog.names import KEY_LENGTH, NameKeys, keys_of

USERNAME_LENGTH = 64
EMAIL_LENGTH = 120
ABOUT_ME_LENGTH = 140
PASSWORD_LENGTH = 256
"""In characters. It is limited because hashing a longer password takes longer."""

followers = Table(
    "followers",
    Base.metadata,
    Column("follower_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("followed_id", Id, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    # The primary key finds whom somebody follows; this finds who follows somebody.
    Index("ix_followers_followed_id", "followed_id"),
)


class User(Base):
    """A person. The unique constraints decide who has a name; checks in forms are a courtesy."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH), unique=True)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    about_me: Mapped[str] = mapped_column(String(ABOUT_ME_LENGTH), default="")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    last_seen: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    is_admin: Mapped[bool] = mapped_column(Boolean, default=False)
    # It is counted up when logins are ended, so that a login that is under way notices it.
    login_epoch: Mapped[int] = mapped_column(Integer, default=0)
    email_confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # By these names are compared (`quartapp.microblog.names`). None for a name that was given when
    # somebody had a name like it already, before that was refused.
    skeleton: Mapped[str | None] = mapped_column(String(KEY_LENGTH), index=True, unique=True)
    folded_skeleton: Mapped[str | None] = mapped_column(String(KEY_LENGTH), index=True, unique=True)

    def __repr__(self) -> str:
        return f"<User {self.__dict__.get('username', '?')}>"


class Credentials(NamedTuple):
    """What a login is checked against."""

    id: int
    username: str
    password_hash: str
    login_epoch: int
    is_admin: bool


class Profile(NamedTuple):
    """A person as others see them."""

    id: int
    username: str
    about_me: str
    created_at: datetime
    last_seen: datetime
    follower_count: int
    following_count: int
    post_count: int
    is_followed: bool


# Rows come from tables, not entities: see `post`.
_TABLE = cast(Table, User.__table__)
_USERS = _TABLE.c

_CREDENTIALS = select(*(_USERS[name] for name in Credentials._fields)).where(
    _USERS.username == bindparam("username")
)

_EPOCH = select(_USERS.login_epoch).where(_USERS.id == bindparam("user_id"))

_KEYS = {name: bindparam(name, type_=_USERS[name].type) for name in NameKeys._fields}
_IS_LIKE = or_(
    _USERS.username == bindparam("username"),
    *(_USERS[name] == key for name, key in _KEYS.items()),
)
_LIKE = select(_USERS.id).where(_IS_LIKE, _USERS.id != bindparam("but", type_=Id)).limit(1)
_ACCOUNT = select(_USERS.id, _USERS.email, _USERS.is_admin).where(
    _USERS.username == bindparam("username")
)
_IS_ADMIN = select(_USERS.is_admin).where(_USERS.id == bindparam("user_id"))
_BY_EMAIL = select(_USERS.id).where(_USERS.email == bindparam("email"))

# It sets the columns that are passed as parameters.
_UPDATE = update(_TABLE).where(_USERS.id == bindparam("changed_id"))


def _unless_kept(column: Column[Any]) -> Any:
    # A person who keeps a name also keeps what says that somebody else has one like it.
    is_kept = _USERS.username == bindparam("new_username", type_=_USERS.username.type)
    new = bindparam(f"new_{column.name}", type_=column.type)
    return case((is_kept, column), else_=new)


_RENAME = _UPDATE.values(
    username=bindparam("new_username"),
    skeleton=_unless_kept(_USERS.skeleton),
    folded_skeleton=_unless_kept(_USERS.folded_skeleton),
)

_REHASH = _UPDATE.where(_USERS.password_hash == bindparam("old_hash"))

_FOLLOW = insert(followers)
_UNFOLLOW = delete(followers).where(
    followers.c.follower_id == bindparam("who", type_=Id),
    followers.c.followed_id == bindparam("whom", type_=Id),
)

_FOLLOWED = followers.alias()


def _number(condition: ColumnElement[bool], name: str) -> Label[int]:
    counted = select(func.count()).where(condition).correlate(_TABLE)
    return counted.scalar_subquery().label(name)


PROFILES = select(
    _USERS.id,
    _USERS.username,
    _USERS.about_me,
    _USERS.created_at,
    _USERS.last_seen,
    _number(followers.c.followed_id == _USERS.id, "follower_count"),
    _number(_FOLLOWED.c.follower_id == _USERS.id, "following_count"),
    _number(Post.__table__.c.user_id == _USERS.id, "post_count"),
    exists()
    .where(followers.c.followed_id == _USERS.id, followers.c.follower_id == bindparam("viewer_id"))
    .correlate(_TABLE)
    .label("is_followed"),
)

_PROFILE_BY_NAME = PROFILES.where(_USERS.username == bindparam("wanted"))
_PROFILE_BY_ID = PROFILES.where(_USERS.id == bindparam("wanted"))


async def find_credentials(source: Source, username: str) -> Credentials | None:
    """What to check a login as `username` against; None for an unknown or impossible name."""
    if not is_storable(username):
        return None
    rows = await source.read(_CREDENTIALS, username=username)
    return Credentials._make(rows[0]) if rows else None


async def find_login_epoch(source: Source, user_id: int) -> int | None:
    """How often the logins of a person were ended; None if the person is gone."""
    rows = await source.read(_EPOCH, user_id=user_id)
    return rows[0][0] if rows else None


async def find_profile(source: Source, key: str | int, viewer_id: int | None = None) -> Profile:
    """The profile for a username or an id, as `viewer_id` sees it. Raises NotFoundError."""
    if isinstance(key, str) and is_storable(key):
        statement = _PROFILE_BY_NAME
    elif isinstance(key, int) and 0 < key <= MAX_ID:
        statement = _PROFILE_BY_ID
    else:
        raise NotFoundError("There is no such user.")
    rows = await source.read(statement, viewer_id=viewer_id or 0, wanted=key)
    if not rows:
        raise NotFoundError("There is no such user.")
    return Profile._make(rows[0])


async def is_username_taken(source: Source, username: str, but: int = 0) -> bool:
    """Whether somebody else than the person `but` has this name, or one that looks like it.

    A courtesy check, as `is_email_taken`: a concurrent request may take the name afterwards.
    """
    keys = keys_of(username)._asdict()
    return bool(await source.read(_LIKE, username=username, but=but, **keys))


async def is_email_taken(source: Source, email: str) -> bool:
    return bool(await source.read(_BY_EMAIL, email=email))


async def find_account(source: Source, username: str) -> tuple[int, str, bool] | None:
    """The id, the email address and whether an administrator's, of exactly this name."""
    rows = await source.read(_ACCOUNT, username=username)
    return (int(rows[0][0]), str(rows[0][1]), bool(rows[0][2])) if rows else None


async def add_admin(session: AsyncSession, user_id: int) -> None:
    """Make somebody an administrator, in the session's transaction; the caller commits."""
    await session.execute(update(_TABLE).where(_USERS.id == user_id).values(is_admin=True))


async def is_administrator(source: Source, user_id: int) -> bool:
    return await source.read(_IS_ADMIN, user_id=user_id) == [(True,)]


async def add_user(
    session: AsyncSession, username: str, email: str, password_hash: str, *, is_admin: bool = False
) -> User:
    """Add a person and commit. Raises UsernameTakenError or EmailTakenError after a rollback."""
    user = await insert_user(session, username, email, password_hash, is_admin=is_admin)
    await session.commit()
    return user


async def insert_user(
    session: AsyncSession, username: str, email: str, password_hash: str, *, is_admin: bool = False
) -> User:
    """As `add_user`, in the session's transaction; the caller commits."""
    user = User(
        username=username,
        email=email,
        password_hash=password_hash,
        is_admin=is_admin,
        **keys_of(username)._asdict(),
    )
    session.add(user)
    async with one_of_a_kind(session):
        await session.flush()
    return user


async def update_user(source: Source, user_id: int, **values: Any) -> None:
    """Change columns of a person in one statement and commit.

    Raises UsernameTakenError or EmailTakenError after a rollback, also for a request that loses a
    race for a name, which no check beforehand can detect.
    """
    statement = _UPDATE
    if "username" in values:
        name = values.pop("username")
        keys = {f"new_{key}": text for key, text in keys_of(name)._asdict().items()}
        statement, values = _RENAME, {**values, **keys, "new_username": name}
    with _conflicts():
        await source.write(statement, changed_id=user_id, **values)


async def replace_password_hash(source: Source, user_id: int, old_hash: str, new_hash: str) -> None:
    """Store another hash of the same password and commit; does nothing if it was changed."""
    await source.write(_REHASH, changed_id=user_id, old_hash=old_hash, password_hash=new_hash)


async def add_owned(
    source: Source, table: Table, user_id: int, login_epoch: int, before: Step, **values: Any
) -> bool:
    """Execute `before`, add a row that lets in as a person, such as a login, and commit.

    False if the person is gone, or their logins were ended since their `login_epoch` was read, or
    the row is there already. So what was got with the old password never outlives a change of the
    password, however the two overlap.
    """
    values |= {"owner_id": user_id, "owner_epoch": login_epoch}
    _, number = await source.write_all(before, (_add_owned(table, source.is_sqlite), values))
    return number > 0


@cache
def _add_owned(table: Table, for_sqlite: bool) -> Any:
    columns = [column for column in table.columns if column.name not in {"id", "user_id"}]
    values = [bindparam(column.name, type_=column.type) for column in columns]
    is_same = _USERS.login_epoch == bindparam("owner_epoch")
    owner = select(_USERS.id, *values).where(_USERS.id == bindparam("owner_id"), is_same)
    # PostgreSQL then waits for a transaction that ends logins, and sees the new epoch; SQLite has
    # one writer at a time.
    adding = dialect.insert(table, for_sqlite).from_select(
        ["user_id", *(column.name for column in columns)], owner.with_for_update(read=True)
    )
    return adding.on_conflict_do_nothing()


_CONFLICTS: dict[str, type[ConflictError]] = {
    "username": UsernameTakenError,
    "skeleton": UsernameTakenError,
    "folded_skeleton": UsernameTakenError,
    "email": EmailTakenError,
}


@asynccontextmanager
async def one_of_a_kind(session: AsyncSession) -> AsyncIterator[None]:
    """Raise UsernameTakenError or EmailTakenError for a unique index, after a rollback."""
    try:
        with _conflicts():
            yield
    except (ConflictError, IntegrityError):
        await session.rollback()
        raise


@contextmanager
def _conflicts() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        # SQLite names the column, PostgreSQL the constraint. Only the first line is read, because
        # the driver's DETAIL below it repeats what the person typed.
        what = str(error.orig).partition("\n")[0]
        for column, conflict in _CONFLICTS.items():
            if f"users.{column}" in what or f"_users_{column}" in what:
                raise conflict from error
        raise


async def follow(source: Source, follower_id: int, followed_id: int) -> bool:
    """Follow a person and commit; False if they were followed already, or are gone."""
    try:
        await source.write(_FOLLOW, follower_id=follower_id, followed_id=followed_id)
    except IntegrityError:
        return False
    return True


async def unfollow(source: Source, follower_id: int, followed_id: int) -> bool:
    """Stop following a person and commit; False if they were not followed."""
    return await source.write(_UNFOLLOW, who=follower_id, whom=followed_id) > 0
