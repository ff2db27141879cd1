"""The pages of an account where no mail server is set."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.models import AccountMail, User
from quartapp.microblog.testing import PASSWORD, LogIn, create_tables
from quartapp.testing import Client
from tests.microblog.web.conftest import Submit, text_of


async def test_a_reset_says_whom_to_ask(app: App, client: Client) -> None:
    app.config["CONTACT"] = "help@blog.example"
    page = await text_of(await client.get("/reset_password_request"))
    assert "This site sends no mails" in page
    assert 'href="mailto:help@blog.example"' in page
    assert "<form" not in page
    answer = await client.post("/reset_password_request", form={"email": "a@b.example"})
    assert "This site sends no mails" in await text_of(answer)


async def test_an_address_changes_at_once(
    log_in: LogIn, submit: Submit, session: AsyncSession
) -> None:
    client = await log_in("susan")
    await submit(client, "/change_email", password=PASSWORD, email="sue@example.com")
    assert "Your email address is changed." in await text_of(await client.get("/"))
    assert await session.scalar(select(User.email)) == "sue@example.com"
    assert await session.scalar(select(func.count(AccountMail.id))) == 0
    assert "needs no confirmation" in await text_of(await client.get("/confirm_email"))


async def test_nobody_is_asked_to_confirm_what_cannot_be_confirmed(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"email_confirmation": "soft"}))
    assert app.extensions["accounts"].confirmation == "off"


async def test_a_start_without_an_address_for_links_warns(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    more = {"mail_server": "127.0.0.1", "admins": ("a@b.example",), "public_url": ""}
    app = create_app(settings.model_copy(update=more))
    await create_tables(app)
    async with app.test_app():
        assert any("set PUBLIC_URL" in line.getMessage() for line in caplog.records)
        assert not app.extensions["accounts"].can_mail
