"""Errors of the server: problem+json in production, with a reference and without internals."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.models import Post, User
from quartapp.microblog.testing import create_tables
from quartapp.reporting.report import Report
from tests.microblog.api.conftest import Answer, Caller

INSIDE = [
    "canary",
    "IntegrityError",
    "ConnectionRefused",
    "sqlite",
    "postgres",
    "INSERT",
    "users",
    "posts",
    "Traceback",
]


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As in production: with TESTING the exception would be raised in the test instead."""
    production = {
        "environment": "production",
        "secret_key": secrets.token_hex(),
        "database_pool_size": 3,
    }
    return settings.model_copy(update=production)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[App]:
    application = create_app(settings)
    await create_tables(application)
    async with application.test_app():
        yield application


def check_failure(answer: Answer, log: str) -> None:
    assert answer.status == 500
    assert answer.problem["code"] == "internal-server-error"
    assert answer.json["reference"] in log
    assert not [word for word in INSIDE if word in answer.text]


async def test_a_failed_flush_leaves_nothing_behind(
    susan: Caller,
    session: AsyncSession,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def publish(opened: AsyncSession, user_id: int, body: str) -> None:
        opened.add(Post(body=body, user_id=user_id))
        await opened.flush()
        opened.add(User(username="susan", email="canary@b.example", password_hash=""))
        await opened.flush()

    monkeypatch.setattr("quartapp.microblog.api.posts.add_post", publish)
    check_failure(await susan("POST", "/api/posts", {"body": "canary"}), caplog.text)
    assert await session.scalar(select(func.count(Post.id))) == 0
    assert (await susan("GET", "/api/posts")).status == 200


async def test_the_report_names_the_caller(
    susan: Caller, captured_reports: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def publish(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("quartapp.microblog.api.posts.add_post", publish)
    await susan("POST", "/api/posts", {"body": "a"})
    assert [report.user_id for report in captured_reports] == [str(susan.id)]


async def test_the_database_is_gone(
    app: App, susan: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    database: DatabaseEngine = app.extensions["database"]
    # A task that holds a connection now would never close it.
    await app.extensions["reporting"].stop()
    await database.dispose()

    def refuse(*_args: object, **_options: object) -> Any:
        raise ConnectionRefusedError("canary")

    database.engine.sync_engine.dialect.connect = refuse  # type: ignore[method-assign]  # no server
    check_failure(await susan("GET", "/api/posts"), caplog.text)


@pytest.mark.slow
async def test_every_connection_is_busy(
    app: App, susan: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: DatabaseEngine = app.extensions["database"]
    async with (
        database.engine.connect(),
        database.engine.connect(),
        database.engine.connect(),
    ):
        # Wait for it: the consumer of errors takes a connection now and then.
        with monkeypatch.context() as patch:
            patch.setattr(database.engine.sync_engine.pool, "_timeout", 0.2)
            answer = await susan("GET", "/api/posts")
    assert (answer.status, answer.problem["code"]) == (503, "service-unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert (await susan("GET", "/api/posts")).status == 200


async def test_a_browser_gets_json_too(susan: Caller) -> None:
    html = {"Accept": "text/html", "Authorization": f"Bearer {susan.token}"}
    for method, path, status in (
        ("GET", "/api", 404),
        ("GET", "/api/nothing", 404),
        ("PATCH", "/api/posts", 405),
        ("GET", "/api/posts/99", 404),
    ):
        answer = await susan(method, path, headers=html)
        assert (answer.status, answer.problem["status"]) == (status, status)
        assert ("Allow" in answer.headers) is (status == 405)
