"""Tokens by which programs call the API (docs/decisions/0017)."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple, cast

from sqlalchemy import (
    ForeignKey,
    String,
    Table,
    bindparam,
    delete,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database import Source
from quartapp.database.types import MAX_ID, Id, UTCDateTime
from quartapp.microblog.exceptions import (
    InvalidCredentialsError,
    InvalidTokenError,
    NotFoundError,
)
from quartapp.microblog.models.base import Base, utc_now
from quartapp.microblog.models.paging import Page, PageRequest, Pages
from quartapp.microblog.models.user import User, add_owned

TOKEN_LIFE = timedelta(hours=24)
"""How long a token is valid: a lost one is soon worthless, and a script asks once a day."""

NAME_LENGTH = 64
SCOPE_LENGTH = 32

SCOPES = ("read", "write", "admin")
"""What a token may allow: to read, to change, and what only administrators may."""

DEFAULT_SCOPE = "read write"


class ApiToken(Base):
    """A token of one person. Only its SHA-256 is stored, so the table gives access to nothing."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), server_default="")
    # Some of SCOPES, separated by spaces.
    scope: Mapped[str] = mapped_column(String(SCOPE_LENGTH), server_default=DEFAULT_SCOPE)


class IssuedToken(NamedTuple):
    """A new token, in plain text for the only time."""

    token: str
    expires_at: datetime


class Grant(NamedTuple):
    """What a token allows: to act for a person, within a scope."""

    user_id: int
    scope: str
    is_confirmed: bool


class TokenRow(NamedTuple):
    """A token as its owner sees it."""

    id: int
    name: str
    scope: str
    created_at: datetime
    expires_at: datetime


_TABLE = cast(Table, ApiToken.__table__)
_TOKENS = _TABLE.c
_NOW = bindparam("now", type_=UTCDateTime)
_PEOPLE = cast(Table, User.__table__)
_IS_IT = _TOKENS.digest == bindparam("digest")
_IS_OF_OWNER = _TOKENS.user_id == bindparam("owner_id", type_=Id)

_GRANT = (
    select(_TOKENS.user_id, _TOKENS.scope, _PEOPLE.c.email_confirmed_at.is_not(None))
    .join_from(_TABLE, _PEOPLE, _TOKENS.user_id == _PEOPLE.c.id)
    .where(_IS_IT, _TOKENS.expires_at > _NOW)
)
_OF_ONE = Pages(
    select(*(_TOKENS[name] for name in TokenRow._fields)).where(
        _IS_OF_OWNER, _TOKENS.expires_at > _NOW
    ),
    _TOKENS.id,
)

_EXPIRED = delete(_TABLE).where(_TOKENS.expires_at <= _NOW)
_REVOKE = delete(_TABLE).where(_IS_IT)
_REVOKE_OWN = delete(_TABLE).where(_TOKENS.id == bindparam("token_id", type_=Id), _IS_OF_OWNER)
_REVOKE_ALL = delete(_TABLE).where(_IS_OF_OWNER)


async def issue_token(
    source: Source,
    user_id: int,
    login_epoch: int,
    *,
    name: str = "",
    scope: str = DEFAULT_SCOPE,
) -> IssuedToken:
    """Create a token that is valid for TOKEN_LIFE, delete all expired ones, and commit.

    Raises InvalidCredentialsError if the person's logins were ended since their `login_epoch` was
    read, together with the password.
    """
    now = utc_now()
    issued = IssuedToken(secrets.token_urlsafe(32), now + TOKEN_LIFE)
    is_added = await add_owned(
        source,
        _TABLE,
        user_id,
        login_epoch,
        (_EXPIRED, {"now": now}),
        digest=digest_of(issued.token),
        created_at=now,
        expires_at=issued.expires_at,
        name=name,
        scope=scope,
    )
    if not is_added:
        raise InvalidCredentialsError
    return issued


async def find_grant(source: Source, token: str) -> Grant:
    """Whose token it is, and what it allows. Raises InvalidTokenError.

    The duration of the lookup reveals nothing: it compares digests, and nobody can choose how a
    digest begins.
    """
    rows = await source.read(_GRANT, digest=digest_of(token), now=utc_now())
    if not rows:
        raise InvalidTokenError
    return Grant._make(rows[0])


async def tokens_of(source: Source, user_id: int, wanted: PageRequest) -> Page[TokenRow]:
    """The valid tokens of a person, newest first."""
    rows = await _OF_ONE.find(source, wanted, owner_id=user_id, now=utc_now())
    return wanted.collect([TokenRow._make(row) for row in rows])


async def revoke_token(source: Source, token: str) -> None:
    """Revoke a token and commit. An unknown token is not an error."""
    await source.write(_REVOKE, digest=digest_of(token))


async def revoke_own_token(source: Source, user_id: int, token_id: int) -> None:
    """Revoke a token of a person and commit. Raises NotFoundError, also for another's token."""
    is_id = token_id <= MAX_ID
    if not is_id or not await source.write(_REVOKE_OWN, token_id=token_id, owner_id=user_id):
        raise NotFoundError("There is no such token.")


async def revoke_tokens(session: AsyncSession, user_id: int) -> None:
    """Revoke all tokens of a person, in the session's transaction; the caller commits."""
    await session.execute(_REVOKE_ALL, {"owner_id": user_id})


def digest_of(secret: str) -> str:
    """What is stored instead of a random secret.

    A secret has 256 random bits, so a fast hash is enough; a password needs a slow one.
    """
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
