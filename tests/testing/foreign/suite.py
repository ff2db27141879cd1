"""The tests of that application: one for each guarantee of a fixture."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import pytest
from quart import Quart
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.reporting import Report
from quartapp.testing import Client, MailServer

THINGS = text("SELECT name FROM things")
ADD = text("INSERT INTO things VALUES (:name)")


@pytest.mark.parametrize("app", [App], indirect=True)
async def test_under_testing_a_client_raises_what_the_application_does_not_handle(
    app: App, client: Client
) -> None:
    app.testing = True
    with pytest.raises(LookupError, match="nothing here"):
        await client.get("/fail")


async def test_each_client_has_its_own_cookies(app: Quart, client: Client) -> None:
    await client.get("/cookie")
    assert [cookie.name for cookie in client.cookie_jar or ()] == ["flavour"]
    assert not list(app.test_client().cookie_jar or ())


@pytest.mark.parametrize("run", [1, 2])
async def test_each_test_has_an_empty_database(session: AsyncSession, run: int) -> None:
    assert (await session.execute(THINGS)).all() == []
    await session.execute(ADD, {"name": "kept"})
    await session.commit()


@pytest.fixture
async def ended(app: Quart) -> AsyncIterator[None]:
    """What a session has left open. Requested before `session`, so it ends after it."""
    yield
    database: DatabaseEngine = app.extensions["database"]
    pool: Any = database.engine.pool
    async with asyncio.timeout(60):
        while pool.checkedout():  # noqa: ASYNC110  # reporting takes one now and then
            await asyncio.sleep(0.01)
    async with database.session(write=False) as session:
        assert (await session.execute(THINGS)).all() == []


@pytest.mark.usefixtures("ended")
async def test_a_session_is_rolled_back_and_closed(session: AsyncSession) -> None:
    await session.execute(ADD, {"name": "lost"})
    assert len((await session.execute(THINGS)).all()) == 1


async def test_reports_are_captured(client: Client, captured_reports: list[Report]) -> None:
    assert captured_reports == []
    for number in range(1, 8):
        assert (await client.get("/fail")).status_code == 500
        assert len(captured_reports) == min(number, 5)
    assert captured_reports[0].exceptions[0].message == "nothing here"


async def test_a_mail_server_takes_mails_or_refuses(mail_server: MailServer) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "hello"
    mail.set_content("Grüße")
    where = {"hostname": mail_server.host, "port": mail_server.port}

    await aiosmtplib.send(mail, **where)  # type: ignore[arg-type]  # by name
    mail_server.replies["RCPT"] = "550 no such user"
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await aiosmtplib.send(mail, **where)  # type: ignore[arg-type]  # by name

    [taken] = mail_server.mails
    assert (taken.sender, taken.recipients) == ("a@example.com", ("b@example.com",))
    assert (taken.message["Subject"], taken.text.strip()) == ("hello", "Grüße")
    assert mail_server.attempts == 2
