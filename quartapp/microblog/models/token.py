"""Tokens with which programs call the API."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ForeignKey, String, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database.types import Id, UTCDateTime
from quartapp.microblog.exceptions import InvalidTokenError
from quartapp.microblog.models.base import Base, utc_now

TOKEN_LIFE = timedelta(hours=24)
"""From its issue to its end: a lost token is worth little, and a script asks once a day."""


class ApiToken(Base):
    """A token of one person. Only its SHA-256 is kept: who reads the table can call nothing."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class IssuedToken(NamedTuple):
    """A new token, the only time that it is seen."""

    token: str
    expires_at: datetime


_TOKENS = ApiToken.__table__.c
_OWNER = select(_TOKENS.user_id).where(
    _TOKENS.digest == bindparam("digest"), _TOKENS.expires_at > bindparam("now")
)


async def issue_token(session: AsyncSession, user_id: int) -> IssuedToken:
    """Make a token that is valid for TOKEN_LIFE, drop everybody's expired ones, and commit."""
    now = utc_now()
    issued = IssuedToken(secrets.token_urlsafe(32), now + TOKEN_LIFE)
    await session.execute(delete(ApiToken).where(ApiToken.expires_at <= now))
    session.add(
        ApiToken(
            digest=_digest(issued.token),
            user_id=user_id,
            created_at=now,
            expires_at=issued.expires_at,
        )
    )
    await session.commit()
    return issued


async def find_token_owner(session: AsyncSession, token: str) -> int:
    """The id of the person whose token this is. Raises InvalidTokenError.

    The time that a comparison takes tells nothing: it is made between digests, and nobody can
    choose how a digest begins.
    """
    values = {"digest": _digest(token), "now": utc_now()}
    user_id: int | None = await session.scalar(_OWNER, values)
    if user_id is None:
        raise InvalidTokenError
    return user_id


async def revoke_token(session: AsyncSession, token: str) -> None:
    """Make a token worthless and commit; one that was so already stays so."""
    await session.execute(delete(ApiToken).where(ApiToken.digest == _digest(token)))
    await session.commit()


def _digest(token: str) -> str:
    # A token has 256 bits of chance: a plain hash is enough, where a password needs a slow one.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
