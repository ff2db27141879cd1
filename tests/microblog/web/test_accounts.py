"""Passwords, addresses and the end of accounts, with a real mail server."""

import asyncio
import re
from typing import Any

import pytest
from quart import Response
from sqlalchemy import func, select, text, update

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog import accounts as accounts_module
from quartapp.microblog.accounts.links import Links, Purpose
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.credentials import guessing
from quartapp.microblog.models import AccountMail, ApiToken, Post, User
from quartapp.microblog.models.account import Account
from quartapp.microblog.models.account_mail import VOID, MailKind, queue_mail
from quartapp.microblog.models.post import add_post
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.models.user import find_credentials
from quartapp.microblog.testing import PASSWORD, AddPerson, LogIn, create_tables
from quartapp.reporting import Report
from quartapp.testing import Client, Clock
from quartapp.testing.mail import MailServer
from tests.microblog.accounts_mailed import Send, link_in, mailed
from tests.microblog.web.conftest import Submit, text_of, token_of

NEW = "a-dog-in-the-fog"


@pytest.fixture
def settings(
    settings: Settings, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return mailed(settings, mail_server, monkeypatch)


@pytest.fixture
def send(app: App) -> Send:
    """Send what is due; returns how many mails the server accepted."""
    return app.extensions["accounts"].mailer.send_due  # type: ignore[no-any-return]


async def can_log_in(app: App, submit: Submit, password: str, username: str = "susan") -> bool:
    answer = await submit(app.test_client(), "/login", username=username, password=password)
    return answer.status_code == 302


async def ask_for_link(
    app: App, submit: Submit, send: Send, mail_server: MailServer, email: str = "susan@example.com"
) -> str:
    await submit(app.test_client(), "/reset_password_request", email=email)
    assert await send() == 1
    return link_in(mail_server)


# ---- passwords


async def test_a_changed_password_ends_all_other_logins_and_tokens(
    app: App,
    log_in: LogIn,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    session: Session,
) -> None:
    here, elsewhere = await log_in("susan"), await log_in("susan")
    await issue(session)
    fields = {"current_password": PASSWORD, "password": NEW, "password2": NEW}
    answer = await submit(here, "/change_password", **fields)
    assert (answer.status_code, answer.location) == (302, "/edit_profile")
    assert "Your password is changed." in await text_of(await here.get("/edit_profile"))
    assert (await elsewhere.get("/edit_profile")).status_code == 302
    assert await session.scalar(select(func.count(ApiToken.id))) == 0
    assert not await can_log_in(app, submit, PASSWORD)
    assert await can_log_in(app, submit, NEW)
    await send()
    [mail] = mail_server.mails
    assert mail.message["Subject"] == "Microblog: Your password was changed"
    assert mail.recipients == ("susan@example.com",)


async def issue(session: Session) -> None:
    person = await find_credentials(session, "susan")
    assert person
    await issue_token(session, person.id, person.login_epoch)
    assert await session.scalar(select(func.count(ApiToken.id))) == 1
    await session.rollback()


BAD_CHANGES: list[tuple[dict[str, str], str]] = [
    ({"current_password": "wrong"}, "This is not your password."),
    ({"current_password": ""}, "Please enter the password."),
    ({"current_password": "p" * 257}, "Please use at most 256 characters"),
    ({"password": "short", "password2": "short"}, "at least 8 characters"),
    ({"password": "susan1984", "password2": "susan1984"}, "made of your name"),
    ({"password2": "other"}, "The passwords differ."),
]


async def test_a_change_needs_the_password_and_a_good_new_one(
    app: App, log_in: LogIn, submit: Submit
) -> None:
    client = await log_in("susan")
    good = {"current_password": PASSWORD, "password": NEW, "password2": NEW}
    for fields, message in BAD_CHANGES:
        answer = await submit(client, "/change_password", **good | fields)
        page = await text_of(answer)
        assert answer.status_code == 422
        assert message in page
        assert NEW not in page
    assert await can_log_in(app, submit, PASSWORD)


async def test_ones_own_account_needs_a_login(client: Client) -> None:
    for path in ("/change_password", "/change_email", "/delete_account", "/confirm_email"):
        for answer in (await client.get(path), await client.post(path, form={"password": "x"})):
            assert answer.status_code == 302
            assert (answer.location or "").startswith("/login")


# ---- reset


async def test_a_forgotten_password_is_reset_by_mail(
    app: App, log_in: LogIn, submit: Submit, send: Send, mail_server: MailServer
) -> None:
    elsewhere = await log_in("susan")
    path = await ask_for_link(app, submit, send, mail_server)
    stranger = app.test_client()
    page = await stranger.get(path)
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "strict-origin"
    answer = await submit(stranger, path, password=NEW, password2=NEW)
    assert (answer.status_code, answer.location) == (302, "/login")
    assert (await elsewhere.get("/edit_profile")).status_code == 302  # its login has ended
    assert await can_log_in(app, submit, NEW)
    # It works once.
    for answer in (await stranger.get(path), await stranger.post(path, form={"a": "b"})):
        assert (answer.status_code, answer.location) == (302, "/reset_password_request")
    assert "This link is not valid any more" in await text_of(await stranger.get(answer.location))
    await send()
    assert mail_server.mails[-1].message["Subject"] == "Microblog: Your password was changed"


async def test_asking_is_the_same_for_known_and_unknown_addresses(
    app: App,
    add_person: AddPerson,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    session: Session,
) -> None:
    """The request writes the same row for both, so it takes the same time by construction."""
    await add_person("susan")
    answers = []
    for email in ("susan@example.com", "nobody@example.com"):
        client = app.test_client()
        answer = await submit(client, "/reset_password_request", email=email)
        page = await text_of(await client.get("/login"))
        answers.append((answer.status_code, answer.location, re.sub(r'value="[^"]+"', "", page)))
    assert answers[0] == answers[1]
    columns = (AccountMail.kind, AccountMail.user_id, AccountMail.username, AccountMail.state)
    rows = [tuple(row) for row in await session.execute(select(*columns))]
    assert rows == [("reset", None, "", "waiting")] * 2
    await session.rollback()
    assert await send() == 1
    assert [mail.recipients for mail in mail_server.mails] == [("susan@example.com",)]
    states = select(AccountMail.state).order_by(AccountMail.id)
    assert list(await session.scalars(states)) == ["sent", VOID]


async def test_asking_often_sends_one_mail(
    client: Client, add_person: AddPerson, submit: Submit, send: Send
) -> None:
    await add_person("susan")
    for _ in range(3):
        await submit(client, "/reset_password_request", email="susan@example.com")
    assert await send() == 1
    assert await send() == 0


async def test_a_link_is_valid_for_an_hour_and_not_before_it_was_sent(
    app: App,
    add_person: AddPerson,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    clock: Clock,
) -> None:
    await add_person("susan")
    path = await ask_for_link(app, submit, send, mail_server)
    for minutes, status in ((59, 200), (2, 302), (-30, 200), (-33, 302)):  # set back at last
        clock.advance(minutes=minutes)
        assert (await app.test_client().get(path)).status_code == status, minutes


async def test_a_link_is_of_no_use_for_anything_else(
    app: App, add_person: AddPerson, submit: Submit, send: Send, mail_server: MailServer
) -> None:
    await add_person("susan")
    await add_person("john")
    token = (await ask_for_link(app, submit, send, mail_server)).rpartition("/")[2]
    johns = (await ask_for_link(app, submit, send, mail_server, "john@example.com")).rpartition(
        "/"
    )[2]
    payload, _, signature = token.rpartition(".")
    forged = (
        *(f"{payload}x.{signature}", f"{payload}.{signature[::-1]}", payload, "x", "." * 400),
        *(f"{johns.rpartition('.')[0]}.{signature}", token + "\0", "x" * 5_000),
    )
    client = app.test_client()
    for wrong in forged:
        assert (await client.get(f"/reset_password/{wrong}")).status_code == 302, wrong
    for path in ("/confirm_email/", "/change_email/"):
        assert (await client.get(path + token)).status_code == 302
    assert (await client.get(f"/reset_password/{token}")).status_code == 200


async def test_a_link_ends_with_the_account_the_address_and_the_password(
    app: App,
    add_person: AddPerson,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    session: Session,
) -> None:
    susan = await add_person("susan")
    for change in (
        update(User).values(email="sue@example.com"),
        update(User).values(password_hash="another"),
        text(f"DELETE FROM users WHERE id = {susan.id}"),
    ):
        email = await session.scalar(select(User.email)) or ""
        await session.rollback()
        path = await ask_for_link(app, submit, send, mail_server, email)
        assert (await app.test_client().get(path)).status_code == 200
        await session.execute(change)
        await session.commit()
        assert (await app.test_client().get(path)).status_code == 302


async def test_of_two_tabs_the_first_resets(
    app: App, add_person: AddPerson, submit: Submit, send: Send, mail_server: MailServer
) -> None:
    await add_person("susan")
    path = await ask_for_link(app, submit, send, mail_server)
    first, second = app.test_client(), app.test_client()
    tokens = [await token_of(tab, path) for tab in (first, second)]
    locations = []
    for tab, token, password in zip((first, second), tokens, (NEW, NEW + "2"), strict=True):
        form = {"csrf_token": token, "password": password, "password2": password}
        locations.append((await tab.post(path, form=form)).location)
    assert locations == ["/login", "/reset_password_request"]
    assert await can_log_in(app, submit, NEW)


async def test_a_link_leads_to_the_public_address_whatever_host_is_sent(
    client: Client, add_person: AddPerson, send: Send, mail_server: MailServer
) -> None:
    await add_person("susan")
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    page = await client.get("/reset_password_request", headers=evil)
    match = re.search(r'csrf_token" value="([^"]+)"', await page.get_data(as_text=True))
    assert match
    form = {"csrf_token": match[1], "email": "susan@example.com"}
    await client.post("/reset_password_request", form=form, headers=evil)
    assert await send() == 1
    assert link_in(mail_server).startswith("/reset_password/")
    assert "evil" not in mail_server.mails[0].message.as_string()


NO_ADDRESSES = (
    *("susan@example.com\r\nBcc: all@example.com", "a\nb@example.com", "<susan@example.com>"),
    *("susan@example.com,john@example.com", "s" * 121 + "@example.com", "\0@example.com", ""),
)


@pytest.mark.slow
async def test_what_is_no_address_is_refused(
    client: Client, submit: Submit, session: Session
) -> None:
    for email in NO_ADDRESSES:
        answer = await submit(client, "/reset_password_request", email=email)
        assert answer.status_code == 422, email
    assert await session.scalar(select(func.count(AccountMail.id))) == 0


async def test_an_address_with_odd_characters_gets_its_mail_and_nothing_else(
    client: Client, add_person: AddPerson, submit: Submit, send: Send, mail_server: MailServer
) -> None:
    await add_person('<b>&"=?utf-8?q?x?=', "o'su+san!#$%&*/=?^_`{|}~@exämple.com")
    await submit(client, "/reset_password_request", email="o'su+san!#$%&*/=?^_`{|}~@exämple.com")
    assert await send() == 1
    [mail] = mail_server.mails
    assert mail.recipients == ("o'su+san!#$%&*/=?^_`{|}~@xn--exmple-cua.com",)
    _, html = (part.get_content() for part in mail.message.iter_parts())
    assert "&lt;b&gt;&amp;" in html
    assert "<b>&" not in html


@pytest.mark.lenient("errors")
async def test_a_mail_server_that_is_down_delays_a_mail_and_its_hour_begins_when_it_is_sent(
    app: App,
    add_person: AddPerson,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    clock: Clock,
    session: Session,
) -> None:
    await add_person("susan")
    await mail_server.stop()
    await submit(app.test_client(), "/reset_password_request", email="susan@example.com")
    assert await send() == 0
    clock.advance(hours=5)
    await mail_server.start()
    await session.execute(update(AccountMail).values(due_at=0.0))
    await session.commit()
    assert await send() == 1
    assert (await app.test_client().get(link_in(mail_server))).status_code == 200


async def test_a_report_of_an_error_holds_no_link(
    app: App,
    add_person: AddPerson,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    captured_reports: list[Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("boom")

    await add_person("susan")
    path = await ask_for_link(app, submit, send, mail_server)
    monkeypatch.setattr("quartapp.microblog.web.accounts.find_account", fail)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = await app.test_client().get(path)
    assert answer.status_code == 500
    [report] = captured_reports
    assert path.rpartition("/")[2] not in report.to_json()


# ---- addresses


@pytest.mark.slow
async def test_an_address_is_changed_once_its_mailbox_confirms_it(
    app: App, log_in: LogIn, submit: Submit, send: Send, mail_server: MailServer,
    session: Session,
) -> None:  # fmt: skip
    client = await log_in("susan")
    answer = await submit(client, "/change_email", password=PASSWORD, email="sue@Example.COM")
    assert answer.status_code == 302
    assert await session.scalar(select(User.email)) == "susan@example.com"
    await session.rollback()
    await send()
    assert mail_server.mails[-1].recipients == ("sue@example.com",)
    path = link_in(mail_server)
    phone = app.test_client()  # the mail is read elsewhere, without a login
    assert "sue@example.com" in await text_of(await phone.get(path))
    assert await session.scalar(select(User.email)) == "susan@example.com"
    await session.rollback()
    assert (await submit(phone, path)).location == "/"
    person = (await session.execute(select(User.email, User.email_confirmed_at))).one()
    assert person[0] == "sue@example.com"
    assert person[1] is not None
    await session.rollback()
    await send()
    assert mail_server.mails[-1].message["Subject"] == "Microblog: Your email address was changed"
    assert mail_server.mails[-1].recipients == ("susan@example.com",)
    assert (await phone.get(path)).status_code == 302  # it works once


async def test_a_change_of_the_address_needs_the_password_and_a_free_address(
    log_in: LogIn, add_person: AddPerson, submit: Submit, send: Send
) -> None:
    await add_person("john")
    client = await log_in("susan")
    for fields, message in (
        ({"password": "wrong"}, "This is not your password."),
        ({"email": "john@example.com"}, "Please use a different email address."),
        ({"email": "nonsense"}, "Please enter an address such as"),
    ):
        good = {"password": PASSWORD, "email": "sue@example.com"}
        answer = await submit(client, "/change_email", **good | fields)
        assert answer.status_code == 422
        assert message in await text_of(answer)
    assert await send() == 0


async def test_an_address_that_was_taken_meanwhile_is_refused(
    log_in: LogIn, add_person: AddPerson, submit: Submit, send: Send, mail_server: MailServer,
    session: Session,
) -> None:  # fmt: skip
    client = await log_in("susan")
    await submit(client, "/change_email", password=PASSWORD, email="sue@example.com")
    await send()
    await add_person("sue")
    answer = await submit(client, link_in(mail_server))
    assert answer.location == "/change_email"
    assert "Please use a different email address." in await text_of(
        await client.get("/change_email")
    )
    emails = select(User.email).order_by(User.id)
    assert list(await session.scalars(emails)) == ["susan@example.com", "sue@example.com"]


@pytest.mark.parametrize("is_sent", [True, False])
async def test_a_new_password_ends_a_change_of_the_address_that_was_asked_for(
    app: App, log_in: LogIn, submit: Submit, send: Send, mail_server: MailServer, is_sent: bool
) -> None:
    """Otherwise a thief of the old password would get the account back by its mails."""
    thief, susan = await log_in("susan"), await log_in("susan")
    await submit(thief, "/change_email", password=PASSWORD, email="thief@example.com")
    if is_sent:
        await send()
        path = link_in(mail_server)
    fields = {"current_password": PASSWORD, "password": NEW, "password2": NEW}
    await submit(susan, "/change_password", **fields)
    if is_sent:
        assert (await app.test_client().get(path)).status_code == 302
    else:
        await send()
        assert [mail.recipients for mail in mail_server.mails] == [("susan@example.com",)]


# ---- confirmation

BANNER = "Please confirm your email address: follow the link"


async def register(client: Client, submit: Submit) -> Response:
    person = {"username": "susan", "email": "susan@example.com"}
    await submit(client, "/register", **person, password=PASSWORD, password2=PASSWORD)
    return await submit(client, "/login", username="susan", password=PASSWORD)


@pytest.mark.slow
async def test_a_new_address_is_asked_to_be_confirmed_and_nothing_is_blocked(
    client: Client, submit: Submit, send: Send, mail_server: MailServer
) -> None:
    await register(client, submit)
    assert BANNER in await text_of(await client.get("/"))
    assert (await submit(client, "/", post="Hello")).status_code == 302
    assert await send() == 1
    path = link_in(mail_server)
    await submit(client, "/confirm_email")  # no mail came: once more
    assert await send() == 1
    assert "Your email address is confirmed." in await text_of(
        await client.get((await submit(client, path)).location or "")
    )
    assert BANNER not in await text_of(await client.get("/"))
    # Confirming twice is no error, and nothing more is sent.
    assert (await submit(client, path)).location == "/"
    assert "is confirmed" in await text_of(await client.get("/confirm_email"))


async def test_where_it_is_required_only_the_confirmed_write(
    app: App, client: Client, submit: Submit, send: Send, mail_server: MailServer
) -> None:
    app.extensions["accounts"].confirmation = "required"
    await register(client, submit)
    assert (await client.get("/explore")).status_code == 200
    answer = await submit(client, "/", post="Hello")
    page = await text_of(answer)
    assert answer.status_code == 403
    assert "Please confirm your email address first" in page
    assert "Hello</textarea>" in page  # nothing typed is lost
    await send()
    await submit(client, link_in(mail_server))
    assert (await submit(client, "/", post="Hello")).status_code == 302
    await submit(client, "/logout", "/")


# ---- deletion


@pytest.mark.parametrize("posts", ["delete", "keep"])
async def test_an_account_is_deleted_with_its_posts_or_without(
    app: App,
    log_in: LogIn,
    submit: Submit,
    send: Send,
    mail_server: MailServer,
    session: Session,
    posts: str,
) -> None:
    client = await log_in("susan")
    await submit(client, "/", post="Good morning", form_key="1")
    answer = await submit(client, "/delete_account", password=PASSWORD, posts=posts)
    assert (answer.status_code, answer.location) == (302, "/")
    page = await text_of(await client.get("/"))
    assert "Your account is deleted." in page
    assert "Welcome to Microblog" in page
    assert ("Good morning" in page) == (posts == "keep")
    assert ("<bdi>deleted</bdi>" in page) == (posts == "keep")
    assert not await can_log_in(app, submit, PASSWORD)
    assert not await can_log_in(app, submit, "", "deleted")
    await session.rollback()
    assert await session.scalar(select(func.count(Post.id))) == (posts == "keep")
    await session.rollback()
    await send()
    [mail] = mail_server.mails
    assert mail.message["Subject"] == "Microblog: Your account was deleted"
    assert mail.recipients == ("susan@example.com",)


async def test_a_deletion_needs_the_password(
    app: App, log_in: LogIn, submit: Submit, session: Session
) -> None:
    client = await log_in("susan")
    await add_post(session, 1, "Good morning")
    for fields in ({"password": "wrong", "posts": "delete"}, {"password": PASSWORD, "posts": "x"}):
        answer = await submit(client, "/delete_account", **fields)
        assert answer.status_code == 422
    assert await can_log_in(app, submit, PASSWORD)


# ---- mails


async def test_the_task_of_the_server_sends_what_waits(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, mail_server: MailServer
) -> None:
    monkeypatch.setattr(accounts_module, "EVERY", 0.02)
    application = create_app(settings)
    await create_tables(application)
    async with application.test_app():
        database = application.extensions["database"]
        async with database.begin() as session:
            await queue_mail(session, MailKind.DELETED, "susan@example.com", username="susan")
        async with asyncio.timeout(60):
            while not mail_server.mails:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
        assert [mail.recipients for mail in mail_server.mails] == [("susan@example.com",)]


async def test_an_owner_gets_one_mail_a_day_about_guessing(
    app: App, add_person: AddPerson, send: Send, mail_server: MailServer, session: Session
) -> None:
    susan = await add_person("susan")

    async def guess(user_id: int) -> None:
        wrapper: Any = app.ensure_async
        await guessing.send_async(app, _sync_wrapper=wrapper, user_id=user_id, address="::1")

    for sent in (1, 0):
        await guess(susan.id)
        await guess(susan.id + 1)  # an account that is gone
        assert await send() == sent
    [mail] = mail_server.mails
    assert mail.message["Subject"] == "Microblog: Somebody is guessing your password"
    assert link_in(mail_server) == "/security"
    await session.execute(update(AccountMail).values(created_at=AccountMail.created_at - 86_401))
    await session.commit()
    await guess(susan.id)
    assert await send() == 1


async def test_tokens_are_bound_to_their_purpose_and_key(app: App) -> None:
    links = app.extensions["accounts"].links
    token = links.sign(Purpose.RESET_PASSWORD, Account(1, "susan", "s@example.com", "", 0, None))
    assert links.read(Purpose.RESET_PASSWORD, token) is not None
    assert links.read(Purpose.CONFIRM_EMAIL, token) is None
    assert Links("another key").read(Purpose.RESET_PASSWORD, token) is None
