"""A pytest plugin for async test suites of any application.

Enable it with `pytest_plugins = ["quartapp.testing"]` in the top conftest.py, and write a fixture
`app` that yields your application. It needs pytest-asyncio in its auto mode. `session` needs an
application with `quartapp.database`, `captured_reports` one with `quartapp.reporting`.

| fixture | what a test gets |
|---|---|
| `database_url` | an empty SQLite file; override it to test on another engine |
| `client` | `app.test_client()`, which has its own cookies |
| `session` | a database session to prepare and inspect rows; rolled back and closed at the end |
| `mail_server` | a real SMTP server: `mail_server.mails`, `.replies`, `.delay` (see `MailServer`) |
| `captured_reports` | the error reports that were recorded, as a list that grows |

`LiveServer` is a server in a separate process, which a `ForkServer` starts without the cost of its
imports; `Clock` is a time that a test moves.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.report import Report
from quartapp.testing.forkserver import ForkServer
from quartapp.testing.mail import MailServer
from quartapp.testing.server import LiveServer

__all__ = ["Client", "Clock", "ForkServer", "LiveServer", "MailServer"]


class Clock:
    """A clock that only moves when a test moves it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        """Move forward by `timedelta(**duration)`."""
        self.now += timedelta(**duration)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def client(app: Quart) -> Client:
    return app.test_client()


@pytest.fixture
async def session(app: Quart) -> AsyncIterator[AsyncSession]:
    database: Database = app.extensions["database"]
    async with database.session(write=False) as opened:
        yield opened
        await opened.rollback()


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def captured_reports(app: Quart) -> list[Report]:
    """The first five reports of each error in a minute; further ones are only counted."""
    pipeline: Pipeline = app.extensions["reporting"]
    reports: list[Report] = []
    pipeline.recorder.listeners.append(reports.append)
    return reports
