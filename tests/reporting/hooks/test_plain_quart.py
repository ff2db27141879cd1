"""An application of plain Quart: each error is recorded once there too, and by which mechanism."""

import asyncio
import contextlib
import gc
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, Response, abort, current_app, request, websocket
from quart.testing.connections import WebsocketDisconnectError

from quartapp.reporting import Reporting
from quartapp.reporting.report import Report

ONCE = {
    "view": "request",
    "plain_function": "request",
    "error_handler": "request",
    "group": "request",
    "exits": "request",
    "function_exits": "request",
    "answer_500": "guard",
    "handled": "guard",
    "aborted": "guard",
    "stream": "guard",
    "teardown": "guard",
    "logged": "log",
    "silent_logger": "log",
    "background": "background",
    "lost_task": "loop",
    "thread": "thread",
}


class HandledError(Exception):
    """Has an error handler that answers 500."""


class BadlyHandledError(Exception):
    """Has an error handler that fails."""


async def view() -> str:
    raise LookupError("view")


def plain_function() -> str:
    raise LookupError("function")


async def error_handler() -> str:
    raise BadlyHandledError


async def group() -> str:
    raise ExceptionGroup("several", [LookupError("one"), KeyError("two")])


async def exits() -> str:
    sys.exit(3)


def function_exits() -> str:
    sys.exit(3)


async def answer_500() -> tuple[str, int]:
    return "broken", 500


async def handled() -> str:
    raise HandledError


async def aborted() -> str:
    abort(500)


async def stream() -> Response:
    async def body() -> AsyncIterator[str]:
        yield "begun"
        raise LookupError("stream")

    return Response(body())


async def teardown() -> str:
    return "its teardown fails"


async def logged() -> str:
    try:
        raise LookupError("caught")
    except LookupError:
        logging.getLogger("shop.web").exception("It went wrong")
    return "ok"


async def silent_logger() -> str:
    logging.getLogger("shop").error("No exception")
    return "ok"


async def fail() -> None:
    raise LookupError("later")


def fail_in_thread() -> None:
    raise LookupError("thread")


async def background() -> str:
    current_app.add_background_task(fail)
    return "ok"


_tasks: set[asyncio.Task[None]] = set()


async def lost_task() -> str:
    task = asyncio.create_task(fail())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return "ok"


async def thread() -> str:
    failing = threading.Thread(target=fail_in_thread)
    failing.start()
    await asyncio.to_thread(failing.join)
    return "ok"


VIEWS: list[Any] = [
    view, plain_function, error_handler, group, exits, function_exits, answer_500, handled,
    aborted, stream, teardown, logged, silent_logger, background, lost_task, thread,
]  # fmt: skip


@pytest.fixture
def silent() -> Iterator[None]:
    """A logger that does not propagate, as a `dictConfig` may leave it."""
    logger = logging.getLogger("shop")
    logger.propagate = False
    yield
    logger.propagate = True


@pytest.fixture
async def app(tmp_path: Path, silent: None) -> AsyncIterator[Quart]:
    app = Quart("shop", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    Reporting(app)

    @app.errorhandler(HandledError)
    async def answer(_: HandledError) -> tuple[str, int]:
        return "sorry", 500

    @app.errorhandler(BadlyHandledError)
    async def fail_again(_: BadlyHandledError) -> str:
        raise LookupError("handler")

    @app.teardown_request
    async def fail_at_the_end(_: BaseException | None) -> None:
        if request.path == "/teardown":
            raise LookupError("teardown")

    @app.websocket("/socket")
    async def socket() -> None:
        await websocket.accept()
        raise LookupError("websocket")

    @app.websocket("/exit")
    async def leave() -> None:
        await websocket.accept()
        sys.exit(3)

    for each in VIEWS:
        app.add_url_rule(f"/{each.__name__}", view_func=each)
    async with app.test_app():
        yield app


@pytest.fixture
def reports(app: Quart) -> list[Report]:
    found: list[Report] = []
    app.extensions["reporting"].recorder.listeners.append(found.append)
    return found


async def recorded(reports: list[Report]) -> list[str]:
    """The mechanisms, once there is one; and then a moment for a second one."""
    for _ in range(500):
        if reports:
            break
        gc.collect()  # a lost task reports its exception when it is collected
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)
    return [report.mechanism for report in reports]


@pytest.mark.parametrize("name", ONCE)
async def test_each_error_is_recorded_once(name: str, app: Quart, reports: list[Report]) -> None:
    with contextlib.suppress(LookupError):  # what escapes reaches the server
        await app.test_client().get(f"/{name}")
    assert await recorded(reports) == [ONCE[name]]


async def test_a_websocket_that_fails_is_recorded_once(app: Quart, reports: list[Report]) -> None:
    with contextlib.suppress(WebsocketDisconnectError):
        async with app.test_client().websocket("/socket") as connection:
            await connection.receive()
    assert await recorded(reports) == ["request"]


async def test_a_websocket_that_exits_is_recorded_once(app: Quart, reports: list[Report]) -> None:
    with contextlib.suppress(WebsocketDisconnectError):
        async with app.test_client().websocket("/exit") as connection:
            await connection.receive()
    assert await recorded(reports) == ["request"]
    assert reports[0].title.startswith("StrayExitError")


async def test_an_exit_is_answered_as_other_errors(app: Quart) -> None:
    assert (await app.test_client().get("/exits")).status_code == 500


async def test_quarts_own_page_under_testing_comes_after_the_record(
    app: Quart, reports: list[Report]
) -> None:
    app.testing = True
    assert (await app.test_client().get("/view")).status_code == 500
    assert await recorded(reports) == ["request"]
