"""Requests that a stopping server cuts off, on real servers."""

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from quart import request, websocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from quartapp.flasklike import App
from quartapp.flasklike.asgi import stopping
from tests.flasklike.conftest import Serve
from tests.flasklike.servers import Answer, Running, running, wait_for


@pytest.fixture
def app() -> App:
    app = App("stops")

    @app.errorhandler(503)
    async def unavailable(error: Any) -> Any:
        if request.path == "/no_page":
            await asyncio.Event().wait()
        if request.path == "/bad_page":
            raise ValueError("in the page")
        return "the page", 503, {"Retry-After": error.get_headers()[-1][1]}

    @app.get("/slow/<int:number>")
    @app.get("/no_page")
    @app.get("/bad_page")
    async def slow(number: int = 0) -> str:
        await asyncio.Event().wait()
        return "never"

    return app


async def cut_off(app: App, server: Running, *paths: str) -> list[Answer]:
    answers = [asyncio.create_task(server.get(path)) for path in paths]
    await wait_for(lambda: len(app._under_way) == len(paths))
    app.stop_requests()
    return list(await asyncio.gather(*answers))


@pytest.mark.slow
async def test_each_gets_the_page_of_a_503_and_one_line(
    app: App, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(app) as server:
        answers = await cut_off(app, server, "/slow/1", "/slow/2")
        assert server.log == []
    for answer in answers:
        assert (answer.status, answer.body, answer.fields("retry-after")) == (
            503,
            b"the page",
            ["5"],
        )
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == 2 * [
        (logging.WARNING, "The server stopped before /slow/<int:number> [GET] was complete")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/no_page", "/thread", "/deaf"])
async def test_what_does_not_answer_in_time_is_answered_with_a_few_bytes(
    app: App, serve: Serve, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "PARTING", 0.1)
    ended = threading.Event()

    @app.get("/thread")
    def thread() -> str:
        ended.wait(60)
        return "never"

    @app.get("/deaf")
    async def deaf() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()
        return "never"

    async with serve(app) as server:
        async with asyncio.timeout(30):
            [answer] = await cut_off(app, server, path)
        ended.set()
    assert (answer.status, answer.fields("retry-after")) == (503, ["5"])
    assert b"Service Unavailable" in answer.body


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/view", "/member", "/stream"])
async def test_a_blocked_function_does_not_hold_up_the_stop(
    app: App, serve: Serve, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "PARTING", 0.1)
    blocked, go_on, after = threading.Event(), threading.Event(), []
    app.teardown_request(lambda _: after.append("teardown"))

    @app.get("/view")
    def view() -> str:
        blocked.set()
        go_on.wait(60)
        return "never"

    @app.get("/member")
    async def member() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(app.ensure_async(view)())  # type: ignore[arg-type]
        return "never"

    @app.get("/stream")
    def stream() -> Any:
        return iter(view, None)

    try:
        async with asyncio.timeout(30), serve(app) as server:
            answer = asyncio.create_task(server.get(path))
            await asyncio.to_thread(blocked.wait, 60)
            after.clear()
            app.stop_requests()
            if path != "/stream":
                assert (await answer).status == 503
        if path != "/member":  # whose thread is another
            assert after == [], "it would run at the same time"
    finally:
        go_on.set()
        await asyncio.gather(answer, return_exceptions=True)


@pytest.mark.slow
def test_a_blocked_function_does_not_keep_the_process_alive() -> None:
    script = """
import asyncio, threading
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quartapp.flasklike import App
app, stop, loop = App("blocks"), asyncio.Event(), None

@app.get("/")
def view():
    loop.call_soon_threadsafe(stop.set)
    loop.call_soon_threadsafe(app.stop_requests)
    threading.Event().wait()

async def main():
    global loop
    loop, config = asyncio.get_running_loop(), Config()
    config.bind, config.graceful_timeout = ["127.0.0.1:0"], 5
    sockets = config.create_sockets()
    sockets.insecure_sockets[0].listen()
    port = sockets.insecure_sockets[0].getsockname()[1]
    config.bind = [f"fd://{sockets.insecure_sockets[0].fileno()}"]
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=stop.wait))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\\r\\nHost: t\\r\\nConnection: close\\r\\n\\r\\n")
    print((await reader.readline()).split()[1].decode())
    writer.close()
    await serving

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr[-500:]) == (0, "503\n", done.stderr[-500:])


@pytest.mark.slow
async def test_a_page_that_fails_is_logged_and_replaced(
    app: App, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(app) as server:
        [answer] = await cut_off(app, server, "/bad_page")
    assert answer.status == 503
    assert caplog.messages[1] == "The page of a request that was cut off failed"


@pytest.mark.slow
async def test_what_waits_in_middleware_is_answered(app: App, serve: Serve) -> None:
    async def waits(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.Event().wait()
        await inner(scope, receive, send)

    inner: Callable[..., Any] = app.asgi_app
    app.asgi_app = waits  # type: ignore[method-assign]
    async with serve(app) as server:
        [answer] = await cut_off(app, server, "/slow/1")
    assert (answer.status, answer.fields("retry-after")) == (503, ["5"])


@pytest.mark.slow
async def test_what_comes_later_is_refused_until_the_next_start(app: App, serve: Serve) -> None:
    @app.get("/")
    async def index() -> str:
        return "served"

    async with serve(app) as server:
        app.stop_requests()
        assert (await server.get("/")).status == 503
    async with serve(app) as server:
        assert (await server.get("/")).body == b"served"


@pytest.mark.slow
async def test_a_stream_is_broken_off(app: App, serve: Serve) -> None:
    @app.get("/stream")
    async def stream() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.Event().wait()

    async with serve(app) as server:
        answer = asyncio.create_task(server.get("/stream"))
        await wait_for(lambda: app._under_way)
        await asyncio.sleep(0.05)
        app.stop_requests()
        assert not (await answer).whole


@pytest.mark.slow
async def test_a_view_that_cancels_itself_is_not_stopped(app: App, serve: Serve) -> None:
    @app.get("/")
    async def index() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    async with serve(app) as server:
        answer = await server.get("/")
        assert (answer.status, app.stopping) == (500, False)
    assert b"<title>500 Internal Server Error</title>" in answer.body


@pytest.mark.slow
async def test_a_client_that_left_before_is_no_request_of_the_stop(
    app: App, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    @app.teardown_request
    async def last(_: object) -> None:
        await done.wait()

    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"GET /slow/1 HTTP/1.1\r\nHost: t\r\n\r\n")
        await wait_for(lambda: app._under_way)
        await asyncio.sleep(0.05)
        writer.close()
        await wait_for(lambda: not app._under_way)
        app.stop_requests()
        done.set()
    assert caplog.records == []


@pytest.mark.slow
async def test_websockets_are_closed_with_1012(app: App, serve: Serve) -> None:
    @app.websocket("/accepted")
    async def accepted() -> None:
        await websocket.send("hello")
        await asyncio.Event().wait()

    @app.websocket("/waiting")
    async def waiting() -> None:
        await asyncio.Event().wait()

    async with serve(app) as server:
        refused = asyncio.create_task(_open(f"ws://127.0.0.1:{server.port}/waiting"))
        async with connect(f"ws://127.0.0.1:{server.port}/accepted") as client:
            assert await client.recv() == "hello"
            await wait_for(lambda: len(app._under_way) == 2)
            app.stop_requests()
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        with pytest.raises(InvalidStatus) as answered:
            await refused
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert answered.value.response.status_code == 503
    assert answered.value.response.headers["Retry-After"] == "5"


async def _open(url: str) -> None:
    async with connect(url):
        pass


async def test_a_stop_of_the_server_itself_is_recognised(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """Hypercorn's own stop, as under its command: it cancels the requests after its timeout."""
    async with running(app, "hypercorn") as server:  # it has a graceful timeout of 1 s
        answer = asyncio.create_task(server.get("/slow/1"))
        await wait_for(lambda: app._under_way)
        task = next(iter(app._under_way))
        task.cancel()  # before the stop: the application's own doing
        assert (await answer).status == 500
        answer = asyncio.create_task(server.get("/slow/1"))
        await wait_for(lambda: app._under_way)
        _, send = next(iter(app._under_way.values()))
        await send.__self__.context.terminated.set()  # type: ignore[attr-defined]  # Hypercorn's
        next(iter(app._under_way)).cancel()
        assert (await answer).status == 503
