import asyncio
from typing import Any

import pytest

from quartapp.flasklike import App


async def ask(app: App) -> tuple[int, int]:
    """Send one request; returns the status, and how often its task was cancelled."""
    arrived = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }

    async def receive() -> Any:
        if arrived:
            return arrived.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]  # a plain dictionary
    task = asyncio.current_task()
    assert task is not None
    return sent[0]["status"], task.cancelling()


@pytest.mark.parametrize("handled", [False, True])
async def test_its_answer_is_given_and_nobody_is_cancelled(handled: bool) -> None:
    app = App(__name__)

    async def member() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("in a member")

    @app.get("/")
    async def view() -> str:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(member())
        return "never"

    if handled:

        @app.errorhandler(ExceptionGroup)
        async def answer(_: Exception) -> tuple[str, int]:
            return "handled", 418

    assert await ask(app) == ((418, 0) if handled else (500, 0))
