"""The names of flasklike with the types that they have in synchronous functions.

They are the same objects: called by such a function, in the thread of its request, they return
results where they return awaitables to asynchronous code. Import them in files whose functions are
all `def`.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from quartapp import flasklike
from quartapp.flasklike import (
    App,
    Blueprint,
    Config,
    Debugger,
    Flask,
    Markup,
    MethodView,
    Quart,
    Request,
    Response,
    ResponseReturnValue,
    ResponseTimeoutError,
    SecureCookieSessionInterface,
    View,
    Websocket,
    abort,
    after_this_request,
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    before_render_template,
    copy_current_app_context,
    copy_current_request_context,
    copy_current_websocket_context,
    current_app,
    escape,
    g,
    get_flashed_messages,
    get_template_attribute,
    got_request_exception,
    got_websocket_exception,
    has_app_context,
    has_request_context,
    has_websocket_context,
    json,
    jsonify,
    make_push_promise,
    message_flashed,
    redirect,
    request_finished,
    request_started,
    request_tearing_down,
    session,
    signals_available,
    stream_with_context,
    template_rendered,
    url_for,
    websocket_finished,
    websocket_started,
    websocket_tearing_down,
)

if TYPE_CHECKING:
    from quart.wrappers.base import BaseRequestWebsocket
    from werkzeug.datastructures import CombinedMultiDict, FileStorage, MultiDict

__all__ = [
    "App",
    "Blueprint",
    "Config",
    "Debugger",
    "Flask",
    "Markup",
    "MethodView",
    "Quart",
    "Request",
    "Response",
    "ResponseReturnValue",
    "ResponseTimeoutError",
    "SecureCookieSessionInterface",
    "View",
    "Websocket",
    "abort",
    "after_this_request",
    "appcontext_popped",
    "appcontext_pushed",
    "appcontext_tearing_down",
    "before_render_template",
    "copy_current_app_context",
    "copy_current_request_context",
    "copy_current_websocket_context",
    "current_app",
    "escape",
    "flash",
    "g",
    "get_flashed_messages",
    "get_template_attribute",
    "got_request_exception",
    "got_websocket_exception",
    "has_app_context",
    "has_request_context",
    "has_websocket_context",
    "json",
    "jsonify",
    "make_push_promise",
    "make_response",
    "message_flashed",
    "redirect",
    "render_template",
    "render_template_string",
    "request",
    "request_finished",
    "request_started",
    "request_tearing_down",
    "send_file",
    "send_from_directory",
    "session",
    "signals_available",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "template_rendered",
    "url_for",
    "websocket",
    "websocket_finished",
    "websocket_started",
    "websocket_tearing_down",
]

P = ParamSpec("P")
T = TypeVar("T")

if TYPE_CHECKING:

    class SyncRequest(BaseRequestWebsocket):
        """A `Request` in a synchronous function."""

        data: bytes
        files: MultiDict[str, FileStorage]
        form: MultiDict[str, str]
        json: Any
        max_content_length: int | None
        routing_exception: Exception | None
        values: CombinedMultiDict[str, str]

        def get_data(
            self, cache: bool = True, as_text: bool = False, parse_form_data: bool = False
        ) -> Any:
            """Read the rest of the body."""

        def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:
            """Parse the body as JSON."""

    class SyncWebsocket(BaseRequestWebsocket):
        """A `Websocket` in a synchronous function."""

        def accept(self, headers: Any = None, subprotocol: str | None = None) -> None:
            """Accept the connection."""

        def close(self, code: int, reason: str = "") -> None:
            """Close the connection."""

        def receive(self) -> Any:
            """Wait for a message."""

        def receive_json(self) -> Any:
            """Wait for a message that is JSON."""

        def send(self, data: str | bytes) -> None:
            """Send a message."""

        def send_json(self, *args: Any, **kwargs: Any) -> None:
            """Send a message as JSON."""


def _awaited(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    return cast("Callable[P, T]", function)


flash = _awaited(flasklike.flash)
make_response: Callable[..., flasklike.Response] = _awaited(flasklike.make_response)
render_template = _awaited(flasklike.render_template)
render_template_string = _awaited(flasklike.render_template_string)
request = cast("SyncRequest", flasklike.request)
send_file = _awaited(flasklike.send_file)
send_from_directory = _awaited(flasklike.send_from_directory)
stream_template = _awaited(flasklike.stream_template)
stream_template_string = _awaited(flasklike.stream_template_string)
websocket = cast("SyncWebsocket", flasklike.websocket)
