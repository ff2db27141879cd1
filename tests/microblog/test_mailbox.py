"""The microblog's mails under the development server, and that production has nothing of it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from quartapp import create_app
from quartapp.flasklike import App
from quartapp.mail.delivery import MAILBOX
from quartapp.mail.mailbox import Mailbox, read
from quartapp.microblog.config import Settings
from quartapp.microblog.testing import create_tables
from quartapp.testing import Client, submit


@pytest.fixture
async def developed(settings: Settings, tmp_path: Path) -> AsyncIterator[App]:
    """The application as the development server has it, without a mail server."""
    app = create_app(settings.model_copy(update={"port": 5001, "public_url": ""}))
    app.extensions[MAILBOX] = Mailbox(tmp_path / "mail")
    await create_tables(app)
    async with app.test_app():
        yield app


async def last_mail(app: App) -> str:
    await app.extensions["accounts"].mailer.send_due()  # rather than wait for its next second
    mailbox: Mailbox = app.extensions[MAILBOX]
    body = read(mailbox.source(mailbox.names()[0]) or b"").get_body(("plain",))
    assert body is not None
    return str(body.get_content())


@pytest.mark.slow
async def test_a_link_in_a_mail_works_without_a_mail_server(developed: App) -> None:
    client = developed.test_client()
    password = "a-long-way-to-go"
    person = {"username": "ada", "email": "ada@example.com"}
    await submit(client, "/register", **person, password=password, password2=password)

    text = await last_mail(developed)
    [path] = re.findall(r"^http://127\.0\.0\.1:5001(/confirm_email/\S+)\r?$", text, re.MULTILINE)

    await submit(client, "/login", username="ada", password=password)
    request = 'href="/confirm_email"'
    assert request in await (await client.get("/")).get_data(as_text=True)
    await submit(developed.test_client(), path)
    assert request not in await (await client.get("/")).get_data(as_text=True)


@pytest.mark.parametrize(
    "path", ["/break", "/break/", "/break/view", "/break/view/now", "/dev/mail"]
)
async def test_production_has_no_such_page(client: Client, path: str) -> None:
    known = await client.get("/nothing-like-this")
    found = await client.get(path)

    assert (found.status_code, found.content_type) == (404, known.content_type)
    texts = [await each.get_data(as_text=True) for each in (found, known)]
    assert texts[0].replace(path, "") == texts[1].replace("/nothing-like-this", "")
