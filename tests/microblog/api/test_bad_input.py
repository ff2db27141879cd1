"""Invalid requests get a 4xx that says why, and nothing is stored."""

import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.microblog.app import MAX_CONTENT_LENGTH
from quartapp.microblog.models import Post, User
from tests.microblog.api.conftest import Answer, Caller

JSON = {"Content-Type": "application/json"}
GOOD = {"username": "david", "email": "david@example.com", "password": "dog-in-the-fog"}

# A character that becomes two in NFC: a name of 64 of them would not fit into its column.
GROWING = "\u0958"

LONG_ADDRESS = f"{'d' * 60}@{'.'.join(['example'] * 8)}.org"

BAD_FIELDS: list[tuple[dict[str, Any], list[str]]] = [
    ({"username": ""}, ["username"]),
    ({"username": " \t\n"}, ["username"]),
    ({"username": "d" * 65}, ["username"]),
    ({"username": GROWING * 64}, ["username"]),
    ({"username": "a\0b"}, ["username"]),
    ({"username": "a/b"}, ["username"]),
    ({"username": "a\u200bb"}, ["username"]),
    ({"username": "a\ufffdb"}, ["username"]),
    ({"username": None}, ["username"]),
    ({"username": 1}, ["username"]),
    ({"username": ["david"]}, ["username"]),
    ({"email": "david"}, ["email"]),
    ({"email": "david@"}, ["email"]),
    ({"email": "a@b\0.example"}, ["email"]),
    ({"email": LONG_ADDRESS + "g" * 60}, ["email"]),
    ({"password": ""}, ["password"]),
    ({"password": "dog"}, ["password"]),
    ({"password": "david@example.com"}, ["password"]),
    ({"password": "p" * 257}, ["password"]),
    ({"password": "\0"}, ["password"]),
    ({"is_admin": True}, ["is_admin"]),
    ({"login_epoch": 1, "username": ""}, ["username", "login_epoch"]),
]

NO_JSON = [
    b"",
    b"{",
    b"\xff\xfe",
    b'{"username": "\xff"}',
    b'{"username": "\\ud800"}',
    b'{"username": "\\udc00\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    json.dumps(GOOD).encode("utf-16"),
    b"username=david",
]

NO_OBJECT = [b"null", b"[]", b'"david"', b"1e999", b"true", b"[[{}]]"]


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def stored(session: AsyncSession) -> tuple[int | None, int | None]:
    """How many people and posts there are."""
    people = await session.scalar(select(func.count(User.id)))
    posts = await session.scalar(select(func.count(Post.id)))
    await session.rollback()
    return people, posts


async def test_bad_fields_are_named(nobody: Caller, session: AsyncSession) -> None:
    for change, fields in BAD_FIELDS:
        answer = await nobody("POST", "/api/users", GOOD | change)
        assert answer.status == 422, change
        assert sorted(answer.fields) == sorted(fields), change
        assert all(answer.fields.values())
        assert answer.problem["code"] == "invalid-input"
    answer = await nobody("POST", "/api/users", {})
    assert answer.fields == dict.fromkeys(GOOD, "This field is required.")
    assert await stored(session) == (0, 0)


async def test_bad_changes_change_nothing(susan: Caller, session: AsyncSession) -> None:
    for change, fields in BAD_FIELDS:
        if "password" not in change:
            answer = await susan("PUT", f"/api/users/{susan.id}", change)
            assert (answer.status, sorted(answer.fields)) == (422, sorted(fields)), change
    for body in ({"about_me": "a" * 141}, {"about_me": "\0"}, {"about_me": None}):
        assert list((await susan("PUT", f"/api/users/{susan.id}", body)).fields) == ["about_me"]
    person = (await session.execute(select(User.username, User.email, User.about_me))).one()
    assert tuple(person) == ("susan", "susan@example.com", "")


async def test_bad_posts_are_not_published(susan: Caller, session: AsyncSession) -> None:
    refused: list[Any] = ["", " \r\n ", "p" * 141, "a\0b", "\x1b[2J", None, 5, {}, []]
    for body in refused:
        answer = await susan("POST", "/api/posts", {"body": body})
        assert (answer.status, list(answer.fields)) == (422, ["body"]), body
    assert (await susan("POST", "/api/posts", {"body": "p" * 140})).status == 201
    assert await stored(session) == (1, 1)


async def test_what_is_no_json_is_a_bad_request(susan: Caller, session: AsyncSession) -> None:
    for path in ("/api/users", "/api/posts"):
        for data in NO_JSON:
            answer = await susan("POST", path, data=data, headers=JSON)
            assert (answer.status, answer.problem["code"]) == (400, "bad-request"), data[:30]
            assert "not valid JSON" in answer.problem["detail"]
        for data in NO_OBJECT:
            answer = await susan("POST", path, data=data, headers=JSON)
            assert (answer.status, list(answer.fields)) == (422, [""]), data
    assert await stored(session) == (1, 0)


async def test_a_body_must_be_called_json(nobody: Caller, session: AsyncSession) -> None:
    data = json.dumps(GOOD)
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
        "\xe9",
    ):
        answer = await nobody("POST", "/api/users", data=data, headers={"Content-Type": kind})
        assert (answer.status, answer.problem["code"]) == (415, "unsupported-media-type"), kind
    assert (await nobody("POST", "/api/users")).status == 415
    assert await stored(session) == (0, 0)
    named = {"Content-Type": "application/vnd.api+json; charset=utf-8"}
    assert (await nobody("POST", "/api/users", data=data, headers=named)).status == 201


async def test_a_huge_body_is_refused(susan: Caller, session: AsyncSession) -> None:
    data = json.dumps({"body": "p" * MAX_CONTENT_LENGTH})
    answer = await susan("POST", "/api/posts", data=data, headers=JSON)
    assert (answer.status, answer.problem["code"]) == (413, "content-too-large")
    assert await stored(session) == (1, 0)


async def test_who_calls_is_asked_before_the_body_is_read(nobody: Caller) -> None:
    answer = await nobody("POST", "/api/posts", data=b"{", headers=JSON)
    assert (answer.status, answer.problem["code"]) == (401, "token-required")


async def test_addresses_that_are_no_utf8(susan: Caller) -> None:
    for path in ("/api/users/%FF", "/api/%00", "/api/posts/%ED%A0%80", "/api/\N{SNOWMAN}"):
        assert (await susan("GET", path)).problem["status"] == 404
    for user_id in ("%FF", "%00", "%ED%A0%80", "1%00", "%D9%A1", "1.0", "+1", "9" * 5000):
        answer = await susan("GET", f"/api/user?user_id={user_id}")
        assert (answer.status, answer.json) == (404, {"message": "No such user!"}), user_id


anything = st.text(st.characters(), max_size=300)
names = st.text(st.characters(exclude_categories=()), min_size=1, max_size=70)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
addresses = anything | st.builds("{}@{}.example".format, names, names)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "username": names | values,
        "email": addresses | values,
        "password": names | values,
        "about_me": names | values,
        "body": names | values,
    },
) | st.dictionaries(names, values, max_size=3)

relaxed = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def check(session: AsyncSession, caller: Caller, method: str, path: str, **more: Any) -> None:
    """The request succeeds, or is answered with a problem and nothing is stored."""
    before = await stored(session)
    answer: Answer = await caller(method, path, **more)
    if answer.status >= 400:
        assert answer.status < 500
        assert answer.problem["detail"]
        assert await stored(session) == before


@pytest.mark.slow
@relaxed
@given(body=bodies)
@example(body={"username": "\ud800", "email": "\ud800@b.example", "password": "\udfff"})
async def test_any_json_is_taken_or_refused(
    session: AsyncSession, susan: Caller, body: dict[str, Any]
) -> None:
    data = json.dumps(body)
    for method, path in (
        ("POST", "/api/users"),
        ("PUT", f"/api/users/{susan.id}"),
        ("POST", "/api/posts"),
    ):
        await check(session, susan, method, path, data=data, headers=JSON)


@pytest.mark.slow
@relaxed
@given(data=st.binary(max_size=200), kind=st.sampled_from(["application/json", "text/plain", "x"]))
async def test_any_bytes_are_taken_or_refused(
    session: AsyncSession, susan: Caller, data: bytes, kind: str
) -> None:
    await check(session, susan, "POST", "/api/posts", data=data, headers={"Content-Type": kind})


@pytest.mark.slow
@relaxed
@given(
    path=st.sampled_from(["/api/posts", "/api/users", "/api/users/1/followers", "/api/user"]),
    name=st.sampled_from(["page", "per_page", "before", "after", "user_id"]),
    value=st.integers().map(str) | st.text(string.printable) | st.binary(max_size=20),
)
async def test_any_query_is_taken_or_refused(
    susan: Caller, path: str, name: str, value: str | bytes
) -> None:
    raw = value if isinstance(value, bytes) else value.encode()
    query = f"{name}={''.join(f'%{byte:02X}' for byte in raw)}"
    assert (await susan("GET", f"{path}?{query}")).status < 500


@pytest.mark.slow
@relaxed
@given(value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")))
async def test_any_authorization_is_refused(susan: Caller, value: str) -> None:
    for text in (value, f"Bearer {value}", f"Basic {value}"):
        answer = await susan("GET", "/api/posts", headers={"Authorization": text})
        assert answer.status == 401
