"""From an error in a view to a mail in a mailbox, over STARTTLS with a login, in full Unicode.

`QUARTAPP_WRITE_IMAGES=1` renews the picture of the mail in docs/images.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright
from pydantic import SecretStr
from quart import request

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.mail.delivery import Server
from quartapp.reporting.pipeline import Pipeline
from quartapp.testing.mail import MailServer, Received, certificate
from tests.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.reporting.mails.test_message import Words, parts
from tests.shop.app import Customer, create_app, create_tables

IMAGE = Path(__file__).parents[2] / "docs" / "images" / "error-mail.png"
PASSWORD = "Geheimnis-für-Zoë-7f3a"
ACCOUNT = ("microblog@example.com", "the password of the account")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MailServer]:
    try:
        context, _ = certificate(tmp_path)
    except FileNotFoundError:
        pytest.skip("no openssl: install it")
    server = MailServer()
    await server.start(tls=context, login=ACCOUNT)
    yield server
    await server.stop()


VIEW = """
async def register(name):
    form = await request.form
    greeting = f"Grüße an {name}, {form['password']}"
    async with database.begin() as session:
        session.add(Customer(name=name, email=form["email"]))
    return greeting
"""


def view(folder: Path, database: DatabaseEngine) -> Any:
    """A view in a separate file, as in an application."""
    path = folder / "microblog" / "web" / "people.py"
    path.parent.mkdir(parents=True)
    path.write_text(VIEW, "utf-8")
    names = {"request": request, "database": database, "Customer": Customer}
    names["__name__"] = "microblog.web.people"
    exec(compile(VIEW, str(path), "exec"), names)
    return names["register"]


@pytest.fixture
async def app(
    server: MailServer, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[App]:
    monkeypatch.syspath_prepend(str(tmp_path))
    app = create_app(
        tmp_path,
        database_url,
        name="microblog",  # as in the picture
        MAIL_SERVER=server.host,
        MAIL_PORT=server.port,
        MAIL_USE_TLS=True,
        MAIL_USERNAME=ACCOUNT[0],
        MAIL_PASSWORD=SecretStr(ACCOUNT[1]),
        MAIL_FROM="Fehler für Zoë <errors@bücher.example>",
        ADMINS=("ops@bücher.example", "zoë@example.com", "dev@example.com"),
        INBOX_URL="https://blog.example/errors",
        RELEASE="v1.2-3-gabcdef",
    )
    app.post("/straße/<name>")(view(tmp_path, app.extensions["database"]))
    trust(app, tmp_path / "cert.pem")
    await create_tables(app)
    async with app.test_app():
        yield app


def trust(app: App, certificate: Path) -> None:
    """Trust the test's certificate, and mail without the initial delay."""
    pipeline: Pipeline = app.extensions["reporting"]
    assert pipeline.mailer
    assert isinstance(pipeline.mailer.server, Server)
    pipeline.mailer.server = replace(pipeline.mailer.server, ca_file=str(certificate))
    rules = pipeline.consumer.rules
    pipeline.consumer.rules = replace(rules, limits=replace(rules.limits, initial_delay=0.0))


@pytest.fixture
async def mail(app: App, server: MailServer) -> Received:
    """The mail about a second registration with the same name."""
    client = app.test_client()
    for status in (200, 500):
        response = await client.post(
            "/straße/Zoë?next=/f%C3%BCr/alle&token=abcd1234",
            form={"password": PASSWORD, "email": "zoë@example.com"},
            headers={"Cookie": "session=abcd1234", "User-Agent": "Bücherwurm/1.0"},
        )
        assert response.status_code == status
    async with asyncio.timeout(60):
        while not server.mails:  # noqa: ASYNC110  # a mail server has no event for it
            await asyncio.sleep(0.05)
    return server.mails[0]


@pytest.mark.slow
async def test_arrives_encrypted_and_readable(mail: Received) -> None:
    assert mail.over_tls
    assert mail.username == ACCOUNT[0]
    assert mail.sender == "errors@xn--bcher-kva.example"
    assert mail.recipients == ("ops@xn--bcher-kva.example", "dev@example.com"), "no SMTPUTF8 here"
    message = mail.message
    assert message["From"] == "Fehler für Zoë <errors@xn--bcher-kva.example>"
    subject = "[microblog prod] NEW IntegrityError in web.people.register (#"
    assert message["Subject"].startswith(subject)
    text, html = parts(message)
    for part in (text, Words(html).text):
        assert "UNIQUE constraint failed" in part
        assert "INSERT INTO" in part
        assert "/straße/<name>" in part
        assert "Grüße an Zoë, [hidden]" in part
        assert "Bücherwurm/1.0" in part
        assert "v1.2-3-gabcdef" in part
        assert "https://blog.example/errors/1" in part or "/errors/1" in html
        assert PASSWORD not in part
        assert "abcd1234" not in part


@pytest.mark.browser
async def test_looks_right_in_a_window_and_on_a_telephone(mail: Received) -> None:
    _, html = parts(mail.message)
    requested: list[str] = []
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        for width in (860, 360):
            page = await chromium.new_page(viewport={"width": width, "height": 900})
            page.on("request", lambda request: requested.append(request.url))
            await page.set_content(html)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            if width == 860 and os.environ.get("QUARTAPP_WRITE_IMAGES"):
                IMAGE.parent.mkdir(exist_ok=True)
                await page.screenshot(path=IMAGE, full_page=True)
        await chromium.close()
    assert requested == [], "a mail that loads something tells somebody that it was read"
