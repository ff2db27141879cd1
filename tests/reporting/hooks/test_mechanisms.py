"""An error is recorded exactly once, whichever mechanism catches it."""

import asyncio
import contextlib
import gc
import logging
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Response, abort, websocket
from quart.typing import TestClientProtocol as Client

from quartapp.flasklike import App
from quartapp.logfile.handler import ThreadedHandler
from quartapp.redact.reading import ExceptionReading, summary_of
from quartapp.reporting import expect
from quartapp.reporting.hooks.mechanisms import ErrorReportHandler
from quartapp.reporting.hooks.middleware import ErrorReportingMiddleware
from quartapp.reporting.hooks.request_state import current_state
from quartapp.reporting.hooks.traffic import Traffic
from quartapp.reporting.journal.entries import Brief, Tick, decode
from quartapp.reporting.journal.segments import list_segments, open_segment
from quartapp.reporting.report import Report
from tests.reporting.hooks.conftest import Records


def only(records: Records) -> Report:
    entries = records()
    assert len(entries) == 1, entries
    assert isinstance(entries[0], Report)
    return entries[0]


def route(app: App, path: str = "/fail/<kind>") -> Callable[[Callable[..., object]], object]:
    app._got_first_request = False
    return app.route(path)  # type: ignore[return-value]  # Quart's is narrower


async def test_a_view_that_raises(app: App, client: Client, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        raise KeyError(kind)

    response = await client.get("/fail/user?token=sesame", headers={"Cookie": "a=b"})
    report = only(records)
    assert response.status_code == 500
    assert report.title.startswith("KeyError")
    assert report.mechanism == "request"
    assert report.request is not None
    assert (report.request.method, report.request.route) == ("GET", "/fail/<kind>")
    assert "sesame" not in report.to_json()
    assert report.reference
    assert report.reference in await response.get_data(as_text=True)


@pytest.mark.parametrize("debug", [False, True])
async def test_the_traceback_of_a_repeated_error_is_logged_five_times(
    app: App, client: Client, records: Records, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        raise KeyError(kind)

    app.debug, app.config["PROPAGATE_EXCEPTIONS"] = debug, False
    pages = [await (await client.get("/fail/user")).get_data(as_text=True) for _ in range(7)]
    assert [type(entry) for entry in records()] == [Report] * 5 + [Tick] * 2
    for record, page in zip(caplog.records, pages, strict=True):
        assert record.getMessage().rpartition(" ")[2].rstrip("]") in page  # the reference
        assert record.exc_info  # for other handlers
    summaries = [summary_of(record) for record in caplog.records]
    assert summaries[:5] == [""] * 5
    summary = f"(in {__name__}.test_the_traceback_of_a_repeated_error_is_logged_five_times"
    assert all(one.startswith(summary) != debug for one in summaries[5:])


async def test_only_the_repeated_one_of_two_errors_has_no_traceback(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        try:
            raise KeyError(kind)
        except KeyError:
            app.logger.exception("The first")
        raise (ValueError if kind == "new" else TypeError)(kind)

    for _ in range(6):
        await client.get("/fail/old")
    await client.get("/fail/new")
    assert [bool(summary_of(one)) for one in caplog.records[-4:]] == [True, True, True, False]


async def test_an_error_of_elsewhere_is_logged_in_full_beside_a_repeated_one(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = OSError("of a task")

    @route(app)
    async def fail(kind: str) -> str:
        app.logger.error("The first", exc_info=KeyError(kind))
        app.logger.error("The second", exc_info=elsewhere)
        return ""

    app.logger.error("It was recorded outside of a request", exc_info=elsewhere)
    for _ in range(6):
        await client.get("/fail/x")
    assert [bool(summary_of(record)) for record in caplog.records[-2:]] == [True, False]
    assert summary_of(caplog.records[-2]) == "(it was logged before)"  # it has no traceback


async def test_abort_500(app: App, client: Client, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        abort(500)

    response = await client.get("/fail/x")
    assert response.status_code == 500
    report = only(records)
    assert report.mechanism == "guard"
    assert report.reference
    assert report.reference in await response.get_data(as_text=True)
    assert report.request is not None
    assert report.request.route == "/fail/<kind>"


async def test_a_response_of_503(app: App, client: Client, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> tuple[str, int]:
        return "later", 503

    assert (await client.get("/fail/x")).status_code == 503
    assert "503" in only(records).title


async def test_an_expected_503_is_counted_but_no_error(
    app: App, client: Client, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    @route(app)
    async def fail(kind: str) -> tuple[str, int]:
        expect("admission")
        return "later", 503

    for _ in range(3):
        assert (await client.get("/fail/x")).status_code == 503
    assert records() == []
    assert [record.getMessage() for record in caplog.records] == [
        "Answers that were expected to be 5xx since the last line: admission 1"
    ]


async def test_an_error_that_is_logged_and_then_answered_with_500(
    app: App, client: Client, records: Records
) -> None:
    @route(app)
    async def fail(kind: str) -> tuple[str, int]:
        try:
            raise KeyError(kind)
        except KeyError:
            logging.getLogger("quartapp.web.posts").exception("Could not post")
        return "sorry", 500

    await client.get("/fail/x")
    report = only(records)
    assert (report.message, report.logger) == ("Could not post", "quartapp.web.posts")
    assert report.title.startswith("KeyError")


async def test_an_exception_is_read_once_for_its_report_and_its_log_line(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    init = ExceptionReading.__init__

    def counted(reading: ExceptionReading, *arguments: Any, **options: Any) -> None:
        made.append(reading)
        init(reading, *arguments, **options)

    monkeypatch.setattr(ExceptionReading, "__init__", counted)
    logger = logging.getLogger(app.name)
    # Other tests of this process may have left a NullHandler.
    kinds = [type(h) for h in logger.handlers if not isinstance(h, logging.NullHandler)]
    assert kinds[:2] == [ErrorReportHandler, ThreadedHandler]

    @route(app)
    async def fail(kind: str) -> str:
        if kind == "handled":
            try:
                raise KeyError(kind)
            except KeyError:
                logger.exception("handled")
            return "done"
        raise LookupError(kind)

    await client.get("/fail/handled")
    assert len(made) == 1
    await client.get("/fail/unhandled")
    assert len(made) == 2


async def test_an_error_that_is_logged_and_raised_again(
    app: App, client: Client, records: Records
) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        try:
            raise KeyError(kind)
        except KeyError:
            logging.getLogger("quartapp.web").exception("Could not post")
            raise

    await client.get("/fail/x")
    assert only(records).mechanism == "log"


async def test_one_object_raised_by_two_requests_is_two_errors(
    app: App, client: Client, records: Records
) -> None:
    same = ValueError("made once")

    @route(app)
    async def fail(kind: str) -> str:
        raise same

    await client.get("/fail/x")
    await client.get("/fail/y")
    assert len(records()) == 2


async def test_a_failing_error_handler(app: App, client: Client, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        raise KeyError(kind)

    async def worse(_error: Exception) -> str:
        raise LookupError("while handling")

    app.register_error_handler(KeyError, worse)
    response = await client.get("/fail/x")
    assert response.status_code == 500
    assert only(records).title.startswith("LookupError")


async def test_a_failing_after_request_function(app: App, client: Client, records: Records) -> None:
    failures = [KeyError("after")]

    @app.after_request
    async def broken(response: Response) -> Response:
        if failures:  # it is called again for the error page
            raise failures.pop()
        return response

    assert (await client.get("/health")).status_code == 500
    assert only(records).title.startswith("KeyError")


async def test_a_body_that_fails_half_way(app: App, client: Client, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"begin"
            raise KeyError("middle")

        return Response(body())

    with pytest.raises(KeyError):
        await client.get("/fail/x")
    report = only(records)
    assert report.title.startswith("KeyError")
    assert report.request is not None


async def test_a_websocket(app: App, client: Client, records: Records) -> None:
    @app.websocket("/socket")
    async def fail() -> None:
        await websocket.accept()
        raise KeyError("socket")

    with contextlib.suppress(Exception):
        async with asyncio.timeout(30), client.websocket("/socket") as connection:
            await connection.receive()
    report = next(entry for entry in records() if isinstance(entry, Report))
    assert report.title.startswith("KeyError")
    assert report.request is not None
    assert report.request.url.endswith("/socket")


async def test_a_background_task(app: App, client: Client, records: Records) -> None:
    async def work() -> None:
        raise KeyError("background")

    @route(app)
    async def fail(kind: str) -> str:
        app.add_background_task(work)
        return "started"

    await client.get("/fail/x")
    await asyncio.gather(*app.background_tasks)
    assert only(records).mechanism == "background"


async def test_a_task_that_nobody_awaits(app: App, records: Records) -> None:
    async def lost() -> None:
        raise KeyError("lost")

    task = asyncio.create_task(lost())
    await asyncio.sleep(0.01)
    del task
    report = only(records)
    assert report.mechanism == "loop"
    assert report.message.startswith("Task exception was never retrieved")


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt, BaseException])
async def test_a_thread(app: App, records: Records, kind: type[BaseException]) -> None:
    def work() -> None:
        raise kind("thread")

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    await asyncio.to_thread(thread.join)
    assert only(records).mechanism == "thread"


async def test_the_end_of_the_process(
    app: App, records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    error = KeyError("main")
    sys.excepthook(KeyError, error, None)
    assert only(records).mechanism == "process"
    assert "KeyError" in capsys.readouterr().err
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert len(records()) == 1


async def test_a_start_that_fails(unstarted: App, tmp_path: Path) -> None:
    @unstarted.before_serving
    async def broken() -> None:
        raise KeyError("start")

    with pytest.raises(Exception):  # noqa: B017 - which exception Quart raises does not matter
        async with unstarted.test_app():
            pass
    await unstarted.extensions["reporting"].stop()
    payloads: list[bytes] = []
    for path in list_segments(tmp_path / "instance" / "journal"):
        with open_segment(path) as reading:
            assert reading is not None
            payloads += reading.read(0).payloads
    assert [getattr(decode(payload), "title", "")[:8] for payload in payloads] == ["KeyError"]


async def test_what_reporting_logs_itself_is_no_report(app: App, records: Records) -> None:
    logging.getLogger("quartapp.reporting.counting.consumer").error("The database is away")
    assert records() == []


async def test_a_handled_error_is_no_report(app: App, client: Client, records: Records) -> None:
    assert (await client.get("/nowhere")).status_code == 404
    logging.getLogger("quartapp").warning("Only a warning")
    assert records() == []


async def test_the_sixth_of_a_minute_is_a_tick(app: App, client: Client, records: Records) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        raise KeyError(kind)

    for number in range(8):
        await client.get(f"/fail/{number}")
    kinds = [type(entry) for entry in records()]
    assert kinds == [Report] * 5 + [Tick] * 3
    assert len({entry.fingerprint for entry in records()}) == 1


async def test_propagated_exceptions_are_recorded_and_logged(
    app: App, client: Client, records: Records, caplog: pytest.LogCaptureFixture
) -> None:
    @route(app)
    async def fail(kind: str) -> str:
        raise KeyError(kind)

    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(KeyError):
        await client.get("/fail/x")
    report = only(records)
    assert report.title.startswith("KeyError")
    assert [record.getMessage() for record in caplog.records] == [
        f"Exception on request GET /fail/x [reference {report.reference}]"
    ]


@pytest.mark.slow
async def test_a_failed_request_leaves_nothing_to_the_garbage_collector(
    app: App, without_gc: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[object]] = []
    logger = logging.getLogger(app.name)
    own = [handler for handler in logger.handlers if handler.__module__.startswith("quartapp.")]
    monkeypatch.setattr(logger, "handlers", own)  # pytest's handlers keep all records

    class Broken(Exception):
        """An exception that weak references can point to, and that no local refers to."""

        def __init__(self) -> None:
            seen.append(weakref.ref(self))

    @route(app)
    async def fail(kind: str) -> str:
        raise Broken

    await asyncio.create_task(ask(app, "/fail/x"))
    await asyncio.sleep(0)
    assert [reference() for reference in seen] == [None]


@pytest.mark.slow
async def test_the_middleware_leaves_nothing_to_the_garbage_collector(without_gc: None) -> None:
    seen: list[weakref.ref[object]] = []

    class Request:
        """It has a method for push promises, as Quart's has."""

        def __init__(self, send: object) -> None:
            self.send = send
            seen.append(weakref.ref(self))

    async def serve(_asgi: object, _receive: object, send: object) -> None:
        state: Any = current_state.get()
        state.request = Request(send)

    unused: Any = None
    middleware: Any = ErrorReportingMiddleware(serve, unused, unused, Traffic())
    await middleware({"type": "http"}, None, None)
    assert [reference() for reference in seen] == [None]


@pytest.fixture
def without_gc() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def ask(app: App, path: str) -> None:
    """A request directly over ASGI, because the test client keeps references."""
    asgi: dict[str, object] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "extensions": {},
    }

    received = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, object]:
        if received:
            return received.pop()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes it")

    async def send(_message: object) -> None:
        return None

    await app(asgi, receive, send)  # type: ignore[arg-type]  # looser than ASGI's own types


@pytest.mark.slow
@pytest.mark.lenient("blocks")
async def test_errors_beyond_the_limit_of_groups_are_still_named(
    app: App, records: Records
) -> None:
    logger = logging.getLogger("quartapp")
    for number in range(1001):
        error = ValueError()
        error.__fingerprint__ = f"group {number}"  # type: ignore[attr-defined]  # documented
        logger.error("Different", exc_info=error)
    last = records()[-1]
    assert isinstance(last, Brief)
    assert last.title == "ValueError"
    assert len(last.encode()) <= 300


async def test_a_message_of_the_loop_without_an_exception_names_its_group(
    app: App, records: Records
) -> None:
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": "Task was destroyed but it is pending!"})
    loop.call_exception_handler({"message": "Unclosed transport at 100%"})
    found = [entry for entry in records() if isinstance(entry, Report)]
    assert [report.title for report in found] == [
        "Task was destroyed but it is pending!",
        "Unclosed transport at 100%",
    ]
    assert len({report.fingerprint for report in found}) == 2


async def test_a_host_that_is_not_trusted_costs_no_report(
    app: App, client: Client, records: Records
) -> None:
    app.config["TRUSTED_HOSTS"] = ["shop.example"]

    @app.errorhandler(400)
    def refuse(_: Exception) -> str:
        raise ValueError("the handler fails too")

    response = await client.get("/", headers={"Host": "evil.example"})
    assert response.status_code == 500
    assert only(records).exceptions[0].type == "ValueError"
