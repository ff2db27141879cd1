"""One HTTP request on an ASGI server: receiving, answering, and clients that disconnect."""

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart.asgi import ASGIHTTPConnection
from quart.wrappers import Request as QuartRequest
from werkzeug.exceptions import InternalServerError

from quartapp.flasklike._upstream import TEST_CLIENT_KEY
from quartapp.flasklike.asgi.last_resort import answering_for, last_resort
from quartapp.flasklike.asgi.scope import (
    CLOSE,
    closes_connection,
    headers_of,
    may_have_body,
    path_of,
)
from quartapp.flasklike.concurrency.cancellation import (
    as_error,
    as_failure,
    being_cancelled,
    cancel_and_wait,
    may_become_error,
    uncancel_beyond,
)
from quartapp.flasklike.concurrency.deadline import awaited_before
from quartapp.flasklike.concurrency.threads import ThreadOwner
from quartapp.flasklike.development import Debugger
from quartapp.flasklike.wrappers.response import (
    Response,
    complete_data,
    encode_headers,
    is_bodiless,
)

if TYPE_CHECKING:
    from quartapp.flasklike.app import App

LINGER = 2.0
"""Seconds for which a client that sends too much may continue, so that it reads its 413. Closing
at once would reset the connection, and the response would be lost."""


class ResponseTimeoutError(TimeoutError):
    """The response was not produced, or not read by the client, within RESPONSE_TIMEOUT seconds."""


class HTTPConnection(ThreadOwner, ASGIHTTPConnection):
    """Handles a request in the server's own task; a second task receives.

    HTTP needs two tasks: while the view runs, the other detects that the client has disconnected.
    The receiving task starts when the request first waits for something, so a request that never
    waits has none. When the client disconnects, the request's task is cancelled, wherever it waits.
    That is logged (INFO), and the teardown functions get the CancelledError.

    An exception that leaves the application is answered by `App.debugger`, or with a plain 500 and
    then raised: to the test client, or to the server, which logs it. An error while the body is
    sent closes the connection, so that the client does not take the response for complete, and is
    raised too. No task outlives the request, and its synchronous functions share a thread.
    """

    app: "App"

    def __init__(self, app: "App", scope: HTTPScope) -> None:
        super().__init__(app, scope)
        self._client_left = False
        self._ending = False
        self._failure: BaseException | None = None
        self._receiver: asyncio.Task[None] | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request: Any = self._create_request_from_scope(send)
        task = asyncio.current_task()
        assert task is not None, "an ASGI application runs in a task"
        self.own_thread_of(task)
        begin = partial(self._start_receiving, request, receive, task)
        beginning = task.get_loop().call_soon(begin)
        try:
            await self._respond(request, send)
        except asyncio.CancelledError as error:
            if not self._client_left or task.cancelling() > 1:
                raise
            self._log_client_left(request, error)
        finally:
            self._ending = True
            self.give_back_thread(task)
            if self._client_left:
                task.uncancel()
            beginning.cancel()
            if self._receiver is None and may_have_body(self.scope):
                begin()
            if self._receiver is not None:
                await self._stop_receiving(request.body, self._receiver)
                self._receiver = None  # its context may refer to the request, which refers to this
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

    def _start_receiving(
        self, request: Any, receive: ASGIReceiveCallable, task: asyncio.Task[Any]
    ) -> None:
        self._receiver = asyncio.ensure_future(self._receive_until_left(request, receive, task))

    async def _stop_receiving(self, body: Any, receiver: asyncio.Task[None]) -> None:
        if not body.complete:
            await self._take_what_has_arrived(body, is_last=True)
        await cancel_and_wait(receiver)

    async def _receive_until_left(
        self, request: Any, receive: ASGIReceiveCallable, task: asyncio.Task[Any]
    ) -> None:
        try:
            await self.handle_messages(request, receive)
        except Exception as error:  # __call__ raises it in the server's task
            self._failure = error
        if not self._ending:
            self._client_left = True
            self.app.forget_client(task)
            task.cancel()

    async def handle_messages(self, request: QuartRequest, receive: ASGIReceiveCallable) -> None:
        """Fill the request's body as fast as it is read; return when the client disconnects."""
        body: Any = request.body
        while True:
            message = await receive()
            if message["type"] == "http.request":
                body.append(message.get("body", b""))
                if message.get("more_body", False):
                    await body.wait_for_room()
                else:
                    body.set_complete()
            elif message["type"] == "http.disconnect":
                return

    async def _respond(self, request: Any, send: ASGISendCallable) -> None:
        try:
            response: Any = await self.app.handle_request(request)
            uncancel_beyond(self._client_left)
        except Exception as error:
            uncancel_beyond(self._client_left)
            await self._answer_unhandled(error, request, send)
            return
        except asyncio.CancelledError as cancelled:
            if being_cancelled():
                raise
            await self._answer_unhandled(as_error(cancelled), request, send)
            return
        except BaseException as ending:
            if not may_become_error(self.scope):
                raise
            await self._answer_unhandled(as_failure(ending), request, send)
            return
        if getattr(request.body, "timed_out", False):
            self.app.logger.warning(
                "The body of %s [%s] did not arrive in time", request.path, request.method
            )
        try:
            await self._send_in_time(request, response, send)
        except Exception as error:
            if (debugger := self._debugger) is not None:
                await debugger.note(error, f"the answer to {request.path} [{request.method}]")
            raise
        except asyncio.CancelledError:
            raise
        except BaseException as ending:
            if not may_become_error(self.scope):
                raise
            failure = as_failure(ending)
            raise failure from failure.__cause__
        finally:
            if isinstance(response, Response):
                await response.close()

    @property
    def _debugger(self) -> Debugger | None:
        return None if self.app.testing else self.app.debugger

    async def _answer_unhandled(
        self, error: Exception, request: Any, send: ASGISendCallable
    ) -> None:
        if (debugger := self._debugger) is not None:
            log = self.app.logger
            log.error("Exception on %s [%s]", request.path, request.method, exc_info=error)
            await self._send_in_time(request, await debugger.answer(error, request), send)
            return
        if TEST_CLIENT_KEY not in self.scope:
            with answering_for(error, self.scope):
                page = last_resort(self.app, self.scope, InternalServerError())
                await self._send_in_time(request, page, send)
        raise error

    async def _send_in_time(
        self, request: QuartRequest, response: Any, send: ASGISendCallable
    ) -> None:
        timeout = getattr(response, "timeout", ...)
        if timeout is ...:
            timeout = self.app.config["RESPONSE_TIMEOUT"]
        deadline = asyncio.timeout(timeout)
        try:
            await awaited_before(deadline, self._send_answer(request, response, send))
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise ResponseTimeoutError(
                f"the answer to {request.path} [{request.method}] was not sent in {timeout} s"
            ) from error

    async def _send_answer(self, request: Any, response: Any, send: ASGISendCallable) -> None:
        data = complete_data(response)
        headers = encode_headers(response, data)
        if not request.body.complete:
            if may_have_body(self.scope):
                await self._take_what_has_arrived(request.body, is_last=data is not None)
            elif request.body.is_empty:
                request.body.set_complete()
            if not request.body.complete and closes_connection(self.scope):
                headers.append(CLOSE)
        status = response.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if is_bodiless(request.method, status):
            data = b""
        if data is not None:
            await self._send_last_part(request, data, send)
            return
        async with response.response as body:
            async for part in body:
                if isinstance(part, str):
                    part = part.encode()
                elif not isinstance(part, (bytes, bytearray, memoryview)):
                    # A server would send bytes(5) for 5: five zeros.
                    raise TypeError(
                        f"a part of the body is a {type(part).__name__}, not bytes or a string"
                    )
                await send({"type": "http.response.body", "body": part, "more_body": True})
                # An iterator that never waits, or a lost connection, would never let the receiving
                # task run, which detects that the client has disconnected.
                await asyncio.sleep(0)
        await self._send_last_part(request, b"", send)

    async def _take_what_has_arrived(self, body: Any, *, is_last: bool) -> None:
        """Let the receiver read what the server has buffered of the body.

        A body that is then complete can be read after the response, as long as somebody references
        its request. With `is_last` any other is discarded. A test client sends bodies of any length
        at once, and none of them is discarded.
        """
        if TEST_CLIENT_KEY in self.scope:
            body.make_room()
        await _let_receive()
        if is_last and not body.complete:
            body.abandon()
            await _let_receive()

    async def _send_last_part(self, request: Any, data: bytes, send: ASGISendCallable) -> None:
        """Send the last part. A client that sends too much first gets LINGER seconds to finish."""
        body = request.body
        if getattr(body, "rejected", False) and not body.complete:
            await send({"type": "http.response.body", "body": data, "more_body": True})
            data = b""
            try:
                async with asyncio.timeout(LINGER):
                    await body.wait_until_complete()
            except TimeoutError:
                pass
        self._ending = True
        body.abandon()
        await send({"type": "http.response.body", "body": data, "more_body": False})

    def _log_client_left(self, request: QuartRequest, cancelled: asyncio.CancelledError) -> None:
        # The cause is the error of a thread that was still running when the client disconnected.
        self.app.logger.log(
            logging.INFO if cancelled.__cause__ is None else logging.ERROR,
            "The client left before the answer to %s [%s] was complete",
            request.path,
            request.method,
            exc_info=cancelled.__cause__,
        )


async def _let_receive() -> None:
    for _ in range(2):  # the task that receives may not have started yet
        await asyncio.sleep(0)
