"""The test client."""

import asyncio
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any

from quart.globals import _cv_request
from quart.testing import QuartClient
from quart.testing.connections import TestHTTPConnection
from quart.wrappers import Response
from werkzeug.datastructures import Headers

from quartapp.flasklike.wrappers.response import PartsBody

# In a request's scope: the list that its contexts are added to, for the client to enter again.
KEPT = "flasklike.kept_contexts"
# The position of `scope_base` among the arguments of QuartClient._make_request.
_SCOPE_BASE = 11


class HTTPClientConnection(TestHTTPConnection):
    """Gives the answer with the header fields that were sent, and no others."""

    async def as_response(self) -> Response:
        """The answer received so far."""
        while not self._receive_queue.empty():
            data = await self._receive_queue.get()
            if isinstance(data, bytes):
                self.response_data.extend(data)
        headers = Headers(self.headers or ())
        body = PartsBody([bytes(self.response_data)])
        response = self.app.response_class(body, self.status_code)
        response.headers = headers
        return response


class Client(QuartClient):
    """A test client whose ``async with`` block keeps the contexts of the last request.

    As with Flask's, the request's teardown runs at its end; the contexts are then entered again,
    and left, with the teardown functions called once more, at the next request or the end of the
    block, be it in another task. Requests are made to PREFERRED_URL_SCHEME and below
    APPLICATION_ROOT.
    """

    http_connection_class = HTTPClientConnection

    def __init__(self, app: Any, use_cookies: bool = True) -> None:
        super().__init__(app, use_cookies)
        self._keeps = False
        self._new: list[Any] = []
        self._entered: list[Any] = []
        self._where: Context | None = None

    async def open(self, *args: Any, **kwargs: Any) -> Response:
        """Send a request; raise what the application lets through (PROPAGATE_EXCEPTIONS)."""
        await self._leave()
        config = self.app.config
        kwargs.setdefault("scheme", config["PREFERRED_URL_SCHEME"])
        root = config["APPLICATION_ROOT"].strip("/")
        if root and "root_path" not in kwargs:
            kwargs["root_path"] = f"/{root}"
            args = (f"/{root}{args[0]}", *args[1:])
        response = await super().open(*args, **kwargs)
        new, self._new = self._new, []
        for context in new:
            await context.push()
            self._entered.append(context)
            self._where = copy_context()
        return response

    async def _leave(self) -> None:
        entered, self._entered = self._entered, []
        if entered and _cv_request.get(None) is not entered[-1]:
            await asyncio.create_task(_pop(entered), context=self._where)
        else:
            await _pop(entered)

    async def _make_request(self, *args: Any, **kwargs: Any) -> Response:
        if self._keeps:
            arguments = list(args)
            arguments[_SCOPE_BASE] = {**(args[_SCOPE_BASE] or {}), KEPT: self._new}
            args = tuple(arguments)
        return await super()._make_request(*args, **kwargs)

    async def __aenter__(self) -> "Client":
        if self._keeps:
            raise RuntimeError("Cannot nest client invocations")
        self._keeps = True
        return self

    async def __aexit__(self, exc_type: type, exc_value: BaseException, tb: TracebackType) -> None:
        self._keeps = False
        await self._leave()


async def _pop(contexts: list[Any]) -> None:
    for context in reversed(contexts):
        await context.pop(None)
