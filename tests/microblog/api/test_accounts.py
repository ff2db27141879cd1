"""Programs and the account: a token alone changes no address."""

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.config import Settings
from quartapp.microblog.models import User
from quartapp.microblog.testing import PASSWORD
from quartapp.testing.mail import MailServer
from tests.microblog.accounts_mailed import link_in, mailed
from tests.microblog.api.conftest import Caller

NEW = {"email": "sue@example.com"}


@pytest.fixture
def settings(
    settings: Settings, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return mailed(settings, mail_server, monkeypatch)


@pytest.mark.slow
async def test_a_token_alone_does_not_change_the_address(
    app: App, susan: Caller, mail_server: MailServer, session: AsyncSession
) -> None:
    path = f"/api/users/{susan.id}"
    for more, message in (
        ({}, "Please send your password"),
        ({"password": "wrong"}, "This is not your password."),
    ):
        answer = await susan("PUT", path, NEW | more)
        assert answer.status == 422
        assert message in answer.fields["password"]
    # One's own address again is no change.
    assert (await susan("PUT", path, {"email": "susan@example.com"})).status == 200
    assert await app.extensions["accounts"].mailer.send_due() == 0
    answer = await susan("PUT", path, NEW | {"password": PASSWORD, "about_me": "New"})
    assert (answer.status, answer.json["email"]) == (200, "susan@example.com")
    assert answer.json["about_me"] == "New"
    assert await app.extensions["accounts"].mailer.send_due() == 1
    assert mail_server.mails[-1].recipients == ("sue@example.com",)
    assert link_in(mail_server).startswith("/change_email/")
    assert await session.scalar(select(User.email)) == "susan@example.com"


async def test_without_mails_the_password_is_enough(app: App, susan: Caller) -> None:
    app.extensions["accounts"].mailer = None
    answer = await susan("PUT", f"/api/users/{susan.id}", NEW | {"password": PASSWORD})
    assert (answer.status, answer.json["email"]) == (200, "sue@example.com")


async def test_where_it_is_required_only_the_confirmed_write(
    app: App, susan: Caller, session: AsyncSession
) -> None:
    app.extensions["accounts"].confirmation = "required"
    assert (await susan("GET", "/api/posts")).status == 200
    answer = await susan("POST", "/api/posts", {"body": "Hello"})
    assert (answer.status, answer.problem["code"]) == (403, "email-unconfirmed")
    path = f"/api/users/{susan.id}"
    assert (await susan("PUT", path, {"about_me": "Hello"})).status == 403
    assert (await susan("PUT", path, NEW | {"password": PASSWORD})).status == 200
    person = await session.get_one(User, susan.id)
    person.email_confirmed_at = person.created_at
    await session.commit()
    assert (await susan("POST", "/api/posts", {"body": "Hello"})).status == 201
    assert (await susan("DELETE", "/api/tokens")).status == 204


@pytest.mark.slow
async def test_a_registration_is_asked_to_confirm(
    app: App, nobody: Caller, mail_server: MailServer
) -> None:
    person = {"username": "mary", "email": "mary@example.com", "password": "a-good-one"}
    assert (await nobody("POST", "/api/users", person)).status == 201
    assert await app.extensions["accounts"].mailer.send_due() == 1
    assert link_in(mail_server).startswith("/confirm_email/")
