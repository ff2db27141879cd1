"""The test client."""

import asyncio
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any

from quart.testing import QuartClient
from quart.testing.connections import TestHTTPConnection
from quart.wrappers import Response
from werkzeug.datastructures import Headers

from quartapp.flasklike._upstream import cv_request
from quartapp.flasklike.ctx import KEPT_CONTEXTS


class HTTPClientConnection(TestHTTPConnection):
    """Returns a response with exactly the header fields that were sent."""

    async def as_response(self) -> Response:
        """The response received so far."""
        sent = Headers(self.headers or ())  # a copy: the response's class adds to its headers
        response = await super().as_response()
        response.headers = sent
        return response


class Client(QuartClient):
    """A test client whose ``async with`` block keeps the contexts of the last request.

    As with Flask's client, the teardown functions of a request run when it ends. The contexts are
    then entered again. They are left, and the teardown functions called once more, at the next
    request or at the end of the block, which may be in another task. Requests use
    PREFERRED_URL_SCHEME and go below APPLICATION_ROOT.
    """

    http_connection_class = HTTPClientConnection

    def __init__(self, app: Any, use_cookies: bool = True) -> None:
        super().__init__(app, use_cookies)
        self._in_block = False
        self._kept: list[Any] = []
        self._entered: list[Any] = []
        self._entered_in: Context | None = None

    async def open(self, *args: Any, **kwargs: Any) -> Response:
        """Send a request; raise what the application lets through (PROPAGATE_EXCEPTIONS)."""
        await self._leave_contexts()
        config = self.app.config
        kwargs.setdefault("scheme", config["PREFERRED_URL_SCHEME"])
        root = config["APPLICATION_ROOT"].strip("/")
        if root and "root_path" not in kwargs:
            kwargs["root_path"] = f"/{root}"
            args = (f"/{root}{args[0]}", *args[1:])
        if self._in_block:
            kwargs["scope_base"] = {**(kwargs.get("scope_base") or {}), KEPT_CONTEXTS: self._kept}
        response = await super().open(*args, **kwargs)
        kept, self._kept = self._kept, []
        for context in kept:
            await context.push()
            self._entered.append(context)
            self._entered_in = copy_context()
        return response

    async def _leave_contexts(self) -> None:
        entered, self._entered = self._entered, []
        if entered and cv_request.get(None) is not entered[-1]:
            await asyncio.create_task(_pop(entered), context=self._entered_in)
        else:
            await _pop(entered)

    async def __aenter__(self) -> "Client":
        if self._in_block:
            raise RuntimeError("Cannot nest client invocations")
        self._in_block = True
        return self

    async def __aexit__(self, exc_type: type, exc_value: BaseException, tb: TracebackType) -> None:
        self._in_block = False
        await self._leave_contexts()


async def _pop(contexts: list[Any]) -> None:
    for context in reversed(contexts):
        await context.pop(None)
