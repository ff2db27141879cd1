"""SystemExit and the like in the code of an application: an error, which ends nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from quart import websocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from quartapp.flasklike import App
from quartapp.flasklike.concurrency.cancellation import StrayExitError
from tests.flasklike.conftest import Serve
from tests.flasklike.servers import wait_for

ENDINGS = [
    SystemExit(0),
    KeyboardInterrupt(),
    GeneratorExit(),
    BaseExceptionGroup("several", [SystemExit(1), KeyboardInterrupt()]),
]


@pytest.fixture(params=ENDINGS, ids=lambda ending: type(ending).__name__)
def ending(request: pytest.FixtureRequest) -> BaseException:
    found: BaseException = request.param
    return found.with_traceback(None)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["view", "thread", "before", "after", "teardown", "handler"])
async def test_it_is_an_error_of_its_request(
    serve: Serve, ending: BaseException, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("exits")
    fails = {"now": True}

    async def fail(*args: Any) -> Any:
        if fails["now"]:
            raise ending
        return args[0] if args else None

    @app.get("/")
    async def index() -> str:
        if place in {"view", "handler"}:
            await fail()
        return "fine"

    @app.get("/thread")
    def thread() -> str:
        if fails["now"]:
            raise ending
        return "fine"

    if place == "handler":
        app.register_error_handler(500, fail)
    elif place in {"before", "after", "teardown"}:
        getattr(app, f"{place}_request")(fail)
    path = "/thread" if place == "thread" else "/"
    async with serve(app) as server:
        assert (await server.get(path)).status == 500
        fails["now"] = False
        assert (await server.get(path)).body == b"fine"
    errors = [each.exc_info[1] for each in caplog.records if each.exc_info and each.exc_info[1]]
    assert errors
    assert all(isinstance(error, StrayExitError) or error is ending for error in errors), (
        "what is logged is the ending itself, or the error that was made of it"
    )


@pytest.mark.slow
async def test_it_is_handled_as_an_unhandled_exception(
    serve: Serve, ending: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("exits")
    seen: list[Any] = []

    @app.errorhandler(500)
    async def page(error: Any) -> tuple[str, int]:
        seen.append(error.original_exception)
        return "the page", 500

    @app.teardown_request
    async def teardown(error: Any) -> None:
        seen.append(error)

    @app.get("/")
    async def index() -> str:
        raise ending

    async with serve(app) as server:
        answer = await server.get("/")
    assert (answer.status, answer.body) == (500, b"the page")
    assert caplog.messages == ["Exception on / [GET]"]
    assert [type(each) for each in seen] == [StrayExitError, StrayExitError]
    assert seen[0].__cause__ is ending
    frames = []
    traceback = seen[0].__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert frames[-1] == "index"


@pytest.mark.slow
async def test_it_breaks_off_a_stream(serve: Serve, ending: BaseException) -> None:
    app = App("exits")

    @app.get("/")
    async def stream() -> AsyncIterator[str]:
        yield "first"
        raise ending

    async with serve(app) as server:
        assert not (await server.get("/")).whole
        await wait_for(lambda: server.log)
        logged = server.log[0].exc_info
    assert logged is not None
    assert isinstance(logged[1], StrayExitError)


@pytest.mark.slow
async def test_it_closes_a_websocket_with_1011(
    serve: Serve, ending: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("exits")

    @app.websocket("/")
    async def socket() -> None:
        await websocket.receive()
        raise ending

    async with serve(app) as server, connect(f"ws://127.0.0.1:{server.port}/") as client:
        await client.send("hello")
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert [each.getMessage() for each in caplog.records if each.name == "exits"] == [
        "Exception on websocket /"
    ]


async def test_it_is_an_error_of_a_background_task(
    ending: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("exits")

    async def work() -> None:
        raise ending

    async with app.test_app():
        app.add_background_task(work)
        await asyncio.gather(*app.background_tasks)
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.ERROR, "Exception")
    ]


@pytest.mark.parametrize("hook", ["before_serving", "after_serving"])
async def test_it_is_an_error_of_the_start_and_of_the_stop(
    ending: BaseException, hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("exits")

    async def fail() -> None:
        raise ending

    getattr(app, hook)(fail)
    with pytest.raises(StrayExitError):
        await _start_and_stop(app)
    assert caplog.messages == ["Exception"]


@pytest.mark.parametrize("ending", ENDINGS[2:])  # the others would end the loop of this test
async def test_the_test_client_gets_it_as_flasks_does(ending: BaseException) -> None:
    app = App("exits")
    torn_down: list[Any] = []

    @app.teardown_request
    async def note(error: Any) -> None:
        torn_down.append(error)

    @app.get("/")
    async def index() -> str:
        raise ending

    with pytest.raises(type(ending)):
        await app.test_client().get("/")
    assert torn_down == [ending]


async def _start_and_stop(app: App) -> None:
    await app.startup()
    await app.shutdown()
