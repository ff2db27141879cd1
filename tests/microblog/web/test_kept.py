"""What a person typed is never lost, and a form that is sent twice has its effect once."""

import asyncio
import re
from html import unescape

import pytest
from sqlalchemy import func, select

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.models import Post
from quartapp.microblog.models.post import add_post_once
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn
from quartapp.microblog.web.kept import unpack
from quartapp.testing import Client, Clock
from tests.microblog.web.conftest import text_of, token_of

TEXT = "Zoë & <friends>\r\nsay: \N{SNAKE}"
SHOWN = "Zoë & <friends>\nsay: \N{SNAKE}"

_HIDDEN = re.compile(r'name="(kept|form_key)" type="hidden" value="([^"]*)"')


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def hidden_of(page: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in _HIDDEN.findall(page)}


async def _count(session: Session) -> int | None:
    return await session.scalar(select(func.count()).select_from(Post))


async def test_a_text_waits_for_the_login_and_is_in_the_box_afterwards(
    client: Client, add_person: AddPerson, session: Session
) -> None:
    await add_person("susan")
    answer = await client.post("/", form={"post": TEXT, "form_key": "of this form"})
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 401
    assert 'action="/login"' in page
    kept = hidden_of(page)["kept"]
    for password, status in (("dog", 422), (PASSWORD, 200)):
        form = {"csrf_token": await token_of(client, "/login"), "kept": kept}
        form |= {"username": "susan", "password": password}
        answer = await client.post("/login", form=form)
        page = await answer.get_data(as_text=True)
        assert answer.status_code == status
        kept = hidden_of(page).get("kept", kept)
    assert f"{SHOWN}</textarea>" in await text_of(answer)
    assert hidden_of(page)["form_key"] == "of this form"
    assert '<form method="post" novalidate action="/">' in page
    assert "<bdi>susan</bdi></a>" in page
    assert await _count(session) == 0
    # The page is reloaded: a person who is logged in by then still sees the text.
    answer = await client.post("/login", form=form)
    assert f"{SHOWN}</textarea>" in await text_of(answer)


async def test_a_profile_waits_for_the_login_too(client: Client, add_person: AddPerson) -> None:
    await add_person("susan")
    answer = await client.post("/edit_profile", form={"username": "sue", "about_me": TEXT})
    form = {"csrf_token": await token_of(client, "/login"), "username": "susan"}
    form |= {"password": PASSWORD} | hidden_of(await answer.get_data(as_text=True))
    page = await text_of(await client.post("/login", form=form))
    assert 'value="sue"' in page
    assert f"{SHOWN}</textarea>" in page
    assert '<form method="post" novalidate action="/edit_profile">' in page


async def test_a_program_without_a_login_is_told(client: Client) -> None:
    headers = {"Accept": "application/json"}
    answer = await client.post("/", form={"post": "x"}, headers=headers)
    assert answer.status_code == 401
    assert (await answer.get_json())["code"] == "login-required"


async def test_what_another_site_sends_does_not_wait(client: Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await client.post("/", form={"post": "sponsored"}, headers=headers)
    assert answer.status_code == 302
    assert "sponsored" not in await text_of(await client.get(answer.location))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[]",
        "[1, 2]",
        '["posts.index"]',
        '["posts.index", {"post": 1}]',
        "[" * 9999,
        '["auth.login", [["username", "x"]]]',
        '[["posts.index"], []]',
        '["posts.index", [[]]]',
    ],
)
def test_what_makes_no_sense_did_not_wait(text: str) -> None:
    assert unpack(text) is None


async def test_a_stale_form_comes_back_with_its_text_and_a_fresh_token(
    log_in: LogIn, clock: Clock, session: Session
) -> None:
    client = await log_in("susan", remember=True)
    form = {"csrf_token": await token_of(client, "/"), "post": TEXT, "form_key": "a key"}
    clock.advance(hours=13)
    answer = await client.post("/", form=form)
    page = await text_of(answer)
    assert answer.status_code == 400
    assert "This form is not valid any more" in page
    assert f"{SHOWN}</textarea>" in page
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[-1]
    sent_again = {"csrf_token": token, "post": TEXT} | hidden_of(page)
    assert sent_again["form_key"] == "a key"
    assert (await client.post("/", form=sent_again)).status_code == 302
    assert await _count(session) == 1


@pytest.mark.parametrize("path", ["/login?next=/explore", "/register"])
async def test_a_password_never_comes_back(client: Client, path: str) -> None:
    form = {"csrf_token": "stale", "username": "susan", "email": "susan@example.com"}
    form |= {"password": "canary", "password2": "canary"}
    answer = await client.post(path, form=form)
    page = await text_of(answer)
    assert answer.status_code == 400
    assert 'value="susan"' in page
    assert f'action="{path}"' in page
    assert "canary" not in page


async def test_a_button_comes_back_too(log_in: LogIn, add_person: AddPerson) -> None:
    await add_person("john")
    answer = await (await log_in("susan")).post("/follow/john", form={"csrf_token": "stale"})
    page = await text_of(answer)
    assert '<form method="post" novalidate action="/follow/john">' in page
    assert '<button type="submit">Follow</button>' in page


async def test_the_same_form_with_the_same_text_posts_once(log_in: LogIn, session: Session) -> None:
    client = await log_in("susan")
    form = {"csrf_token": await token_of(client, "/"), "form_key": "a key", "post": "Hello"}
    assert (await client.post("/", form=form)).status_code == 302
    assert "Your post is now live!" in await text_of(await client.get("/"))
    assert (await client.post("/", form=form)).status_code == 302
    assert "Your post is live already." in await text_of(await client.get("/"))
    assert await _count(session) == 1


async def test_after_back_another_text_is_another_post(log_in: LogIn, session: Session) -> None:
    client = await log_in("susan")
    form = {"csrf_token": await token_of(client, "/"), "form_key": "a key"}
    for post in ("Hello", "Hello again"):
        await client.post("/", form=form | {"post": post})
    assert await _count(session) == 2


async def test_every_form_has_a_key_of_its_own(log_in: LogIn) -> None:
    client = await log_in("susan")
    pages = [await (await client.get("/")).get_data(as_text=True) for _ in range(2)]
    assert len({hidden_of(page)["form_key"] for page in pages}) == 2


@pytest.mark.slow
async def test_a_key_is_of_one_person(session: Session, add_person: AddPerson) -> None:
    for name in ("susan", "john"):
        person = await add_person(name)
        assert await add_post_once(session, person.id, "Hello", "the same key")


async def test_of_two_that_bring_one_form_at_once_one_posts(
    app: App, add_person: AddPerson, session: Session
) -> None:
    susan = await add_person("susan")

    async def send() -> bool:
        async with app.extensions["database"].session() as own:
            return await add_post_once(own, susan.id, "Hello", "a key")

    assert sorted(await asyncio.gather(*(send() for _ in range(4)))) == [False, False, False, True]
    assert await _count(session) == 1


async def test_back_leads_back(log_in: LogIn) -> None:
    client = await log_in("susan")
    cases = {
        "http://localhost/explore?before=7": '<a href="/explore?before=7">Back</a>',
        "http://evil.example/explore": '<a href="/">Start page</a>',
        "http://localhost/nowhere": '<a href="/">Start page</a>',
        "": '<a href="/">Start page</a>',
    }
    for referrer, link in cases.items():
        page = await text_of(await client.get("/nowhere", headers={"Referer": referrer}))
        assert link in page, referrer
