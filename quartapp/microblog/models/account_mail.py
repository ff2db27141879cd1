"""Mails to people about their accounts, until they are sent."""

from enum import StrEnum

from sqlalchemy import ForeignKey, String, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from quartapp.database.dialect import database_now
from quartapp.database.types import Id
from quartapp.mail.outbox import OutboxRow
from quartapp.microblog.models.base import Base
from quartapp.microblog.models.user import EMAIL_LENGTH, USERNAME_LENGTH

VOID = "void"
"""The state of a mail that will not be sent: nobody has the address, or the account is gone."""

_KEPT = 7 * 86_400.0
"""Seconds for which a mail that is sent or void is kept, to answer questions."""


class MailKind(StrEnum):
    """What a mail is about. The values are stored, so they do not change."""

    RESET = "reset"
    CONFIRM = "confirm"
    CHANGE = "change"
    EMAIL_CHANGED = "email-changed"
    PASSWORD_CHANGED = "password-changed"
    DELETED = "deleted"
    GUESSING = "guessing"


class AccountMail(OutboxRow, Base):
    """A mail in the outbox. It holds no link: that is signed when the mail is sent.

    A RESET has no `user_id`: who has the address is found out when it is sent, so that asking
    for it is the same for every address.
    """

    __tablename__ = "account_mails"

    kind: Mapped[str] = mapped_column(String(20))
    user_id: Mapped[int | None] = mapped_column(
        Id, ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    recipient: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    username: Mapped[str] = mapped_column(String(USERNAME_LENGTH))


async def queue_mail(
    session: AsyncSession,
    kind: MailKind,
    recipient: str,
    *,
    user_id: int | None = None,
    username: str = "",
) -> None:
    """Queue a mail in the session's transaction; the caller commits.

    Without a `user_id` the mail survives the account.
    """
    now = await database_now(session)
    mail = AccountMail(
        kind=kind,
        recipient=recipient,
        user_id=user_id,
        username=username,
        created_at=now,
        due_at=now,
    )
    session.add(mail)


async def was_queued_lately(
    session: AsyncSession, kind: MailKind, user_id: int, seconds: float
) -> bool:
    """Whether a person was sent a mail of this kind within the last seconds."""
    since = await database_now(session) - seconds
    query = select(AccountMail.id).where(
        AccountMail.user_id == user_id, AccountMail.kind == kind, AccountMail.created_at > since
    )
    return await session.scalar(query.limit(1)) is not None


async def drop_mails(session: AsyncSession, kind: MailKind, user_id: int) -> None:
    """Delete a person's mails of a kind, also those that wait; the caller commits."""
    mine = (AccountMail.user_id == user_id, AccountMail.kind == kind)
    await session.execute(delete(AccountMail).where(*mine))


async def prune_mails(session: AsyncSession, now: float) -> None:
    """Delete what was sent or void a week ago; the caller commits."""
    await session.execute(delete(AccountMail).where(AccountMail.sent_at < now - _KEPT))
