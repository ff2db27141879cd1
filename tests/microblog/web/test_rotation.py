"""A new SECRET_KEY, step by step: what one process has signed, the others accept."""

import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from quartapp.flasklike import App
from quartapp.microblog.accounts.links import Links, Purpose
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.database import db
from quartapp.microblog.models.account import find_account
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.testing import PASSWORD, AddPerson, create_tables
from quartapp.testing import Client
from quartapp.testing.applications import started
from tests.microblog.web.conftest import Submit, token_of

OLD, NEW = secrets.token_hex(), secrets.token_hex()

STEPS = {
    "before": (OLD,),
    "1. accepted": (OLD, NEW),
    "2. swapped": (NEW, OLD),
    "3. removed": (NEW,),
}
"""The keys of the versions that run side by side: the one that signs, then SECRET_KEY_FALLBACKS."""

BY_OLD = {"before", "1. accepted"}


@pytest.fixture
async def apps(settings: Settings) -> AsyncIterator[dict[str, App]]:
    """An application for each step, on one database."""
    made = {}
    for step, (key, *older) in STEPS.items():
        keys = {"secret_key": key, "secret_key_fallbacks": tuple(older)}
        made[step] = create_app(settings.model_copy(update=keys))
    await create_tables(made["before"])
    async with AsyncExitStack() as stack:
        for app in made.values():
            await stack.enter_async_context(started(app))
        yield made


@pytest.fixture
def app(apps: dict[str, App]) -> App:
    return apps["before"]


def browser(app: App, cookies: dict[str, str]) -> Client:
    """A browser that had these cookies of another process."""
    client: Client = app.test_client()
    for name, value in cookies.items():
        client.set_cookie("localhost", name, value)
    return client


def cookies_of(client: Client) -> dict[str, str]:
    return {cookie.name: str(cookie.value) for cookie in client.cookie_jar or ()}


# Each kind: what signs, and whether it is accepted.


async def sign_login(app: App, submit: Submit) -> dict[str, str]:
    client = app.test_client()
    await submit(client, "/login", username="susan", password=PASSWORD)
    return {name: value for name, value in cookies_of(client).items() if name != "session"}


async def accept_login(app: App, cookies: dict[str, str]) -> bool:
    return bool((await browser(app, cookies).get("/edit_profile")).status_code == 200)


async def sign_form(app: App, submit: Submit) -> tuple[str, dict[str, str]]:
    client = app.test_client()
    token = await token_of(client, "/login")
    return token, cookies_of(client)


async def accept_form(app: App, signed: tuple[str, dict[str, str]]) -> bool:
    token, cookies = signed
    fields = {"csrf_token": token, "username": "", "password": ""}
    answer = await browser(app, cookies).post("/login", form=fields)
    assert answer.status_code in {400, 422}
    return bool(answer.status_code == 422)


async def sign_link(app: App, submit: Submit) -> str:
    async with app.app_context():
        account = await find_account(db, 1)
        assert account
        links: Links = app.extensions["accounts"].links
        return links.sign(Purpose.RESET_PASSWORD, account)


async def accept_link(app: App, token: str) -> bool:
    return bool((await app.test_client().get(f"/reset_password/{token}")).status_code == 200)


async def sign_token(app: App, submit: Submit) -> str:
    async with app.extensions["database"].session() as session:
        return (await issue_token(session, 1, 0)).token


async def accept_token(app: App, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    return bool((await app.test_client().get("/api/users/1", headers=headers)).status_code == 200)


KINDS: dict[str, tuple[Callable[..., Awaitable[Any]], Callable[..., Awaitable[bool]]]] = {
    "login": (sign_login, accept_login),
    "form": (sign_form, accept_form),
    "link": (sign_link, accept_link),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_each_step_accepts_what_its_neighbours_sign(
    kind: str, apps: dict[str, App], add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    sign, accept = KINDS[kind]
    for signing in STEPS:
        signed = await sign(apps[signing], submit)
        found = {step for step in STEPS if await accept(apps[step], signed)}
        # Without the first step, a process with the old key alone refuses what is signed already.
        assert found == set(STEPS) - {"3. removed" if signing in BY_OLD else "before"}, signing


@pytest.mark.slow
async def test_tokens_of_the_api_do_not_depend_on_the_key(
    apps: dict[str, App], add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    token = await sign_token(apps["before"], submit)
    assert [await accept_token(app, token) for app in apps.values()] == [True] * len(STEPS)


@pytest.mark.slow
async def test_a_visit_signs_the_login_with_the_new_key(
    apps: dict[str, App], add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    cookies = await sign_login(apps["before"], submit)
    visiting = browser(apps["2. swapped"], cookies)
    page = await visiting.get("/explore")
    assert len(page.headers.getlist("Set-Cookie")) >= 1
    assert not [
        each
        for each in (await visiting.get("/explore")).headers.getlist("Set-Cookie")
        if "AUTH" in each
    ]
    assert await accept_login(apps["3. removed"], cookies_of(visiting))
    assert not await accept_login(apps["3. removed"], cookies)


@pytest.mark.slow
async def test_a_form_made_with_the_new_key_brings_its_session_along(
    apps: dict[str, App], submit: Submit
) -> None:
    _, cookies = await sign_form(apps["before"], submit)
    client = browser(apps["2. swapped"], cookies)
    token = await token_of(client, "/login")
    assert await accept_form(apps["3. removed"], (token, cookies_of(client)))


@pytest.mark.slow
async def test_a_login_that_has_ended_is_not_signed_again(
    apps: dict[str, App], add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    cookies = await sign_login(apps["before"], submit)
    await submit(browser(apps["before"], cookies), "/logout", "/")
    answer = await browser(apps["2. swapped"], cookies).get("/explore")
    assert not re.search("AUTH=.", " ".join(answer.headers.getlist("Set-Cookie")))
