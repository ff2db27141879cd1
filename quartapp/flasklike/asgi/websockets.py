"""Websockets, which Flask does not have. They fail by the rules for Flask's requests."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, WebsocketScope
from quart import Quart
from quart.asgi import ASGIWebsocketConnection
from quart.ctx import WebsocketContext as QuartWebsocketContext
from quart.globals import websocket_ctx
from quart.signals import (
    websocket_finished,
    websocket_received,
    websocket_started,
    websocket_tearing_down,
)
from quart.typing import ResponseReturnValue, ResponseTypes
from quart.wrappers import Websocket as QuartWebsocket
from werkzeug.exceptions import HTTPException, InternalServerError

from quartapp.flasklike.asgi.last_resort import answering_for, last_resort
from quartapp.flasklike.asgi.stopping import SERVICE_RESTART, unavailable
from quartapp.flasklike.concurrency.cancellation import (
    answerable,
    as_exception,
    as_failure,
    being_cancelled,
    cancel_and_wait,
    is_error,
    may_become_error,
    uncancel_beyond,
    without_cancellations,
)
from quartapp.flasklike.concurrency.threads import ThreadOwner, also_sync
from quartapp.flasklike.ctx import WebsocketContext
from quartapp.flasklike.extensions import refuse_flask_contexts
from quartapp.flasklike.groups import tear_down
from quartapp.flasklike.signals import send_signal
from quartapp.flasklike.wrappers.response import (
    close_response,
    complete_data,
    encode_headers,
)

if TYPE_CHECKING:
    from quartapp.flasklike.app import App

NORMAL, INTERNAL_ERROR = 1000, 1011


class Websocket(QuartWebsocket):
    """A websocket connection."""

    accept = also_sync(QuartWebsocket.accept)
    close = also_sync(QuartWebsocket.close)
    receive = also_sync(QuartWebsocket.receive)
    receive_json = also_sync(QuartWebsocket.receive_json)
    send = also_sync(QuartWebsocket.send)
    send_json = also_sync(QuartWebsocket.send_json)

    failed = False
    """Whether its view has ended with an error, handled or not."""

    logged = False
    """Whether that was handled by no error handler, and so logged."""


class WebsocketConnection(ThreadOwner, ASGIWebsocketConnection):
    """Handles a websocket in the server's own task; one more task receives.

    An error before the connection was accepted gets the response of a request if the server can
    send one (the extension ``websocket.http.response``); otherwise the connection is refused. An
    error after it closes the websocket with 1011; everything else closes it with 1000. What the
    application lets through is then raised, to the test client or to the server, which logs it.
    With a debugger it is logged here and kept there instead.
    """

    app: "App"

    def __init__(self, app: "App", scope: WebsocketScope) -> None:
        super().__init__(app, scope)
        self._client_left = False
        self._ending = False
        self._failure: BaseException | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        websocket = self._create_websocket_from_scope(send)
        task = asyncio.current_task()
        assert task is not None, "an ASGI application runs in a task"
        self.own_thread_of(task)
        receiver = asyncio.ensure_future(self._receive_until_left(receive, task))
        try:
            await self.handle_websocket(websocket, send)
        except asyncio.CancelledError:
            if not self._client_left or task.cancelling() > 1:
                raise
        finally:
            self._ending = True
            self.give_back_thread(task)
            if self._client_left:
                task.uncancel()
            await cancel_and_wait(receiver)
        if self._failure is not None:
            raise self._failure

    async def _receive_until_left(
        self, receive: ASGIReceiveCallable, task: asyncio.Task[Any]
    ) -> None:
        try:
            await self.handle_messages(receive)
        except Exception as error:  # __call__ raises it, in the server's task
            self._failure = error
        if not self._ending:
            self._client_left = True
            self.app.forget_client(task)
            task.cancel()

    async def handle_messages(self, receive: ASGIReceiveCallable) -> None:
        """Queue the client's messages; return when it disconnects."""
        while True:
            event: Any = await receive()
            if event["type"] == "websocket.receive":
                message = event.get("bytes")
                if message is None:
                    message = event.get("text")
                if websocket_received.receivers:
                    await websocket_received.send_async(message)
                await self.queue.put(message)
            elif event["type"] == "websocket.disconnect":
                return

    def _create_websocket_from_scope(self, send: ASGISendCallable) -> Any:
        scope: Any = self.scope
        # Quart looks at the first character of the path, which may be empty
        normal = {**scope, "path": scope["path"] or "/"}
        self.scope = cast(WebsocketScope, normal)
        return super()._create_websocket_from_scope(send)

    async def handle_websocket(self, websocket: Any, send: ASGISendCallable) -> None:
        """Let the application handle it, then send its response or close it."""
        try:
            response: Any = await self.app.handle_websocket(websocket)
        except Exception as error:
            await self._answer_unhandled(error, websocket, send)
            return
        except asyncio.CancelledError:
            if not self.app.is_cut_off():
                raise
            uncancel_beyond(0)
            self.app.log_cut_off(websocket.path, self.scope)
            page = last_resort(self.app, self.scope, unavailable())
            await self._finish(page, SERVICE_RESTART, send)
            return
        except BaseException as ending:
            if not may_become_error(self.scope):
                raise
            await self._answer_unhandled(as_failure(ending), websocket, send)
            return
        try:
            if websocket.failed and self._accepted and not websocket.logged:
                self.app.logger.warning(
                    "The websocket %s is closed after an error, whose answer %s cannot be sent",
                    websocket.path,
                    getattr(response, "status_code", None),
                )
            await self._finish(response, INTERNAL_ERROR if websocket.failed else NORMAL, send)
        finally:
            await close_response(response)

    async def _answer_unhandled(
        self, error: Exception, websocket: Any, send: ASGISendCallable
    ) -> None:
        with answering_for(error, self.scope):
            page = last_resort(self.app, self.scope, InternalServerError())
        debugger = None if self.app.testing else self.app.debugger
        if debugger is None:
            with answering_for(error, self.scope):
                await self._finish(page, INTERNAL_ERROR, send)
            raise error
        where = f"websocket {websocket.path}"
        self.app.logger.error("Exception on %s", where, exc_info=error)
        await debugger.note(error, where)
        await self._finish(page, INTERNAL_ERROR, send)

    async def _finish(self, response: Any, code: int, send: ASGISendCallable) -> None:
        self._ending = True
        if self._closed:
            return
        extensions = self.scope.get("extensions", {}) or {}
        if response is not None and not self._accepted and "websocket.http.response" in extensions:
            await self._answer_http(response, send)
        elif response is not None or self._accepted:
            code = code if self._accepted else NORMAL
            await send({"type": "websocket.close", "code": code, "reason": ""})

    async def _answer_http(self, response: Any, send: ASGISendCallable) -> None:
        data = complete_data(response)
        await send(
            {
                "type": "websocket.http.response.start",
                "status": response.status_code,
                "headers": encode_headers(response, data),
            }
        )
        if data is None:
            async with response.response as body:
                async for part in body:
                    part = part.encode() if isinstance(part, str) else part
                    await send(
                        {"type": "websocket.http.response.body", "body": part, "more_body": True}
                    )
        await send(
            {"type": "websocket.http.response.body", "body": data or b"", "more_body": False}
        )


class WebsocketDispatcher(Quart):
    """Handles websockets by the same rules as `RequestDispatcher` handles requests."""

    async def handle_websocket(self, websocket: Any) -> ResponseTypes | None:
        """Run the view of *websocket*. Returns the response for one that was not accepted."""
        refuse_flask_contexts(self)
        context = self.websocket_context(websocket)
        error: BaseException | None = None
        try:
            try:
                await context.enter()
                return await self.full_dispatch_websocket(context)
            except Exception as raised:
                error = raised
                websocket.failed = websocket.logged = True
                # Quart's method: it sends got_websocket_exception, by which the error is reported
                # and a debugger takes its frames, then raises or logs it as for a request.
                return await self.handle_websocket_exception(raised)
            except BaseException as raised:
                error = without_cancellations(raised)
                if isinstance(error, asyncio.CancelledError) and being_cancelled():
                    raise error from error.__cause__
                error = as_exception(raised, websocket.scope)
                websocket.failed = websocket.logged = True
                return await self._handle_websocket_ending(error)
        finally:
            if error is not None and self.should_ignore_error(error):
                error = None
            if context._cv_tokens:
                await context.leave(error)
            error = None  # its traceback holds this frame

    async def _handle_websocket_ending(self, error: Exception) -> ResponseTypes | None:
        """As `RequestDispatcher._handle_ending`."""
        try:
            raise error
        except Exception:
            return await self.handle_websocket_exception(error)
        finally:
            del error

    async def full_dispatch_websocket(
        self, websocket_context: QuartWebsocketContext | None = None
    ) -> ResponseTypes | None:
        """Run the before_websocket functions, the view or an error handler, and those after.

        Raises errors that have no handler.
        """
        self._got_first_request = True
        context = websocket_context or _current_context()
        websocket: Any = context.websocket
        result: Any
        try:
            await send_signal(websocket_started, self)
            result = await self.preprocess_websocket(context)
            if result is None:
                result = await self.dispatch_websocket(context)
        except Exception as error:
            websocket.failed = True
            result = await self.handle_user_exception(error)
        except (asyncio.CancelledError, BaseExceptionGroup) as raised:
            ending = answerable(raised)
            websocket.failed = True
            result = await self.handle_user_exception(ending)
        return await self.finalize_websocket(result, context)

    async def preprocess_websocket(
        self, websocket_context: QuartWebsocketContext | None = None
    ) -> ResponseReturnValue | None:
        """Run the URL value preprocessors and before_websocket functions, the application's first.

        The first return value that is not None is the response; the other functions do not run.
        """
        websocket = (websocket_context or _current_context()).websocket
        names = (None, *reversed(websocket.blueprints))
        for name in names:
            for preprocess in self.url_value_preprocessors.get(name, ()):
                preprocess(websocket.endpoint, websocket.view_args)
        for name in names:
            for function in self.before_websocket_funcs.get(name, ()):
                result = await self.ensure_async(function)()
                if result is not None:
                    return cast(ResponseReturnValue, result)
        return None

    async def finalize_websocket(
        self,
        result: ResponseReturnValue | HTTPException,
        websocket_context: QuartWebsocketContext | None = None,
        from_error_handler: bool = False,
    ) -> ResponseTypes | None:
        """Make the response, if there is one, and run the after_websocket functions.

        Their errors are raised. With *from_error_handler* they are only logged.
        """
        returned: Any = result
        response: Any = None if returned is None else await self.make_response(returned)
        try:
            response = await self.postprocess_websocket(response, websocket_context)
            await send_signal(websocket_finished, self, response=response)
        except BaseException as error:
            if not from_error_handler or being_cancelled():
                raise
            if not is_error(error, _current_context().websocket.scope):
                raise
            self.logger.exception(
                "Websocket finalizing failed with an error while handling an error"
            )
        return cast("ResponseTypes | None", response)

    def do_teardown_websocket(  # type: ignore[override]  # it returns a coroutine too
        self, exc: BaseException | None, websocket_context: QuartWebsocketContext | None = None
    ) -> Awaitable[None]:
        """Call the teardown_websocket functions, the blueprints' first, then send the signal."""
        functions: list[Any] = []
        for name in (websocket_context or _current_context()).websocket.blueprints:
            # Quart does not merge them into the application's when a blueprint is registered.
            blueprint: Any = self.blueprints[name]
            functions += reversed(blueprint.teardown_websocket_funcs.get(None, ()))
        functions += reversed(self.teardown_websocket_funcs.get(None, ()))
        return tear_down(self, "websocket", functions, websocket_tearing_down, exc)

    def websocket_context(self, websocket: QuartWebsocket) -> WebsocketContext:
        """A context for *websocket*."""
        return WebsocketContext(self, websocket)


def _current_context() -> QuartWebsocketContext:
    proxy: Any = websocket_ctx
    context: QuartWebsocketContext = proxy._get_current_object()
    return context
