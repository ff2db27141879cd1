"""Posts: writing, the timeline, paging through a long list."""

import re

import pytest

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.models import Post
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.post import BODY_LENGTH, all_posts
from quartapp.microblog.testing import AddPerson, LogIn
from quartapp.testing import Client, Clock
from tests.microblog.web.conftest import Submit, text_of


async def test_a_post_goes_live(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    answer = await submit(client, "/", post="  It rains.\r\nStill. ")
    assert (answer.status_code, answer.location) == (302, "/")
    page = await text_of(await client.get("/index"))
    assert "Your post is now live!" in page
    assert '<p class="body" dir="auto">It rains.\nStill.</p>' in page


@pytest.mark.parametrize(
    ("post", "message"),
    [
        ("", "Please write something."),
        (" \r\n ", "Please write something."),
        ("x" * (BODY_LENGTH + 1), "Please use at most 140 characters; these are 141."),
    ],
)
async def test_a_wrong_post_is_shown_again(
    log_in: LogIn, submit: Submit, session: Session, post: str, message: str
) -> None:
    client = await log_in("susan")
    answer = await submit(client, "/", post=post)
    assert answer.status_code == 422
    assert message in await text_of(answer)
    assert not (await all_posts(session, PageRequest(10))).items


async def test_a_line_end_counts_as_one_character(log_in: LogIn, submit: Submit) -> None:
    longest = "x" * (BODY_LENGTH - 2) + "\r\nx"
    assert (await submit(await log_in("susan"), "/", post=longest)).status_code == 302


async def test_what_people_write_is_text_and_not_markup(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    await submit(client, "/", post="<script>alert(1)</script>")
    page = await (await client.get("/")).get_data(as_text=True)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert page.count("<script") == 1
    assert re.search(r'<script src="/static/counter.js[^"]*" defer></script>', page)


async def test_a_timeline_holds_ones_own_and_followed_posts(
    log_in: LogIn, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("mary")
    susan, john, mary = [await log_in(name) for name in ("susan", "john", "mary_two")]
    for client, name in ((susan, "susan"), (john, "john"), (mary, "mary")):
        await submit(client, "/", post=f"{name} was here")
    await submit(susan, "/follow/john", "/user/john")
    page = await text_of(await susan.get("/"))
    assert "susan was here" in page
    assert "john was here" in page
    assert "mary was here" not in page
    assert "mary was here" in await text_of(await susan.get("/explore"))


async def test_walks_through_a_long_list_and_back(
    app: App, log_in: LogIn, add_person: AddPerson, session: Session
) -> None:
    app.config["POSTS_PER_PAGE"] = 3
    john = await add_person("john")
    session.add_all([Post(body=f"number {n}", user_id=john.id) for n in range(1, 8)])
    await session.commit()
    client = await log_in("susan")
    for path in ("/explore", "/user/john"):
        seen, links = [], []
        address: str | None = path
        while address:
            page = await text_of(await client.get(address))
            seen.append([int(n) for n in re.findall(r"number (\d)<", page)])
            links.append(_link(page, "prev"))
            address = _link(page, "next")
        assert seen == [[7, 6, 5], [4, 3, 2], [1]]
        assert links[0] is None
        page = await text_of(await client.get(links[2] or ""))
        assert re.findall(r"number (\d)<", page) == ["4", "3", "2"]
        assert links[1] is not None


def _link(page: str, relation: str) -> str | None:
    match = re.search(rf'<a rel="{relation}" href="([^"]+)"', page)
    return match[1] if match else None


async def test_numbered_pages_work_as_in_the_tutorial(
    app: App, log_in: LogIn, add_person: AddPerson, session: Session
) -> None:
    app.config["POSTS_PER_PAGE"] = 2
    john = await add_person("john")
    session.add_all([Post(body=f"number {n}", user_id=john.id) for n in range(1, 4)])
    await session.commit()
    page = await text_of(await (await log_in("susan")).get("/explore?page=2"))
    assert re.findall(r"number (\d)<", page) == ["1"]


async def test_the_time_of_a_post_is_for_people_and_programs(
    log_in: LogIn, submit: Submit, clock: Clock
) -> None:
    client = await log_in("susan")
    await submit(client, "/", post="Hello")
    clock.advance(minutes=5)
    page = await text_of(await client.get("/"))
    assert '<time datetime="2030-01-01T12:00:00+00:00" title="1 January 2030, 12:00 UTC">' in page
    assert "5 minutes ago</time>" in page


async def test_strangers_see_everybodys_posts_and_where_to_begin(
    client: Client, log_in: LogIn, submit: Submit
) -> None:
    await submit(await log_in("susan"), "/", post="For everybody")
    for path in ("/", "/explore", "/post/1", "/user/susan"):
        page = await text_of(await client.get(path))
        assert "For everybody" in page, path
        assert "Please log in" not in page, path
        assert "Delete" not in page, path
    assert 'href="/register"' in await text_of(await client.get("/"))
    assert 'href="/login?next=/user/susan"' in await text_of(await client.get("/user/susan"))


async def test_a_post_has_an_address_and_its_time_in_full(
    log_in: LogIn, submit: Submit, clock: Clock
) -> None:
    client = await log_in("susan")
    await submit(client, "/", post="Hello")
    assert '<a class="time" href="/post/1">' in await text_of(await client.get("/"))
    clock.advance(days=40)
    page = await text_of(await client.get("/post/1"))
    assert "Written on 1 January 2030, 12:00 UTC" in page


async def test_a_person_deletes_their_post_after_a_question(
    log_in: LogIn, submit: Submit, session: Session
) -> None:
    client = await log_in("susan")
    await submit(client, "/", post="Too early")
    assert 'href="/post/1/delete"' in await text_of(await client.get("/"))
    page = await text_of(await client.get("/post/1/delete"))
    assert "Do you want to delete this post?" in page
    assert "Too early" in page
    answer = await submit(client, "/post/1/delete")
    assert (answer.status_code, answer.location) == (302, "/")
    assert "Your post is deleted." in await text_of(await client.get("/"))
    assert (await client.get("/post/1")).status_code == 404
    assert not (await all_posts(session, PageRequest(10))).items


async def test_nobody_else_deletes_a_post(
    client: Client, log_in: LogIn, submit: Submit, session: Session
) -> None:
    await submit(await log_in("susan"), "/", post="Mine")
    john = await log_in("john")
    assert "Delete" not in await text_of(await john.get("/explore"))
    for who, page, status in ((john, "/", 403), (client, "/login", 302)):
        assert (await who.get("/post/1/delete")).status_code == status
        assert (await submit(who, "/post/1/delete", page)).status_code == status
    assert len((await all_posts(session, PageRequest(10))).items) == 1


async def test_an_empty_site_says_what_to_do(log_in: LogIn) -> None:
    client: Client = await log_in("susan")
    assert "Nothing here yet." in await text_of(await client.get("/"))
    assert "Nobody has written anything yet." in await text_of(await client.get("/explore"))
