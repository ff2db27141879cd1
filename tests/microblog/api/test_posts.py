"""Posts, followers, and pages of both."""

import asyncio
import re
from itertools import product
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.models import Post, followers
from tests.microblog.api.conftest import Caller, Enter
from tests.microblog.executing import note_statements


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def publish(caller: Caller, count: int) -> list[int]:
    answers = [await caller("POST", "/api/posts", {"body": f"post {n}"}) for n in range(count)]
    assert {answer.status for answer in answers} == {201}
    return [answer.json["id"] for answer in answers]


async def walk(caller: Caller, path: str | None, way: str) -> list[Any]:
    """The ids on every page from this one on; each link is in the Link header too."""
    pages = []
    while path:
        answer = await caller("GET", path)
        assert answer.status == 200, answer.text
        pages.append([item["id"] for item in answer.json["items"]])
        links = answer.json["_links"]
        header = re.findall(r'<([^>]+)>; rel="(\w+)"', answer.headers.get("Link", ""))
        assert {name: url for url, name in header} == {
            name: links[name] for name in ("next", "prev") if links[name]
        }
        path = links[way]
    return pages


async def test_publishes_shows_and_deletes(susan: Caller, session: AsyncSession) -> None:
    answer = await susan("POST", "/api/posts", {"body": " Hëllo\r\n🌍 "})
    assert answer.status == 201
    shown = await susan("GET", answer.headers["Location"])
    assert shown.json == answer.json
    assert shown.json["body"] == "Hëllo\n🌍"
    assert (shown.json["author"], shown.json["author_id"]) == ("susan", susan.id)
    assert (await susan("DELETE", answer.headers["Location"])).status == 204
    assert (await susan("GET", answer.headers["Location"])).problem["code"] == "not-found"
    assert await session.scalar(select(func.count(Post.id))) == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/posts", {"body": "Hello"}),
        (
            "/api/users",
            {"username": "mary", "email": "mary@example.com", "password": "cat-on-the-mat"},
        ),
    ],
)
async def test_nothing_that_may_fail_comes_after_the_commit(
    app: App, susan: Caller, path: str, body: dict[str, str]
) -> None:
    """Otherwise a busy database answers 503 for what is stored, and programs send it again."""
    sent = note_statements(app, "posts|users")
    engine = app.extensions["database"].engine.sync_engine
    wrote: list[Any] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note_connection(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if re.match("INSERT INTO (posts|users)", statement):
            wrote.append(connection)

    @event.listens_for(engine, "commit")
    def note_commit(connection: Any) -> None:
        if connection in wrote:
            sent.append("COMMIT")

    assert (await susan("POST", path, body)).status == 201
    (inserted,) = (number for number, sql in enumerate(sent) if sql.startswith("INSERT"))
    assert sent.index("COMMIT") == len(sent) - 1
    assert {sql[:6] for sql in sent[inserted + 1 : -1]} == {"SELECT"}


async def test_nobody_deletes_anothers_post(susan: Caller, enter: Enter) -> None:
    david = await enter("david")
    (post,) = await publish(susan, 1)
    answer = await david("DELETE", f"/api/posts/{post}")
    assert (answer.status, answer.problem["code"]) == (403, "forbidden")
    assert (await susan("GET", f"/api/posts/{post}")).status == 200


async def test_walks_a_list_there_and_back(susan: Caller, enter: Enter) -> None:
    david = await enter("david")
    first, theirs, last = await publish(susan, 3), await publish(david, 1), await publish(susan, 1)
    everything = [*first, *theirs, *last][::-1]
    pages = await walk(susan, "/api/posts?per_page=2", "next")
    assert pages == [everything[:2], everything[2:4], everything[4:]]
    back = await walk(susan, f"/api/posts?per_page=2&before={everything[3]}", "prev")
    assert [number for page in back[::-1] for number in page] == everything
    own = await walk(susan, f"/api/users/{susan.id}/posts?per_page=3", "next")
    assert own == [[*first, *last][::-1][:3], [first[0]]]


async def test_a_page_says_how_much_it_holds(susan: Caller) -> None:
    await publish(susan, 3)
    answer = await susan("GET", "/api/posts?page=2&per_page=2")
    assert answer.json["_meta"] == {"per_page": 2, "count": 1}
    assert answer.json["_links"]["self"] == "/api/posts?per_page=2&page=2"
    answer = await susan("GET", "/api/posts")
    assert answer.json["_meta"] == {"per_page": 25, "count": 3}


LISTS = ["/api/posts", "/api/users", "/api/users/1/posts", "/api/users/1/followers"]
NOWHERE = [
    *(
        f"page={value}"
        for value in ("-1", "0", "abc", str(10**30), "2", "", "%FF", "%D9%A1", "1.0")
    ),
    *("before=0", f"before={2**63}", "after=-1", "after=x"),
]
IMPOSSIBLE = ["0", "-1", "abc", str(2**63), str(10**30), "9" * 5000, "0x1"]


async def test_a_page_that_cannot_be_is_not_found(susan: Caller) -> None:
    for path, query in product(LISTS, NOWHERE):
        answer = await susan("GET", f"{path}?{query}")
        assert (answer.status, answer.problem["detail"]) == (404, "There is no such page."), query


async def test_a_size_that_cannot_be_is_refused(susan: Caller) -> None:
    for path, size in product(LISTS, ("0", "101", "x", str(10**30), "", "-1", "1&per_page=2")):
        answer = await susan("GET", f"{path}?per_page={size}")
        assert answer.status == 422, size
        assert list(answer.fields) == ["per_page"]
    assert list((await susan("GET", f"{LISTS[0]}?page=1&page=2")).fields) == ["page"]


async def test_an_id_that_cannot_be_is_not_found(susan: Caller) -> None:
    for number, (method, path) in product(
        IMPOSSIBLE,
        (
            ("GET", "/api/users/{}"),
            ("PUT", "/api/users/{}"),
            ("GET", "/api/users/{}/posts"),
            ("POST", "/api/users/{}/followers"),
            ("DELETE", "/api/users/{}/followers"),
            ("DELETE", "/api/posts/{}"),
            ("GET", "/api/user?user_id={}"),
        ),
    ):
        answer = await susan(method, path.format(number), {} if method == "PUT" else None)
        assert answer.status == 404, path
        assert "message" in answer.json or answer.problem["code"] == "not-found"


async def test_the_largest_id_is_only_unknown(susan: Caller) -> None:
    answer = await susan("GET", f"/api/posts/{2**63 - 1}")
    assert answer.problem["detail"] == "There is no such post."


async def test_follows_once_however_often_it_is_said(
    susan: Caller, enter: Enter, session: AsyncSession
) -> None:
    david = await enter("david")
    path = f"/api/users/{david.id}/followers"
    answers = await asyncio.gather(*(susan("POST", path) for _ in range(5)))
    assert {answer.status for answer in answers} == {204}
    assert await session.scalar(select(func.count()).select_from(followers)) == 1
    assert await walk(david, path, "next") == [[susan.id]]
    assert await walk(david, f"/api/users/{susan.id}/following", "next") == [[david.id]]
    assert (await susan("GET", f"/api/users/{david.id}")).json["follower_count"] == 1
    assert [(await susan("DELETE", path)).status for _ in range(2)] == [204, 204]
    assert await walk(david, path, "next") == [[]]


async def test_nobody_follows_themselves_or_nobody(susan: Caller) -> None:
    answer = await susan("POST", f"/api/users/{susan.id}/followers")
    assert (answer.status, answer.problem["code"]) == (409, "self-follow")
    for method in ("GET", "POST", "DELETE"):
        assert (await susan(method, "/api/users/99/followers")).status == 404
    assert (await susan("GET", "/api/users/99/following")).status == 404
