"""From a request to its response inside the application, in Flask's order."""

import asyncio
import sys
from collections.abc import Awaitable, Coroutine
from typing import Any, cast

from flask.debughelpers import FormDataRoutingRedirect
from quart.ctx import RequestContext as QuartRequestContext
from quart.globals import request_ctx
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

from quartapp.flasklike._upstream import QUART_FLASK_PATCH, cv_app, cv_request, cv_websocket
from quartapp.flasklike.asgi.stopping import Stopping, unavailable
from quartapp.flasklike.concurrency.awaiting import can_wait, wait
from quartapp.flasklike.concurrency.cancellation import (
    answerable,
    as_exception,
    being_cancelled,
    is_error,
    uncancel_beyond,
    without_cancellations,
)
from quartapp.flasklike.ctx import KEPT_CONTEXTS, AppContext, RequestContext
from quartapp.flasklike.extensions import explain, refuse_flask_contexts
from quartapp.flasklike.groups import choose, tear_down
from quartapp.flasklike.signals import send_signal
from quartapp.flasklike.wrappers.response import (
    Response,
    close_response,
    convert_response,
    make_from_result,
)


class RequestDispatcher(Stopping):
    """Handles requests as `flask.Flask.wsgi_app` does.

    Every error, from the opening of the session on, goes to the error handlers or to
    `handle_exception`. The teardown functions always run. They get the error for which only
    `handle_exception` was left, unless `should_ignore_error` says otherwise.
    """

    async def handle_request(self, request: QuartRequest) -> ResponseTypes:
        """The response to *request*.

        Raises what PROPAGATE_EXCEPTIONS lets through, what the 500 handler and the teardown
        functions raise, and the CancelledError of a request that was cancelled.
        """
        refuse_flask_contexts(self)
        context = self.request_context(request)
        response: ResponseTypes | None = None
        error: BaseException | None = None
        try:
            try:
                await context.enter()
                response = await self.full_dispatch_request(context)
            except Exception as raised:
                error = raised
                explain(raised)
                # Quart's method: it sends got_request_exception, by which an error is reported and
                # a debugger takes its frames, then raises what PROPAGATE_EXCEPTIONS lets through,
                # or logs it and calls the 500 handler.
                response = await self.handle_exception(raised)
            except BaseException as raised:
                error = without_cancellations(raised)
                if isinstance(error, asyncio.CancelledError) and being_cancelled():
                    if not self.is_cut_off():
                        raise error from error.__cause__
                    response = await self._answer_cut_off(context)
                else:
                    error = as_exception(raised, request.scope)
                    response = await self._handle_ending(error)
            if not isinstance(response, SansIOResponse):  # an after_request function returned it
                raise TypeError(f"{type(response).__name__!r} object is not callable")
            return response
        finally:
            kept: Any = request.scope.get(KEPT_CONTEXTS)
            if kept is not None:
                kept.extend([cv_app.get(), context])
            if error is not None and self.should_ignore_error(error):
                error = None
            if context._cv_tokens:
                try:
                    await context.leave(error)
                except asyncio.CancelledError:
                    await close_response(response)  # nobody will send it
                    raise
            error = None  # its traceback holds this frame

    async def _handle_ending(self, error: Exception) -> ResponseTypes:
        """`handle_exception` for an error that was made of an ending.

        It is raised, because `handle_exception` logs the exception that is being handled.
        """
        try:
            raise error
        except Exception:
            return await self.handle_exception(error)
        finally:
            del error  # its traceback holds this frame

    async def _answer_cut_off(self, context: RequestContext) -> ResponseTypes:
        """The 503 of a request for which a stopping server waits no longer."""
        uncancel_beyond(0)
        request = context.request
        self.log_cut_off(request.url_rule.rule if request.url_rule else request.path, request.scope)
        error = unavailable()
        try:
            result = await self.handle_user_exception(error)
            return await self.finalize_request(result, context, from_error_handler=True)
        except Exception:
            self.logger.exception("The page of a request that was cut off failed")
            return convert_response(error, Response)

    async def full_dispatch_request(
        self, request_context: QuartRequestContext | None = None
    ) -> ResponseTypes:
        """Run the before_request functions, the view or an error handler, and the functions after.

        Raises errors that have no handler.
        """
        self._got_first_request = True
        context = request_context or _current_context()
        result: ResponseReturnValue | HTTPException | None
        try:
            if QUART_FLASK_PATCH in sys.modules:
                await context.request.get_data()  # what it runs could not wait for its arrival
            await send_signal(request_started, self)
            result = await self.preprocess_request(context)
            if result is None:
                result = await self.dispatch_request(context)
        except Exception as error:
            result = await self.handle_user_exception(error)
        except (asyncio.CancelledError, BaseExceptionGroup) as raised:
            result = await self.handle_user_exception(answerable(raised))
        return await self.finalize_request(cast(ResponseReturnValue, result), context)

    async def preprocess_request(
        self, request_context: QuartRequestContext | None = None
    ) -> ResponseReturnValue | None:
        """Run the URL value preprocessors and before_request functions, the application's first.

        The first return value that is not None is the answer; the other functions do not run.
        """
        request = (request_context or _current_context()).request
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
        """What the handler for *error* returns; without a handler, an HTTP error itself.

        Of a group one error is handled, as docs/groups.md says. Any other error without a handler
        is raised again.
        """
        if isinstance(error, BadRequestKeyError) and (
            self.debug or self.config["TRAP_BAD_REQUEST_ERRORS"]
        ):
            error.show_exception = True
        if isinstance(error, HTTPException) and not self.trap_http_exception(error):
            return await self.handle_http_exception(error)
        context: Any = cv_request.get(None) or cv_websocket.get(None)
        blueprints = [] if context is None else context.request_websocket.blueprints
        explain(error)
        if isinstance(error, ExceptionGroup):
            answered, logged = choose(self, error, blueprints)
            for each in logged:
                self.log_exception((type(each), each, each.__traceback__))
            if answered is not error:
                return await self._handle_leaf(answered, error)
        handler = self._find_error_handler(error, blueprints)
        if handler is None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame: a cycle would keep all of them alive
        return await self.ensure_async(handler)(error)

    async def _handle_leaf(self, error: Exception, group: Exception) -> Any:
        """`handle_user_exception` for an error of a group, as if it had been raised alone."""
        traceback, context = error.__traceback__, error.__context__
        # Not `setattr`: an exception can be a frozen dataclass.
        assign = BaseException.__setattr__
        assign(error, "__group__", group)
        try:
            raise error
        except Exception:
            assign(error, "__traceback__", traceback)  # without this frame, which refers to it
            assign(error, "__context__", context)  # not the group, which refers to it
            return await self.handle_user_exception(error)
        finally:
            error.__dict__.pop("__group__", None)
            del error, group

    def raise_routing_exception(self, request: BaseRequestWebsocket) -> Any:
        """Raise the error of routing.

        In debug mode a redirect that would make a browser drop the body is raised as
        FormDataRoutingRedirect, which explains it.
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
        """The response to OPTIONS where no view gives one: the allowed methods, and no body."""
        context: Any = _current_context()
        response = self.response_class()
        response.allow.update(context.url_adapter.allowed_methods())
        return response

    def make_response(self, result: Any) -> Coroutine[Any, Any, ResponseTypes]:
        """Convert a view's return value to `response_class`; see `make_from_result`."""
        context: Any = cv_request.get(None)
        if context is not None:
            endpoint = context.request.endpoint
        else:
            context = cv_websocket.get(None)
            endpoint = None if context is None else context.websocket.endpoint
        made: Any = make_from_result(self, result, endpoint)
        return wait(made) if can_wait() else made  # as `also_sync`, without another coroutine

    async def finalize_request(
        self,
        result: ResponseReturnValue | HTTPException,
        request_context: QuartRequestContext | None = None,
        from_error_handler: bool = False,
    ) -> ResponseTypes:
        """Make the response and run the after_request functions.

        Their errors are raised. With *from_error_handler* they are only logged, because no handler
        is left to answer them.
        """
        response = await self.make_response(result)
        try:
            response = await self.process_response(response, request_context)
            await send_signal(request_finished, self, response=response)
        except BaseException as error:
            if being_cancelled():
                await close_response(response)  # nobody will send it
                raise
            if not from_error_handler or not is_error(error, _current_context().request.scope):
                raise
            self.logger.exception("Request finalizing failed with an error while handling an error")
        return response

    async def process_response(
        self, response: ResponseTypes, request_context: QuartRequestContext | None = None
    ) -> ResponseTypes:
        """Run the after_this_request and after_request functions, then save the session."""
        context = request_context or _current_context()
        result: Any = response
        for after_this in context._after_request_functions:
            result = await self.ensure_async(after_this)(result)
        for name in (*context.request.blueprints, None):
            for function in reversed(self.after_request_funcs.get(name, ())):
                result = await self.ensure_async(function)(result)
        # `context.session` would count as an access
        session: Any = cast(RequestContext, context)._session
        interface = self.session_interface
        if not interface.is_null_session(session):
            await self.ensure_async(interface.save_session)(self, session, result)
        return cast(ResponseTypes, result)

    def log_exception(self, exception_info: Any) -> None:
        """Log an unhandled exception at ERROR: "Exception on /path [METHOD]"."""
        if (request_context := cv_request.get(None)) is not None:
            request = request_context.request
            where = f" on {request.path} [{request.method}]"
        elif (websocket_context := cv_websocket.get(None)) is not None:
            where = f" on websocket {websocket_context.websocket.path}"
        else:
            where = ""
        self.logger.error(f"Exception{where}", exc_info=exception_info)  # noqa: G004  # Flask's

    def do_teardown_request(  # type: ignore[override]  # it returns a coroutine too
        self, exc: BaseException | None, request_context: QuartRequestContext | None = None
    ) -> Awaitable[None]:
        """Call the teardown_request functions, the blueprints' first, then send the signal.

        Each blueprint's and the application's run in the reverse order of their registration, and
        all of them run: see `groups.tear_down`.
        """
        functions: list[Any] = []
        for name in (*(request_context or _current_context()).request.blueprints, None):
            functions += reversed(self.teardown_request_funcs.get(name, ()))
        return tear_down(self, "request", functions, request_tearing_down, exc)

    def do_teardown_appcontext(  # type: ignore[override]  # as above
        self, exc: BaseException | None
    ) -> Awaitable[None]:
        """Call the teardown_appcontext functions, the last registered first; send the signal."""
        functions = reversed(self.teardown_appcontext_funcs)
        return tear_down(self, "app", functions, appcontext_tearing_down, exc)

    def app_context(self) -> AppContext:
        """A new application context."""
        return AppContext(self)

    def request_context(self, request: QuartRequest) -> RequestContext:
        """A context for *request*."""
        return RequestContext(self, request)


def _current_context() -> QuartRequestContext:
    proxy: Any = request_ctx
    context: QuartRequestContext = proxy._get_current_object()
    return context
