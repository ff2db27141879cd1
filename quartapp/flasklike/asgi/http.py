"""One HTTP request on an ASGI server: receiving, answering, giving up."""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request as QuartRequest
from werkzeug.exceptions import InternalServerError

from quartapp.flasklike.asgi.scope import headers_of, path_of
from quartapp.flasklike.concurrency import as_error, being_cancelled, cancel, settle
from quartapp.flasklike.development import Debugger
from quartapp.flasklike.wrappers.response import (
    Response,
    complete_data,
    convert,
    is_bodiless,
    wire_headers,
)

if TYPE_CHECKING:
    from quartapp.flasklike.app import App

# How long a client that sends too much may go on sending, so that it comes to read its 413: closing
# at once would reset the connection and lose the answer.
LINGER = 2.0

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class ResponseTimeoutError(TimeoutError):
    """The client did not take, or the view did not produce, the answer in RESPONSE_TIMEOUT
    seconds.
    """


class HTTPConnection(ASGIHTTPConnection):
    """Handles a request in the server's own task, beside one task that receives.

    The task that receives begins when the request first waits for something: one that never does
    needs none. When the client leaves, the request is cancelled, wherever it is; that is logged
    (INFO), and the teardown functions get the CancelledError. An exception the application lets
    through is answered by `App.debugger` or with a bare 500, then raised: to the test client, or to
    the server, which logs it. An error while the body is sent breaks the connection, so that no
    client takes the answer for whole, and is raised too. No task is left behind.
    """

    app: "App"

    def __init__(self, app: "App", scope: HTTPScope) -> None:
        super().__init__(app, scope)
        self._left = False
        self._ending = False
        self._failure: BaseException | None = None
        self._receiver: asyncio.Task[None] | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request: Any = self._create_request_from_scope(send)
        task = asyncio.current_task()
        assert task is not None, "an ASGI application runs in a task"
        begin = partial(self._begin_to_receive, request, receive, task)
        beginning = task.get_loop().call_soon(begin)
        try:
            await self._respond(request, send)
        except asyncio.CancelledError as error:
            if not self._left or task.cancelling() > 1:
                raise
            self._log_departure(request, error)
        finally:
            self._ending = True
            if self._left:
                task.uncancel()
            beginning.cancel()
            if self._receiver is None and _may_have_body(request):
                begin()
            if self._receiver is not None:
                await self._end_receiving(request.body, self._receiver)
        if self._failure is not None:
            raise self._failure

    def _create_request_from_scope(self, send: ASGISendCallable) -> QuartRequest:
        headers = headers_of(self.scope)
        if self.scope["http_version"] < "1.1":
            headers.setdefault("Host", self.app.config["SERVER_NAME"] or "")
        config = self.app.config
        return self.app.request_class(
            self.scope["method"],
            self.scope["scheme"],
            path_of(self.scope),
            self.scope["query_string"],
            headers,
            self.scope.get("root_path", ""),
            self.scope["http_version"],
            max_content_length=config["MAX_CONTENT_LENGTH"],
            body_timeout=config["BODY_TIMEOUT"],
            send_push_promise=partial(self._send_push_promise, send),
            scope=self.scope,
        )

    def _begin_to_receive(
        self, request: Any, receive: ASGIReceiveCallable, task: asyncio.Task[Any]
    ) -> None:
        self._receiver = asyncio.ensure_future(self._receive(request, receive, task))

    async def _end_receiving(self, body: Any, receiver: asyncio.Task[None]) -> None:
        if not body.complete:
            body.abandon()
            await asyncio.sleep(0)  # for the receiver to take what the server has ready
        await cancel(receiver)

    async def _receive(
        self, request: Any, receive: ASGIReceiveCallable, task: asyncio.Task[Any]
    ) -> None:
        try:
            await self.handle_messages(request, receive)
        except Exception as error:  # raised in the task that was waiting for it
            self._failure = error
        if not self._ending:
            self._left = True
            task.cancel()

    async def handle_messages(self, request: QuartRequest, receive: ASGIReceiveCallable) -> None:
        """Fill the request's body as it is read; return when the client has left."""
        body: Any = request.body
        while True:
            message = await receive()
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if message.get("more_body", False):
                    await body.room()
                else:
                    body.set_complete()
            elif message["type"] == "http.disconnect":
                return

    async def _respond(self, request: Any, send: ASGISendCallable) -> None:
        try:
            response: Any = await self.app.handle_request(request)
            settle(self._left)
        except Exception as error:
            settle(self._left)
            await self._let_through(error, request, send)
            return
        except asyncio.CancelledError as cancelled:
            if being_cancelled():
                raise
            await self._let_through(as_error(cancelled), request, send)
            return
        if getattr(request.body, "timed_out", False):
            self.app.logger.warning(
                "The body of %s [%s] did not arrive in time", request.path, request.method
            )
        try:
            await self._send_within(request, response, send)
        except Exception as error:
            if (debugger := self._debugger) is not None:
                await debugger.note(error, f"the answer to {request.path} [{request.method}]")
            raise
        finally:
            if isinstance(response, Response):
                await response.close()

    @property
    def _debugger(self) -> Debugger | None:
        return None if self.app.testing else self.app.debugger

    async def _let_through(self, error: Exception, request: Any, send: ASGISendCallable) -> None:
        if (debugger := self._debugger) is not None:
            log = self.app.logger
            log.error("Exception on %s [%s]", request.path, request.method, exc_info=error)
            await self._send_within(request, await debugger.answer(error, request), send)
            return
        if "_quart._preserve_context" not in self.scope:  # not the test client
            await self._send_within(request, convert(InternalServerError(), Response), send)
        raise error

    async def _send_within(
        self, request: QuartRequest, response: Any, send: ASGISendCallable
    ) -> None:
        timeout = getattr(response, "timeout", ...)
        if timeout is ...:
            timeout = self.app.config["RESPONSE_TIMEOUT"]
        deadline = asyncio.timeout(timeout)
        try:
            async with deadline:
                await self._send(request, response, send)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise ResponseTimeoutError(
                f"the answer to {request.path} [{request.method}] was not sent in {timeout} s"
            ) from error

    async def _send(self, request: Any, response: Any, send: ASGISendCallable) -> None:
        data = complete_data(response)
        headers = wire_headers(response, data)
        status = response.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if is_bodiless(request.method, status):
            data = b""
        if data is not None:
            await self._linger(request, data, send)
            return
        async with response.response as body:
            async for part in body:
                part = part.encode() if isinstance(part, str) else part
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await self._linger(request, b"", send)

    async def _linger(self, request: Any, data: bytes, send: ASGISendCallable) -> None:
        """Send the last part; give a client that sends too much some time to finish before."""
        body = request.body
        if getattr(body, "rejected", False) and not body.complete:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            data = b""
            try:
                async with asyncio.timeout(LINGER):
                    await body.ended()
            except TimeoutError:
                pass
        self._ending = True
        body.abandon()
        await send({"type": "http.response.body", "body": data, "more_body": False})

    def _log_departure(self, request: QuartRequest, cancelled: asyncio.CancelledError) -> None:
        # The cause is the error of a thread that went on after the client had left.
        self.app.logger.log(
            20 if cancelled.__cause__ is None else 40,
            "The client left before the answer to %s [%s] was complete",
            request.path,
            request.method,
            exc_info=cancelled.__cause__,
        )


def _may_have_body(request: Any) -> bool:
    # Without either field only HTTP/2 may send one, and does not with these methods.
    return (
        request.method not in _BODILESS
        or request.headers.get("Content-Length") is not None
        or request.headers.get("Transfer-Encoding") is not None
    )
