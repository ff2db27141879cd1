"""Tokens: issue, expiry, revocation, and the text of a 401."""

import base64
import hashlib
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.exceptions import InvalidCredentialsError
from quartapp.microblog.models import ApiToken
from quartapp.microblog.models.login import end_logins
from quartapp.microblog.models.token import TOKEN_LIFE, issue_token
from quartapp.microblog.models.user import PASSWORD_LENGTH
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn
from quartapp.testing import Client, Clock
from tests.microblog.api.conftest import Answer, Caller, Enter


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def basic(username: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


async def test_a_password_gives_a_token_that_calls(nobody: Caller, add_person: AddPerson) -> None:
    await add_person("süsan")
    answer = await nobody("POST", "/api/tokens", headers=basic("süsan", "cat-on-the-mat"))
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await nobody("GET", "/api/posts", headers=headers)).status == 200


async def test_only_the_digest_of_a_token_is_kept(susan: Caller, session: AsyncSession) -> None:
    digest = await session.scalar(select(ApiToken.digest))
    assert digest == hashlib.sha256(susan.token.encode()).hexdigest()


REFUSED: list[dict[str, str]] = [
    {},
    basic("susan", "dog"),
    basic("nobody", "cat-on-the-mat"),
    basic("", ""),
    basic("susan\0", "cat-on-the-mat"),
    basic("susan", "c" * (PASSWORD_LENGTH + 1)),
    {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe:\xff").decode()},
    {"Authorization": "Basic !"},
    {"Authorization": "Bearer cat"},
]


@pytest.mark.usefixtures("susan")
async def test_wrong_credentials_are_refused_alike(nobody: Caller) -> None:
    for headers in REFUSED:
        answer = await nobody("POST", "/api/tokens", headers=headers)
        assert answer.status == 401
        assert answer.problem["code"] == "invalid-credentials"
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="quartapp", charset="UTF-8"'


async def test_an_overlong_password_is_not_hashed(
    susan: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: object) -> bool:
        raise AssertionError("hashing takes longer the longer a password is")

    monkeypatch.setattr("quartapp.microblog.credentials.is_password_right", fail)
    headers = basic("susan", "c" * (PASSWORD_LENGTH + 1))
    assert (await susan("POST", "/api/tokens", headers=headers)).status == 401


async def test_a_token_ends_with_its_life(clock: Clock, enter: Enter) -> None:
    susan = await enter("susan")
    clock.advance(seconds=TOKEN_LIFE.total_seconds() - 1)
    assert (await susan("GET", "/api/posts")).status == 200
    clock.advance(seconds=1)
    answer = await susan("GET", "/api/posts")
    assert (answer.status, answer.problem["code"]) == (401, "invalid-token")


async def test_a_new_token_drops_the_expired_ones(
    clock: Clock, enter: Enter, session: AsyncSession
) -> None:
    await enter("susan")
    clock.advance(hours=1)
    await enter("david")
    clock.advance(seconds=TOKEN_LIFE.total_seconds() - 1800)
    await enter("mary")
    assert await session.scalar(select(func.count(ApiToken.id))) == 2


async def test_a_revoked_token_is_worthless(susan: Caller, enter: Enter) -> None:
    david = await enter("david")
    assert (await susan("DELETE", "/api/tokens")).status == 204
    answer = await susan("DELETE", "/api/tokens")
    assert (answer.status, answer.problem["code"]) == (401, "invalid-token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="quartapp", error="invalid_token"'
    assert (await david("GET", "/api/posts")).status == 200


GUARDED = [
    ("GET", "/api/tokens"),
    ("DELETE", "/api/tokens"),
    ("DELETE", "/api/tokens/1"),
    ("GET", "/api/users"),
    ("GET", "/api/users/1"),
    ("PUT", "/api/users/1"),
    ("GET", "/api/users/1/posts"),
    ("GET", "/api/users/1/followers"),
    ("POST", "/api/users/1/followers"),
    ("DELETE", "/api/users/1/followers"),
    ("GET", "/api/users/1/following"),
    ("GET", "/api/posts"),
    ("POST", "/api/posts"),
    ("GET", "/api/posts/1"),
    ("DELETE", "/api/posts/1"),
]


@pytest.mark.usefixtures("susan")
async def test_without_a_token_nothing_is_told(nobody: Caller) -> None:
    for method, path in GUARDED:
        answer = await nobody(method, path)
        assert (answer.status, answer.problem["code"]) == (401, "token-required"), path
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="quartapp"'


async def test_a_forged_token_is_refused(susan: Caller) -> None:
    for value in ("Bearer", "Bearer x", "Bearer \xe9", "Bearer a=b", f"Token {susan.token}"):
        answer = await susan("GET", "/api/posts", headers={"Authorization": value})
        assert answer.status == 401
        assert answer.problem["code"] in {"invalid-token", "token-required"}


async def test_a_login_cookie_is_no_token(log_in: LogIn) -> None:
    browser = Caller(await log_in("susan"))
    assert (await browser("GET", "/api/posts")).status == 401
    assert (await browser("POST", "/api/posts", {"body": "hi"})).status == 401


async def ask(caller: Caller, body: Any = None, username: str = "susan", **more: Any) -> Answer:
    return await caller("POST", "/api/tokens", body, headers=basic(username, PASSWORD), **more)


@pytest.mark.usefixtures("susan")
async def test_a_token_has_the_name_and_scope_that_were_asked_for(nobody: Caller) -> None:
    cases = [
        (None, "", "read write"),
        ({}, "", "read write"),
        ({"name": "  nightly   backup "}, "nightly backup", "read write"),
        ({"scope": "read"}, "", "read"),
        ({"name": "\N{SNAKE}", "scope": "write  read"}, "\N{SNAKE}", "read write"),
    ]
    for body, name, scope in cases:
        answer = await ask(nobody, body)
        assert answer.status == 201, answer.text
        assert (answer.json["name"], answer.json["scope"]) == (name, scope)


@pytest.mark.usefixtures("susan")
async def test_a_name_and_a_scope_have_their_rules(nobody: Caller) -> None:
    cases = [
        ({"scope": ""}, "scope"),
        ({"scope": "root"}, "scope"),
        ({"scope": "read,write"}, "scope"),
        ({"scope": "read " * 100}, "scope"),
        ({"scope": ["read"]}, "scope"),
        ({"scope": None}, "scope"),
        ({"name": "n" * 65}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"label": "x"}, "label"),
    ]
    for body, field in cases:
        answer = await ask(nobody, body)
        assert answer.status == 422, body
        assert list(answer.fields) == [field]


@pytest.mark.usefixtures("susan")
async def test_a_body_that_is_there_must_be_json(nobody: Caller, client: Client) -> None:
    headers = basic("susan", PASSWORD)
    answer = await client.post("/api/tokens", headers=headers, data=b"scope=admin")
    assert answer.status_code == 415
    headers |= {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post("/api/tokens", headers=headers, data=b"")
    assert answer.status_code == 201


async def test_the_scope_admin_is_for_administrators_who_ask_for_it(
    nobody: Caller, add_person: AddPerson
) -> None:
    await add_person("susan")
    await add_person("ruth", is_admin=True)
    answer = await ask(nobody, {"scope": "read admin"})
    assert (answer.status, answer.problem["code"]) == (403, "forbidden")
    assert (await ask(nobody, {"scope": "read admin"}, "ruth")).json["scope"] == "read admin"
    assert (await ask(nobody, None, "ruth")).json["scope"] == "read write"


async def test_a_scope_is_enforced(susan: Caller, nobody: Caller) -> None:
    tokens = {}
    for scope in ("read", "write"):
        token = (await ask(nobody, {"scope": scope})).json["token"]
        tokens[scope] = {"Authorization": f"Bearer {token}"}
    for method, path in GUARDED:
        needed = "read" if method == "GET" else "write"
        other = "write" if needed == "read" else "read"
        if (method, path) == ("DELETE", "/api/tokens"):
            continue
        answer = await nobody(method, path, headers=tokens[other])
        assert (answer.status, answer.problem["code"]) == (403, "insufficient-scope"), path
        assert answer.headers["WWW-Authenticate"] == (
            f'Bearer realm="quartapp", error="insufficient_scope", scope="{needed}"'
        )
        answer = await nobody(method, path, headers=tokens[needed])
        assert answer.status not in {401, 403}, (method, path)
    for headers in tokens.values():  # any token may end itself
        assert (await nobody("DELETE", "/api/tokens", headers=headers)).status == 204
        assert (await nobody("GET", "/api/posts", headers=headers)).status == 401


async def test_a_token_of_the_version_before_may_read_and_write(
    susan: Caller, session: AsyncSession, app: App
) -> None:
    """It, and those that a server of the version before goes on issuing, have no scope."""
    async with app.extensions["database"].session() as writer:
        old = "INSERT INTO api_tokens (digest, user_id, created_at, expires_at) SELECT"
        await writer.execute(
            text(f"{old} 'of before', user_id, created_at, expires_at FROM api_tokens")
        )
        await writer.commit()
    rows = (await session.execute(select(ApiToken.name, ApiToken.scope))).all()
    assert [tuple(row) for row in rows] == [("", "read write")] * 2


async def test_a_caller_lists_their_tokens(susan: Caller, enter: Enter, nobody: Caller) -> None:
    await enter("david")
    await ask(nobody, {"name": "backup", "scope": "read"})
    answer = await susan("GET", "/api/tokens")
    assert [(token["name"], token["scope"]) for token in answer.json["items"]] == [
        *(("backup", "read"), ("", "read write"))
    ]
    assert set(answer.json["items"][0]) == {"id", "name", "scope", "created_at", "expires_at"}
    page = await susan("GET", "/api/tokens?per_page=1")
    assert [token["name"] for token in page.json["items"]] == ["backup"]
    page = await susan("GET", page.json["_links"]["next"])
    assert [token["name"] for token in page.json["items"]] == [""]


async def test_a_caller_revokes_one_of_their_tokens(susan: Caller, enter: Enter) -> None:
    david = await enter("david")
    ids = {}
    for caller in (susan, david):
        ids[caller.id] = (await caller("GET", "/api/tokens")).json["items"][0]["id"]
    for token_id in (ids[david.id], 2**63 - 1, 2**63):
        answer = await susan("DELETE", f"/api/tokens/{token_id}")
        assert (answer.status, answer.problem["code"]) == (404, "not-found")
    assert (await david("GET", "/api/posts")).status == 200
    assert (await susan("DELETE", f"/api/tokens/{ids[susan.id]}")).status == 204
    assert (await susan("GET", "/api/posts")).status == 401


async def test_no_token_is_issued_for_a_password_that_was_changed_meanwhile(
    app: App, add_person: AddPerson, session: AsyncSession
) -> None:
    susan = await add_person("susan")
    async with app.extensions["database"].session() as writer:
        await end_logins(writer, susan.id, tokens=True)
        await writer.commit()
        with pytest.raises(InvalidCredentialsError):
            await issue_token(writer, susan.id, 0)
    assert await session.scalar(select(func.count(ApiToken.id))) == 0
