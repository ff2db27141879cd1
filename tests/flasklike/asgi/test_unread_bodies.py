"""A body that the view has not read can be read afterwards, within limits."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from quartapp.flasklike import App, stream_with_context
from quartapp.flasklike._upstream import TEST_CLIENT_KEY
from quartapp.flasklike.wrappers.body import READ_AHEAD
from tests.flasklike.conftest import Serve

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def app() -> App:
    app = App("unread")
    app.config["PROPAGATE_EXCEPTIONS"] = True

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return "unread"

    return app


@pytest.fixture
def bodies(app: App) -> list[Any]:
    """The bodies of the requests of an application."""
    found: list[Any] = []

    @app.before_request
    async def keep() -> None:
        found.append(request.body)

    return found


async def exchange(app: App, *messages: Any, version: str = "1.1") -> list[Any]:
    """Let *app* serve a POST request, of which a server has received *messages*."""
    connection: Any = app.test_client().request("/", method="POST", http_version=version)
    connection.scope.pop(TEST_CLIENT_KEY)
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    for message in messages:
        arrived.put_nowait(message)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app(connection.scope, arrived.get, send)
    await asyncio.sleep(0)  # until then the loop references the task that received
    return sent


def part(body: bytes, *, last: bool = True) -> Any:
    return {"type": "http.request", "body": body, "more_body": not last}


@pytest.mark.parametrize("length", [0, 3, READ_AHEAD, 1_000_000])
async def test_in_the_block_of_the_test_client(app: App, length: int) -> None:
    async with app.test_client() as client:
        await client.post("/", data=b"x" * length)
        assert await request.get_data() == b"x" * length


async def test_without_a_body_nothing_is_read(app: App) -> None:
    async with app.test_client() as client:
        await client.get("/")
        assert await request.get_data() == b""


async def test_as_a_form(app: App) -> None:
    async with app.test_client() as client:
        await client.post("/", data=b"name=susan", headers=FORM)
        assert (await request.form)["name"] == "susan"


async def test_after_an_error_that_the_client_raises(app: App, bodies: list[Any]) -> None:
    @app.post("/fail")
    async def fail() -> str:
        raise KeyError

    async with app.test_client() as client:
        with pytest.raises(KeyError):
            await client.post("/fail", data=b"x" * 1_000_000)
        assert await bodies[0] == b"x" * 1_000_000


async def test_more_than_the_limit_is_refused_then_too(app: App) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 10
    async with app.test_client() as client:
        assert (await client.post("/", data=b"x" * 11)).status_code == 200
        with pytest.raises(RequestEntityTooLarge):
            await request.get_data()


@pytest.mark.slow
async def test_in_a_background_task_on_a_server(app: App, serve: Serve) -> None:
    read: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read_later() -> None:
        await asyncio.sleep(0.01)
        read.set_result(await request.get_data(as_text=False))  # type: ignore[arg-type]  # bytes

    @app.post("/later")
    async def later() -> str:
        app.add_background_task(read_later)
        return "later"

    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"POST /later HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc")
        async with asyncio.timeout(20):
            assert await read == b"abc"
        writer.close()


async def test_in_a_teardown_function(app: App) -> None:
    read = []

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        read.append(await request.get_data())

    await exchange(app, part(b"abc"))
    assert read == [b"abc"]


async def test_in_the_teardown_function_of_a_stream(app: App) -> None:
    read: list[Any] = []

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        read.append(len(await request.get_data()) if read else b"")

    @app.post("/stream")
    async def stream() -> Any:
        @stream_with_context
        async def parts() -> AsyncIterator[str]:
            yield "one"
            yield "two"

        return parts()

    response = await app.test_client().post("/stream", data=b"x" * 100_000)
    assert await response.get_data() == b"onetwo"
    assert read == [b"", 100_000]


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
async def test_in_every_version_of_http(app: App, bodies: list[Any], version: str) -> None:
    await exchange(app, part(b"abc"), version=version)
    assert await bodies[0] == b"abc"


async def test_what_has_not_arrived_is_not_waited_for(app: App, bodies: list[Any]) -> None:
    async with asyncio.timeout(60):
        start, *_ = await exchange(app, part(b"abc", last=False))
    assert (b"connection", b"close") in start["headers"]
    with pytest.raises(ClientDisconnected):
        await bodies[0]
    assert bodies[0]._data == b""


async def test_what_is_longer_than_a_server_reads_ahead_is_dropped(
    app: App, bodies: list[Any]
) -> None:
    parts = [part(b"x" * READ_AHEAD, last=last) for last in (False, False, True)]
    start, *_ = await exchange(app, *parts)
    assert (b"connection", b"close") not in start["headers"], "all of it had arrived"
    with pytest.raises(ClientDisconnected):
        await bodies[0]
    assert bodies[0]._data == b""


@pytest.mark.slow
async def test_no_memory_is_kept_for_a_body_that_nobody_reads(app: App) -> None:
    found: list[weakref.ref[Any]] = []

    @app.before_request
    async def keep() -> None:
        found.append(weakref.ref(request.body))

    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await exchange(app, part(b"x" * READ_AHEAD))
        assert [each() for each in found] == [None] * 20
    finally:
        gc.enable()
