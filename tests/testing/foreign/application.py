"""The conftest.py of another application's suite, which uses only what quartapp documents."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from quart import Quart, Response
from sqlalchemy import text

from quartapp import database, reporting
from quartapp.flasklike import App
from quartapp.redact.places import Places
from quartapp.redact.scrub import Scrubber

pytest_plugins = ["quartapp.testing"]


@pytest.fixture(params=[Quart, App])
async def app(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> AsyncIterator[Quart]:
    app: Quart = request.param(
        "theirs", root_path=str(tmp_path), instance_path=str(tmp_path / "instance")
    )
    things = database.Database(database_url)
    database.init_app(app, things)
    places = Places(Path(__file__).parent)
    reporting.init_app(app, things, name="theirs", places=places, scrubber=Scrubber())
    app.add_url_rule("/fail", view_func=fail)
    app.add_url_rule("/cookie", view_func=set_cookie)
    async with things.begin() as session:
        await session.execute(text("CREATE TABLE things (name TEXT)"))
    async with app.test_app():
        yield app
    await things.dispose()


async def fail() -> str:
    raise LookupError("nothing here")


async def set_cookie() -> Response:
    response = Response("set")
    response.set_cookie("flavour", "vanilla")
    return response
