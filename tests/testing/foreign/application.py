"""The conftest.py of another application's suite, which uses only what quartapp documents."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quart import Quart, Response
from sqlalchemy import text

from quartapp import reporting
from quartapp.database import Database
from quartapp.flasklike import App


@pytest.fixture(params=[Quart, App])
async def app(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Quart]:
    app: Quart = request.param(
        "theirs", root_path=str(tmp_path), instance_path=str(tmp_path / "instance")
    )
    app.config["DATABASE_URL"] = database_url
    db = Database(app)
    reporting.Reporting(app, database=db)
    app.add_url_rule("/fail", view_func=fail)
    app.add_url_rule("/cookie", view_func=set_cookie)
    async with app.app_context(), db.begin() as session:
        await session.execute(text("CREATE TABLE things (name TEXT)"))
    async with app.test_app():
        yield app


async def fail() -> str:
    raise LookupError("nothing here")


async def set_cookie() -> Response:
    response = Response("set")
    response.set_cookie("flavour", "vanilla")
    return response
