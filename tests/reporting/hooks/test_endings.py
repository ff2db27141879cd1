"""What ends a request otherwise than by a response or an exception, as reporting sees it."""

import asyncio
import re
from typing import Any

import pytest

from quartapp.flasklike import App
from quartapp.reporting.pipeline import Pipeline
from tests.reporting.hooks.conftest import Records
from tests.reporting.hooks.test_mechanisms import only, route


async def serve(app: App, path: str, started: asyncio.Event | None = None) -> list[Any]:
    """The messages with which an application answers a server, not the test client."""
    sent: list[Any] = []

    async def receive() -> Any:
        if started is not None:
            started.set()
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"t")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }
    try:
        await app(scope, receive, send)
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 for the server's log
        sent.append(error)
    return sent


async def test_an_exit_is_recorded_with_its_view_and_request(app: App, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        raise SystemExit(0)

    app.config["TESTING"] = False
    sent = await serve(app, "/fail/x")
    assert sent[0]["status"] == 500
    report = only(records)
    assert report.title.startswith("StrayExitError")
    assert report.culprit.endswith("fail")
    assert report.request is not None
    assert report.request.route == "/fail/<kind>"


async def test_an_exception_in_a_teardown_is_one_record_with_its_reference(
    app: App, records: Records
) -> None:
    @app.teardown_request
    async def fail(_: object) -> None:
        raise KeyError("teardown")

    app.config["TESTING"] = False
    sent = await serve(app, "/health")
    assert sent[0]["status"] == 500
    report = only(records)
    assert report.title.startswith("KeyError")
    assert report.request is not None
    assert report.request.route == "/health"
    page = sent[1]["body"].decode()
    assert re.findall('class="reference">([a-z0-9]+)<', page) == [report.reference]


async def test_a_request_that_is_cut_off_is_no_error(
    app: App, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    started = asyncio.Event()

    @route(app)
    async def fail(kind: str) -> str:
        await asyncio.Event().wait()
        return ""

    answer = asyncio.create_task(serve(app, "/fail/x", started))
    await started.wait()
    app.stop_requests()
    sent = await answer
    assert (sent[0]["status"], (b"retry-after", b"5") in sent[0]["headers"]) == (503, True)
    assert records() == []
    assert "The server stopped before /fail/<kind> [GET] was complete" in caplog.messages


async def test_a_view_that_cancels_itself_is_an_error(app: App, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return ""

    sent = await asyncio.create_task(serve(app, "/fail/x"))
    assert sent[0]["status"] == 500
    report = only(records)
    assert report.title.startswith("StrayCancelledError")
    assert report.culprit.endswith("fail")
    assert report.request is not None
    assert report.request.route == "/fail/<kind>"


async def test_a_connection_that_a_stop_cancels_is_no_error(app: App, records: Records) -> None:
    pipeline: Pipeline = app.extensions["reporting"]
    handle = pipeline.mechanisms._on_loop_exception
    handle(None, {"message": "Exception in callback", "exception": asyncio.CancelledError()})
    broken = {"message": "Unhandled exception in client_connected_cb", "exception": OSError()}
    app.stop_requests()
    handle(None, broken)
    assert records() == []
    app.resume_requests()
    handle(None, broken)
    assert only(records).mechanism == "loop"


async def test_a_task_that_exits_and_is_awaited_is_recorded_once(
    app: App, records: Records
) -> None:
    exits: list[BaseException] = []

    @route(app)
    async def fail(kind: str) -> str:
        exits.append(SystemExit(0))
        raise exits[0]

    app.config["TESTING"] = False
    await serve(app, "/fail/x")
    # The server's loop got it before, and reports it a moment later.
    pipeline: Pipeline = app.extensions["reporting"]
    pipeline.mechanisms._on_loop_exception(None, {"message": "in a task", "exception": exits[0]})
    assert only(records).request is not None


async def test_a_background_task_that_exits(app: App, records: Records) -> None:
    async def work() -> None:
        raise SystemExit(0)

    app.add_background_task(work)
    await asyncio.gather(*app.background_tasks)
    assert only(records).mechanism == "background"
