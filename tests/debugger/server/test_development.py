"""`/break/` and `/dev/mail` of applications of any kind, under the development server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from quart import Quart

from quartapp.breakit.catalogue import FAILURES
from quartapp.database import Database
from quartapp.debugger.server import attach
from quartapp.debugger.server.development import Development
from quartapp.debugger.server.process import variables
from quartapp.debugger.server.watchdog import Watchdog
from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.mail.delivery import MAILBOX, Mail
from quartapp.mail.mailbox import Mailbox
from quartapp.reporting import Reporting, pipeline
from quartapp.settings import ConfigurationError
from tests.debugger.site import HTML, Site, host

OFF = b"__debugger__=off"


def develop(app: Quart) -> Site:
    site = host(app)
    site.hosting.development = Development(app, site.debugger, site.said.append)
    return site


def make_app(kind: type[Quart], folder: Path) -> Quart:
    app = kind("shop", instance_path=str(folder))
    app.config["DATABASE_URL"] = "sqlite:///shop.db"
    app.config["DATABASE_TIMEOUT"] = 0.2
    Database(app)
    ErrorPages(app)
    Reporting(app)
    return app


@asynccontextmanager
async def serving(kind: type[Quart], folder: Path) -> AsyncIterator[Site]:
    site = develop(make_app(kind, folder))
    async with site.app.test_app():
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An application with nothing but itself."""
    return develop(Quart("shop", instance_path=str(tmp_path)))


@pytest.fixture
def mailbox(site: Site) -> Mailbox:
    found = site.app.extensions[MAILBOX]
    assert isinstance(found, Mailbox)
    return found


async def keep(mailbox: Mailbox, message: EmailMessage) -> str:
    message["From"] = message["To"] = "susan@example.com"
    await mailbox.deliver([Mail.of(message, ("susan@example.com",))])
    return f"/dev/mail/{mailbox.names()[0]}"


@pytest.mark.parametrize("path", ["/break", "/break/", "/break/view", "/dev/mail", "/dev/mail/"])
@pytest.mark.parametrize(
    ("status", "caller"),
    [
        (200, {}),
        (200, {"headers": {"sec-fetch-site": "cross-site"}}),  # a link in a document
        (403, {"peer": "192.0.2.1"}),
        (403, {"headers": {"x-forwarded-for": "127.0.0.1"}}),
        (400, {"headers": {"host": "evil.example:5000"}}),
    ],
)
async def test_only_this_machine_sees_the_pages(
    site: Site, path: str, status: int, caller: dict[str, object]
) -> None:
    answer = await site.request("GET", path, **caller)  # type: ignore[arg-type]

    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert ("<h1>" in answer.text) is (status == 200)


@pytest.mark.parametrize(
    "caller",
    [
        {"headers": {"sec-fetch-site": "cross-site"}},
        {"headers": {"sec-fetch-site": "same-site"}},
        {"headers": {"origin": "http://evil.example"}},
        {"headers": {"origin": "null"}},
        {"peer": "192.0.2.1"},
        {"headers": {"host": "evil.example:5000"}},
    ],
)
@pytest.mark.parametrize("path", ["/break/view/now", "//break/view/now"])
async def test_a_page_of_another_site_breaks_nothing(
    site: Site, path: str, caller: dict[str, object]
) -> None:
    answer = await site.request("GET", path, **caller)  # type: ignore[arg-type]

    assert answer.status in {400, 403}
    assert "KeyError" not in answer.text
    assert site.said[1:] == []


@pytest.mark.parametrize("path", ["/break/nothing", "/break/view/now/more", "/dev/mail/1/html"])
async def test_there_are_no_other_pages(site: Site, path: str) -> None:
    assert (await site.request("GET", path)).status == 404
    assert (await site.request("POST", path)).status == 405


async def test_only_possible_failures_are_offered(site: Site, tmp_path: Path) -> None:
    small = (await site.request("GET", "/break/")).text
    whole = (await develop(make_app(App, tmp_path / "whole")).request("GET", "/break/")).text

    missing = {f.name for f in FAILURES if f"/break/{f.name}" not in small}
    assert missing == {"flush", "slow", "exit"}
    assert all(f"/break/{f.name}" in whole for f in FAILURES)


UNHANDLED = {
    "view": "KeyError",
    "template": "jinja2.exceptions.UndefinedError",
    "flush": "sqlalchemy.exc.IntegrityError",
    "group": "ExceptionGroup",
    "hook": "PermissionError",
    "reference": "KeyError",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Quart, App])
async def test_each_failure_happens_in_the_application(kind: type[Quart], tmp_path: Path) -> None:
    async with serving(kind, tmp_path) as site:
        for name, error in UNHANDLED.items():
            method = "POST" if name == "flush" else "GET"
            shown = await site.request(method, f"/break/{name}/now", headers=HTML)
            own = await site.request(method, f"/break/{name}/now", headers=HTML, query=OFF)
            page = await site.request("GET", f"/break/{name}")

            assert (shown.status, own.status) == (500, 500), name
            assert f"<h1>{error}</h1>" in shown.text
            assert "An unexpected error" in own.text
            assert error not in own.text
            reference = own.text.split('class="reference">')[1][:8]
            assert f"reference <code>{reference}</code>" in page.text
            assert "ERROR in shop: Exception on " in page.text
            assert f"{error} in {method} /break/{name}/now</a>" in page.text
        slow = await site.request("GET", "/break/slow/now", headers=HTML)
        assert slow.status == 503
        assert (await site.request("GET", "/break/abort/now")).status == 418
        assert "None, as it should be." in (await site.request("GET", "/break/abort")).text


async def until_shown(site: Site, path: str, text: str) -> str:
    """The page when it shows a text, or what it shows after a minute."""
    page, deadline = "", time.monotonic() + 60
    while text not in page and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
        page = (await site.request("GET", path)).text
    return page


@pytest.mark.slow
async def test_what_fails_after_its_answer_is_found(tmp_path: Path) -> None:
    expected = {
        "task": "ConnectionError",
        "background": "ConnectionError",
        "thread": "RuntimeError",
    }
    async with serving(App, tmp_path) as site:
        for name, error in expected.items():
            assert (await site.request("GET", f"/break/{name}/now")).status == 200
            page = await until_shown(site, f"/break/{name}", f"<strong>{error} in ")
            assert f"<strong>{error} in " in page, name


async def test_nothing_listens_to_the_log_afterwards(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:]
    async with serving(Quart, tmp_path) as site:
        await site.request("GET", "/break/abort/now")
        assert logging.getLogger().handlers != before
    assert logging.getLogger().handlers == before


async def test_an_exit_of_a_view_is_an_error(tmp_path: Path) -> None:
    async with serving(App, tmp_path) as site:
        answer = await site.request("GET", "/break/exit/now", headers=HTML)
        after = await site.request("GET", "/break/view/now", headers=HTML)

    assert (answer.status, after.status) == (500, 500)
    assert "SystemExit" in answer.text


@pytest.mark.slow
async def test_the_mail_of_an_error_comes_within_two_seconds(tmp_path: Path) -> None:
    async with serving(App, tmp_path) as site:
        await site.request("GET", "/break/view/now", headers=HTML)
        page = await until_shown(site, "/break/view", "The mail about")
        link = page.split('href="/dev/mail/')[1].split('"')[0]
        mail = await site.request("GET", f"/dev/mail/{link}")

    # On an idle machine 1.2 s until it is counted, and 0.4 s until it is mailed.
    reporting = site.app.extensions["reporting"]
    assert pipeline.EVERY == 1
    assert (reporting.consumer.rules.limits.initial_delay, reporting.send_every) == (0, 0.3)
    assert "[shop dev] NEW KeyError in breakit.views.total" in mail.text
    assert "for nobody: no recipient is set" in mail.text


async def test_mails_are_kept_whatever_the_mail_server_is(tmp_path: Path) -> None:
    app = Quart("shop", instance_path=str(tmp_path))
    app.config.update(MAIL_SERVER="mail.example.com", ADMINS=["ada@example.com"])
    Reporting(app)  # in production mode, as before app.run(debug=True)
    develop(app)
    async with app.test_app():
        pipeline = app.extensions["reporting"]
        assert pipeline.mailer.server is app.extensions[MAILBOX]
        assert pipeline.fallback._server is app.extensions[MAILBOX]


def test_own_routes_take_precedence(tmp_path: Path) -> None:
    app = Quart("shop", instance_path=str(tmp_path))
    app.add_url_rule("/break/<path:what>", view_func=str)
    app.add_url_rule("/dev/mail", "mail", view_func=str)
    development = develop(app).hosting.development

    assert development is not None
    assert (development._failures, development._mails) == (None, None)
    assert "/break/view/now" not in {rule.rule for rule in app.url_map.iter_rules()}


HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\u202e"


async def test_a_hostile_mail_is_text(site: Site, mailbox: Mailbox) -> None:
    message = EmailMessage()
    message["Subject"] = message["X-Evil"] = HOSTILE
    message.set_content(HOSTILE)
    message.add_attachment(b"", maintype="image", subtype="svg+xml", filename=HOSTILE)
    path = await keep(mailbox, message)

    for shown in ("/dev/mail", path):
        page = await site.request("GET", shown)
        assert "&lt;script&gt;alert(1)" in page.text
        assert not {"<script>alert", "<img", "\u202e"} & {
            part for part in ("<script>alert", "<img", "\u202e") if part in page.text
        }
    source = await site.request("GET", f"{path}/source")
    assert source.headers["content-type"].startswith("text/plain")
    file = await site.request("GET", f"{path}/mail.eml")
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.body == source.body == mailbox.source(mailbox.names()[0])
    assert (await site.request("GET", f"{path}/html")).status == 404


async def test_the_html_of_a_mail_may_do_nothing(site: Site, mailbox: Mailbox) -> None:
    message = EmailMessage()
    message.set_content("text")
    message.add_alternative(f"<p>{HOSTILE}</p>", subtype="html")
    path = await keep(mailbox, message)

    html = await site.request("GET", f"{path}/html")
    policy = html.headers["content-security-policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "form-action 'none'" in policy
    assert not any(directive.startswith(("script-src", "connect-src")) for directive in policy)
    page = await site.request("GET", path)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert HOSTILE not in page.text


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"\x00\xff\r\n",
        b"Subject: =?utf-8?b?/////?=\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xff",
        b'From: "\r\nMessage-ID: <\r\n\r\ntext',
        b"From: <<>>@;;\r\nTo: =?x?q?\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n",
        b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-",
        b"Subject: a\r\n" * 500 + b"\r\n" + b"x" * 300_000,
    ],
)
async def test_a_broken_mail_is_shown(site: Site, mailbox: Mailbox, source: bytes) -> None:
    await mailbox.deliver([Mail("a@b", ("c@d",), source)])
    path = f"/dev/mail/{mailbox.names()[0]}"

    for shown in ("/dev/mail", path):
        assert (await site.request("GET", shown)).status == 200
    assert (await site.request("GET", f"{path}/html")).status in {200, 404}


@pytest.mark.slow
@pytest.mark.lenient("blocks")
async def test_a_blocked_loop_is_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quartapp.debugger.server.watchdog.LIMIT", 0.2)
    watchdog = Watchdog(logging.getLogger("shop"), lambda name: name != __file__)
    await watchdog.start()
    await asyncio.sleep(0.05)
    time.sleep(0.5)  # noqa: ASYNC251
    await watchdog.stop()

    [record] = caplog.records
    assert "The event loop is blocked in test_a_blocked_loop_is_named" in record.getMessage()


def test_the_application_knows_its_port() -> None:
    assert variables(5001)["PORT"] == "5001"


def test_an_error_in_these_pages_stops_no_server(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.hosting.development = None
    monkeypatch.setattr(Development, "__init__", lambda *_: 1 / 0)

    attach.develop(site.app, site.hosting)

    assert site.hosting.development is None
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.lenient("errors")
async def test_it_does_not_start_beside_a_server_that_sends_the_same_mails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def production(**config: object) -> Quart:
        app = Quart("shop", instance_path=str(tmp_path))
        app.config |= {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": 1, "ADMINS": ["a@example.com"]}
        app.config |= config
        Reporting(app)
        return app

    async with production().test_app():
        with pytest.raises(ConfigurationError, match=f"use the same instance folder, {tmp_path}"):
            await develop(make_app(Quart, tmp_path)).app.startup()
    caplog.clear()
    async with production(MAIL_SERVER="").test_app(), serving(Quart, tmp_path):
        assert "same instance folder" not in caplog.text
        async with production().test_app():
            assert "same instance folder" in caplog.text
