"""Requirements of OWASP's ASVS that no other test holds (docs/security.md)."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.models import User
from quartapp.microblog.testing import LogIn
from quartapp.testing import Client
from tests.microblog.web.conftest import Submit, text_of

FOLDER = Path(__file__).parents[3] / "quartapp" / "microblog"
STATEMENTS = ["' OR '1'='1", "x'; DROP TABLE users; --", "\\' UNION SELECT 1 --", "%' OR 1=1 /*"]


@pytest.mark.parametrize("text", STATEMENTS)
async def test_a_statement_is_only_a_text(
    client: Client, submit: Submit, log_in: LogIn, session: AsyncSession, text: str
) -> None:
    susan = await log_in("susan")
    assert (await submit(client, "/login", username=text, password=text)).status_code == 422
    assert (await client.get("/user/" + text.replace("/", "%2F"))).status_code == 404
    assert (await submit(susan, "/", post=text)).status_code == 302
    assert text in await text_of(await susan.get("/"))
    assert await session.scalar(select(func.count(User.id))) == 1


async def test_a_form_sets_only_its_own_fields(
    client: Client, submit: Submit, session: AsyncSession
) -> None:
    answer = await submit(
        client, "/register", username="mallory", email="m@example.com", is_admin="1", id="77",
        password="a good password", password2="a good password", login_epoch="9",
    )  # fmt: skip
    assert answer.status_code == 302
    [user] = await session.scalars(select(User))
    assert (user.id, user.is_admin, user.login_epoch) == (1, False, 0)


async def test_no_answer_names_software_or_allows_other_sites(client: Client) -> None:
    for path in ("/login", "/nowhere", "/static/app.css", "/api/posts"):
        headers = (await client.get(path, headers={"Origin": "http://evil.example"})).headers
        assert not {"Server", "X-Powered-By", "Via"} & {name for name, _ in headers}
        assert not [name for name, _ in headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/login", "text/html; charset=utf-8"),
        ("/nowhere", "text/html; charset=utf-8"),
        ("/static/app.css", "text/css; charset=utf-8"),
        ("/avatar/1.svg", "image/svg+xml"),
        ("/api/posts", "application/problem+json"),
        ("/health", "application/json"),
    ],
)
async def test_every_answer_says_what_it_is(client: Client, path: str, kind: str) -> None:
    assert (await client.get(path)).headers["Content-Type"] == kind


@pytest.mark.parametrize("path", ["/static/", "/static", "/avatar/", "/.git/config", "/.env"])
async def test_no_folder_is_listed_and_no_other_file_served(client: Client, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["TRACE", "PUT", "PATCH", "DELETE", "PROPFIND"])
async def test_other_methods_are_refused(app: App, method: str) -> None:
    client: Any = app.test_client()
    for path in ("/login", "/explore", "/static/app.css"):
        assert (await client.open(path, method=method)).status_code == 405, path


async def test_a_password_can_be_pasted_and_remembered(client: Client) -> None:
    for path, kind in (("/login", "current-password"), ("/register", "new-password")):
        page = await text_of(await client.get(path))
        for field in re.findall(r"<input[^>]*type=\"password\"[^>]*>", page):
            assert f'autocomplete="{kind}"' in field
            assert "onpaste" not in field
            assert 'maxlength="256"' in field


def test_no_template_marks_a_value_as_safe() -> None:
    for path in FOLDER.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(
            r"\|\s*safe\b|autoescape false|<script(?![^>]*\ssrc=)|\son\w+=", text
        ), path


async def test_every_cookie_is_out_of_reach_of_scripts_and_other_sites(
    client: Client, submit: Submit
) -> None:
    fields = {"username": "susan", "email": "s@example.com"}
    password = "a good password"
    await submit(client, "/register", password=password, password2=password, **fields)
    answer = await submit(client, "/login", username="susan", password=password, remember_me="y")
    cookies = answer.headers.getlist("Set-Cookie")
    assert cookies
    for cookie in cookies:
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; ")), cookie
