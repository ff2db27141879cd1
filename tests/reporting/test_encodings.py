"""No report is lost to an encoding: names and texts that are not ASCII, or no valid text."""

import logging
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import jinja2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.mail import smtp as transport
from quartapp.mail.delivery import Mail, Server
from quartapp.mail.smtp import deliver
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.reporting.alerts.evaluation import Rules
from quartapp.reporting.alerts.policy import Alert, Kind, Limits
from quartapp.reporting.capture import origin as release
from quartapp.reporting.counting.consumer import Consumer
from quartapp.reporting.journal.writer import Journal
from quartapp.reporting.mails import outbox
from quartapp.reporting.mails.message import Letterhead, build_message
from quartapp.reporting.recorder import Recorder, Subject
from quartapp.reporting.report import Report
from quartapp.reporting.tables import ErrorGroup, ErrorSample
from quartapp.testing.mail import MailServer
from tests.mailing import greeting, mailing_app
from tests.reporting.conftest import eventually_counted
from tests.reporting.mails.test_message import sent
from tests.shop.app import create_app, create_tables

MAIL = Mail("no-reply@example.com", ("ops@example.com",), b"Subject: hello\r\n\r\nhello\r\n")
UNDECODABLE = b"caf\xe9 \xff"


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


def raised(work: Callable[[], object]) -> Exception:
    try:
        work()
    except Exception as error:  # noqa: BLE001 - any exception is right
        return error
    raise AssertionError("it did not raise")


def error_of(message: object) -> Exception:
    def fail() -> None:
        raise ValueError(message)

    return raised(fail)


class UndecodableError(Exception):
    def __str__(self) -> str:
        return UNDECODABLE.decode()


def undecodable() -> Exception:
    def fail() -> None:
        raise UndecodableError

    return raised(fail)


def in_a_template() -> Exception:
    source = "{# Grüße \N{SNAKE} #}\n{{ größe / nichts }}"
    environment = jinja2.Environment(autoescape=True)
    return raised(lambda: environment.from_string(source).render(größe=1, nichts=0))


def broken_template() -> Exception:
    return raised(lambda: jinja2.Environment(autoescape=True).from_string("ü\n{% für %}"))


def in_code(file: str) -> Callable[[], Exception]:
    code = compile("def größe():\n    straße = 'Zoë'\n    raise ValueError(straße)", file, "exec")
    names: dict[str, Callable[[], object]] = {}
    exec(code, names)
    return lambda: raised(names["größe"])


def record_of(message: object, *arguments: object, name: str = "quartapp") -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, None)


SUBJECTS: dict[str, Callable[[], Subject]] = {
    "umlauts": lambda: error_of("Grüße, Zoë \N{SNAKE}"),
    "bytes": lambda: error_of(UNDECODABLE),
    "a text that cannot be decoded": undecodable,
    "a failed decoding": lambda: raised(UNDECODABLE.decode),
    "a failed encoding": lambda: raised("\udcff".encode),
    "half a character": lambda: error_of("lone \ud83d half"),
    "bytes of the file system": lambda: error_of(os.fsdecode(UNDECODABLE)),
    "nothing": lambda: error_of("\0\0"),
    "reading from right to left": lambda: error_of("\u202egnp.exe\u2066 \u200b"),
    "a line separator": lambda: error_of("one\u2028two\x85three"),
    "beyond the first plane": lambda: error_of("\U0001f40d" * 3000),
    "a template": in_a_template,
    "a broken template": broken_template,
    "a file name": in_code("/straße/größe.py"),
    "a file name that is no text": in_code(os.fsdecode(b"/srv/\xff\xfe.py")),
    "a log line": lambda: record_of("%s und %r", "Zoë", UNDECODABLE),
    "a log line of bytes": lambda: record_of(UNDECODABLE),
    "a log line of half a character": lambda: record_of("\udcff %s", "\udcfe"),
    "a logger": lambda: record_of("hello", name="größe.\udcff"),
}


@pytest.mark.parametrize("what", SUBJECTS)
async def test_is_reported_in_full_and_mailed(
    what: str, tmp_path: Path, database: DatabaseEngine, session: AsyncSession
) -> None:
    subject = SUBJECTS[what]()
    journal = Journal(tmp_path / "größe", segment_bytes=65536)
    recorder = Recorder(
        journal,
        places=Places(Path("/srv")),
        origin=lambda: release.origin("Prüfung", "Größe-1.0"),
        scrubber=Scrubber(),
    )
    told: list[Report] = []
    recorder.listeners.append(told.append)
    recorder.record(subject)
    assert len(told) == 1, "not a tick: the details are there"
    assert await Consumer(journal, database, Rules("größe", Limits(), mails=True)).consume() == 1
    group = (await session.scalars(select(ErrorGroup))).one()
    stored = (await session.scalars(select(ErrorSample.report))).one()
    report = Report.from_json(stored)
    assert (report.title, report.origin.release) == (group.title, "Größe-1.0")
    assert bool(report.exceptions) is isinstance(subject, Exception)
    letterhead = Letterhead("Zoë <zoë@example.com>", ("zoë@example.com",), prefix="[Prüfung]")
    mailed = await outbox.summarize(session, group, report.time)
    for alert in (Alert(Kind.NEW, 1, 1), Alert(Kind.OVER, 1, 1, 5)):
        sent(build_message(alert, mailed, report, letterhead, now=report.time))


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose name is Latin-1, as Python reads it from the kernel."""
    name = os.fsdecode("münchen".encode("latin-1"))
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    monkeypatch.setattr(socket, "getfqdn", lambda _name="": name)
    transport.own_name.cache_clear()


@pytest.mark.usefixtures("nowhere")
async def test_a_host_whose_name_is_no_text_reports_and_mails(
    tmp_path: Path, database_url: str, mail_server: MailServer
) -> None:
    app = mailing_app(tmp_path / "größe", database_url, mail_server.port)
    await create_tables(app)
    async with app.test_app():
        app.logger.error("Grüße")
        assert await eventually_counted(app, 1) == 1
        database: DatabaseEngine = app.extensions["database"]
        async with database.session(write=False) as session:
            assert await session.scalar(select(ErrorSample.host)) == "m\ufffdnchen"
    [outcome] = await deliver([MAIL], Server(mail_server.host, mail_server.port))
    assert outcome.is_sent, outcome.error


@pytest.mark.parametrize(
    ("name", "greeting"),
    [("münchen", "xn--mnchen-3ya"), ("m nchen", "localhost"), ("web1.example", "web1.example")],
)
def test_greets_mail_servers_in_ascii(
    name: str, greeting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: name)
    transport.own_name.cache_clear()
    assert transport.own_name() == greeting
    transport.own_name.cache_clear()


@pytest.fixture
async def app(tmp_path: Path, database_url: str) -> AsyncIterator[App]:
    application = create_app(tmp_path, database_url)
    await create_tables(application)
    async with application.test_app():
        yield application


async def test_requests_of_any_bytes_are_reported(app: App, captured_reports: list[Report]) -> None:
    async def fail(name: str) -> str:
        raise RuntimeError(name)

    app.add_url_rule("/fail/<name>", view_func=fail)
    client = app.test_client()
    for path in ("/fail/%ff%fe?q=%ff", "/fail/Zo%C3%AB", "/fail/%E2%80%AEgnp", "/fail/%ed%a0%80"):
        response = await client.get(
            path, headers={"User-Agent": "B\xfccher\xff", "Referer": "https://bücher.example/ü"}
        )
        assert response.status_code == 500
    assert len(captured_reports) == 4
    assert all(report.exceptions and report.request for report in captured_reports)
    assert await eventually_counted(app, 4) == 4


def test_a_release_whose_name_is_no_text_does_not_prevent_the_start(tmp_path: Path) -> None:
    def git(*arguments: str | bytes) -> None:
        author = ("-c", "user.name=x", "-c", "user.email=x@example.com")
        subprocess.run(["git", "-C", tmp_path, *author, *arguments], check=True)

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", "first")
    git("tag", "-a", "-m", "x", b"gr\xf6sse-1")
    assert release.described(tmp_path) == "gr\ufffdsse-1"


async def test_a_refusal_in_latin_1_is_kept_as_text() -> None:
    async with greeting("554 nicht für Sie\r\n".encode("latin-1")) as server:
        [outcome] = await deliver([MAIL], server)
        assert "nicht f" in outcome.error
        outcome.error.encode()
