"""Open requests, and the responses to those that a stopping server cuts off.

A request that is cut off is cancelled, and then answers itself, in its own context: with the
application's 503 page. A request that has not answered PARTING seconds later (its page needs a
database that is gone, or a thread or a middleware does not end) gets a plain 503 from this module.
"""

import asyncio
from contextlib import suppress
from itertools import chain
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from werkzeug.exceptions import HTTPException, InternalServerError, ServiceUnavailable

from quartapp.flasklike._upstream import TEST_CLIENT_KEY, server_is_stopping
from quartapp.flasklike.asgi.last_resort import Answering, last_resort
from quartapp.flasklike.concurrency.cancellation import cancel_and_wait
from quartapp.flasklike.concurrency.turns import Wait
from quartapp.flasklike.wrappers.response import complete_data, encode_headers

PARTING = 1.0
"""Seconds that a request has to send its 503 page after it is cut off."""

RETRY_AFTER = 5
"""Seconds after which a client may try again: another server should have started by then."""

SERVICE_RESTART = 1012

_NAMES = {"http": "http.response", "websocket": "websocket.http.response"}


class Stopping(Answering):
    """An application whose requests can be cut off. It is outside all middleware."""

    stopping = False
    """Whether requests are cut off. A 503 that is sent then is not an error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._under_way: dict[asyncio.Task[Any], tuple[Any, ASGISendCallable]] = {}
        self._cut_off: set[asyncio.Task[Any]] = set()
        self._parting: asyncio.Task[None] | None = None
        self._ending = False
        self._has_begun_to_stop = False
        self._left: dict[asyncio.Task[Any], ASGISendCallable] = {}
        self._cancelled_waits: set[Wait] = set()

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
            # Without a response the server would send an empty 500.
            if self.is_cut_off():
                self.log_cut_off(scope["path"], scope)
                await self._send_plain(unavailable(), scope, send)
            elif self.is_cancelled_by_itself():
                await self._send_plain(InternalServerError(), scope, send)
            raise
        finally:
            self._under_way.pop(task, None)
            self._left.pop(task, None)
            self._cut_off.discard(task)

    def stop_requests(self) -> None:
        """Cut off open requests with a 503, and close websockets with 1012.

        Call it in the serving loop, when a stopping server no longer waits. Later requests are
        refused in the same way until `resume_requests`.
        """
        self._cut_off.update(self._under_way)
        for task in self._cut_off:
            task.cancel()
        self._begin_parting()

    def begin_stop(self) -> None:
        """Note that the server has begun to stop. Requests continue until `stop_requests`."""
        self._has_begun_to_stop = True

    @property
    def is_stopping(self) -> bool:
        """Whether the server has begun to stop, if it is Hypercorn or has called `begin_stop`: a
        stream without an end should end then."""
        return self.stopping or self._has_begun_to_stop or self._server_stops()

    def is_cut_off(self) -> bool:
        """Whether the current task was cancelled because the server stops.

        Other reasons are a client that disconnected, and code of the application.
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
        """Whether code of the application has cancelled the current request, which is an error."""
        task = asyncio.current_task()
        under_way = self._under_way.get(task) if task is not None else None
        if under_way is None or TEST_CLIENT_KEY in under_way[0]:
            return False
        return not self.is_cut_off()

    def forget_client(self, task: asyncio.Task[Any]) -> None:
        """Note that the client of a request has disconnected, so that no response is sent."""
        under_way = self._under_way.pop(task, None)
        if under_way is not None:
            self._left[task] = under_way[1]

    def note_cancelled_wait(self, wait: Wait) -> None:
        """Note that a task was cancelled which waits until a synchronous function has ended.

        It goes on waiting. Only if the server stops, it ends PARTING seconds later: the function is
        left to itself, and no other synchronous function of that task runs.
        """
        if wait not in self._cancelled_waits:
            self._cancelled_waits.add(wait)
            wait.add_done_callback(self._cancelled_waits.discard)
        if self._ending or (not self.stopping and self._server_stops()):
            wait.get_loop().call_later(PARTING, wait.release)  # else `_part` does it

    def _server_stops(self) -> bool:
        sends = chain((send for _, send in self._under_way.values()), self._left.values())
        return server_is_stopping(next(sends, None))

    def log_cut_off(self, where: str, scope: Any) -> None:
        """Log once that a request was cut off."""
        if not scope.get("flasklike.cut_off"):
            scope["flasklike.cut_off"] = True
            method = scope.get("method", "websocket")
            self.logger.warning("The server stopped before %s [%s] was complete", where, method)

    def resume_requests(self) -> None:
        """Accept requests again after `stop_requests`."""
        self.stopping, self._parting, self._ending = False, None, False
        self._has_begun_to_stop = False

    async def end_parting(self) -> None:
        """Cancel the task that answers for other requests, and wait until it has ended."""
        self._ending = True
        for wait in self._cancelled_waits:
            wait.get_loop().call_later(PARTING, wait.release)
        if self._parting is not None:
            await cancel_and_wait(self._parting)

    def _begin_parting(self) -> None:
        self.stopping = True
        if self._parting is None and (self._under_way or self._cancelled_waits):
            self._parting = asyncio.create_task(self._part())

    async def _part(self) -> None:
        """Answer the requests that have not answered after PARTING seconds."""
        await asyncio.sleep(PARTING)
        late, answers = list(self._under_way.items()), []
        for task, (scope, send) in late:
            self.forget_client(task)
            self.log_cut_off(scope["path"], scope)
            answers.append(self._send_plain(unavailable(), scope, send))
        await asyncio.gather(*answers)
        for task, _ in late:
            task.cancel()  # it may still be waiting to answer
        self._ending = True
        for wait in list(self._cancelled_waits):
            wait.release()

    async def _send_plain(self, error: HTTPException, scope: Any, send: Any) -> None:
        """Send the last-resort response, if no response has started."""
        response = last_resort(self, scope, error)
        data = complete_data(response)
        start = {"status": response.status_code, "headers": encode_headers(response, data)}
        kind = _NAMES[scope["type"]]
        messages = [{"type": f"{kind}.start"} | start, {"type": f"{kind}.body", "body": data}]
        if scope.get("method") == "HEAD":
            messages[1]["body"] = b""
        # The server raises if a response has started, and a client may not read.
        with suppress(Exception):
            async with asyncio.timeout(PARTING):
                for message in messages if _can_answer(scope) else ():
                    await send(message)
        if scope["type"] == "websocket":
            with suppress(Exception):
                async with asyncio.timeout(PARTING):
                    await send({"type": "websocket.close", "code": SERVICE_RESTART, "reason": ""})


def unavailable() -> ServiceUnavailable:
    """The response to a request that is cut off."""
    return ServiceUnavailable(retry_after=RETRY_AFTER)


def _can_answer(scope: Any) -> bool:
    extensions = scope.get("extensions") or {}
    return scope["type"] == "http" or "websocket.http.response" in extensions
