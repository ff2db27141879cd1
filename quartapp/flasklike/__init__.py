"""Quart with Flask's semantics, above all where an application fails.

This package has every public name of `flask` and of `quart`, so that an application imports all of
them from here: `Flask` and `Quart` are other names of `App`. What Quart already does as Flask does
is Quart's own; `App` has its own contexts, connections, requests and responses, and the functions
whose behaviour an application class cannot change are its own too. Modules have the names that
Flask and Quart use for the same subjects.

It has no pages, no reporting, no database and no code of an application, and it imports nothing
else of quartapp. Only `_upstream` imports private names of Flask and Quart.

docs/port.md lists the differences from Flask, and tests/system/parity compares with Flask
itself. After an upgrade, tests/flasklike/test_contracts.py lists the upstream code to review.
"""

from markupsafe import Markup, escape

from quartapp.flasklike import json
from quartapp.flasklike.app import App, Flask
from quartapp.flasklike.asgi.http import ResponseTimeoutError
from quartapp.flasklike.asgi.websockets import Websocket
from quartapp.flasklike.blueprints import Blueprint
from quartapp.flasklike.config import Config
from quartapp.flasklike.ctx import (
    after_this_request,
    copy_current_app_context,
    copy_current_request_context,
    copy_current_websocket_context,
    has_app_context,
    has_request_context,
    has_websocket_context,
)
from quartapp.flasklike.development import Debugger
from quartapp.flasklike.globals import current_app, g, request, session, websocket
from quartapp.flasklike.helpers import (
    abort,
    flash,
    get_flashed_messages,
    get_template_attribute,
    make_push_promise,
    make_response,
    redirect,
    send_file,
    send_from_directory,
    stream_with_context,
    url_for,
)
from quartapp.flasklike.json import jsonify
from quartapp.flasklike.sessions import SecureCookieSessionInterface
from quartapp.flasklike.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    before_render_template,
    got_request_exception,
    got_websocket_exception,
    message_flashed,
    request_finished,
    request_started,
    request_tearing_down,
    signals_available,
    template_rendered,
    websocket_finished,
    websocket_started,
    websocket_tearing_down,
)
from quartapp.flasklike.templating import (
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)
from quartapp.flasklike.typing import ResponseReturnValue
from quartapp.flasklike.views import MethodView, View
from quartapp.flasklike.wrappers import Request, Response

__version__ = "0.2.0"

Quart = App
"""Quart's name: an application that comes from Quart also changes only what it imports from."""

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
