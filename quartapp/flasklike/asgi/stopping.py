"""The requests under way, and what those get for which a stopping server waits no longer.

A request that is cancelled may still answer, and answers best itself, in its own context: with the
application's page of a 503. What has not answered PARTING seconds later (a page that needs a
database that is gone, a thread, a middleware) is answered from here, with a few plain bytes.
"""

import asyncio
from contextlib import suppress
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from quartapp.flasklike._upstream import TEST_CLIENT_KEY, server_is_stopping
from quartapp.flasklike.asgi.last_resort import Answering, last_resort
from quartapp.flasklike.concurrency import cancel_and_wait
from quartapp.flasklike.wrappers.response import complete_data, encode_headers

PARTING = 1.0
"""Seconds that a request which is cut off has for the page that says so."""

RETRY_AFTER = 5
"""Seconds after which a client may try again: then another server is expected to have started."""

SERVICE_RESTART = 1012

_NAMES = {"http": "http.response", "websocket": "websocket.http.response"}


class Stopping(Answering):
    """An application whose requests can be cut off. No middleware is outside of this."""

    stopping = False
    """Whether requests are cut off: a 503 that is sent then is no error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._under_way: dict[asyncio.Task[Any], tuple[Any, ASGISendCallable]] = {}
        self._cut_off: set[asyncio.Task[Any]] = set()
        self._parting: asyncio.Task[None] | None = None

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request, one websocket, or the lifespan."""
        task = asyncio.current_task()
        if scope["type"] == "lifespan" or task is None:
            await self.asgi_app(scope, receive, send)
            return
        if self.stopping:
            await self._send_plain(unavailable(), scope, send)
            return
        self._under_way[task] = scope, send
        try:
            await self.asgi_app(scope, receive, send)
        except asyncio.CancelledError:
            # Without an answer the server sends an empty 500.
            if self.is_cut_off():
                self.log_cut_off(scope["path"], scope)
                await self._send_plain(unavailable(), scope, send)
            elif self.is_cancelled_by_itself():
                await self._send_plain(InternalServerError(), scope, send)
            raise
        finally:
            self._under_way.pop(task, None)
            self._cut_off.discard(task)

    def stop_requests(self) -> None:
        """Cut off what is under way: requests get a 503, websockets are closed with 1012.

        Call it in the loop that serves, when a server that stops waits no longer. What comes later
        is refused in the same way, until the application starts again.
        """
        self._cut_off.update(self._under_way)
        for task in self._cut_off:
            task.cancel()
        self._begin_parting()

    def is_cut_off(self) -> bool:
        """Whether the current task was cancelled because the server stops.

        Other reasons are a client that left, and code of the application.
        """
        task = asyncio.current_task()
        under_way = self._under_way.get(task) if task is not None else None
        if task is None or under_way is None:
            return False
        if task not in self._cut_off and server_is_stopping(under_way[1]):
            self._cut_off.add(task)
            self._begin_parting()
        return task in self._cut_off

    def is_cancelled_by_itself(self) -> bool:
        """Whether code of the application has cancelled the current request: an error of it."""
        task = asyncio.current_task()
        under_way = self._under_way.get(task) if task is not None else None
        if under_way is None or TEST_CLIENT_KEY in under_way[0]:
            return False
        return not self.is_cut_off()

    def forget_client(self, task: asyncio.Task[Any]) -> None:
        """Note that the client of a request has left, so that it gets no answer."""
        self._under_way.pop(task, None)

    def log_cut_off(self, where: str, scope: Any) -> None:
        """Log, once for each request, that it was cut off."""
        if not scope.get("flasklike.cut_off"):
            scope["flasklike.cut_off"] = True
            method = scope.get("method", "websocket")
            self.logger.warning("The server stopped before %s [%s] was complete", where, method)

    def resume_requests(self) -> None:
        """Take requests again, after `stop_requests`."""
        self.stopping, self._parting = False, None

    async def end_parting(self) -> None:
        """End what answers for others, when nobody is left to be answered."""
        if self._parting is not None:
            await cancel_and_wait(self._parting)

    def _begin_parting(self) -> None:
        self.stopping = True
        if self._parting is None and self._under_way:
            self._parting = asyncio.create_task(self._part())

    async def _part(self) -> None:
        """Answer for the requests that did not."""
        await asyncio.sleep(PARTING)
        late, answers = list(self._under_way.items()), []
        for task, (scope, send) in late:
            self.forget_client(task)
            self.log_cut_off(scope["path"], scope)
            answers.append(self._send_plain(unavailable(), scope, send))
        await asyncio.gather(*answers)
        for task, _ in late:
            task.cancel()  # it may wait for what its own answer needs

    async def _send_plain(self, error: HTTPException, scope: Any, send: Any) -> None:
        """Send the answer of last resort, if none has begun."""
        response = last_resort(self, scope, error)
        data = complete_data(response)
        start = {"status": response.status_code, "headers": encode_headers(response, data)}
        kind = _NAMES[scope["type"]]
        messages = [{"type": f"{kind}.start"} | start, {"type": f"{kind}.body", "body": data}]
        if scope.get("method") == "HEAD":
            messages[1]["body"] = b""
        # The server refuses what does not fit, and a client may read nothing.
        with suppress(Exception):
            async with asyncio.timeout(PARTING):
                for message in messages if _can_answer(scope) else ():
                    await send(message)
        if scope["type"] == "websocket":
            with suppress(Exception):
                async with asyncio.timeout(PARTING):
                    await send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": ""})


def unavailable() -> ServiceUnavailable:
    """What a request gets that is cut off."""
    return ServiceUnavailable(retry_after=RETRY_AFTER)


def _can_answer(scope: Any) -> bool:
    extensions = scope.get("extensions") or {}
    return scope["type"] == "http" or "websocket.http.response" in extensions
