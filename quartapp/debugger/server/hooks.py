"""How the debugger gets the errors of an application that is not of `flasklike`.

`flasklike.App` calls its attribute `debugger`. For Quart itself the two methods through which its
connections pass each request and websocket are wrapped, as Quart would answer with a page of its
own.

An address that no route has shows the routes, unless the application answers it with a handler of
its own. The pages of `quartapp.errors` are a default, not the application's own.

`?__debugger__=off` in an address asks for the page that production shows, after an exception too.
"""

import logging
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from quart import Quart, Response, has_request_context, request
from werkzeug.exceptions import HTTPException, InternalServerError

from quartapp import breadcrumbs
from quartapp.debugger.page.rendering import wanted_form
from quartapp.debugger.page.routes import OWN_PAGE, render_routes
from quartapp.debugger.page.template_sources import keep_template_sources
from quartapp.debugger.server.access import Caller
from quartapp.debugger.server.answers import HEADERS

if TYPE_CHECKING:
    from quartapp.debugger.server.debugger import Debugger


_logger = logging.getLogger(__name__)


def set_debugger(app: Any, debugger: "Debugger") -> None:
    """Let the debugger answer the exceptions that the application lets through.

    From now on its routes are listed too, and what its requests do is collected.
    """
    breadcrumbs.install()
    observe = getattr(app.extensions.get("database"), "observe", None)
    if observe is not None:
        observe(breadcrumbs.add_statement)
    keep_template_sources()
    if not hasattr(app, "debugger"):
        _wrap(app, debugger)
    app.debugger = debugger
    _list_routes(app, debugger)
    _show_own_pages(app, debugger)


def _list_routes(app: Quart, debugger: "Debugger") -> None:
    handle_http_exception: Any = app.handle_http_exception

    async def handle_or_list(error: HTTPException) -> Any:
        try:
            page = _page_of_routes(app, debugger, error)
        except Exception:
            _logger.exception("The debugger failed to list the routes.")
            page = None
        return await handle_http_exception(error) if page is None else page

    app.handle_http_exception = handle_or_list  # type: ignore[method-assign]


def _page_of_routes(app: Quart, debugger: "Debugger", error: HTTPException) -> Response | None:
    """The page of an address without a route; None if the application is to answer."""
    if error.code not in {404, 405} or not has_request_context() or app.testing or not app.debug:
        return None
    caller = Caller.from_scope(request.scope)
    if (
        error is not request.routing_exception
        or OWN_PAGE in request.args
        or wanted_form(caller.headers.get("accept", "")) != "html"
        or not debugger.access.shows_source(caller)
        or _has_own_handler(app, error)
    ):
        return None
    text = render_routes(
        app.url_map,
        method=request.method,
        path=request.path,
        status=error.code,
        root=request.root_path,
    )
    response = Response(text, error.code, HEADERS, content_type="text/html; charset=utf-8")
    response.allow.update(getattr(error, "valid_methods", None) or ())
    return response


def _show_own_pages(app: Quart, debugger: "Debugger") -> None:
    """Answer an unhandled exception as in production where the address asks for that.

    It is logged and reported as always, and the debugger keeps it.
    """
    handle_exception: Any = app.handle_exception

    async def handle_or_show(error: Exception) -> Any:
        __traceback_hide__ = True  # noqa: F841 the page leaves this frame out
        try:
            return await handle_exception(error)
        except Exception as raised:
            if raised is not error or app.testing or OWN_PAGE not in request.args:
                raise
        await debugger.note(error, f"{request.method} {request.path}")
        # What Quart does where an exception is not let through.
        traceback = cast(TracebackType, error.__traceback__)
        app.log_exception((type(error), error, traceback))
        found = await app.handle_http_exception(InternalServerError(original_exception=error))
        return await app.finalize_request(found, from_error_handler=True)

    app.handle_exception = handle_or_show  # type: ignore[method-assign]


def _has_own_handler(app: Quart, error: HTTPException) -> bool:
    """Whether the application has a handler for an error outside of its blueprints, which
    `quartapp.errors` has not registered."""
    for code in (error.code, None):
        handlers = app.error_handler_spec[None][code]
        for kind in type(error).__mro__:
            if (handler := handlers.get(kind)) is not None:
                function = handler.func if isinstance(handler, partial) else handler
                return not str(function.__module__).startswith("quartapp.errors.")
    return False


def _wrap(app: Quart, debugger: "Debugger") -> None:
    handle_request: Any = app.handle_request
    handle_websocket: Any = app.handle_websocket

    async def debug_request(request: Any) -> Any:
        __traceback_hide__ = True  # noqa: F841 the page leaves this frame out
        try:
            return await handle_request(request)
        except Exception as error:
            if app.testing:
                raise
            # Quart logs an exception only where it does not let it through.
            app.logger.error("Exception on %s [%s]", request.path, request.method, exc_info=error)
            return await debugger.answer(error, request)

    async def debug_websocket(websocket: Any) -> Any:
        __traceback_hide__ = True  # noqa: F841 the page leaves this frame out
        try:
            return await handle_websocket(websocket)
        except Exception as error:
            if app.testing:
                raise
            where = f"websocket {websocket.path}"
            app.logger.error("Exception on %s", where, exc_info=error)
            await debugger.note(error, where)
            return Response("Internal Server Error", 500)

    app.handle_request = debug_request  # type: ignore[method-assign]
    app.handle_websocket = debug_websocket  # type: ignore[method-assign]
