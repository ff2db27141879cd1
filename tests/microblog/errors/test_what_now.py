"""An error page says what to do now, and only what is true."""

import asyncio
import re
import time

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.testing import LogIn
from quartapp.reporting.queries import triage
from quartapp.reporting.tables import ErrorGroup
from quartapp.settings import ConfigurationError
from quartapp.testing import Client

NOTIFIED = "The administrator has been notified."
RECORDED = "The error has been recorded."


@pytest.fixture
def settings(settings: Settings) -> Settings:
    mails = {"mail_server": "127.0.0.1", "mail_port": 1, "admins": ("ops@example.com",)}
    return settings.model_copy(update={**mails, "contact": "help@example.com"})


async def page_of(client: Client, path: str) -> str:
    return str(await (await client.get(path)).get_data(as_text=True))


async def test_the_administrator_is_notified_unless_the_group_is_muted(
    app: App, client: Client, session: AsyncSession
) -> None:
    pipeline = app.extensions["reporting"]
    await pipeline._note_muted()
    assert NOTIFIED in await page_of(client, "/boom")
    await pipeline.flush()
    group = await session.scalar(select(ErrorGroup.id))
    assert group is not None
    for until, more, told in (
        (float("inf"), None, RECORDED),
        (time.time() - 1, None, NOTIFIED),
        (float("inf"), 9, RECORDED),
    ):
        async with pipeline.database.begin() as writer:
            decision = triage.mute(until=until, more=more)
            await triage.decide(writer, group, decision, who="susan", now=time.time())
        pipeline._muted = None
        await pipeline._note_muted()
        page = await page_of(client, "/boom")
        assert told in page, (until, more)
        assert (NOTIFIED in page) is (told == NOTIFIED)


async def test_nobody_is_notified_without_a_mail_server(app: App, client: Client) -> None:
    app.extensions["reporting"].mailer = None
    page = await page_of(client, "/boom")
    assert RECORDED in page
    assert NOTIFIED not in page


async def test_the_pages_say_where_to_turn(client: Client) -> None:
    link = '<a href="mailto:help@example.com">help@example.com</a>'
    assert f"If you tell us about it ({link}), please" in await page_of(client, "/boom")
    assert f"Contact: {link}" in await page_of(client, "/login")


async def test_a_page_says_what_to_do_now(client: Client, log_in: LogIn) -> None:
    assert '<a href="">Try again</a>' in await page_of(client, "/boom")
    assert '<a href="">Try again</a>' not in await page_of(client, "/nowhere")
    susan = await log_in("susan")
    answer = await susan.get("/post/1/delete")
    assert answer.status_code == 404


async def test_a_broken_template_leaves_the_look_of_the_site(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object, **_context: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("quartapp.errors.responses.render_template", broken)
    await check_look_of_the_site(await page_of(client, "/boom"), client)


async def test_a_busy_server_leaves_the_look_of_the_site(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"request_limit": 1, "request_queue": 0}))
    occupied, leave = asyncio.Event(), asyncio.Event()

    async def occupy() -> str:
        occupied.set()
        await leave.wait()
        return "held"

    app.add_url_rule("/occupy", view_func=occupy)
    async with app.test_app():
        holding = asyncio.create_task(app.test_client().get("/occupy"))
        await occupied.wait()
        client = app.test_client()
        page = await page_of(client, "/")
        assert "Service Unavailable" in page
        await check_look_of_the_site(page, client)
        leave.set()
        await holding


async def check_look_of_the_site(page: str, client: Client) -> None:
    sheets = re.findall(r'rel="stylesheet" href="([^"]+)"', page)
    assert [(await client.get(sheet)).status_code for sheet in sheets] == [200, 200]
    assert '<li class="brand"><a href="/">Microblog</a></li>' in page
    assert '<section class="failure">' in page


@pytest.mark.parametrize("contact", ["nobody", "@", "javascript:alert(1)", "a b@example.com"])
def test_a_contact_is_an_address(contact: str) -> None:
    with pytest.raises((ConfigurationError, ValueError), match="mail address"):
        Settings(environment="testing", contact=contact)
