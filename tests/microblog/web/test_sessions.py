"""The page of a person's logins and tokens."""

import re

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.models import ApiToken, Login, User
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.testing import LogIn
from quartapp.microblog.web.devices import describe
from quartapp.testing import Client, Clock
from tests.microblog.web.conftest import Submit, text_of

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/143.0.0.0 Mobile Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0"
)


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        (CHROME, "Chrome on Android"),
        (SAFARI, "Safari on an iPhone"),
        (EDGE, "Edge on a Mac"),
        ("curl/8.5.0", "curl"),
        ("Mozilla/5.0", "Unknown browser"),
        ("", "Unknown browser"),
        ("x" * 250, "x" * 40),
    ],
)
def test_a_device_is_named_in_plain_words(user_agent: str, words: str) -> None:
    assert describe(user_agent) == words


async def test_a_person_sees_their_logins_and_this_one_first(log_in: LogIn) -> None:
    susan, phone = await log_in("susan"), await log_in("susan", remember=True)
    await log_in("john")
    page = await text_of(await susan.get("/sessions"))
    assert page.count('class="post login"') == 2
    first, _, second = page.partition("</article>")
    assert "This device" in first
    assert "This device" not in second
    assert "remembered" in second
    assert "From 127.0.0.1, last seen" in first
    assert 'href="/sessions"' in await text_of(await phone.get("/user/susan"))
    assert 'href="/sessions"' in await text_of(await phone.get("/edit_profile"))
    assert 'href="/sessions"' not in await text_of(await phone.get("/user/john"))


async def test_a_stranger_sees_no_logins(client: Client) -> None:
    answer = await client.get("/sessions")
    assert (answer.status_code, answer.location) == (302, "/login?next=/sessions")
    for path in ("1/end", "end_others", "tokens/1/revoke", "tokens/revoke_all"):
        answer = await client.post(f"/sessions/{path}")
        assert (answer.status_code, answer.location) == (302, "/login")


async def test_a_device_that_is_nothing_but_markup_is_a_text(
    log_in: LogIn, clock: Clock, session: AsyncSession
) -> None:
    susan, other = await log_in("susan"), await log_in("susan")
    clock.advance(minutes=2)
    await other.get("/", headers={"User-Agent": "<script>alert(1)</script>\x07" + "x" * 500})
    page = await (await susan.get("/sessions")).get_data(as_text=True)
    assert "&lt;script&gt;alert(1)&lt;" in page
    assert "<script" not in page
    stored = await session.scalar(select(Login.user_agent).order_by(Login.id.desc()))
    assert stored == "<script>alert(1)</script>" + "x" * 224


async def test_one_login_or_all_others_are_ended(log_in: LogIn, submit: Submit) -> None:
    susan, *others = [await log_in("susan") for _ in range(4)]
    page = await text_of(await susan.get("/sessions"))
    [newest, *_] = re.findall(r'action="(/sessions/\d+/end)"', page)
    await submit(susan, newest, "/sessions")
    states = [(await other.get("/edit_profile")).status_code for other in others]
    assert sorted(states) == [200, 200, 302]
    answer = await submit(susan, "/sessions/end_others", "/sessions")
    assert (answer.status_code, answer.location) == (302, "/sessions")
    assert {(await other.get("/edit_profile")).status_code for other in others} == {302}
    page = await text_of(await susan.get("/sessions"))
    assert "All other logins are ended." in page
    assert page.count("<li>A login was ended") == 2
    assert "A login was ended (all others)" in page
    assert "You are logged in nowhere else." in page
    assert "End all other logins" not in page


async def test_who_has_not_confirmed_an_address_may_end_logins(
    app: App, log_in: LogIn, submit: Submit
) -> None:
    app.extensions["accounts"].confirmation = "required"
    susan, thief = await log_in("susan"), await log_in("susan")
    assert (await submit(susan, "/", post="x")).status_code == 403
    answer = await submit(susan, "/sessions/end_others", "/sessions")
    assert answer.status_code == 302
    assert (await thief.get("/edit_profile")).status_code == 302


async def test_ending_ones_own_login_is_a_logout(
    log_in: LogIn, submit: Submit, session: AsyncSession
) -> None:
    susan = await log_in("susan")
    own = await session.scalar(select(Login.id))
    answer = await submit(susan, f"/sessions/{own}/end", "/sessions")
    assert (answer.status_code, answer.location) == (302, "/")
    assert "You are logged out." in await text_of(await susan.get("/"))
    assert (await susan.get("/sessions")).status_code == 302


async def test_the_login_of_another_stays(
    log_in: LogIn, submit: Submit, session: AsyncSession
) -> None:
    susan = await log_in("susan")
    login_id = await session.scalar(select(Login.id))
    await session.rollback()
    john = await log_in("john")
    for number in (login_id, 999, 10**30):
        answer = await submit(john, f"/sessions/{number}/end", "/sessions")
        assert (answer.status_code, answer.location) == (302, "/sessions")
        assert "The login had ended already." in await text_of(await john.get("/sessions"))
    assert (await susan.get("/sessions")).status_code == 200


async def test_nothing_ends_without_the_token_of_the_form(
    log_in: LogIn, session: AsyncSession
) -> None:
    susan, other = await log_in("susan"), await log_in("susan")
    for path in ("1/end", "2/end", "end_others", "tokens/1/revoke", "tokens/revoke_all"):
        answer = await susan.post(f"/sessions/{path}", form={"csrf_token": "nonsense"})
        page = await text_of(answer)
        assert answer.status_code == 400
        assert f'action="/sessions/{path}"' in page
    assert (await other.get("/edit_profile")).status_code == 200


async def test_tokens_are_listed_and_revoked(
    app: App, log_in: LogIn, submit: Submit, session: AsyncSession
) -> None:
    susan = await log_in("susan")
    await log_in("john")
    database = app.extensions["database"]
    ids = list(await session.scalars(select(User.id).order_by(User.id)))
    await session.rollback()
    for user_id, number in ((ids[0], 30), (ids[1], 1)):
        for index in range(number):
            async with database.session() as writer:
                await issue_token(writer, user_id, 0, name=f"<b>{index}", scope="read")
    page = await (await susan.get("/sessions")).get_data(as_text=True)
    assert "&lt;b&gt;29" in page
    assert "May read" in page
    assert "There are more." in page
    urls = re.findall(r'action="(/sessions/tokens/\d+/revoke)"', page)
    assert len(urls) == 25
    await submit(susan, urls[0], "/sessions")
    await submit(susan, urls[0], "/sessions")  # in a second tab
    page = await text_of(await susan.get("/sessions"))
    assert "The token had ended already." in page
    assert page.count("<li>A token of the API was revoked") == 1
    assert await session.scalar(select(func.count(ApiToken.id))) == 30
    await session.rollback()
    await submit(susan, "/sessions/tokens/revoke_all", "/sessions")
    assert list(await session.scalars(select(ApiToken.user_id))) == [ids[1]]


@pytest.mark.slow
async def test_many_logins_are_shown_page_by_page(log_in: LogIn, settings: object) -> None:
    clients = [await log_in("susan") for _ in range(27)]
    page = await text_of(await clients[0].get("/sessions"))
    assert page.count('class="post login"') == 26
    [older] = re.findall(r'rel="next" href="([^"]+)"', page)
    page = await text_of(await clients[0].get(older))
    assert page.count('class="post login"') == 2
    assert "Newer logins" in page
