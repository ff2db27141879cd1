"""Errors that the database causes or suffers from are answered like others, on both engines."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import Database, DatabaseEngine
from quartapp.database.errors import DatabaseUnreachableError, StatementTimeoutError
from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.reporting import Report
from quartapp.testing import Client
from tests.shop.app import INSIDE, Customer, db


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_the_page_is_shown_after_a_failed_flush(
    client: Client, session: AsyncSession
) -> None:
    session.add(Customer(name="susan", email="susan@example.com"))
    await session.commit()
    response = await client.get("/failed_flush?name=susan")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "An unexpected error has occurred" in page
    assert not [word for word in INSIDE if word in page]
    assert await session.scalar(select(Customer).where(Customer.name == "flushed")) is None
    assert (await client.get("/hold?seconds=0")).status_code == 200


async def test_a_rollback_that_fails_is_a_second_record_and_no_second_500(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(_session: AsyncSession) -> None:
        raise OSError("the rollback failed")

    monkeypatch.setattr(AsyncSession, "rollback", refuse)
    response = await client.get("/failed_flush?name=flushed")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "An unexpected error has occurred" in page
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    texts = [record.getMessage() for record in errors]
    assert "/failed_flush" in texts[0]
    assert texts[1].startswith("The rollback after an error failed")


@pytest.mark.slow
async def test_an_exhausted_pool_is_503_with_retry_after(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = app.extensions["database"].engine
    async with engine.connect(), engine.connect():
        # Wait for it: the consumer of errors takes a connection now and then.
        with monkeypatch.context() as patch:
            patch.setattr(engine.sync_engine.pool, "_timeout", 0.1)
            response = await client.get("/hold?seconds=0")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert (await client.get("/hold?seconds=0")).status_code == 200
    assert "The database did not answer in time" in caplog.text


async def test_a_full_queue_for_the_database_is_503_that_is_counted_and_not_recorded(
    app: App, client: Client, captured_reports: list[Report]
) -> None:
    engine = app.extensions["database"].engine
    async with engine.connect(), engine.connect():
        engine.sync_engine.pool._shares._queue = 0
        response = await client.get("/hold?seconds=0")
        page = await response.get_data(as_text=True)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "<h1>Service Unavailable</h1>" in page
    assert "reference" not in page
    assert (await client.get("/hold?seconds=0")).status_code == 200
    assert captured_reports == []


async def test_a_statement_that_takes_too_long_is_503_with_retry_after(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def lock() -> str:
        raise StatementTimeoutError("SELECT canary", None, OSError("canary"))

    app.add_url_rule("/late", view_func=lock)
    response = await client.get("/late")
    page = await response.get_data(as_text=True)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert 'class="reference"' in page
    assert not [word for word in INSIDE if word in page]
    assert len(records_of(app, caplog)) == 1


async def test_a_database_that_others_keep_locked_is_503_with_retry_after(
    app: App, client: Client, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database: DatabaseEngine = app.extensions["database"]
    if not database.is_sqlite:
        pytest.skip("PostgreSQL locks rows")

    async def write() -> str:
        connection: Any = await (await db.session.connection()).get_raw_connection()
        connection.driver_connection._conn.execute("PRAGMA busy_timeout = 20")
        await db.session.execute(text("DELETE FROM customers"))
        return "written"

    app.add_url_rule("/write", view_func=write, methods=["POST"])
    with closing(sqlite3.connect(str(database.url.database), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        response = await client.post("/write")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


async def test_the_database_gone_leaves_a_page_and_one_record(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    await lose_the_database(app)
    response = await client.get("/hold?seconds=0")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "An unexpected error has occurred" in page
    # The consumer may log an error too, because its database is gone as well.
    assert len(records_of(app, caplog)) == 1


async def lose_the_database(app: App) -> None:
    # A task that holds a connection now would never close it.
    await app.extensions["reporting"].stop()
    database = app.extensions["database"]
    await database.dispose()
    database.engine.sync_engine.dialect.connect = refuse


def records_of(app: App, caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """The errors that the application itself has logged."""
    return [
        record
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.name == app.logger.name
    ]


def refuse(*_args: object, **_options: object) -> None:
    raise ConnectionRefusedError("no database")


async def test_the_database_answers_again_after_an_error(client: Client) -> None:
    assert (await client.get("/boom")).status_code == 500
    assert (await client.get("/hold?seconds=0")).status_code == 200


async def test_rolls_back_before_the_page_is_rendered(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(*_args: object, **_context: object) -> str:
        return f"{await db.session.scalar(select(Customer.id))} found"

    monkeypatch.setattr("quartapp.errors.responses.render_template", ask)
    response = await client.get("/failed_flush?name=flushed")
    assert await response.get_data(as_text=True) == "None found"


async def test_a_database_that_refuses_connections_is_503_with_retry_after(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("shop", instance_path=str(tmp_path))
    app.config["DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    database = Database(app)
    ErrorPages(app)

    @app.get("/")
    async def count() -> str:
        return str(await database.read(text("SELECT 1")))

    @app.get("/session")
    async def count_in_session() -> str:
        return str(await database.session.scalar(text("SELECT 1")))

    for path in ("/", "/session"):
        caplog.clear()
        response = await app.test_client().get(path)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
        [line] = [each for each in caplog.records if each.levelno >= logging.ERROR]
        assert line.exc_info is not None
        assert isinstance(line.exc_info[1], DatabaseUnreachableError)
