"""Changes of an account that its owner alone may make.

Each is one statement that names the state which was checked, so of two that overlap one fails.
"""

import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import CursorResult, Table, bindparam, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Source, dialect
from quartapp.database.types import Id
from quartapp.microblog.models.account_mail import MailKind, drop_mails, queue_mail
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.login import end_logins
from quartapp.microblog.models.post import Post
from quartapp.microblog.models.user import User, insert_user, one_of_a_kind

DELETED = "deleted"
"""The name under which posts of deleted accounts are kept."""

_DELETED_EMAIL = "deleted@account.invalid"  # RFC 6761: nobody can have it


class Account(NamedTuple):
    """What changes of an account are checked against."""

    id: int
    username: str
    email: str
    password_hash: str
    login_epoch: int
    email_confirmed_at: datetime | None


_TABLE = cast(Table, User.__table__)
_USERS = _TABLE.c
_ACCOUNTS = select(*(_USERS[name] for name in Account._fields))
_ONE = _ACCOUNTS.where(_USERS.id == bindparam("user_id", type_=Id))


async def find_account(source: Source, user_id: int) -> Account | None:
    """The account with this id, which may be gone."""
    rows = await source.read(_ONE, user_id=user_id)
    return Account._make(rows[0]) if rows else None


async def find_accounts(
    session: AsyncSession, ids: Collection[int], emails: Collection[str]
) -> list[Account]:
    """The accounts that have one of these ids or addresses."""
    wanted = or_(_USERS.id.in_(ids), _USERS.email.in_(emails))
    return [Account(*row) for row in await session.execute(_ACCOUNTS.where(wanted))]


async def register(
    session: AsyncSession, username: str, email: str, password_hash: str, *, confirms: bool
) -> int:
    """Add a person, and return their id; the caller commits.

    With `confirms` their address gets a mail. Raises UsernameTakenError or EmailTakenError after a
    rollback.
    """
    user = await insert_user(session, username, email, password_hash)
    if confirms:
        await queue_mail(session, MailKind.CONFIRM, email, user_id=user.id)
    return user.id


async def set_password(
    session: AsyncSession, account: Account, password_hash: str, *, but: int | None = None
) -> bool:
    """Set a password and end all logins and tokens, except the login `but`; the caller commits.

    False if its logins were ended meanwhile, as by another change, or the account is gone. (The
    hash is no sign of that: a login may replace it by a stronger one.)
    """
    changed = await _change(
        session,
        account.id,
        _USERS.login_epoch == account.login_epoch,
        password_hash=password_hash,
    )
    if changed:
        await end_logins(session, account.id, but=but, tokens=True)
        # Somebody who knew the old password may have asked for it.
        await drop_mails(session, MailKind.CHANGE, account.id)
    return changed


async def confirm_email(session: AsyncSession, user_id: int, email: str) -> bool:
    """Note that a person has the mailbox of this address; the caller commits.

    False if the account has another address meanwhile, or is gone.
    """
    confirmed_at = func.coalesce(_USERS.email_confirmed_at, utc_now())
    return await _change(session, user_id, _USERS.email == email, email_confirmed_at=confirmed_at)


async def change_email(
    session: AsyncSession, account: Account, email: str, *, is_confirmed: bool
) -> bool:
    """Change the address; the caller commits.

    False if the account has another one or another password meanwhile, or is gone. Raises
    EmailTakenError after a rollback.
    """
    async with one_of_a_kind(session):
        return await _change(
            session,
            account.id,
            (_USERS.email == account.email) & (_USERS.login_epoch == account.login_epoch),
            email=email,
            email_confirmed_at=utc_now() if is_confirmed else None,
        )


async def delete_account(session: AsyncSession, account: Account, *, keep_posts: bool) -> bool:
    """Delete a person with all that is theirs; the caller commits. False if they are gone.

    With `keep_posts` their posts remain under the name DELETED, together with those of others.
    """
    if keep_posts:
        statement = update(Post).where(Post.user_id == account.id)
        # Without the digest: two people may have sent the same text with the same key.
        heir = await _deleted_person(session)
        await session.execute(statement.values(user_id=heir, form_digest=None))
    result = await session.execute(delete(_TABLE).where(_USERS.id == account.id))
    return cast("CursorResult[Any]", result).rowcount > 0


async def _deleted_person(session: AsyncSession) -> int:
    """The id of the person under whose name posts are kept; nobody can log in as them."""
    find = select(_USERS.id).where(_USERS.email == _DELETED_EMAIL)
    is_taken = await session.scalar(select(_USERS.id).where(_USERS.username == DELETED))
    insert = dialect.insert(_TABLE, dialect.is_sqlite(session)).on_conflict_do_nothing()
    found: int | None = await session.scalar(find)
    if found is None:
        # Somebody may have had the name before it was reserved.
        name = f"{DELETED}-{secrets.token_hex(3)}" if is_taken else DELETED
        values = {"username": name, "email": _DELETED_EMAIL, "password_hash": ""}
        await session.execute(insert.values(values))
        found = (await session.execute(find)).scalar_one()
    return found


async def _change(session: AsyncSession, user_id: int, unchanged: Any, **values: Any) -> bool:
    statement = update(_TABLE).where(_USERS.id == user_id, unchanged).values(**values)
    return cast("CursorResult[Any]", await session.execute(statement)).rowcount > 0
