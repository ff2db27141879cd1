"""The life of a request inside the application, in Flask's order."""

import asyncio
from typing import Any, cast

from flask.debughelpers import FormDataRoutingRedirect
from quart import Quart
from quart.ctx import RequestContext as QuartRequestContext
from quart.globals import _cv_app, _cv_request, _cv_websocket, request_ctx
from quart.signals import (
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from quart.typing import ResponseReturnValue, ResponseTypes
from quart.wrappers import Request as QuartRequest
from quart.wrappers.base import BaseRequestWebsocket
from werkzeug.exceptions import BadRequestKeyError, HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.sansio.response import Response as SansIOResponse

from quartapp.flasklike.concurrency import as_error, being_cancelled
from quartapp.flasklike.ctx import AppContext, RequestContext
from quartapp.flasklike.signals import send
from quartapp.flasklike.testing import KEPT
from quartapp.flasklike.wrappers import response as responses


class RequestHandling(Quart):
    """Handles requests as `flask.Flask.wsgi_app` does.

    Whatever fails from the opening of the session on goes through the error handlers, or
    `handle_exception`; the teardown functions get the error that was not handled by a handler of
    its own (unless `should_ignore_error`), and every way out of a request leads through them.
    """

    async def handle_request(self, request: QuartRequest) -> ResponseTypes:
        """Answer *request*.

        Raises what PROPAGATE_EXCEPTIONS lets through, what the 500 handler and the teardown
        functions raise, and the CancelledError of a request that was cancelled.
        """
        context = self.request_context(request)
        response: ResponseTypes | None = None
        error: BaseException | None = None
        try:
            try:
                await context.push()
                response = await self.full_dispatch_request(context)
            except Exception as raised:
                error = raised
                response = await self.handle_exception(raised)
            except asyncio.CancelledError as cancelled:
                error = cancelled
                if being_cancelled():
                    raise
                error = as_error(cancelled)
                response = await self.handle_exception(error)
            except BaseException as raised:
                error = raised
                raise
            if not isinstance(response, SansIOResponse):  # an after_request function returned it
                raise TypeError(f"{type(response).__name__!r} object is not callable")
            return response
        finally:
            kept: Any = request.scope.get(KEPT)
            if kept is not None:
                kept.extend([_cv_app.get(), context])
            if error is not None and self.should_ignore_error(error):
                error = None
            if context._cv_tokens:
                try:
                    await context.pop(error)
                except asyncio.CancelledError:
                    await responses.close_response(response)  # nobody will send it
                    raise
            error = None  # its traceback holds this frame

    async def full_dispatch_request(
        self, request_context: QuartRequestContext | None = None
    ) -> ResponseTypes:
        """Run the functions before, the view or an error handler, and the functions after."""
        self._got_first_request = True
        context = request_context or _current()
        result: ResponseReturnValue | HTTPException | None
        try:
            await send(request_started, self)
            result = await self.preprocess_request(context)
            if result is None:
                result = await self.dispatch_request(context)
        except Exception as error:
            result = await self.handle_user_exception(error)
        except asyncio.CancelledError as cancelled:
            if being_cancelled():
                raise
            result = await self.handle_user_exception(as_error(cancelled))
        return await self.finalize_request(cast(ResponseReturnValue, result), context)

    async def preprocess_request(
        self, request_context: QuartRequestContext | None = None
    ) -> ResponseReturnValue | None:
        """Run the URL value preprocessors and before_request functions, the application's first.

        A function's return value that is not None is the answer, and ends this.
        """
        request = (request_context or _current()).request
        names = (None, *reversed(request.blueprints))
        for name in names:
            for preprocess in self.url_value_preprocessors.get(name, ()):
                preprocess(request.endpoint, request.view_args)
        for name in names:
            for function in self.before_request_funcs.get(name, ()):
                result = await self.ensure_async(function)()
                if result is not None:
                    return cast(ResponseReturnValue, result)
        return None

    async def handle_user_exception(self, error: Exception) -> Any:
        """Answer with the handler for *error*, an HTTP error without one with itself.

        Any other error without a handler is raised again.
        """
        if isinstance(error, BadRequestKeyError) and (
            self.debug or self.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            error.show_exception = True
        if isinstance(error, HTTPException) and not self.trap_http_exception(error):
            return await self.handle_http_exception(error)
        context: Any = _cv_request.get(None) or _cv_websocket.get(None)
        blueprints = [] if context is None else context.request_websocket.blueprints
        handler = self._find_error_handler(error, blueprints)
        if handler is None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame: a cycle would keep all of them alive
        return await self.ensure_async(handler)(error)

    def raise_routing_exception(self, request: BaseRequestWebsocket) -> Any:
        """Raise what routing failed with.

        In debug mode a redirect that would make a browser drop the body is a
        FormDataRoutingRedirect, which says so.
        """
        error = request.routing_exception
        if error is None:
            raise RuntimeError("routing did not fail")
        if (
            not self.debug
            or not isinstance(error, RequestRedirect)
            or error.code in {307, 308}
            or request.method in {"GET", "HEAD", "OPTIONS"}
        ):
            raise error
        raise FormDataRoutingRedirect(request)  # type: ignore[arg-type]  # it reads what both have

    async def make_default_options_response(self) -> Any:
        """The answer to OPTIONS where a view does not answer it: the methods, and no body."""
        context: Any = _current()
        response = self.response_class()
        response.allow.update(context.url_adapter.allowed_methods())
        return response

    async def make_response(self, result: Any) -> ResponseTypes:
        """Convert a view's return value to `response_class`; see `responses.from_result`."""
        context: Any = _cv_request.get(None)
        if context is not None:
            endpoint = context.request.endpoint
        else:
            context = _cv_websocket.get(None)
            endpoint = None if context is None else context.websocket.endpoint
        return await responses.from_result(self, result, endpoint)

    async def finalize_request(
        self,
        result: ResponseReturnValue | HTTPException,
        request_context: QuartRequestContext | None = None,
        from_error_handler: bool = False,
    ) -> ResponseTypes:
        """Make the response and run the functions after.

        What these raise is only logged if *from_error_handler*: there is no further answer to give.
        """
        response = await self.make_response(result)
        try:
            response = await self.process_response(response, request_context)
            await send(request_finished, self, response=response)
        except (Exception, asyncio.CancelledError):
            if being_cancelled():
                await responses.close_response(response)  # nobody will send it
                raise
            if not from_error_handler:
                raise
            self.logger.exception("Request finalizing failed with an error while handling an error")
        return response

    async def process_response(
        self, response: ResponseTypes, request_context: QuartRequestContext | None = None
    ) -> ResponseTypes:
        """Run the after_this_request and after_request functions, then save the session."""
        context = request_context or _current()
        result: Any = response
        for after_this in context._after_request_functions:
            result = await self.ensure_async(after_this)(result)
        for name in (*context.request.blueprints, None):
            for function in reversed(self.after_request_funcs.get(name, ())):
                result = await self.ensure_async(function)(result)
        # not `context.session`, which would count as an access
        session: Any = cast(RequestContext, context)._session
        interface = self.session_interface
        if not interface.is_null_session(session):
            await self.ensure_async(interface.save_session)(self, session, result)
        return cast(ResponseTypes, result)

    def log_exception(self, exception_info: Any) -> None:
        """Log an unhandled exception at ERROR: "Exception on /path [METHOD]"."""
        if (request_context := _cv_request.get(None)) is not None:
            request = request_context.request
            where = f" on {request.path} [{request.method}]"
        elif (websocket_context := _cv_websocket.get(None)) is not None:
            where = f" on websocket {websocket_context.websocket.path}"
        else:
            where = ""
        self.logger.error(f"Exception{where}", exc_info=exception_info)  # noqa: G004  # Flask's

    async def do_teardown_request(
        self, exc: BaseException | None, request_context: QuartRequestContext | None = None
    ) -> None:
        """Call the teardown_request functions, the blueprints' first, then send the signal."""
        for name in (*(request_context or _current()).request.blueprints, None):
            for function in reversed(self.teardown_request_funcs.get(name, ())):
                await self.ensure_async(function)(exc)
        await send(request_tearing_down, self, exc=exc)

    async def do_teardown_appcontext(self, exc: BaseException | None) -> None:
        """Call the teardown_appcontext functions, the last registered first; send the signal."""
        for function in reversed(self.teardown_appcontext_funcs):
            await self.ensure_async(function)(exc)
        await send(appcontext_tearing_down, self, exc=exc)

    def app_context(self) -> AppContext:
        """A new application context."""
        return AppContext(self)

    def request_context(self, request: QuartRequest) -> RequestContext:
        """A context for *request*."""
        return RequestContext(self, request)


def _current() -> QuartRequestContext:
    proxy: Any = request_ctx
    context: QuartRequestContext = proxy._get_current_object()
    return context
