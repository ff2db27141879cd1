"""What is sent to Sentry, received by a server in the test."""

import gzip
import importlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber
from quartapp.redact.traceback import ExceptionInfo, Frame
from quartapp.reporting.capture.builder import capture
from quartapp.reporting.report import Origin, Report, RequestInfo
from quartapp.reporting.settings import ReportingSettings
from quartapp.reporting.sinks import sentry as sentry_module
from quartapp.reporting.sinks.sentry import Sentry
from quartapp.settings import ConfigurationError
from tests.reporting.canary import PLANTINGS, known_secrets, leaks
from tests.shop.app import create_app, create_tables

FRAME = Frame(
    "web/posts.py",
    "shop.web.posts",
    "index",
    41,
    True,
    40,
    ("a", "b", "c"),
    (("name", "'Zoë'"),),
)
REPORT = Report(
    id="0123456789abcdef0123456789abcdef",
    fingerprint="a887c0de-1",
    time=1_790_000_000.0,
    title="KeyError in web.posts.index",
    culprit="web.posts.index",
    level="CRITICAL",
    logger="quartapp",
    exceptions=(
        ExceptionInfo("KeyError", "'Zoë'", frames=(Frame("quart/app.py", "", "f", 1), FRAME)),
        ExceptionInfo("sqlalchemy.exc.IntegrityError", "the cause", "cause", notes=("a note",)),
    ),
    request=RequestInfo("GET", "http://localhost/user/7", "/user/<id>", headers=(("Host", "h"),)),
    user_id="7",
    reference="ABCD",
    extra=(("task", "main"),),
    origin=Origin("production", "v1.2", "web1", "9", {"quart": "0.22"}),
)


class Server:
    """Records envelopes in place of Sentry."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                outer.gate.wait(60)
                outer.keys.append(f"{self.path} {self.headers['X-Sentry-Auth']}")
                outer.bodies.append(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def dsn(self) -> str:
        return f"http://public@127.0.0.1:{self._server.server_port}/42"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all envelopes. An envelope is a line of headers, then a line and a payload
        each."""
        found = []
        for body in self.bodies:
            _, header, payload = body.split(b"\n", 2)
            assert json.loads(header)["type"] == "event"
            found.append(json.loads(payload[: json.loads(header)["length"]]))
        return found

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentry_module, "_FLUSH_SECONDS", 60.0)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Sentry]]:
    made: list[Sentry] = []

    def connect(dsn: str) -> Sentry:
        made.append(Sentry(dsn))
        return made[-1]

    yield connect
    for sentry in made:
        sentry.close()


def test_sends_the_report_as_an_event(server: Server, connect: Callable[[str], Sentry]) -> None:
    sentry = connect(server.dsn)
    sentry(REPORT)
    sentry.close()
    (event,) = server.events
    assert server.keys[0].startswith("/api/42/envelope/ ")
    assert "sentry_key=public" in server.keys[0]
    expected = {
        "event_id": REPORT.id,
        "timestamp": "2026-09-21T14:13:20+00:00",
        "platform": "python",
        "level": "fatal",
        "logger": "quartapp",
        "fingerprint": ["a887c0de-1"],
        "transaction": "/user/<id>",
        "server_name": "web1",
        "release": "v1.2",
        "environment": "production",
        "user": {"id": "7"},
        "tags": {"reference": "ABCD", "door": "log", "worker": "9"},
        "extra": {"task": "main"},
        "modules": {"quart": "0.22"},
        "request": {"method": "GET", "url": "http://localhost/user/7", "headers": {"Host": "h"}},
    }
    assert {name: event[name] for name in expected} == expected
    cause, error = event["exception"]["values"]
    assert (cause["type"], cause["module"]) == ("IntegrityError", "sqlalchemy.exc")
    assert cause["value"] == "the cause\na note"
    assert (error["type"], error["module"], error["value"]) == ("KeyError", "builtins", "'Zoë'")
    library, frame = error["stacktrace"]["frames"]
    assert (library["module"], library["in_app"]) == ("quart.app", False)
    assert "vars" not in library
    assert (frame["pre_context"], frame["context_line"], frame["post_context"]) == (
        ["a"],
        "b",
        ["c"],
    )
    assert frame["vars"] == {"name": "'Zoë'"}


def test_a_log_record_is_a_message(server: Server, connect: Callable[[str], Sentry]) -> None:
    sentry = connect(server.dsn)
    sentry(Report("0" * 32, "a-1", 0.0, "no user %d", logger="app", message="no user 7"))
    sentry.close()
    (event,) = server.events
    assert event["logentry"] == {"formatted": "no user 7"}
    assert "exception" not in event
    assert "request" not in event


@pytest.mark.slow
def test_the_secret_is_in_no_envelope(server: Server, connect: Callable[[str], Sentry]) -> None:
    sentry = connect(server.dsn)
    places = Places(Path(__file__).parent)
    scrubber = Scrubber(known=known_secrets())
    for plant in PLANTINGS.values():
        subject, context = plant()
        sentry(
            capture(
                *(subject, context),
                now=0.0,
                places=places,
                origin=Origin(),
                scrubber=scrubber,
            ).report
        )
    sentry.close()
    assert len(server.events) == len(PLANTINGS)
    texts = [json.dumps(event, ensure_ascii=False) for event in server.events]
    assert not [text for text in texts if leaks(text)]


def test_a_slow_server_holds_nobody_up(server: Server, connect: Callable[[str], Sentry]) -> None:
    server.gate.clear()
    sentry = connect(server.dsn)
    for _ in range(5):
        sentry(REPORT)
    assert server.bodies == []
    server.gate.set()
    sentry.close()
    assert len(server.bodies) == 5


def test_a_server_that_is_away_is_no_error(connect: Callable[[str], Sentry]) -> None:
    server = Server()
    dsn = server.dsn
    server.close()
    sentry = connect(dsn)
    sentry(REPORT)
    sentry.close()
    assert server.bodies == []


def test_a_failure_of_the_transport_is_no_error(
    server: Server, connect: Callable[[str], Sentry], caplog: pytest.LogCaptureFixture
) -> None:
    sentry = connect(server.dsn)
    sentry._transport = None
    sentry(REPORT)
    assert "not sent to Sentry: AttributeError" in caplog.text
    sentry.close = lambda: None  # type: ignore[method-assign]  # there is nothing to close


def test_the_extra_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r'SENTRY_DSN: needs the extra "sentry"'):
        Sentry("http://public@127.0.0.1/1")


@pytest.mark.parametrize("dsn", ["nonsense", "https://example.com/1", "https://key@example.com"])
def test_a_dsn_that_is_none_is_refused(dsn: str) -> None:
    with pytest.raises(ConfigurationError, match="SENTRY_DSN: expected a DSN") as caught:
        ReportingSettings.from_config({"SENTRY_DSN": dsn})
    assert "example.com" not in str(caught.value)


async def test_an_error_of_a_view_arrives(
    server: Server, tmp_path: Path, database_url: str
) -> None:
    app = create_app(tmp_path, database_url, SENTRY_DSN=server.dsn, LOG_TO_STDOUT=True)

    @app.get("/fail")
    async def fail() -> str:
        password = "letmein-please"
        raise LookupError(f"no {password}")

    await create_tables(app)
    async with app.test_app():
        response = await app.test_client().get("/fail")
    assert response.status_code == 500
    (event,) = server.events
    assert event["exception"]["values"][-1]["value"] == "no [hidden]"
    assert event["transaction"] == "/fail"
    assert b"letmein" not in server.bodies[0]
