"""A limit on the requests that a worker processes; further ones wait, or get a 503 at once.

Without a limit every client waits for all others, and under overload all of them give up.
REQUEST_LIMIT requests are processed, REQUEST_QUEUE wait in the order of their arrival, and further
ones are refused before any work is done for them. /health and /ready are always answered.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from quart import Quart

from quartapp.errors.handlers import RETRY_AFTER
from quartapp.errors.plain import PlainPage
from quartapp.errors.refusal import refuse
from quartapp.errors.responses import describe, is_api
from quartapp.errors.settings import AdmissionSettings
from quartapp.reporting import expect

EXPECTED = "admission"
"""The name under which reporting counts refused requests, which are not errors."""

_ALWAYS = frozenset({"/health", "/ready"})

_TRY_AGAIN = '<p><a href="">Try again</a></p>'

_FORM = "application/x-www-form-urlencoded"
_LONGEST_FORM = 64 * 1024
_FORM_SECONDS = 5.0
_MOST_FIELDS = 100


def init_app(app: Quart) -> None:
    """Limit an application. Call it before reporting, which has to see the refused requests.

    Reads `app.config` (see `AdmissionSettings`). Raises ConfigurationError.
    """
    settings = AdmissionSettings.from_config(app.config)
    if settings.request_limit:
        app.asgi_app = Admission(  # type: ignore[method-assign]  # Quart's documented place
            app.asgi_app,
            settings.request_limit,
            settings.request_queue,
            app.extensions.get("errors", PlainPage()),
        )


class Admission:
    """ASGI middleware: `limit` requests at a time, `queue` waiting, 503 beyond.

    A request that is cancelled while it waits leaves the queue. Websockets are not counted, nor
    are the stylesheets of the page of a 503.
    """

    def __init__(self, app: Any, limit: int, queue: int, page: PlainPage | None = None) -> None:
        self._app = app
        self._page = page or PlainPage()
        self._always = _ALWAYS | set(self._page.stylesheets)
        self._free = limit
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] in self._always:
            await self._app(scope, receive, send)
            return
        if self._free:
            self._free -= 1
        elif len(self._waiting) < self._queue:
            await self._turn()
        else:
            expect(EXPECTED)
            await self._refuse(scope, receive, send)
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

    async def _refuse(self, scope: Any, receive: Any, send: Any) -> None:
        error = describe(503, headers=(("Retry-After", RETRY_AFTER),))
        more = "" if is_api(scope["path"]) else await _sent_again(scope, receive) or _TRY_AGAIN
        await refuse(scope, send, error, self._page, more)


async def _sent_again(scope: Any, receive: Any) -> str | None:
    """The form that was sent, to be sent again; None where there is none to show.

    It holds all that came but passwords. What another site made the browser send is not repeated.
    """
    headers = {name.lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
    kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    if scope["method"] != "POST" or kind != _FORM or _is_foreign(headers):
        return None
    try:
        async with asyncio.timeout(_FORM_SECONDS):
            body = await _read(receive)
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except (TimeoutError, ValueError):
        return None
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields
        if "password" not in name.lower()
    )
    return (
        "<p>What you typed is still here. You can send it again:</p>"
        f'<form method="post">{inputs}<button type="submit">Send again</button></form>'
    )


def _is_foreign(headers: Mapping[bytes, str]) -> bool:
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get(b"origin")
    return origin is not None and origin.partition("://")[2] != headers.get(b"host")


async def _read(receive: Any) -> bytes:
    """A request's body. Raises ValueError if it is too long, or the client is gone."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if message["type"] != "http.request" or len(body) > _LONGEST_FORM:
            raise ValueError("no form of a page")
    return body
