"""What is counted, once each, and under how many labels at most."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, websocket

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.inbox import Inbox
from quartapp.metrics import Metrics
from quartapp.metrics.middleware import MetricsMiddleware
from quartapp.metrics.store import Store, read_rows
from quartapp.reporting import Reporting
from tests.errors.conftest import serve
from tests.metrics.conftest import TOKEN, make_app, requests, row, scrape


async def test_ten_thousand_unknown_paths_and_strange_methods_are_few_rows() -> None:
    store = Store()

    async def send(_: object) -> None: ...

    async def unknown(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})

    async def never(_scope: Any, _send: Any) -> None: ...

    middleware = MetricsMiddleware(unknown, store, lambda _: False, never)
    for number in range(10_000):
        method = f"M{number}" if number % 2 else "GET"
        await middleware({"type": "http", "path": f"/{number}", "method": method}, None, send)
    rows = [row for row in read_rows(*store.content()) if row.labels]
    assert [(row.labels, sum(row.numbers[:-1])) for row in rows] == [
        (("unmatched", "GET", "404"), 5000.0),
        (("unmatched", "other", "404"), 5000.0),
    ]
    assert len(middleware._places) == 2


@pytest.mark.parametrize("path", ["/\x00", '/"}\n# HELP x', "/%0a{}", "/" + "a" * 7000])
async def test_a_hostile_path_is_in_no_label(app: Quart, path: str) -> None:
    async with app.test_app():
        await serve(app, path, 'GE"T\n')
        await serve(app, path)
        found = requests(await scrape(app))
    assert set(found) <= {row("unmatched", status, method) for status in (404, 405, 400, 308)
                          for method in ("GET", "other")}  # fmt: skip
    assert sum(found.values()) == 2


async def test_an_exception_that_leaves_the_application_is_a_500(tmp_path: Path) -> None:
    app = make_app(tmp_path, Quart)
    inner = app.asgi_app

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/broken":
            raise ZeroDivisionError
        await inner(scope, receive, send)

    app.asgi_app = broken  # after Metrics, which puts itself around it when it serves
    async with app.test_app():
        _, error = await serve(app, "/broken")
        found = await scrape(app)
    assert isinstance(error, ZeroDivisionError)
    assert requests(found) == {row("unmatched", 500): 1}
    assert found["http_requests_in_progress"] == 0


async def test_a_request_whose_client_leaves_is_counted_once(tmp_path: Path) -> None:
    app: App = make_app(tmp_path)
    begun = asyncio.Event()

    @app.get("/slow")
    async def slow() -> str:
        begun.set()
        await asyncio.sleep(60)
        return ""

    async with app.test_app():
        connection = app.test_client().request("/slow")
        async with connection:
            await begun.wait()
            assert (await scrape(app))["http_requests_in_progress"] == 1
            await connection.disconnect()
        found = await scrape(app)
    assert requests(found) == {row("/slow", 499): 1}
    assert found["http_requests_in_progress"] == 0


async def test_a_stream_is_counted_once_and_when_it_begins(app: Quart) -> None:
    @app.get("/stream")
    async def stream() -> Any:
        async def lines() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("after the response has begun")

        return lines()

    async with app.test_app():
        await serve(app, "/stream")
        found = await scrape(app)
    assert requests(found) == {row("/stream", 200): 1}


async def test_websockets_are_counted_and_open_until_they_end(app: Quart) -> None:
    @app.websocket("/talk")
    async def talk() -> None:
        await websocket.accept()
        await websocket.receive()

    client = app.test_client()
    async with app.test_app():
        async with client.websocket("/talk") as connection:
            await connection.send("a word")
            opened = await scrape(app)
        found = await scrape(app)
        with pytest.raises(Exception):  # noqa: B017 - each kind has another one
            async with client.websocket("/nowhere") as connection:
                await connection.receive()
        refused = await scrape(app)
    accepted = 'websockets_total{route="/talk",status="101"}'
    assert opened[accepted] == found[accepted] == 1
    assert found["websockets_open"] == 0
    assert sum(v for name, v in refused.items() if 'route="unmatched"' in name) == 1
    assert requests(refused) == {}


async def test_a_page_of_the_inbox_has_its_own_route(tmp_path: Path) -> None:
    app = App("shop", instance_path=str(tmp_path))
    app.config.update(METRICS_TOKEN=TOKEN, SECRET_KEY="k" * 40)
    ErrorPages(app)
    Reporting(app)
    Metrics(app)
    Inbox(app, allow=lambda: True)
    async with app.test_app():
        await app.test_client().get("/errors/1")
        found = requests(await scrape(app))
    assert found == {row("/errors/<error_id:group_id>", 404): 1}
