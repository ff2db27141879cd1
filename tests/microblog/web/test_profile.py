"""People's pages, and the tutorial's bug: a name that is taken."""

import asyncio
import re

import pytest
from quart import Response
from sqlalchemy import func, select

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.models import User
from quartapp.microblog.models.user import find_profile, follow, is_username_taken
from quartapp.microblog.testing import AddPerson, LogIn
from quartapp.testing import Client
from tests.microblog.web.conftest import Submit, text_of, token_of


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_a_profile_shows_a_person(
    log_in: LogIn, add_person: AddPerson, submit: Submit
) -> None:
    john = await log_in("john")
    await submit(john, "/edit_profile", username="john", about_me="I <3 tea")
    await submit(john, "/", post="Good morning")
    page = await text_of(await (await log_in("susan")).get("/user/john"))
    assert "<h1><bdi>john</bdi></h1>" in page
    assert "I <3 tea" in page
    assert ">0 followers</a>" in page
    assert ">0 following</a>, 1 post<" in page
    assert "Good morning" in page
    assert "Edit your profile" not in page
    assert "Edit your profile" in await text_of(await john.get("/user/john"))


@pytest.mark.slow
async def test_nobody_has_no_profile(log_in: LogIn) -> None:
    assert (await (await log_in("susan")).get("/user/nobody")).status_code == 404


async def test_changes_are_kept_and_shown(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    answer = await submit(client, "/edit_profile", username="sue", about_me="Hi\r\nthere")
    assert (answer.status_code, answer.location) == (302, "/edit_profile")
    page = await text_of(await client.get("/edit_profile"))
    assert "Your changes have been saved." in page
    assert 'value="sue"' in page
    assert "Hi\nthere</textarea>" in page
    # A page without queries greets with the cookie's name.
    assert "<bdi>sue</bdi></a>" in await text_of(await client.get("/nowhere"))


async def test_a_taken_name_is_the_forms_error(
    log_in: LogIn, add_person: AddPerson, submit: Submit, session: Session
) -> None:
    await add_person("john")
    client = await log_in("susan")
    answer = await submit(client, "/edit_profile", username="john", about_me="Still me")
    page = await text_of(answer)
    assert answer.status_code == 422
    assert '<small id="username-error" class="error">Please use a different username.' in page
    assert 'value="john"' in page
    assert "Still me</textarea>" in page
    assert "<bdi>susan</bdi></a>" in page.partition("</nav>")[0]
    assert (await find_profile(session, "susan")).about_me == ""


async def test_keeping_ones_own_name_is_allowed(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    answer = await submit(client, "/edit_profile", username="susan", about_me="New")
    assert answer.status_code == 302
    # With the same name the login cookie stays the same, so it is not sent again.
    assert [cookie.partition("=")[0] for cookie in answer.headers.getlist("Set-Cookie")] == [
        "session"
    ]


async def test_a_name_that_looks_like_anothers_is_taken(
    log_in: LogIn, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("john")
    client = await log_in("susan")
    for name in ("John", "j\u043ehn", "\uff4aohn"):
        answer = await submit(client, "/edit_profile", username=name, about_me="")
        assert answer.status_code == 422
        assert "Please use a different username." in await text_of(answer)
    # One's own name in other letters is nobody else's.
    assert (await submit(client, "/edit_profile", username="Susan", about_me="")).status_code == 302


async def test_a_name_that_would_be_refused_today_is_kept(log_in: LogIn, submit: Submit) -> None:
    for name in ("admin", "mary\ufe0f"):
        client = await log_in(name)
        answer = await submit(client, "/edit_profile", username=name, about_me="New")
        assert answer.status_code == 302
    answer = await submit(client, "/edit_profile", username="support", about_me="New")
    assert "This username is reserved." in await text_of(answer)


@pytest.mark.slow
@pytest.mark.parametrize("warned", [True, False])
async def test_one_of_twenty_wins_a_race_for_a_name(
    log_in: LogIn, session: Session, monkeypatch: pytest.MonkeyPatch, warned: bool
) -> None:
    """Also if the form's check finds the name free for all of them, and only the constraint
    decides."""
    if not warned:
        monkeypatch.setattr("quartapp.microblog.web.forms.is_username_taken", _never)
    people = [await log_in(f"person{number}") for number in range(20)]
    tokens = [await token_of(client, "/edit_profile") for client in people]
    answers = await asyncio.gather(
        *(
            client.post(
                "/edit_profile", form={"csrf_token": token, "username": "wanted", "about_me": "x"}
            )
            for client, token in zip(people, tokens, strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [302] + [422] * 19
    for answer in answers:
        assert isinstance(answer, Response)
        if answer.status_code == 422:
            assert "Please use a different username." in await text_of(answer)
    assert await is_username_taken(session, "wanted")
    losers = select(func.count()).where(User.username.like("person%"), User.about_me == "")
    assert await session.scalar(losers) == 19


async def _never(*_: object) -> bool:
    return False


async def test_follows_and_unfollows(log_in: LogIn, add_person: AddPerson, submit: Submit) -> None:
    await add_person("susan")
    client = await log_in("john")
    answer = await submit(client, "/follow/susan", "/user/susan")
    assert (answer.status_code, answer.location) == (302, "/user/susan")
    page = await text_of(await client.get("/user/susan"))
    assert "You are following <bdi>susan</bdi>!" in page
    assert ">1 follower</a>" in page
    assert (await submit(client, "/follow/susan", "/user/susan")).status_code == 302
    await submit(client, "/unfollow/susan", "/user/susan")
    page = await text_of(await client.get("/user/susan"))
    assert "You are not following <bdi>susan</bdi>." in page
    assert ">0 followers</a>" in page


@pytest.mark.parametrize(
    ("path", "location", "message"),
    [
        ("/follow/john", "/user/john", "You cannot follow yourself!"),
        ("/unfollow/john", "/user/john", "You cannot unfollow yourself!"),
        ("/follow/nobody", "/", "User <bdi>nobody</bdi> not found."),
        ("/unfollow/nobody", "/", "User <bdi>nobody</bdi> not found."),
    ],
)
async def test_following_has_its_limits(
    log_in: LogIn, submit: Submit, path: str, location: str, message: str
) -> None:
    client = await log_in("john")
    answer = await submit(client, path, "/")
    assert (answer.status_code, answer.location) == (302, location)
    assert message in await text_of(await client.get(location))


async def test_followers_and_followed_have_pages(
    client: Client, log_in: LogIn, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("john")
    await submit(await log_in("susan"), "/follow/john", "/user/john")
    followers = await text_of(await client.get("/user/john/followers"))
    following = await text_of(await client.get("/user/susan/following"))
    assert "<h1>Followers of <bdi>john</bdi></h1>" in followers
    assert '<a href="/user/susan"><bdi>susan</bdi></a>' in followers
    assert "<h1>Followed by <bdi>susan</bdi></h1>" in following
    assert '<a href="/user/john"><bdi>john</bdi></a>' in following
    assert "Nobody yet." in await text_of(await client.get("/user/susan/followers"))


async def test_a_long_list_of_followers_has_pages(
    client: Client, app: App, add_person: AddPerson, session: Session
) -> None:
    app.config["POSTS_PER_PAGE"] = 2
    john = await add_person("john")
    for number in range(3):
        await follow(session, (await add_person(f"fan{number}")).id, john.id)
    page = await text_of(await client.get("/user/john/followers"))
    assert [name for name in ("fan0", "fan1", "fan2") if name in page] == ["fan1", "fan2"]
    older = re.search(r'<a rel="next" href="([^"]+)"', page)
    assert older
    page = await text_of(await client.get(older[1]))
    assert "fan0" in page
    assert 'rel="prev"' in page


async def test_following_takes_a_post(log_in: LogIn) -> None:
    client = await log_in("john")
    assert (await client.get("/follow/susan")).status_code == 405


async def test_a_name_with_odd_characters_has_a_page(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    name = "Zoë & co? #1 %41"
    await submit(client, "/edit_profile", username=name, about_me="")
    page = await text_of(await client.get("/"))
    assert f"<bdi>{name}</bdi></a>" in page
    address = page.partition('class="name"><a href="')[2].partition('"')[0]
    assert f"<h1><bdi>{name}</bdi></h1>" in await text_of(await client.get(address))
