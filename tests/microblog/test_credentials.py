"""Guessing passwords: it ends soon, it locks nobody else out, and the owner sees it."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from quart import Response
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog import credentials, passwords
from quartapp.microblog.config import Settings
from quartapp.microblog.credentials import guessing
from quartapp.microblog.models import SecurityEvent, User
from quartapp.microblog.passwords import PasswordHasher, hash_now, scrypt
from quartapp.microblog.testing import PASSWORD, AddPerson
from quartapp.testing import Client, Clock
from tests.microblog.web.conftest import text_of, token_of

HERE, THERE = "203.0.113.9", "198.51.100.7"

Try: TypeAlias = Callable[..., Awaitable[Response]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"throttling": True})


@pytest.fixture
async def log_in_as(client: Client, clock: Clock) -> Try:
    """`await log_in_as("susan", "dog", THERE)`: send the login form, from an address."""
    token = await token_of(client, "/login")

    async def send(username: str, password: str, address: str = HERE) -> Response:
        form = {"csrf_token": token, "username": username, "password": password}
        return await _sent(client.post("/login", form=form, scope_base=_from(address)))

    return send


@pytest.fixture
def ask_for_token(client: Client, clock: Clock) -> Try:
    """The same for a token of the API."""

    async def send(username: str, password: str, address: str = HERE) -> Response:
        basic = base64.b64encode(f"{username}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        return await _sent(client.post("/api/tokens", headers=headers, scope_base=_from(address)))

    return send


async def _sent(request: Awaitable[Any]) -> Response:
    answer = await request
    assert isinstance(answer, Response)
    return answer


def _from(address: str) -> dict[str, object]:
    return {"client": (address, 4711)}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed; each hash lets others go on meanwhile."""
    seen: list[str] = []
    check = passwords.is_password_right

    async def look(password_hash: str | None, password: str) -> bool:
        seen.append(password)
        await asyncio.sleep(0.01)
        return await check(password_hash, password)

    monkeypatch.setattr(credentials, "is_password_right", look)
    return seen


async def guess(send: Try, number: int, username: str = "susan", address: str = HERE) -> None:
    for _ in range(number):
        assert (await send(username, "dog", address)).status_code in {401, 422}


@pytest.mark.slow
async def test_after_ten_wrong_passwords_the_right_one_waits_too(
    log_in_as: Try, add_person: AddPerson, clock: Clock, hashed: list[str]
) -> None:
    await add_person("susan")
    await guess(log_in_as, 10)
    answer = await log_in_as("susan", PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    page = await text_of(answer)
    assert "Too many wrong passwords. Please try again in 1 second." in page
    assert 'value="susan"' in page, "what was typed is shown again"
    assert f'"{PASSWORD}"' not in page
    assert len(hashed) == 10
    clock.advance(seconds=1)
    await guess(log_in_as, 1)
    assert (await log_in_as("susan", PASSWORD)).headers["Retry-After"] == "2"
    clock.advance(seconds=2)
    assert (await log_in_as("susan", PASSWORD)).status_code == 302
    await log_in_as("susan", "dog")  # the login redirects now


@pytest.mark.slow
async def test_a_login_resets_the_count(
    ask_for_token: Try, add_person: AddPerson, clock: Clock
) -> None:
    await add_person("susan")
    for _ in range(3):
        await guess(ask_for_token, 9)
        assert (await ask_for_token("susan", PASSWORD)).status_code == 201


async def test_others_at_the_address_and_the_owner_elsewhere_log_in(
    ask_for_token: Try, add_person: AddPerson, clock: Clock
) -> None:
    await add_person("susan")
    await add_person("john")
    await guess(ask_for_token, 10)
    assert (await ask_for_token("susan", PASSWORD)).status_code == 429
    assert (await ask_for_token("john", PASSWORD)).status_code == 201
    assert (await ask_for_token("susan", PASSWORD, THERE)).status_code == 201
    assert (await ask_for_token("susan", PASSWORD)).status_code == 429


async def test_the_page_and_the_api_count_together(
    log_in_as: Try, ask_for_token: Try, add_person: AddPerson, clock: Clock
) -> None:
    await add_person("susan")
    await guess(log_in_as, 5)
    await guess(ask_for_token, 5)
    answer = await ask_for_token("susan", PASSWORD)
    problem = await answer.get_json()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (problem["status"], problem["code"]) == (429, "too-many-requests")


async def test_a_name_that_nobody_has_is_refused_alike(
    log_in_as: Try, ask_for_token: Try, clock: Clock
) -> None:
    await guess(log_in_as, 5, "nobody")
    await guess(ask_for_token, 5, "nobody")
    for send in (log_in_as, ask_for_token):
        answer = await send("nobody", "dog")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize("username", ["susan", "nobody"])
async def test_twenty_guesses_at_the_same_time_are_ten(
    ask_for_token: Try, add_person: AddPerson, clock: Clock, hashed: list[str], username: str
) -> None:
    await add_person("susan")
    answers = await asyncio.gather(*(ask_for_token(username, "dog") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 10
    assert len(hashed) == 10


@pytest.mark.slow
async def test_a_hundred_wrong_passwords_for_many_names_stop_an_address(
    ask_for_token: Try, add_person: AddPerson, clock: Clock, session: AsyncSession, app: App
) -> None:
    await add_person("susan")
    for number in range(50):
        assert (await ask_for_token("susan", PASSWORD, "2001:db8::2")).status_code == 201
        await guess(ask_for_token, 2, f"person{number}", "2001:db8::1")
    for _ in range(3):
        answer = await ask_for_token("susan", PASSWORD, "2001:db8::3")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")
    assert (await ask_for_token("susan", PASSWORD, "2001:db8:0:1::1")).status_code == 201
    await app.extensions["trail"].written()
    throttled = select(SecurityEvent.detail).where(SecurityEvent.kind == "login-throttled")
    assert list(await session.scalars(throttled)) == ["the address"]
    clock.advance(minutes=15)
    assert (await ask_for_token("susan", PASSWORD, "2001:db8::3")).status_code == 201


@pytest.mark.slow
async def test_refused_tries_do_not_stop_the_address(
    ask_for_token: Try, add_person: AddPerson, clock: Clock
) -> None:
    await add_person("susan")
    await add_person("john")
    await guess(ask_for_token, 10)
    for _ in range(120):
        assert (await ask_for_token("susan", "dog")).status_code == 429
    assert (await ask_for_token("john", PASSWORD)).status_code == 201


async def test_the_owner_sees_what_happened(
    log_in_as: Try, client: Client, add_person: AddPerson, clock: Clock
) -> None:
    await add_person("susan")
    await guess(log_in_as, 12 - 2, address=THERE)
    clock.advance(seconds=1)
    await guess(log_in_as, 1, address=THERE)
    assert (await log_in_as("susan", "dog", THERE)).status_code == 429
    assert (await log_in_as("susan", PASSWORD)).status_code == 302
    page = await text_of(await client.get("/"))
    assert "11 wrong passwords were given for your account since your last login" in page
    page = await text_of(await client.get("/security"))
    assert page.count("A wrong password was given") == 11
    assert "Too many wrong passwords: logins were refused (for 1 second)" in page
    assert "(for 2 seconds)" in page
    assert page.count(THERE) == 13
    assert page.count(HERE) == 1


async def test_a_few_typing_errors_are_not_mentioned(
    log_in_as: Try, client: Client, add_person: AddPerson
) -> None:
    await add_person("susan")
    await guess(log_in_as, 2)
    assert (await log_in_as("susan", PASSWORD)).status_code == 302
    assert "wrong passwords" not in await text_of(await client.get("/"))


async def test_guessing_is_told_once(
    app: App, ask_for_token: Try, add_person: AddPerson, clock: Clock
) -> None:
    susan = await add_person("susan")
    noticed: list[tuple[object, object]] = []

    async def notice(_: App, user_id: int, address: str) -> None:
        noticed.append((user_id, address))

    with guessing.connected_to(notice, app):
        await guess(ask_for_token, 10)
        clock.advance(seconds=1)
        await guess(ask_for_token, 1)
        await guess(ask_for_token, 10, "nobody")
        await asyncio.gather(*app.background_tasks)
    assert noticed == [(susan.id, HERE)]


async def test_a_weak_hash_is_replaced_after_the_login(
    app: App, ask_for_token: Try, add_person: AddPerson, session: AsyncSession
) -> None:
    susan = await add_person("susan")
    weak = hash_now(PASSWORD, scrypt(7)._replace(p=1))
    await _store(app, susan.id, weak)
    assert (await ask_for_token("susan", "dog")).status_code == 401
    assert not app.background_tasks
    assert (await ask_for_token("susan", PASSWORD)).status_code == 201
    await asyncio.gather(*app.background_tasks)
    stored = await session.scalar(select(User.password_hash))
    assert str(stored).startswith("scrypt:128:8:3$")
    assert (await ask_for_token("susan", PASSWORD)).status_code == 201
    assert not app.background_tasks


async def test_a_password_that_was_changed_meanwhile_stays_changed(
    app: App, ask_for_token: Try, add_person: AddPerson, session: AsyncSession
) -> None:
    susan = await add_person("susan")
    await _store(app, susan.id, hash_now(PASSWORD, scrypt(7)._replace(p=1)))
    go_on = asyncio.Event()
    hasher: PasswordHasher = app.extensions["passwords"]

    async def hash_slowly(password: str) -> str:
        await go_on.wait()
        return hash_now(password, scrypt(7))

    hasher.hash = hash_slowly  # type: ignore[method-assign]
    assert (await ask_for_token("susan", PASSWORD)).status_code == 201
    changed = hash_now("another", scrypt(7))
    await _store(app, susan.id, changed)
    go_on.set()
    await asyncio.gather(*app.background_tasks)
    assert await session.scalar(select(User.password_hash)) == changed


async def _store(app: App, user_id: int, password_hash: str) -> None:
    async with app.extensions["database"].begin() as session:
        await session.execute(
            update(User).where(User.id == user_id).values(password_hash=password_hash)
        )


async def test_a_weak_hash_does_not_keep_a_password_from_being_changed(
    app: App, client: Client, log_in_as: Try, add_person: AddPerson, session: AsyncSession
) -> None:
    susan = await add_person("susan")
    assert (await log_in_as("susan", PASSWORD)).status_code == 302
    await _store(app, susan.id, hash_now(PASSWORD, scrypt(7)._replace(p=1)))
    form = {
        "csrf_token": await token_of(client, "/change_password"),
        "current_password": PASSWORD,
        "password": "dog-under-the-table",
        "password2": "dog-under-the-table",
    }
    assert (await client.post("/change_password", form=form)).status_code == 302
    assert not app.background_tasks
    assert (await log_in_as("susan", "dog-under-the-table", THERE)).status_code == 302


async def test_a_borrowed_browser_does_not_guess_the_password(
    client: Client, log_in_as: Try, add_person: AddPerson
) -> None:
    await add_person("susan")
    assert (await log_in_as("susan", PASSWORD)).status_code == 302
    token = await token_of(client, "/delete_account")
    form = {"csrf_token": token, "password": "dog", "posts": "delete"}
    answers = [await client.post("/delete_account", form=form) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [422] * 10 + [429]
    assert (await client.get("/")).status_code == 200
