"""WebSockets on real servers and through the test client."""

import asyncio
import logging
from typing import Any

import pytest
from quart import websocket
from quart.signals import got_websocket_exception
from quart.testing.connections import WebsocketDisconnectError, WebsocketResponseError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quartapp.flasklike import App, Blueprint, Response, abort
from tests.flasklike.conftest import Serve
from tests.flasklike.servers import wait_for


def make_app(**config: Any) -> tuple[App, list[Any]]:
    app = App("sockets")
    app.config.update(config)
    torn_down: list[Any] = []

    @app.teardown_websocket
    async def note(error: BaseException | None) -> None:
        torn_down.append(error)

    return app, torn_down


@pytest.mark.slow
async def test_an_error_after_accept_closes_with_1011(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()
    error = ValueError("after accept")
    signalled: list[Any] = []

    @app.websocket("/")
    async def view() -> None:
        await websocket.receive()
        raise error

    def on_error(_: Any, exception: Any) -> None:
        signalled.append(exception)

    async with serve(app) as server:
        with got_websocket_exception.connected_to(on_error, app):
            async with connect(f"ws://127.0.0.1:{server.port}/") as client:
                await client.send("hello")
                with pytest.raises(ConnectionClosed) as closed:
                    await client.recv()
        await wait_for(lambda: torn_down)
        assert server.log == []
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert torn_down == signalled == [error]
    records = [record for record in caplog.records if record.name == "sockets"]
    assert [record.getMessage() for record in records] == ["Exception on websocket /"]


@pytest.mark.slow
async def test_an_error_before_accept_is_answered(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()
    app.register_error_handler(500, lambda e: (f"handled {e.original_exception}", 500))

    @app.websocket("/")
    async def view() -> None:
        raise ValueError("before accept")

    @app.websocket("/teapot")
    async def teapot() -> None:
        abort(418)

    async with serve(app) as server:
        for path, status in (("/", 500), ("/teapot", 418), ("/missing", 404)):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{server.port}{path}")
            # a server without the extension can only refuse
            assert refused.value.response.status_code in {status, 403}
        await wait_for(lambda: len(torn_down) == 3)
    records = [record for record in caplog.records if record.name == "sockets"]
    assert [record.levelno for record in records] == [logging.ERROR]


@pytest.mark.slow
async def test_an_answer_before_accept_is_closed_after_it(serve: Serve) -> None:
    app, _ = make_app()
    closed: list[str] = []

    @app.before_websocket
    async def refuse() -> Response:
        response = Response(iter(["not ", "now"]), 503)
        response.call_on_close(lambda: closed.append("closed"))
        return response

    app.websocket("/")(lambda: None)
    async with serve(app) as server:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{server.port}/")
        await wait_for(lambda: closed)


@pytest.mark.slow
async def test_a_view_that_returns_closes_with_1000(serve: Serve) -> None:
    app, torn_down = make_app()

    @app.websocket("/")
    async def view() -> None:
        await websocket.send("bye")

    async with serve(app) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/") as client:
            assert await client.recv() == "bye"
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        await wait_for(lambda: torn_down)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000
    assert torn_down == [None]


@pytest.mark.slow
async def test_a_client_that_leaves_ends_the_view(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()

    @app.websocket("/")
    async def view() -> None:
        while True:
            await websocket.receive()

    async with serve(app) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/") as client:
            await client.send(b"")
        await wait_for(lambda: torn_down)
        assert server.log == []
    assert [type(error) for error in torn_down] == [asyncio.CancelledError]
    assert [record for record in caplog.records if record.name == "sockets"] == []


async def test_what_is_let_through_closes_with_1011_and_is_raised() -> None:
    app, torn_down = make_app(TESTING=True)

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        raise ValueError("let through")

    async def talk() -> None:
        async with app.test_client().websocket("/") as client:
            with pytest.raises(WebsocketDisconnectError, match="1011"):
                await client.receive()

    with pytest.raises(ValueError, match="let through"):
        await talk()
    assert [str(error) for error in torn_down] == ["let through"]


@pytest.mark.slow
async def test_a_debugger_is_told_of_what_is_let_through(serve: Serve) -> None:
    class Notebook:
        async def answer(self, error: Exception, request: Any) -> Any:
            return Response("", 500)

        async def note(self, error: Exception, where: str) -> None:
            noted.append((str(error), where))

    noted: list[Any] = []
    app, torn_down = make_app(DEBUG=True)
    app.debugger = Notebook()

    @app.websocket("/path")
    async def view() -> None:
        await websocket.accept()
        raise ValueError("noted")

    async with serve(app) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/path") as client:
            with pytest.raises(ConnectionClosed):
                await client.recv()
        await wait_for(lambda: torn_down)
        assert server.log == []
    assert noted == [("noted", "websocket /path")]


async def test_a_blueprints_functions_run() -> None:
    app, torn_down = make_app()
    blueprint = Blueprint("inner", "inner", url_prefix="/<area>")
    seen: list[Any] = []
    blueprint.url_value_preprocessor(lambda endpoint, values: seen.append((endpoint, values)))
    blueprint.before_websocket(lambda: seen.append("before"))

    @blueprint.teardown_websocket
    async def teardown(error: BaseException | None) -> None:
        seen.append(error)
        torn_down.append("blueprint first")

    @blueprint.websocket("/")
    async def view(area: str) -> None:
        abort(409)

    app.register_blueprint(blueprint)

    async def talk() -> None:
        async with app.test_client().websocket("/there/") as client:
            await client.receive()

    with pytest.raises(WebsocketResponseError) as refused:
        await talk()
    assert refused.value.response.status_code == 409
    assert seen == [("inner.view", {"area": "there"}), "before", None]
    assert torn_down == ["blueprint first", None]


async def test_a_handled_error_after_accept_says_why_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, _ = make_app()

    @app.websocket("/<int:status>")
    async def view(status: int) -> None:
        await websocket.accept()
        abort(status)

    for status in (409, 500):
        async with app.test_client().websocket(f"/{status}") as client:
            with pytest.raises(WebsocketDisconnectError, match="1011"):
                await client.receive()
    assert [record.getMessage() for record in caplog.records] == [
        "The websocket /409 is closed after an error, whose answer 409 cannot be sent",
        "The websocket /500 is closed after an error, whose answer 500 cannot be sent",
    ]


async def test_a_stray_cancelled_error_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    app, torn_down = make_app()

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        raise asyncio.CancelledError

    async with app.test_client().websocket("/") as client:
        with pytest.raises(WebsocketDisconnectError, match="1011"):
            await client.receive()
    assert isinstance(torn_down[0].__cause__, asyncio.CancelledError)
    assert [record.getMessage() for record in caplog.records] == ["Exception on websocket /"]


async def test_an_error_while_opening_the_session_is_handled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, torn_down = make_app()

    async def fail(*_: Any) -> Any:
        raise ValueError("opening")

    base = type(app.session_interface)
    app.session_interface = type("Failing", (base,), {"open_session": fail})()

    @app.websocket("/")
    async def view() -> None:
        raise AssertionError("never")

    async def talk() -> None:
        async with app.test_client().websocket("/") as client:
            await client.receive()

    with pytest.raises(WebsocketResponseError):
        await talk()
    assert [str(error) for error in torn_down] == ["opening"]
    assert caplog.records[0].getMessage() == "Exception on websocket /"
