"""Logins of people, found by their login cookies (docs/decisions/0113).

A cookie contains a random secret, and the table its SHA-256. Deleting the row ends the login for
all copies of its cookie.
"""

from datetime import datetime, timedelta
from typing import NamedTuple, cast

from sqlalchemy import (
    Boolean,
    ForeignKey,
    Index,
    String,
    Table,
    bindparam,
    case,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database import Source
from quartapp.database.types import MAX_ID, Id, UTCDateTime
from quartapp.microblog.models.base import Base, utc_now
from quartapp.microblog.models.paging import Page, PageRequest, Pages
from quartapp.microblog.models.token import revoke_tokens
from quartapp.microblog.models.user import User, add_owned

LOGIN_LIFE = timedelta(days=30)
"""The longest life of a login, from the moment when the password was entered."""

LOGIN_IDLE = timedelta(hours=12)
"""The life of a login that is not remembered, from its last request."""

ADDRESS_LENGTH = 45
USER_AGENT_LENGTH = 250

_PRUNED = 100
"""The most expired logins that a new one deletes, so that its work is bounded."""

# A login from the future was created before the clock was set back; it must not last for years.
_CLOCKS_DIFFER = timedelta(days=1)


class Login(Base):
    """A login of a person in a browser."""

    __tablename__ = "logins"
    __table_args__ = (Index("ix_logins_user_id_id", "user_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_seen: Mapped[datetime] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    remembered: Mapped[bool] = mapped_column(Boolean)
    address: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    user_agent: Mapped[str] = mapped_column(String(USER_AGENT_LENGTH))


class Device(NamedTuple):
    """The sender of a request: its address, and the user agent that it claims."""

    address: str
    user_agent: str


class Person(NamedTuple):
    """The data that each request has of the logged-in person and of the login."""

    id: int
    username: str
    is_admin: bool
    login_id: int
    last_seen: datetime
    is_confirmed: bool
    about_me: str


class LoginRow(NamedTuple):
    """A login as its owner sees it."""

    id: int
    created_at: datetime
    last_seen: datetime
    expires_at: datetime
    remembered: bool
    address: str
    user_agent: str


_TABLE = cast(Table, Login.__table__)
_LOGINS = _TABLE.c
_PEOPLE = cast(Table, User.__table__)
_USERS = _PEOPLE.c
_OWNER = bindparam("owner_id", type_=Id)
_IDLE_UNTIL = bindparam("idle_until", type_=UTCDateTime)

_IS_LIVE = (
    _LOGINS.expires_at > bindparam("now"),
    _LOGINS.created_at.between(bindparam("oldest"), bindparam("newest")),
)

_PERSON = (
    select(
        _USERS.id,
        _USERS.username,
        _USERS.is_admin,
        _LOGINS.id,
        _LOGINS.last_seen,
        _USERS.email_confirmed_at.is_not(None),
        _USERS.about_me,
    )
    .join(_PEOPLE, _USERS.id == _LOGINS.user_id)
    .where(_LOGINS.digest == bindparam("digest"), *_IS_LIVE)
)

_ROWS = select(*(_LOGINS[name] for name in LoginRow._fields)).where(
    _LOGINS.user_id == _OWNER, *_IS_LIVE
)
_IS_ONE = _LOGINS.id == bindparam("login_id", type_=Id)
_IS_OTHER = _LOGINS.id != bindparam("but", type_=Id)
_ONE = _ROWS.where(_IS_ONE)
_OTHERS = Pages(_ROWS.where(_IS_OTHER), _LOGINS.id)

_EXPIRED = delete(_TABLE).where(
    _LOGINS.id.in_(
        select(_LOGINS.id)
        .where(_LOGINS.expires_at <= bindparam("now"))
        .order_by(_LOGINS.expires_at)
        .limit(_PRUNED)
    )
)

_SEEN_PERSON = update(_PEOPLE).where(_USERS.id == _OWNER).values(last_seen=bindparam("now"))
_SEEN_LOGIN = (
    update(_TABLE)
    .where(_IS_ONE)
    .values(
        last_seen=bindparam("now"),
        expires_at=case((_LOGINS.remembered, _LOGINS.expires_at), else_=_IDLE_UNTIL),
        address=bindparam("from_address"),
        user_agent=bindparam("with_user_agent"),
    )
)

_COUNT_UP = update(_PEOPLE).where(_USERS.id == _OWNER).values(login_epoch=_USERS.login_epoch + 1)
_END = delete(_TABLE).where(_LOGINS.user_id == _OWNER)
_END_ONE = _END.where(_IS_ONE)
_END_OTHERS = _END.where(_IS_OTHER)


async def find_person(source: Source, digest: str) -> Person | None:
    """The person of a login that has not ended; None otherwise. Executes one statement."""
    rows = await source.read(_PERSON, digest=digest, **_today())
    return Person._make(rows[0]) if rows else None


async def start_login(
    source: Source,
    user_id: int,
    login_epoch: int,
    digest: str,
    device: Device,
    *,
    remembered: bool,
    since: datetime | None = None,
) -> bool:
    """Add a login, delete some expired ones, and commit. Returns what `add_owned` returns.

    `since` is when the password was entered; None means now.
    """
    now = utc_now()
    since = since or now
    return await add_owned(
        source,
        _TABLE,
        user_id,
        login_epoch,
        (_EXPIRED, {"now": now}),
        digest=digest,
        created_at=since,
        last_seen=now,
        expires_at=since + LOGIN_LIFE if remembered else now + LOGIN_IDLE,
        remembered=remembered,
        address=device.address[:ADDRESS_LENGTH],
        user_agent=device.user_agent[:USER_AGENT_LENGTH],
    )


async def record_presence(source: Source, person: Person, device: Device) -> None:
    """Store that a person and this login were seen now, and commit."""
    now = utc_now()
    values = {
        "login_id": person.login_id,
        "now": now,
        "idle_until": now + LOGIN_IDLE,
        "from_address": device.address[:ADDRESS_LENGTH],
        "with_user_agent": device.user_agent[:USER_AGENT_LENGTH],
    }
    await source.write_all(
        (_SEEN_PERSON, {"owner_id": person.id, "now": now}), (_SEEN_LOGIN, values)
    )


async def end_logins(
    session: AsyncSession, user_id: int, *, but: int | None = None, tokens: bool = False
) -> None:
    """End all logins of a person, in the session's transaction; the caller commits.

    The login with the id `but` stays. With `tokens` the API tokens end too. The epoch is counted up
    first, which refuses logins whose password is being checked now, and cookies of the previous
    version.
    """
    await session.execute(_COUNT_UP, {"owner_id": user_id})
    # No login has the id 0.
    await session.execute(_END_OTHERS, {"owner_id": user_id, "but": but or 0})
    if tokens:
        await revoke_tokens(session, user_id)


async def end_login(source: Source, user_id: int, login_id: int) -> bool:
    """End one login of a person, like `end_logins`, and commit; False if there is none."""
    if not 0 < login_id <= MAX_ID:
        return False
    end_one = (_END_ONE, {"owner_id": user_id, "login_id": login_id})
    _, number = await source.write_all((_COUNT_UP, {"owner_id": user_id}), end_one)
    return number > 0


async def find_login(source: Source, user_id: int, login_id: int) -> LoginRow | None:
    """One login of a person; None if it has ended."""
    rows = await source.read(_ONE, owner_id=user_id, login_id=login_id, **_today())
    return LoginRow._make(rows[0]) if rows else None


async def other_logins(
    source: Source, user_id: int, but: int, wanted: PageRequest
) -> Page[LoginRow]:
    """The logins of a person except the one with the id `but`, newest first."""
    rows = await _OTHERS.find(source, wanted, owner_id=user_id, but=but, **_today())
    return wanted.collect([LoginRow._make(row) for row in rows])


def _today() -> dict[str, datetime]:
    now = utc_now()
    return {"now": now, "oldest": now - LOGIN_LIFE, "newest": now + _CLOCKS_DIFFER}
