"""Time limits: until an answer begins, and for bodies that arrive slowly."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import request, websocket

from quartapp.errors import deadlines
from quartapp.flasklike import App
from quartapp.reporting import Report
from tests.shop.app import INSIDE, create_app, create_tables


@pytest.fixture
async def app(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[App]:
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(deadlines, "GRACE", 0.2)
    application = create_app(tmp_path, database_url, REQUEST_TIMEOUT=0.2)
    await create_tables(application)
    application.add_url_rule("/hang/<int:number>", view_func=hang, methods=["GET", "POST"])
    application.add_url_rule("/read", view_func=read, methods=["POST"])
    async with application.test_app():
        yield application


async def hang(number: int) -> str:
    await asyncio.sleep(3600)
    return "never"


async def read() -> str:
    return f"{len(await request.get_data())} bytes"


class Exchange:
    """A request whose body arrives when a test sends it."""

    def __init__(self, app: App, path: str, kind: str = "http", length: int = 100) -> None:
        self.sent: list[Any] = []
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        scope: Any = {
            "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % length)],
            "subprotocols": [], "extensions": {},
        }  # fmt: skip
        self.task = asyncio.ensure_future(app(scope, self.messages.get, self.send))

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def part(self, body: bytes, more: bool = True) -> None:
        self.messages.put_nowait({"type": "http.request", "body": body, "more_body": more})

    async def status(self) -> int:
        await asyncio.wait_for(self.task, 60)
        return int(self.sent[0]["status"])


@pytest.mark.slow
async def test_a_request_without_an_answer_is_a_503_and_an_error_of_its_route(
    app: App, captured_reports: list[Report], caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[object] = []

    async def note(error: BaseException | None) -> None:
        ended.append(type(error))

    app.teardown_request(note)
    response = await app.test_client().get("/hang/1")
    page = await response.get_data(as_text=True)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert not [word for word in INSIDE if word in page]
    (report,) = captured_reports
    assert report.request is not None
    assert report.request.route == "/hang/<int:number>"
    assert report.title.startswith("RequestTimeoutError")
    assert report.culprit.endswith("hang")
    assert f'class="reference">{report.reference}</strong>' in page
    assert f"[reference {report.reference}]" in caplog.text
    assert ended == [asyncio.CancelledError]
    assert app.extensions["errors"].deadlines.stopped == 1


@pytest.mark.slow
async def test_a_thread_that_cannot_be_stopped_does_not_delay_the_answer(
    app: App, captured_reports: list[Report]
) -> None:
    go_on = threading.Event()

    def work() -> str:
        go_on.wait(60)
        return "too late"

    app.add_url_rule("/work", view_func=work, methods=["POST"])
    exchange = Exchange(app, "/work")
    exchange.part(b"x" * 100, more=False)
    async with asyncio.timeout(60):
        while len(exchange.sent) < 2:  # noqa: ASYNC110 the clock is what is tested
            await asyncio.sleep(0.02)
    assert not exchange.task.done()
    go_on.set()
    assert await exchange.status() == 503
    assert len(exchange.sent) == 2
    (report,) = captured_reports
    assert report.title.startswith("RequestTimeoutError")
    assert report.request is not None
    assert report.request.route == "/work"


@pytest.mark.slow
async def test_an_answer_after_the_limit_is_dropped(
    app: App, captured_reports: list[Report]
) -> None:
    async def catch() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "caught"
        return "never"

    app.add_url_rule("/catch", view_func=catch)
    response = await app.test_client().get("/catch")
    assert response.status_code == 503
    (report,) = captured_reports
    assert report.title.startswith("RequestTimeoutError")
    assert report.culprit.endswith("catch")


@pytest.mark.slow
async def test_a_late_request_that_is_cancelled_once_more_is_answered_once(app: App) -> None:
    late = asyncio.Event()

    async def linger() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            late.set()
            await asyncio.sleep(3600)
        return "never"

    app.add_url_rule("/linger", view_func=linger, methods=["POST"])
    exchange = Exchange(app, "/linger")
    exchange.part(b"x" * 100, more=False)
    await asyncio.wait_for(late.wait(), 60)
    exchange.task.cancel()
    await asyncio.wait([exchange.task], timeout=60)
    await asyncio.sleep(2 * deadlines.GRACE)
    assert [message["type"] for message in exchange.sent] == [
        "http.response.start",
        "http.response.body",
    ]


@pytest.mark.slow
async def test_what_has_begun_may_go_on(app: App) -> None:
    async def stream() -> Any:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first "
            await asyncio.sleep(0.5)
            yield b"second"

        return parts()

    app.add_url_rule("/stream", view_func=stream)
    response = await app.test_client().get("/stream")
    assert await response.get_data() == b"first second"


@pytest.mark.slow
async def test_an_accepted_websocket_may_go_on_and_no_other(app: App) -> None:
    async def accept() -> None:
        await websocket.accept()
        await asyncio.sleep(0.5)
        await websocket.send("still here")

    async def wait() -> None:
        await asyncio.sleep(3600)

    app.add_websocket("/accept", view_func=accept)
    app.add_websocket("/wait", view_func=wait)
    async with app.test_client().websocket("/accept") as accepted:
        assert await accepted.receive() == "still here"
    waiting = Exchange(app, "/wait", "websocket")
    waiting.messages.put_nowait({"type": "websocket.connect"})
    await asyncio.wait_for(waiting.task, 60)
    assert [message["type"] for message in waiting.sent] == ["websocket.close"]


@pytest.mark.slow
async def test_the_time_of_a_body_is_the_clients(
    app: App, captured_reports: list[Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "BODY_SECONDS", 0.1)
    slow, fast = Exchange(app, "/read"), Exchange(app, "/read", length=4000)
    for number in range(10):
        slow.part(b"x")
        fast.part(b"x" * 400, more=number < 9)
        await asyncio.sleep(0.05)
    assert await fast.status() == 200
    assert await slow.status() == 408
    assert captured_reports == []


@pytest.mark.slow
async def test_a_view_that_hangs_with_a_whole_body_is_late(
    app: App, captured_reports: list[Report]
) -> None:
    exchange = Exchange(app, "/hang/1")
    exchange.part(b"x" * 100, more=False)
    assert await exchange.status() == 503
    assert len(captured_reports) == 1


async def test_bodies_that_are_arriving_are_limited_and_others_are_served(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "MOST_BODIES", 2)
    arriving = [Exchange(app, "/read") for _ in range(2)]
    await asyncio.sleep(0)
    assert await Exchange(app, "/read").status() == 503
    assert (await app.test_client().get("/health")).status_code == 200
    for exchange in arriving:
        exchange.part(b"x" * 100, more=False)
        assert await exchange.status() == 200


@pytest.mark.slow
async def test_without_a_limit_a_request_takes_its_time(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 0.02)
    unlimited = create_app(tmp_path, database_url, REQUEST_TIMEOUT=0)
    await create_tables(unlimited)
    async with unlimited.test_app():
        response = await unlimited.test_client().get("/hold?seconds=0.3")
        assert response.status_code == 200


async def test_a_request_leaves_nothing_to_the_garbage_collector(app: App) -> None:
    """Under load, collecting what 1,000 requests leave stops a server for 60 to 90 ms."""
    seen: list[weakref.ref[object]] = []

    async def note() -> None:
        seen.append(weakref.ref(request._get_current_object()))  # type: ignore[attr-defined]  # a proxy

    app.before_request(note)
    gc.collect()
    gc.disable()
    try:
        exchange = Exchange(app, "/read")
        exchange.part(b"x", more=False)
        assert await exchange.status() == 200
        del exchange
        await asyncio.sleep(0)
        loop: Any = asyncio.get_running_loop()
        loop._scheduled.clear()  # a cancelled timer keeps its context until it is due
        assert seen[-1]() is None
    finally:
        gc.enable()
