"""Responses are counted, each once, and none is lost at a stop."""

from pathlib import Path

import pytest
from quart import Response
from sqlalchemy import func, select

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.reporting.hooks.traffic import Minute, Traffic
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.tables import ErrorTraffic
from tests.shop.app import create_app, create_tables


def test_is_added_up_by_the_minute_until_it_is_taken() -> None:
    traffic = Traffic()
    assert not traffic.note(1)
    traffic.responses, traffic.failures = 3, 1
    assert traffic.note(1)
    traffic.responses = 2
    assert traffic.note(1)
    traffic.responses = 1
    assert traffic.note(2)
    assert traffic.take() == [Minute(1, 5, 1), Minute(2, 1, 0)]
    assert not traffic.note(2)


def test_what_could_not_be_stored_is_kept_for_a_day() -> None:
    traffic = Traffic()
    traffic.give_back([Minute(minute, 1, 0) for minute in range(2000)])
    traffic.responses = 1
    traffic.note(1999)
    kept = traffic.take()
    assert (len(kept), kept[-1]) == (1440, Minute(1999, 2, 0))


async def test_a_stop_stores_what_was_counted(tmp_path: Path, database_url: str) -> None:
    app = create_app(tmp_path, database_url)
    await create_tables(app)

    @app.get("/teapot")
    async def teapot() -> Response:
        return Response("", 503)

    async with app.test_app() as served:
        client = served.test_client()
        await client.get("/health")
        await app.extensions["reporting"].count()  # the next write is ten seconds later
        for path in ("/missing", "/boom", "/teapot"):
            await client.get(path)
    database = DatabaseEngine(database_url)
    async with database.session(write=False) as session:
        sums = select(func.sum(ErrorTraffic.responses), func.sum(ErrorTraffic.failures))
        found = tuple((await session.execute(sums)).one())
    await database.dispose()
    assert found == (4, 2)


async def test_an_error_that_leaves_the_application_is_a_failure(app: App) -> None:
    pipeline: Pipeline = app.extensions["reporting"]
    traffic = pipeline.mechanisms.traffic
    traffic.take()
    traffic.responses = traffic.failures = 0

    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    app.asgi_app.asgi_app = fail  # type: ignore[attr-defined]  # the middleware's
    with pytest.raises(ZeroDivisionError):
        await app.test_client().get("/")
    assert (traffic.responses, traffic.failures) == (1, 1)
