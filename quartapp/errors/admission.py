"""A limit on the requests that a worker processes; further ones wait, or get a 503 at once.

Without a limit every client waits for all others, and under overload all of them give up.
REQUEST_LIMIT requests are processed, REQUEST_QUEUE wait in the order of their arrival, and further
ones are refused before any work is done for them. /health and /ready are always answered.
"""

import asyncio
import json
from collections import deque
from typing import Any

from quart import Quart

from quartapp.errors.handlers import RETRY_AFTER
from quartapp.errors.settings import AdmissionSettings
from quartapp.reporting import expect

EXPECTED = "admission"
"""The name under which reporting counts refused requests, which are not errors."""

_ALWAYS = frozenset({"/health", "/ready"})

_SENTENCE = "The server is busy right now. Please try again in a moment."
_PAGE = (
    '<!doctype html><html lang="en"><title>Service Unavailable</title>'
    f"<h1>Service Unavailable</h1><p>{_SENTENCE}</p></html>"
).encode()
_PROBLEM = json.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "code": "service-unavailable",
        "detail": _SENTENCE,
    }
).encode()


def init_app(app: Quart) -> None:
    """Limit an application. Call it before reporting, which has to see the refused requests.

    Reads `app.config` (see `AdmissionSettings`). Raises ConfigurationError.
    """
    settings = AdmissionSettings.from_config(app.config)
    if settings.request_limit:
        app.asgi_app = Admission(  # type: ignore[method-assign]  # Quart's documented place
            app.asgi_app, settings.request_limit, settings.request_queue
        )


class Admission:
    """ASGI middleware: `limit` requests at a time, `queue` waiting, 503 beyond.

    A request that is cancelled while it waits leaves the queue. Websockets are not counted.
    """

    def __init__(self, app: Any, limit: int, queue: int) -> None:
        self._app = app
        self._free = limit
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._free:
            self._free -= 1
        elif len(self._waiting) < self._queue:
            await self._turn()
        else:
            expect(EXPECTED)
            await _refuse(scope, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._leave()

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._waiting.remove(turn)
            else:  # the turn came together with the cancellation: pass it on
                self._leave()
            raise

    def _leave(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                self._waiting.remove(turn)
                turn.set_result(None)
                return
        self._free += 1


async def _refuse(scope: Any, send: Any) -> None:
    is_api = scope["path"] == "/api" or scope["path"].startswith("/api/")
    body = _PROBLEM if is_api else _PAGE
    kind = b"application/problem+json" if is_api else b"text/html; charset=utf-8"
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", RETRY_AFTER.encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
