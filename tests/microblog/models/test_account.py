"""Changes of accounts, on both engines: of two that overlap one wins."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select, update

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.exceptions import EmailTakenError
from quartapp.microblog.models import AccountMail, Post, User, followers
from quartapp.microblog.models.account import (
    change_email,
    confirm_email,
    delete_account,
    find_account,
    register,
    set_password,
)
from quartapp.microblog.models.account_mail import MailKind, prune_mails, queue_mail
from quartapp.microblog.models.post import add_post, add_post_once
from quartapp.microblog.models.user import follow
from quartapp.microblog.testing import AddPerson


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_of_two_changes_of_a_password_one_wins(app: App, add_person: AddPerson) -> None:
    susan = await add_person("susan")
    database = app.extensions["database"]
    async with database.session() as session:
        account = await find_account(session, susan.id)
    assert account

    async def change(password_hash: str) -> bool:
        async with database.begin() as session:
            return await set_password(session, account, password_hash)

    assert sorted(await asyncio.gather(*map(change, ("one", "two", "three")))) == [
        *(False, False, True)
    ]


async def test_an_address_is_changed_or_confirmed_only_if_it_is_still_the_same(
    add_person: AddPerson, session: Session
) -> None:
    susan = await add_person("susan")
    await add_person("john")
    account = await find_account(session, susan.id)
    assert account
    with pytest.raises(EmailTakenError):
        await change_email(session, account, "john@example.com", is_confirmed=True)
    assert await confirm_email(session, susan.id, "susan@example.com")
    assert await change_email(session, account, "sue@example.com", is_confirmed=False)
    assert not await change_email(session, account, "other@example.com", is_confirmed=True)
    assert not await confirm_email(session, susan.id, "susan@example.com")
    await session.commit()
    changed = await find_account(session, susan.id)
    assert changed
    assert (changed.email, changed.email_confirmed_at) == ("sue@example.com", None)


@pytest.mark.slow
async def test_posts_of_deleted_people_are_kept_together(
    app: App, add_person: AddPerson, session: Session
) -> None:
    people = [await add_person(name) for name in ("susan", "john", "mary")]
    for person in people:
        await add_post_once(session, person.id, "Hello", "the same key")
    await follow(session, people[0].id, people[1].id)
    for person, keep in zip(people[:2], (True, True), strict=True):
        account = await find_account(session, person.id)
        assert account
        assert await delete_account(session, account, keep_posts=keep)
        assert not await delete_account(session, account, keep_posts=keep)
        await session.commit()
    rows = select(User.username, func.count(Post.id)).join(Post).group_by(User.username)
    counted: Any = {tuple(row) for row in await session.execute(rows)}
    assert counted == {("deleted", 2), ("mary", 1)}
    assert await session.scalar(select(func.count()).select_from(followers)) == 0


async def test_the_name_of_the_deleted_may_be_somebodys(
    add_person: AddPerson, session: Session
) -> None:
    owner, susan = await add_person("deleted"), await add_person("susan")
    post = await add_post(session, susan.id, "Hello")
    account = await find_account(session, susan.id)
    assert account
    await delete_account(session, account, keep_posts=True)
    await session.commit()
    query = select(User.username).join(Post).where(Post.id == post.id, User.id != owner.id)
    assert (await session.scalar(query) or "").startswith("deleted-")


async def test_a_registration_and_its_mail_are_one(session: Session) -> None:
    user_id = await register(session, "susan", "s@example.com", "", confirms=True)
    await session.commit()
    with pytest.raises(EmailTakenError):
        await register(session, "sue", "s@example.com", "", confirms=True)
    mails = select(AccountMail.kind, AccountMail.user_id, AccountMail.recipient)
    rows = [tuple(row) for row in await session.execute(mails)]
    assert rows == [("confirm", user_id, "s@example.com")]


async def test_mails_go_with_their_account_and_old_ones_are_deleted(
    add_person: AddPerson, session: Session
) -> None:
    susan = await add_person("susan")
    for kind, user_id in ((MailKind.CONFIRM, susan.id), (MailKind.DELETED, None)):
        await queue_mail(session, kind, "susan@example.com", user_id=user_id)
    await session.commit()
    account = await find_account(session, susan.id)
    assert account
    await delete_account(session, account, keep_posts=False)
    await session.commit()
    assert list(await session.scalars(select(AccountMail.kind))) == ["deleted"]
    await session.execute(update(AccountMail).values(sent_at=1_000.0))
    for days, left in ((6, 1), (8, 0)):
        await prune_mails(session, 1_000.0 + days * 86_400)
        assert await session.scalar(select(func.count(AccountMail.id))) == left
