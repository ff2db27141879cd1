"""What is sent over the network, on real servers."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from quart import request
from quart.sessions import SessionInterface
from werkzeug.datastructures import Headers

from quartapp.flasklike import App, Response, abort, stream_with_context
from tests.flasklike.conftest import Serve
from tests.flasklike.servers import read_answer, wait_for


def make_app(**config: Any) -> tuple[App, list[Any]]:
    """An application, and the list of the errors that its teardown functions get."""
    app = App("wire")
    app.config.update(config)
    torn_down: list[Any] = []

    @app.teardown_request
    async def note(error: BaseException | None) -> None:
        torn_down.append(error)

    return app, torn_down


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), [("/", "HEAD"), ("/204", "GET"), ("/304", "GET")])
async def test_answers_without_a_body_have_none(serve: Serve, path: str, method: str) -> None:
    app, _ = make_app()

    @app.get("/")
    async def index() -> str:
        return "body"

    @app.get("/<int:status>")
    async def empty(status: int) -> tuple[str, int]:
        return "body", status

    async with serve(app) as server:
        answer = await server.get(path, method)
        assert answer.body == b""
        assert answer.fields("content-length") == (["4"] if method == "HEAD" else [])
        assert server.log == []


@pytest.mark.slow
async def test_location_is_encoded_and_duplicate_fields_are_kept(serve: Serve) -> None:
    app, _ = make_app()

    @app.get("/")
    async def index() -> Any:
        return "", 302, [("Location", "/é?q=ü"), ("X-Two", "1"), ("X-Two", "2")]

    async with serve(app) as server:
        answer = await server.get("/")
    assert answer.fields("location") == ["/%C3%A9?q=%C3%BC"]
    assert answer.fields("x-two") == ["1", "2"]


@pytest.mark.slow
async def test_streams_synchronous_and_asynchronous_parts(serve: Serve) -> None:
    app, _ = make_app()

    @app.get("/sync")
    def sync() -> Iterator[str]:
        yield from ("one ", "two")

    @app.get("/async")
    async def later() -> Any:
        async def parts() -> AsyncIterator[str]:
            yield "one "
            yield "two"

        return parts()

    async with serve(app) as server:
        for path in ("/sync", "/async"):
            answer = await server.get(path)
            assert (answer.body, answer.whole) == (b"one two", True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["before", "view", "after", "teardown", "session", "handler"])
async def test_an_error_anywhere_is_answered_and_logged_once(
    serve: Serve, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()
    error = ValueError(kind)

    async def fail(*_: Any) -> Any:
        raise error

    @app.get("/")
    async def index() -> str:
        if kind in {"view", "handler"}:
            raise error
        return "fine"

    if kind == "before":
        app.before_request(fail)
    elif kind == "after":
        app.after_request(fail)
    elif kind == "teardown":
        app.teardown_request(fail)
    elif kind == "session":
        app.session_interface = type("Failing", (SessionInterface,), {"open_session": fail})()
    elif kind == "handler":
        app.register_error_handler(500, fail)
    async with serve(app) as server:
        answer = await server.get("/")
    assert answer.status == 500
    # the second record is of the failure in the handler
    texts = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    logged = {"after": 2, "session": 2, "handler": 2}.get(kind, 1)
    assert len(texts) == logged, texts
    assert torn_down == [None if kind == "teardown" else error]


@pytest.mark.slow
async def test_a_client_that_leaves_in_the_body_cancels_the_request(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wire")
    app, torn_down = make_app()
    entered = asyncio.Event()

    @app.post("/")
    async def index() -> Any:
        entered.set()
        return await request.get_data(as_text=False)

    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nsome")
        await entered.wait()
        writer.close()
        await wait_for(lambda: torn_down)
        assert server.log == []
    assert [type(error) for error in torn_down] == [asyncio.CancelledError]
    assert [record.getMessage() for record in caplog.records if record.name == "wire"] == [
        "The client left before the answer to / [POST] was complete"
    ]


@pytest.mark.slow
async def test_a_client_that_leaves_in_the_answer_ends_the_stream(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wire")
    app, torn_down = make_app()
    ended = asyncio.Event()

    @app.get("/")
    async def index() -> Any:
        async def forever() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.01)
            finally:
                ended.set()

        return stream_with_context(forever())

    async with serve(app) as server:
        reader, writer = await server.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await ended.wait()
        await wait_for(lambda: len(torn_down) == 2)
        assert server.log == []
    assert torn_down[0] is None
    assert isinstance(torn_down[1], asyncio.CancelledError | GeneratorExit)
    assert [record.levelname for record in caplog.records if record.name == "wire"] == ["INFO"]


@pytest.mark.slow
async def test_a_client_that_leaves_ends_a_stream_that_never_waits(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()
    parts = 0

    @app.get("/")
    async def index() -> Any:
        async def many() -> AsyncIterator[bytes]:
            nonlocal parts
            for parts in range(50_000):  # noqa: B007 counts
                yield b"x" * 1000

        return many()

    async with serve(app) as server:
        reader, writer = await server.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        await wait_for(lambda: torn_down)
        assert server.log == []
    assert parts < 49_999
    assert "socket.send() raised exception." not in caplog.messages


@pytest.mark.slow
async def test_a_client_that_leaves_during_a_synchronous_view_is_torn_down_after_it(
    serve: Serve,
) -> None:
    app, torn_down = make_app()
    order: list[str] = []
    app.teardown_request(lambda error: order.append("teardown"))
    entered, go_on = threading.Event(), threading.Event()

    @app.get("/")
    def index() -> str:
        entered.set()
        go_on.wait(60)
        order.append("view")
        return "late"

    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        await wait_for(entered.is_set)
        writer.close()
        await asyncio.sleep(0.2)
        go_on.set()
        await wait_for(lambda: torn_down)
    assert order == ["view", "teardown"]


@pytest.mark.slow
async def test_stop_iteration_in_a_synchronous_view_is_an_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()

    @app.get("/")
    def index() -> str:
        return next(iter(()))

    async with serve(app) as server:
        assert (await server.get("/")).status == 500
    assert [type(error) for error in torn_down] == [RuntimeError]
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]


@pytest.mark.slow
async def test_an_oversized_chunked_upload_gets_413(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    limit = 256 * 1024
    app, torn_down = make_app(MAX_CONTENT_LENGTH=limit)
    largest = 0

    @app.post("/")
    async def index() -> str:
        nonlocal largest
        body = request.body
        append = body.append

        def measure(data: bytes) -> None:
            nonlocal largest
            append(data)
            largest = max(largest, len(body._data))

        body.append = measure  # type: ignore[method-assign]
        await request.get_data()
        return "read"

    async with serve(app) as server:
        reader, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10 * limit // 16384):
            writer.write(b"4000\r\n" + b"x" * 16384 + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        answer = await read_answer(reader)
        writer.close()
        await wait_for(lambda: torn_down)
        assert server.log == []
    assert answer.status == 413
    assert largest <= limit
    assert torn_down == [None]
    assert caplog.records == []


@pytest.mark.slow
async def test_a_body_nobody_reads_is_not_taken_in(serve: Serve) -> None:
    app, _ = make_app()
    waiting = 0
    read = asyncio.Event()

    @app.post("/")
    async def index() -> str:
        nonlocal waiting
        await asyncio.sleep(0.3)
        waiting = len(request.body._data)
        read.set()
        return "unread"

    async with serve(app) as server:
        _, writer = await server.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 8000000\r\n\r\n")
        writer.write(b"x" * 4_000_000)
        await read.wait()
        writer.close()
    assert waiting < 200_000


@pytest.mark.slow
async def test_a_slow_body_gets_408_and_is_logged(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = make_app(BODY_TIMEOUT=0.1)

    @app.post("/whole")
    async def whole() -> Any:
        return await request.get_data()

    @app.post("/parts")
    async def parts() -> Any:
        return b"".join([part async for part in request.body])

    async with serve(app) as server:
        for path in (b"/whole", b"/parts"):
            head = b"POST " + path + b" HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nsome"
            assert (await server.send(head)).status == 408
    assert [record.getMessage() for record in caplog.records] == [
        "The body of /whole [POST] did not arrive in time",
        "The body of /parts [POST] did not arrive in time",
    ]


@pytest.mark.slow
async def test_a_slow_answer_is_cut_and_logged_once(serve: Serve) -> None:
    app, _ = make_app(RESPONSE_TIMEOUT=0.5)

    @app.get("/")
    async def index() -> Any:
        async def slow() -> AsyncIterator[str]:
            yield "some"
            await asyncio.sleep(60)

        return slow()

    async with serve(app) as server:
        answer = await server.get("/")
        await wait_for(lambda: server.log)
        assert len(server.log) == 1
        assert "the answer to / [GET] was not sent in 0.5 s" in str(
            server.log[0].exc_info or server.log[0].exc_text or server.log[0].getMessage()
        )
    assert (answer.body, answer.whole) == (b"some", False)


@pytest.mark.slow
async def test_a_client_that_takes_no_small_answers_is_cut_off(serve: Serve) -> None:
    app, _ = make_app(RESPONSE_TIMEOUT=0.2)

    @app.get("/")
    async def index() -> bytes:
        return bytes(60_000)

    async with serve(app) as server:
        reader, writer = await server.connect()
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # as a client that hangs
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n" * 300)  # more than sockets hold
        await wait_for(lambda: server.log)
        writer.close()
    assert "the answer to / [GET] was not sent in 0.2 s" in str(server.log[0].exc_info)


async def test_a_streamed_part_is_bytes_or_a_string() -> None:
    app, _ = make_app(TESTING=True)

    @app.get("/")
    def count() -> Iterator[Any]:
        return iter(["a", b"b", 5])

    with pytest.raises(TypeError, match="a part of the body is a int, not bytes or a string"):
        await app.test_client().get("/")


@pytest.mark.slow
@pytest.mark.parametrize("error", [TimeoutError("its own"), ValueError("streaming")])
async def test_an_error_in_a_streamed_body_breaks_the_connection(
    serve: Serve, error: Exception
) -> None:
    app, _ = make_app()

    @app.get("/")
    async def index() -> Any:
        async def parts() -> AsyncIterator[str]:
            yield "some"
            raise error

        return parts()

    async with serve(app) as server:
        answer = await server.get("/")
        await wait_for(lambda: server.log)
        assert len(server.log) == 1
        assert server.log[0].exc_info
        assert server.log[0].exc_info[1] is error
    assert (answer.body, answer.whole) == (b"some", False)


@pytest.mark.slow
async def test_what_is_let_through_is_answered_and_logged_by_the_server(serve: Serve) -> None:
    app, torn_down = make_app(PROPAGATE_EXCEPTIONS=True)
    error = ValueError("seen by the server")

    @app.get("/")
    async def index() -> str:
        raise error

    async with serve(app) as server:
        answer = await server.get("/")
        await wait_for(lambda: server.log)
        assert len(server.log) == 1
    assert answer.status == 500
    assert b"Internal Server Error" in answer.body
    assert b"seen by" not in answer.body
    assert torn_down == [error]


@pytest.mark.slow
async def test_a_debugger_answers_what_is_let_through(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    class Page:
        async def answer(self, error: Exception, request: Any) -> Any:
            return Response(f"debugging {error}", 500)

        async def note(self, error: Exception, where: str) -> None:
            noted.append((error, where))

    noted: list[Any] = []
    app, torn_down = make_app(DEBUG=True)
    app.debugger = Page()
    error = ValueError("shown")

    @app.get("/")
    async def index() -> str:
        raise error

    @app.get("/stream")
    async def stream() -> Any:
        async def parts() -> AsyncIterator[str]:
            yield "some"
            raise error

        return parts()

    async with serve(app) as server:
        assert (await server.get("/")).body == b"debugging shown"
        assert server.log == []
        await server.get("/stream")
        await wait_for(lambda: server.log)
    assert [r.getMessage() for r in caplog.records if r.name == "wire"] == ["Exception on / [GET]"]
    assert torn_down == [error, None]
    assert noted == [(error, "the answer to /stream [GET]")]


@pytest.mark.slow
async def test_a_stray_cancelled_error_is_an_error(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    app, torn_down = make_app()

    @app.get("/")
    async def index() -> str:
        raise asyncio.CancelledError

    async with serve(app) as server:
        assert (await server.get("/")).status == 500
    assert [record.getMessage() for record in caplog.records] == ["Exception on / [GET]"]
    assert isinstance(torn_down[0].__cause__, asyncio.CancelledError)


@pytest.mark.slow
async def test_a_stray_cancelled_error_of_the_500_handler_is_answered(serve: Serve) -> None:
    app, _ = make_app()

    async def fail(*_: Any) -> Any:
        raise asyncio.CancelledError

    app.add_url_rule("/", view_func=fail, endpoint="index")
    app.register_error_handler(500, fail)
    async with serve(app) as server:
        assert (await server.get("/")).status == 500
        await wait_for(lambda: server.log)


@pytest.mark.slow
@pytest.mark.parametrize("target", [b"/?q=\xff", b"//", b"*", b"http://other/"])
async def test_odd_request_targets_are_answered(serve: Serve, target: bytes) -> None:
    app, _ = make_app()

    @app.get("/")
    async def index() -> str:
        return "found"

    method = b"OPTIONS" if target == b"*" else b"GET"
    async with serve(app) as server:
        answer = await server.send(method + b" " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n")
        assert answer.status < 500
        assert server.log == []


@pytest.mark.slow
async def test_a_connection_is_kept_and_left_clean(serve: Serve) -> None:
    app, _ = make_app()

    @app.get("/<int:status>")
    async def answer(status: int) -> str:
        abort(status)

    async with serve(app) as server:
        reader, writer = await server.connect()
        for status in (404, 500, 410):
            writer.write(f"GET /{status} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            assert (await read_answer(reader)).status == status
        writer.close()


@pytest.mark.slow
async def test_an_answer_before_the_whole_body_says_that_the_connection_ends(serve: Serve) -> None:
    app, _ = make_app()

    @app.post("/")
    async def index() -> str:
        return "early"

    async with serve(app) as server:
        reader, writer = await server.connect()
        for _ in range(2):  # a small body is there before its answer, though nobody read it
            writer.write(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc")
            assert (await read_answer(reader)).fields("connection") != ["close"]
        writer.write(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99999\r\n\r\nabc")
        answer = await read_answer(reader)
        assert (answer.body, answer.fields("connection")) == (b"early", ["close"])
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("kind", ["complete", "broken"])
async def test_a_server_can_always_hand_over_an_unread_body(kind: str) -> None:
    """At the end of a response Hypercorn waits until it can put the disconnect into a bounded
    queue."""
    app, _ = make_app()
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=10)

    @app.post("/")
    async def index() -> Any:
        while not queue.full():  # noqa: ASYNC110  # a queue has no event for it
            await asyncio.sleep(0)

        async def parts() -> AsyncIterator[str]:
            yield "some"
            if kind == "broken":
                raise ValueError("while the body is still coming")

        return parts()

    async def feed() -> None:
        for _ in range(100):
            await queue.put({"type": "http.request", "body": b"x" * 65536, "more_body": True})
            if queue.qsize() < 10:
                await asyncio.sleep(0)  # as after each read of a socket

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message["more_body"]:
            await queue.put({"type": "http.disconnect"})

    scope: Any = app.test_client().request("/", method="POST")
    feeding = asyncio.create_task(feed())
    async with asyncio.timeout(60):
        try:
            await app(scope.scope, queue.get, send)
        except ValueError:
            queue.put_nowait({"type": "http.disconnect"})
    feeding.cancel()
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"some")
    assert sent[-1].get("more_body") is (kind == "broken")


async def test_the_servers_task_is_not_left_cancelled_when_the_client_leaves() -> None:
    app, torn_down = make_app()

    @app.get("/")
    async def index() -> str:
        await asyncio.sleep(10)
        return "never"

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nobody is there")

    connection: Any = app.test_client().request("/")
    await app(connection.scope, receive, send)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert [type(error) for error in torn_down] == [asyncio.CancelledError]


@pytest.mark.parametrize(
    ("method", "headers", "received"),
    [
        ("GET", {}, False),
        ("HEAD", {}, False),
        ("GET", {"Content-Length": "3"}, True),
        ("GET", {"Transfer-Encoding": "chunked"}, True),
        ("POST", {}, True),
    ],
)
async def test_only_a_request_that_waits_or_has_a_body_receives(
    method: str, headers: dict[str, str], received: bool
) -> None:
    """The task that receives takes a tenth of the time of a short request."""
    app, _ = make_app()
    sent: list[Any] = []
    asked = False

    @app.route("/", methods=["GET", "POST"])
    async def index() -> str:
        return "at once"

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"abc", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    tasks = asyncio.all_tasks()
    connection: Any = app.test_client().request("/", method=method, headers=Headers(headers))
    await app(connection.scope, receive, send)
    assert sent[0]["status"] == 200
    assert asked is received
    await asyncio.sleep(0)
    assert asked is received
    assert asyncio.all_tasks() == tasks
