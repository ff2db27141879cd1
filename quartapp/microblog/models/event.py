"""Security events of accounts: logins, changes, tokens."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, cast

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database import Source
from quartapp.database.types import Id, UTCDateTime
from quartapp.microblog.models.base import Base, utc_now

EVENT_LIFE = timedelta(days=90)
"""The time for which events are kept; then `prune_events` deletes them."""

ADDRESS_LENGTH = 64
AGENT_LENGTH = 200
DETAIL_LENGTH = 200

MOST_SHOWN = 50


class EventKind(StrEnum):
    """The kinds of events. The values are stored, so they must not change."""

    REGISTERED = "registered"
    LOGIN = "login"
    LOGIN_FAILED = "login-failed"
    LOGIN_THROTTLED = "login-throttled"
    LOGOUT = "logout"
    LOGIN_ENDED = "login-ended"
    PASSWORD_CHANGED = "password-changed"
    PASSWORD_RESET_REQUESTED = "password-reset-requested"
    PASSWORD_RESET = "password-reset"
    EMAIL_CHANGE_REQUESTED = "email-change-requested"
    EMAIL_CHANGED = "email-changed"
    EMAIL_CONFIRMED = "email-confirmed"
    USERNAME_CHANGED = "username-changed"
    ACCOUNT_DELETED = "account-deleted"
    PROMOTED = "promoted"
    ERROR_ACT = "error-act"
    TOKEN_ISSUED = "token-issued"
    TOKEN_USED = "token-used"
    TOKEN_REVOKED = "token-revoked"


EVENT_TEXTS: dict[str, str] = {
    EventKind.REGISTERED: "The account was registered",
    EventKind.LOGIN: "Logged in",
    EventKind.LOGIN_FAILED: "A wrong password was given",
    EventKind.LOGIN_THROTTLED: "Too many wrong passwords: logins were refused",
    EventKind.LOGOUT: "Logged out",
    EventKind.LOGIN_ENDED: "A login was ended",
    EventKind.PASSWORD_CHANGED: "The password was changed",
    EventKind.PASSWORD_RESET_REQUESTED: "A mail to reset the password was requested",
    EventKind.PASSWORD_RESET: "The password was reset by mail",
    EventKind.EMAIL_CHANGE_REQUESTED: "A change of the email address was requested",
    EventKind.EMAIL_CHANGED: "The email address was changed",
    EventKind.EMAIL_CONFIRMED: "The email address was confirmed",
    EventKind.USERNAME_CHANGED: "The username was changed",
    EventKind.ACCOUNT_DELETED: "The account was deleted",
    EventKind.PROMOTED: "The account became that of an administrator",
    EventKind.ERROR_ACT: "Something was done about an error of the site",
    EventKind.TOKEN_ISSUED: "A token of the API was issued",
    EventKind.TOKEN_USED: "A token of the API was used from a new address",
    EventKind.TOKEN_REVOKED: "A token of the API was revoked",
}
"""The kinds as sentences, for the owner of the account."""


class SecurityEvent(Base):
    """An event, with the sender of the request that caused it.

    It remains without the person when the account is deleted. It contains nothing that was typed.
    """

    __tablename__ = "security_events"
    __table_args__ = (Index("ix_security_events_user_id_at", "user_id", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    kind: Mapped[str] = mapped_column(String(32))
    user_id: Mapped[int | None] = mapped_column(Id, ForeignKey("users.id", ondelete="SET NULL"))
    address: Mapped[str] = mapped_column(String(ADDRESS_LENGTH))
    user_agent: Mapped[str] = mapped_column(String(AGENT_LENGTH))
    detail: Mapped[str] = mapped_column(String(DETAIL_LENGTH))


class NewEvent(NamedTuple):
    """An event to store; its texts fit into the columns."""

    at: datetime
    kind: str
    user_id: int | None
    address: str
    user_agent: str
    detail: str


class EventRow(NamedTuple):
    """An event as its person sees it."""

    at: datetime
    kind: str
    address: str
    user_agent: str
    detail: str


_TABLE = cast(Table, SecurityEvent.__table__)
_EVENTS = _TABLE.c

_INSERT = insert(_TABLE)

_OF_PERSON = (
    select(_EVENTS.at, _EVENTS.kind, _EVENTS.address, _EVENTS.user_agent, _EVENTS.detail)
    .where(_EVENTS.user_id == bindparam("user_id"))
    .order_by(_EVENTS.at.desc(), _EVENTS.id.desc())
    .limit(MOST_SHOWN)
)

_LAST_LOGIN = (
    select(func.max(_EVENTS.at))
    .where(_EVENTS.user_id == bindparam("user_id"), _EVENTS.kind == EventKind.LOGIN)
    .scalar_subquery()
)
_FAILURES = select(func.count()).where(
    _EVENTS.user_id == bindparam("user_id"),
    _EVENTS.kind == EventKind.LOGIN_FAILED,
    _EVENTS.at > func.coalesce(_LAST_LOGIN, bindparam("begin", type_=UTCDateTime)),
)


_OLD = delete(_TABLE).where(_EVENTS.at < bindparam("end", type_=UTCDateTime))


async def add_events(session: AsyncSession, events: Sequence[NewEvent]) -> None:
    """Store events and commit."""
    await session.execute(_INSERT, [event._asdict() for event in events])
    await session.commit()


async def events_of(source: Source, user_id: int) -> list[EventRow]:
    """The last MOST_SHOWN events of a person, newest first."""
    return [EventRow._make(row) for row in await source.read(_OF_PERSON, user_id=user_id)]


async def failures_since_login(source: Source, user_id: int) -> int:
    """The number of failed logins of a person since the last successful one."""
    [(number,)] = await source.read(_FAILURES, user_id=user_id, begin=utc_now() - EVENT_LIFE)
    return int(number)


async def prune_events(source: Source) -> int:
    """Delete the events older than EVENT_LIFE, and commit; returns their number."""
    return await source.write(_OLD, end=utc_now() - EVENT_LIFE)
