"""The fixtures of the plugin; the libraries that one needs are imported when a test uses it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from quartapp.testing.clock import Clock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from quart import Quart
    from sqlalchemy.ext.asyncio import AsyncSession

    from quartapp.reporting import Report
    from quartapp.testing.mail import MailServer
    from quartapp.testing.server import LiveServer

NO_APP = """\
There is no fixture `app`. Write one in conftest.py that returns your application:

    @pytest.fixture
    def app():
        return create_app()
"""


@pytest.fixture
def app() -> object:
    pytest.fail(NO_APP, pytrace=False)


@pytest.fixture
async def _watched_loop(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Added to strict tests: set up first, so it ends when nothing should be left."""
    from quartapp.testing.plugin import WATCH

    async with request.config.stash[WATCH].loop():
        yield


@pytest.fixture
def isolate_database() -> bool:
    return True


@pytest.fixture
async def started_app(
    app: object, isolate_database: bool, request: pytest.FixtureRequest
) -> AsyncIterator[Any]:
    from quartapp.testing.applications import application_of, databases_of, started

    application = await application_of(app)
    backups = []
    async with AsyncExitStack() as stack, started(application):
        if isolate_database:
            from quartapp.testing.isolation import backup_of

            own = request.node.funcargs.get("tmp_path")
            backups = [backup_of(url) for url in databases_of(application, own)]
        for backup in backups:
            await backup.take()
            stack.push_async_callback(backup.restore)
        with _noting_reports(application, request.config):
            yield application


@contextmanager
def _noting_reports(application: Any, config: pytest.Config) -> Iterator[None]:
    """Under strictness, see reports that are about no line of the log.

    What the application raises in the test itself, the test has seen.
    """
    from quartapp.testing.plugin import WATCH

    reporting = getattr(application, "extensions", {}).get("reporting")
    listeners = getattr(getattr(reporting, "recorder", None), "listeners", None)
    if listeners is None or WATCH not in config.stash or application.testing:
        yield
        return
    listeners.append(config.stash[WATCH].errors.note_report)
    yield
    listeners.remove(config.stash[WATCH].errors.note_report)


@pytest.fixture
async def client(started_app: object) -> AsyncIterator[Any]:
    from quartapp.testing.applications import client_of

    async with client_of(started_app) as opened:
        yield opened


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
async def session(started_app: "Quart") -> "AsyncIterator[AsyncSession]":
    from quartapp.testing.sessions import session_for_tests

    async with session_for_tests(extension(started_app, "database")) as opened:
        yield opened
        await opened.rollback()


@pytest.fixture
async def mail_server(monkeypatch: pytest.MonkeyPatch) -> "AsyncIterator[MailServer]":
    from quartapp.testing.mail import MailServer
    from quartapp.testing.wiring import send_mails_to

    server = MailServer()
    await server.start()
    send_mails_to(server, monkeypatch)
    yield server
    await server.stop()


@pytest.fixture
def captured_reports(started_app: "Quart") -> "Iterator[list[Report]]":
    """The first five reports of each error in a minute; further ones are only counted."""
    listeners: list[Any] = extension(started_app, "reporting").recorder.listeners
    reports: list[Report] = []
    listeners.append(reports.append)
    yield reports
    listeners.pop()


@pytest.fixture
def max_queries(started_app: object) -> "Callable[[int], AbstractContextManager[list[str]]]":
    from quartapp.testing.queries import max_queries

    return partial(max_queries, application=started_app)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(datetime(2030, 1, 1, 12, tzinfo=UTC), monkeypatch.setattr)


@pytest.fixture
def live_server(request: pytest.FixtureRequest) -> "Callable[..., LiveServer]":
    from quartapp.testing.server import serve

    return partial(serve, cwd=request.config.rootpath)


def extension(application: object, name: str) -> Any:
    """An extension of an application. Fails the test if it has none of this name."""
    extensions: dict[str, Any] = getattr(application, "extensions", {})
    if name not in extensions:
        pytest.fail(f"the application has no extension {name!r} of quartapp", pytrace=False)
    return extensions[name]
