"""Tokens by which programs call the API (docs/decisions/0017)."""

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
"""How long a token is valid: a lost one is soon worthless, and a script asks once a day."""


class ApiToken(Base):
    """A token of one person. Only its SHA-256 is stored, so the table gives access to nothing."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(Id, ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)


class IssuedToken(NamedTuple):
    """A new token, in plain text for the only time."""

    token: str
    expires_at: datetime


_TOKENS = ApiToken.__table__.c
_OWNER = select(_TOKENS.user_id).where(
    _TOKENS.digest == bindparam("digest"), _TOKENS.expires_at > bindparam("now")
)


async def issue_token(session: AsyncSession, user_id: int) -> IssuedToken:
    """Create a token that is valid for TOKEN_LIFE, delete all expired ones, and commit."""
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
    """The id of the token's owner. Raises InvalidTokenError.

    The duration of the lookup reveals nothing: it compares digests, and nobody can choose how a
    digest begins.
    """
    values = {"digest": _digest(token), "now": utc_now()}
    user_id: int | None = await session.scalar(_OWNER, values)
    if user_id is None:
        raise InvalidTokenError
    return user_id


async def revoke_token(session: AsyncSession, token: str) -> None:
    """Revoke a token and commit. An unknown token is not an error."""
    await session.execute(delete(ApiToken).where(ApiToken.digest == _digest(token)))
    await session.commit()


def _digest(token: str) -> str:
    # A token has 256 random bits, so a fast hash is enough; a password needs a slow one.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
