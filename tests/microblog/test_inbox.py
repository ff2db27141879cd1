"""The inbox of the microblog: for administrators; for others there is none."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from quart import Quart
from sqlalchemy import delete

from quartapp.microblog import administrators
from quartapp.microblog.config import Settings
from quartapp.microblog.database import db
from quartapp.microblog.models.login import Login
from quartapp.microblog.models.user import update_user
from quartapp.microblog.testing import LogIn

INSIDE = ("/errors/", "/errors", "/errors/1", "/errors/overview", "/errors/static/inbox.css")
_TOKEN = re.compile(r'(?<=name="csrf_token" value=")[^"]+')  # the time is in it
Limit = Callable[[int], AbstractContextManager[list[str]]]


async def appoint(app: Quart, *, is_admin: bool = True) -> None:
    """Make the first person an administrator, without the application's knowledge."""
    async with app.app_context():
        await update_user(db, 1, is_admin=is_admin)


async def answer_of(client: Any, path: str, method: str = "GET") -> tuple[Any, ...]:
    answer = await client.open(path, method=method)
    text = await answer.get_data(as_text=True)
    text = _TOKEN.sub("TOKEN", text.replace(path, "PATH"))
    headers = sorted(each for each in answer.headers.items() if each[0].lower() != "x-request-id")
    return answer.status_code, headers, text


async def test_for_others_there_is_none(
    app: Quart, client: Any, log_in: LogIn, max_queries: Limit, monkeypatch: Any
) -> None:
    monkeypatch.setattr(administrators, "ASK_EVERY", float("inf"))
    susan = await log_in("susan")
    for visitor in (client, susan):
        await visitor.get("/errors/")  # the first one asks who the administrators are
        for method in ("GET", "POST", "PUT", "OPTIONS"):
            unknown = await answer_of(visitor, "/nowhere/", method)
            assert unknown[0] == 404
            for path in INSIDE:
                with max_queries(0):
                    found = await answer_of(visitor, path, method)
                assert found == unknown, (method, path)
    assert "Errors" not in await (await susan.get("/explore")).get_data(as_text=True)


async def test_an_administrator_finds_it_in_the_navigation(app: Quart, log_in: LogIn) -> None:
    ada = await log_in("ada")
    await appoint(app)
    assert 'href="/errors/"' in await (await ada.get("/explore")).get_data(as_text=True)
    page = await ada.get("/errors/")
    assert "<h1>Errors</h1>" in await page.get_data(as_text=True)
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_the_overview_says_whose_the_tables_are(app: Quart, log_in: LogIn) -> None:
    ada = await log_in("ada")
    await appoint(app)
    await ada.get("/explore")
    page = await (await ada.get("/errors/overview")).get_data(as_text=True)
    assert "the tables are of the application&#39;s migrations" in page
    assert "look here" not in page


async def test_a_right_begins_and_ends_without_a_new_login(app: Quart, log_in: LogIn) -> None:
    susan = await log_in("susan")
    assert (await susan.get("/errors/")).status_code == 404
    await appoint(app)
    await susan.get("/explore")
    assert (await susan.get("/errors/")).status_code == 200
    await appoint(app, is_admin=False)
    assert (await susan.get("/errors/")).status_code == 404


async def test_a_right_given_elsewhere_is_found_soon(
    app: Quart, log_in: LogIn, monkeypatch: Any
) -> None:
    susan = await log_in("susan")
    assert (await susan.get("/errors/")).status_code == 404
    await appoint(app)
    monkeypatch.setattr(administrators, "ASK_EVERY", -1.0)
    for _ in range(50):
        if (await susan.get("/errors/")).status_code == 200:
            return
    raise AssertionError("it was not found")


async def test_an_ended_login_opens_nothing(app: Quart, log_in: LogIn) -> None:
    client = await log_in("ada")
    await appoint(app)
    assert (await client.get("/errors/")).status_code == 200
    async with app.app_context(), db.engine.begin() as session:
        await session.execute(delete(Login).where(Login.user_id == 1))
    assert (await client.get("/errors/")).status_code == 404


def test_mails_lead_to_the_public_address() -> None:
    key = "".join(map(chr, range(40, 90)))
    given: dict[str, Any] = {
        "secret_key": key,
        "environment": "testing",
        "database_url": "sqlite://",
    }
    settings = Settings(**given, public_url="https://blog.example/")
    assert settings.inbox_url == "https://blog.example/errors"
    own = Settings(**given, public_url="https://blog.example", inbox_url="https://ops.example/e")
    assert own.inbox_url == "https://ops.example/e"
