"""What is limited besides passwords, and that it is limited for the right client."""

import re
from typing import Any

import pytest

from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.testing import PASSWORD, LogIn, create_tables
from quartapp.testing import Client, Clock, MailServer
from tests.microblog.accounts_mailed import mailed
from tests.microblog.api.test_tokens import basic
from tests.microblog.web.conftest import text_of, token_of

LIMITS = {
    "limit_registrations": "3 per hour",
    "limit_posts": "3 per hour",
    "limit_tokens": "3 per hour",
    "limit_api": "5 per minute",
    "limit_mails": "3 per hour",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"throttling": True} | LIMITS)


def come_from(address: str) -> dict[str, Any]:
    return {"scope_base": {"client": (address, 4711)}}


def person(number: int) -> dict[str, str]:
    name = f"person{number}"
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD}


async def test_registrations_of_an_address_are_limited(client: Client, clock: Clock) -> None:
    """By the page and the API together, and so is asking which names are taken."""
    token = await token_of(client, "/register")
    for number in range(2):
        form = person(number) | {"csrf_token": token, "password2": PASSWORD}
        assert (await client.post("/register", form=form)).status_code == 302
    assert (await client.post("/api/users", json=person(0))).status_code == 409
    answer = await client.post("/register", form=person(3) | {"csrf_token": token})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    page = await text_of(answer)
    assert "Too many accounts were registered from your network." in page
    assert 'value="person3@example.com"' in page, "what was typed is shown again"
    assert (await client.post("/api/users", json=person(3))).status_code == 429
    other = await client.post("/api/users", json=person(3), **come_from("203.0.113.9"))
    assert other.status_code == 201


async def test_posts_of_a_person_are_limited(log_in: LogIn, clock: Clock) -> None:
    susan, john = await log_in("susan"), await log_in("john")
    for client, statuses in ((susan, [302, 302, 302, 429]), (john, [302])):
        token = await token_of(client, "/")
        answers = [
            await client.post("/", form={"csrf_token": token, "post": str(n), "form_key": str(n)})
            for n in range(len(statuses))
        ]
        assert [answer.status_code for answer in answers] == statuses
        if statuses[-1] == 429:
            assert re.search(r">\s*3</textarea>", await text_of(answers[-1]))
    clock.advance(hours=1)
    answer = await susan.post("/", form={"csrf_token": token, "post": "again", "form_key": "x"})
    assert answer.status_code != 429


async def test_tokens_of_a_person_are_limited(client: Client, log_in: LogIn, clock: Clock) -> None:
    await log_in("susan")
    headers = basic("susan", PASSWORD)
    answers = [await client.post("/api/tokens", headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]


async def test_requests_to_the_api_are_limited_whatever_they_ask(
    client: Client, clock: Clock
) -> None:
    paths = ["/api/posts", "/api/users", "/api/user", "/api/openapi.json", "/api/posts"]
    assert [(await client.get(path)).status_code for path in paths] == [401, 401, 400, 200, 401]
    answer = await client.get("/api/posts")
    problem = await answer.get_json()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert problem["detail"] == (
        "Too many requests came from your network. Please try again in 60 seconds."
    )
    assert (await client.get("/api/posts", **come_from("203.0.113.9"))).status_code == 401
    assert (await client.get("/explore")).status_code == 200
    clock.advance(minutes=1)
    assert (await client.get("/api/posts")).status_code == 401


async def test_mails_are_limited_for_who_asks_and_for_who_gets_them(
    settings: Settings,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    app = create_app(mailed(settings, mail_server, monkeypatch))
    await create_tables(app)
    async with app.test_app():
        client = app.test_client()
        token = await token_of(client, "/reset_password_request")

        async def ask(email: str, address: str) -> int:
            form = {"csrf_token": token, "email": email}
            sent = client.post("/reset_password_request", form=form, **come_from(address))
            return (await sent).status_code

        to_one = [await ask("Susan@example.com", f"203.0.113.{n}") for n in range(3)]
        assert [*to_one, await ask("susan@example.com", "203.0.113.9")] == [302, 302, 302, 429]
        by_one = [await ask(f"nobody{n}@example.com", "192.0.2.1") for n in range(4)]
        assert by_one == [302, 302, 302, 429]


@pytest.mark.parametrize(("hops", "statuses"), [(0, {429}), (1, {401}), (2, {429})])
async def test_the_address_is_that_before_the_trusted_proxies(
    settings: Settings, clock: Clock, hops: int, statuses: set[int]
) -> None:
    """Under any server: the application itself reads the header of its proxies."""
    app = create_app(settings.model_copy(update={"proxy_hops": hops}))
    await create_tables(app)
    async with app.test_app():
        client = app.test_client()
        seen = [
            await client.get("/api/posts", headers={"X-Forwarded-For": f"192.0.2.{n}, 10.0.0.{n}"})
            if hops == 1
            else await client.get("/api/posts", headers={"X-Forwarded-For": f"192.0.2.{n}"})
            for n in range(6)
        ]
    assert {seen[-1].status_code} == statuses


@pytest.mark.lenient("errors")
async def test_it_is_ready_without_redis_and_says_so(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    await create_tables(app)
    async with app.test_app():
        ready = await app.test_client().get("/ready")
        assert ready.status_code == 200
        assert await ready.get_json() == {
            "status": "ok",
            "database": "ok",
            "throttling": "without Redis",
        }


def test_tests_are_not_limited_unless_they_ask_for_it(settings: Settings, app: App) -> None:
    kind = type(settings)
    assert kind(environment="testing").throttling is False
    assert kind(environment="testing", throttling=True).throttling is True
    assert kind(environment="development").throttling is True
