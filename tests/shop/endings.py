"""The shop, with views, tasks and hooks that end in every way; for tests of a served application.

`python -m tests.shop.endings FOLDER NAME=VALUE ...` serves it, with the settings of the server. The
environment variable HOOKS names what fails at the start and at the stop, with spaces between.
"""

import asyncio
import atexit
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from quart import Response, request, websocket
from sqlalchemy import create_engine

from quartapp.flasklike import App
from quartapp.reporting import tables
from quartapp.serving import server
from quartapp.serving.settings import ServingSettings
from tests.shop.app import Base, create_app

ENDINGS: dict[str, Any] = {
    "exit": partial(SystemExit, 0),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "group": partial(BaseExceptionGroup, "several", [SystemExit(3), KeyboardInterrupt()]),
    "error": partial(RuntimeError, "an ordinary error"),
}


def raise_ending() -> None:
    raise ENDINGS[request.args.get("kind", "exit")]()


class Failing:
    """Raises when it is deleted."""

    def __del__(self) -> None:
        raise RuntimeError("in a destructor")


def prepare(folder: Path) -> None:
    """Make the tables, before several workers want them."""
    engine = create_engine(f"sqlite:///{folder / 'shop.db'}")
    for metadata in (Base.metadata, tables.metadata):
        metadata.create_all(engine)
    engine.dispose()


def make(folder: Path, **config: Any) -> App:
    url = f"sqlite:///{folder / 'shop.db'}"
    app = create_app(folder, url, name="quartapp", LOG_TO_STDOUT=True, **config)
    app.config["BACKGROUND_TASK_SHUTDOWN_TIMEOUT"] = 1
    hooks = os.environ.get("HOOKS", "").split()  # a test's own process

    @app.after_request
    async def after(response: Response) -> Response:
        if request.path == "/after":
            raise_ending()
        return response

    @app.teardown_request
    async def teardown(_: BaseException | None) -> None:
        if request.path == "/teardown":
            raise_ending()
        if request.path == "/hanging_teardown":
            await asyncio.sleep(3600)

    for path in ("/after", "/teardown"):
        app.add_url_rule(path, path, _fine)

    @app.errorhandler(503)
    async def unavailable(error: Exception) -> Any:
        if request.path == "/hanging_page":
            await asyncio.sleep(3600)
        return "<h1>styled</h1>", 503, {"Retry-After": "5"}

    @app.get("/view")
    async def view() -> str:
        raise_ending()
        return ""

    @app.get("/sync")
    def sync() -> str:
        raise_ending()
        return ""

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "first "
        raise_ending()

    @app.get("/background")
    async def background() -> str:
        ending = ENDINGS[request.args.get("kind", "exit")]

        async def end() -> None:
            raise ending()

        app.add_background_task(end)
        return "started"

    @app.get("/task")
    async def task() -> str:
        """Await a task that exits: it leaves the loop first."""

        async def end() -> None:
            raise_ending()

        await asyncio.create_task(end())
        return ""

    @app.get("/cancel")
    async def cancel() -> str:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.sleep(1)
        return ""

    @app.get("/slow/<float:seconds>")
    @app.get("/hanging_page")
    @app.get("/hanging_teardown")
    async def slow(seconds: float = 3600) -> str:
        print("A request begins", flush=True)
        await asyncio.sleep(seconds)
        return "slept"

    @app.get("/thread/<float:seconds>")
    def thread(seconds: float) -> str:
        print("A request begins", flush=True)
        time.sleep(seconds)
        return "slept"

    @app.get("/endless")
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"part "
            await asyncio.sleep(0.1)

    @app.get("/endless_sync")
    def endless_sync() -> Iterator[bytes]:
        while True:
            yield b"part "
            time.sleep(0.1)

    @app.get("/die")
    async def die() -> str:
        os.kill(os.getpid(), int(request.args.get("signal", signal.SIGKILL)))
        return ""

    @app.get("/destructor")
    async def destructor() -> str:
        Failing()
        return "fine"

    @app.websocket("/ws")
    async def socket() -> None:
        await websocket.accept()
        while True:
            await websocket.send(await websocket.receive())

    @app.websocket("/ws_waiting")
    async def waiting() -> None:
        await asyncio.sleep(3600)

    @app.websocket("/ws_ending")
    async def ending() -> None:
        await websocket.accept()
        await websocket.receive()
        raise ENDINGS[websocket.args.get("kind", "exit")]()

    if "start_fails" in hooks:
        app.before_serving(_raise(RuntimeError("the start fails")))
    if "start_exits" in hooks:
        app.before_serving(_raise(SystemExit(0)))
    if "start_hangs" in hooks:
        app.before_serving(_hang)
    if "stop_fails" in hooks:
        app.after_serving(_raise(RuntimeError("the stop fails")))
    if "stop_exits" in hooks:
        app.after_serving(_raise(SystemExit(0)))
    if "stop_hangs" in hooks:
        app.after_serving(_hang)
    if "stop_blocks" in hooks:
        app.after_serving(partial(time.sleep, 3600))
    if "atexit" in hooks:
        atexit.register(_raise_at_exit)
    return app


async def _fine() -> str:
    return "fine"


def _raise(error: BaseException) -> Any:
    async def fail() -> None:
        raise error

    return fail


async def _hang() -> None:
    print("Hanging", flush=True)
    await asyncio.sleep(3600)


def _raise_at_exit() -> None:
    raise RuntimeError("at the exit")


def from_environment() -> App:
    """For the `hypercorn` command."""
    return make(Path(os.environ["FOLDER"]))


if __name__ == "__main__":
    settings = ServingSettings(port=0, **dict(value.split("=") for value in sys.argv[2:]))  # type: ignore[arg-type]  # texts
    sys.exit(server.run(partial(make, Path(sys.argv[1])), settings))
