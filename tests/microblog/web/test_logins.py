"""Login cookies: what they lead to, and that copies of them end with their login."""

import re
import time
from html import unescape
from unittest.mock import patch

import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.microblog import credentials
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.identity import COOKIE, SECURE_COOKIE
from quartapp.microblog.models import Login, User
from quartapp.microblog.models.login import Device, end_logins, start_login
from quartapp.microblog.models.token import digest_of
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn, create_tables
from quartapp.testing import Client, Clock
from tests.microblog.executing import note_statements
from tests.microblog.web.conftest import Submit, text_of, token_of

LOGIN = {"username": "susan", "password": PASSWORD}
LOGGED_IN, STRANGER = 200, 302
DAY = 24 * 60 * 60


def cookies_of(client: Client) -> dict[str, str]:
    return {cookie.name: str(cookie.value) for cookie in client.cookie_jar or ()}


async def status_with(app: App, cookies: dict[str, str]) -> int:
    """How a page for people answers these cookies."""
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    answer = await app.test_client().get("/edit_profile", headers={"Cookie": header})
    return answer.status_code


def old_cookie(app: App, user: User, *, epoch: int = 0, days: float = 0) -> dict[str, str]:
    """A cookie of the version before, issued some days ago."""
    auth = app.extensions["identity"]
    signer = auth.serializer_class(app.secret_key, auth.salt)
    issued = int(time.time() - days * DAY)
    with patch.object(TimestampSigner, "get_timestamp", lambda _: issued):
        return {COOKIE: signer.dumps(f"{user.id}.{epoch}.0.{user.username}")}


async def test_a_copied_cookie_ends_with_the_logout(
    app: App, client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    await submit(client, "/login", **LOGIN)
    copied = cookies_of(client)
    assert await status_with(app, copied) == LOGGED_IN
    await submit(client, "/logout", "/")
    assert await status_with(app, copied) == STRANGER


async def test_a_page_does_not_greet_whose_login_has_ended(
    app: App, client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    await submit(client, "/login", **LOGIN)
    copied = "; ".join(f"{name}={value}" for name, value in cookies_of(client).items())
    await submit(client, "/logout", "/")
    page = await text_of(await app.test_client().get("/explore", headers={"Cookie": copied}))
    assert "susan" not in page
    assert "Log out" not in page


async def test_a_login_that_is_overtaken_by_the_end_of_all_logins_says_so(
    app: App, client: Client, add_person: AddPerson, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    susan = await add_person("susan")

    async def is_right(*_: object) -> bool:
        async with app.extensions["database"].session() as session:
            await end_logins(session, susan.id)
            await session.commit()
        return True

    monkeypatch.setattr(credentials, "is_password_right", is_right)
    answer = await submit(client, "/login", **LOGIN)
    assert answer.status_code == 422
    assert "Your logins were ended at this moment." in await text_of(answer)
    assert COOKIE not in cookies_of(client)


async def test_a_logout_leaves_other_logins(log_in: LogIn, submit: Submit) -> None:
    one, other = await log_in("susan"), await log_in("susan")
    await submit(one, "/logout", "/")
    assert (await other.get("/edit_profile")).status_code == LOGGED_IN


async def test_a_logout_in_a_second_tab_is_no_error(log_in: LogIn, submit: Submit) -> None:
    client = await log_in("susan")
    token = await token_of(client, "/")
    cookies = cookies_of(client)
    await submit(client, "/logout", "/")
    for name, value in cookies.items():
        client.set_cookie("localhost", name, value)
    answer = await client.post("/logout", form={"csrf_token": token})
    assert (answer.status_code, answer.location) == (302, "/")
    assert COOKIE not in cookies_of(client)


async def test_a_login_ends_after_half_a_day_without_a_request(log_in: LogIn, clock: Clock) -> None:
    client, remembered = await log_in("susan"), await log_in("susan", remember=True)
    for _ in range(3):
        clock.advance(hours=11)
        assert (await client.get("/edit_profile")).status_code == LOGGED_IN
    clock.advance(hours=13)
    assert (await client.get("/edit_profile")).status_code == STRANGER
    clock.advance(days=28)
    assert (await remembered.get("/edit_profile")).status_code == LOGGED_IN
    clock.advance(days=1)
    assert (await remembered.get("/edit_profile")).status_code == STRANGER


async def test_a_cookie_from_a_machine_whose_clock_is_ahead_is_valid_at_once(
    log_in: LogIn,
) -> None:
    ahead = int(time.time() + 3600)
    with patch.object(TimestampSigner, "get_timestamp", lambda _: ahead):
        client = await log_in("susan")
    assert (await client.get("/edit_profile")).status_code == LOGGED_IN


async def test_being_here_is_noted_once_a_minute_for_each_login(
    app: App, log_in: LogIn, session: AsyncSession, clock: Clock
) -> None:
    clients = [await log_in("susan"), await log_in("susan")]
    sent = note_statements(app, "users|logins")
    for seconds, expected in ((59, []), (2, ["users", "logins"] * 2), (59, []), (-600, None)):
        sent.clear()
        clock.advance(seconds=seconds)
        for client in clients:
            await client.get("/")
        if expected is None:  # the clock was set back
            expected = ["users", "logins"] * 2
        assert [text.split()[1] for text in sent if text.startswith("UPDATE")] == expected
    assert set(await session.scalars(select(Login.last_seen))) == {clock.now}
    assert set(await session.scalars(select(User.last_seen))) == {clock.now}


async def test_a_page_costs_no_more_statements_for_a_login(
    app: App, log_in: LogIn, client: Client
) -> None:
    """One statement finds the login and its person."""
    susan = await log_in("susan")
    sent = note_statements(app, "users|posts|logins")
    numbers = []
    for who in (client, susan):
        sent.clear()
        await who.get("/explore")
        numbers.append(len(sent))
    assert numbers == [1, 2]


async def test_a_cookie_of_the_version_before_is_taken_over_once(
    app: App, add_person: AddPerson, session: AsyncSession, submit: Submit
) -> None:
    susan = await add_person("susan")
    cookies = old_cookie(app, susan)
    for _ in range(3):
        assert await status_with(app, cookies) == LOGGED_IN
    assert await session.scalar(select(func.count(Login.id))) == 1
    client = app.test_client()
    client.set_cookie("localhost", COOKIE, cookies[COOKIE])
    await submit(client, "/edit_profile", username="sue", about_me="")
    assert (await client.get("/edit_profile")).status_code == LOGGED_IN
    await submit(client, "/logout", "/")
    assert await status_with(app, cookies) == STRANGER


async def test_a_cookie_of_the_version_before_ends_with_the_logins(
    app: App, log_in: LogIn, submit: Submit
) -> None:
    susan = await log_in("susan")
    async with app.extensions["database"].session() as session:
        user = await session.scalar(select(User))
    used, unused = old_cookie(app, user), old_cookie(app, user, days=1)
    assert await status_with(app, used) == LOGGED_IN
    await submit(susan, "/sessions/end_others", "/sessions")
    assert await status_with(app, used) == STRANGER
    assert await status_with(app, unused) == STRANGER
    assert (await susan.get("/edit_profile")).status_code == LOGGED_IN


async def test_a_cookie_of_the_version_before_lasts_a_month(
    app: App, add_person: AddPerson, session: AsyncSession
) -> None:
    susan = await add_person("susan")
    for days, expected in ((29, LOGGED_IN), (31, STRANGER)):
        assert await status_with(app, old_cookie(app, susan, days=days)) == expected
    [expiry] = await session.scalars(select(Login.expires_at))
    assert abs(expiry.timestamp() - time.time() - DAY) < 60


async def test_cookies_of_a_wrong_epoch_or_of_nobody_write_nothing(
    app: App, add_person: AddPerson, session: AsyncSession
) -> None:
    susan = await add_person("susan")
    susan_before = User(id=susan.id, username="susan")
    nobody = User(id=99, username="nobody")
    sent = note_statements(app, "logins")
    for cookies in (old_cookie(app, susan_before, epoch=1), old_cookie(app, nobody)):
        assert await status_with(app, cookies) == STRANGER
    assert [text[:6] for text in sent] == ["SELECT", "SELECT"]
    assert await session.scalar(select(func.count(Login.id))) == 0


async def test_who_reads_the_table_cannot_log_in(
    app: App, log_in: LogIn, add_person: AddPerson, session: AsyncSession
) -> None:
    """Not even with the key that signs the cookies."""
    await log_in("john")
    auth = app.extensions["identity"]
    susan = await add_person("susan")
    digest = await session.scalar(select(Login.digest))
    for key in (digest, "x" * 43):
        cookies = {COOKIE: auth.dump_token(f"{susan.id}.{key}.1.susan", app=app)}
        assert await status_with(app, cookies) == STRANGER


async def test_a_login_renews_the_session_and_its_form_tokens(
    app: App, client: Client, add_person: AddPerson, submit: Submit
) -> None:
    await add_person("susan")
    before = await token_of(client, "/login")
    planted = cookies_of(client)["session"]
    await client.post("/login", form={"csrf_token": before, **LOGIN})
    after = await token_of(client, "/")
    assert cookies_of(client)["session"] != planted
    answer = await client.post("/", form={"csrf_token": before, "post": "mine"})
    page = await text_of(answer)
    assert answer.status_code == 400
    assert "mine</textarea>" in page
    # Even together with the session of before, which another may know.
    client.set_cookie("localhost", "session", planted)
    answer = await client.post("/", form={"csrf_token": before, "post": "mine"})
    assert answer.status_code == 400
    answer = await client.post("/", form={"csrf_token": after, "post": "mine"})
    assert answer.status_code == 400


async def test_a_form_that_waited_for_a_login_can_be_sent_right_after_it(
    client: Client, add_person: AddPerson
) -> None:
    await add_person("susan")
    answer = await client.post("/", form={"post": "waited", "form_key": "a key"})
    for path, fields in (("/login", LOGIN), ("/", {"post": "waited"})):
        page = await answer.get_data(as_text=True)
        hidden = re.findall(r'name="(kept|csrf_token)"[^>]* value="([^"]*)"', page)
        form = {name: unescape(value) for name, value in hidden}
        answer = await client.post(path, form=form | fields)
    assert (answer.status_code, answer.location) == (302, "/")


async def test_a_form_of_an_earlier_login_is_shown_again(
    client: Client, add_person: AddPerson, submit: Submit
) -> None:
    """Two tabs: one logs out and in again, the other sends a form that was open before."""
    await add_person("susan")
    await submit(client, "/login", **LOGIN)
    before = await token_of(client, "/")
    await submit(client, "/logout", "/")
    await submit(client, "/login", **LOGIN)
    answer = await client.post("/", form={"csrf_token": before, "post": "kept text"})
    page = await text_of(answer)
    assert answer.status_code == 400
    assert "kept text</textarea>" in page
    token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[-1]
    answer = await client.post("/", form={"csrf_token": token, "post": "kept text"})
    assert answer.status_code == 302


@pytest.fixture
async def secure_app(settings: Settings) -> App:
    application = create_app(settings.model_copy(update={"cookie_secure": True}))
    await create_tables(application)
    return application


async def test_secure_cookies_can_only_come_from_this_host(secure_app: App) -> None:
    database: DatabaseEngine = secure_app.extensions["database"]
    auth = secure_app.extensions["identity"]
    async with secure_app.test_app():
        async with database.session() as session:
            susan = User(username="susan", email="s", password_hash="")
            session.add(susan)
            await session.commit()
        assert (auth.cookie_name, secure_app.config["SESSION_COOKIE_NAME"]) == (
            *(SECURE_COOKIE, "__Host-session"),
        )
        answer = await secure_app.test_client().get("/login", scheme="https")
        [cookie] = answer.headers.getlist("Set-Cookie")
        assert cookie.startswith("__Host-session=")
        assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        # A neighbouring host can set a cookie without the prefix: it may only be an old one.
        async with database.session() as session:
            device = Device("", "")
            await start_login(session, susan.id, 0, digest_of("a key"), device, remembered=True)
        login = auth.dump_token(f"{susan.id}.a key.1.susan", app=secure_app)
        assert await status_with(secure_app, {SECURE_COOKIE: login}) == LOGGED_IN
        assert await status_with(secure_app, {COOKIE: login}) == STRANGER
        old = old_cookie(secure_app, susan)
        assert await status_with(secure_app, old) == LOGGED_IN
        # It goes with the logout.
        client = secure_app.test_client()
        client.set_cookie("localhost", COOKIE, old[COOKIE], secure=True)
        page = await (await client.get("/", scheme="https")).get_data(as_text=True)
        token = re.findall(r'name="csrf_token" value="([^"]+)"', page)[0]
        answer = await client.post("/logout", form={"csrf_token": token}, scheme="https")
        deleted = [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" in line]
        assert {line.partition("=")[0] for line in deleted} == {COOKIE, SECURE_COOKIE}
        await database.dispose()
