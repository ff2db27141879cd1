"""Tokens: issue, expiry, revocation, and the text of a 401."""

import base64
import hashlib

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.microblog.models import ApiToken
from quartapp.microblog.models.token import TOKEN_LIFE
from quartapp.microblog.models.user import PASSWORD_LENGTH
from quartapp.microblog.testing import AddPerson, LogIn
from quartapp.testing import Clock
from tests.microblog.api.conftest import Caller, Enter


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

    monkeypatch.setattr("quartapp.microblog.api.authentication.is_password_right", fail)
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
    ("DELETE", "/api/tokens"),
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
