"""Quart made to fail the way Flask's documentation says.

Here lives `App`, a Quart application class with its own connection, context, request and response
classes, and those module-level names of Flask that an application class cannot mend. Nothing here
knows the microblog: the package imports nothing else of quartapp and could be a library of its own.
Names of Quart that already behave as Flask's (`request`, `g`, `session`, signals ...) are to be
imported from `quart`.
"""

from quart import abort, flash, redirect

from quartapp.flasklike.app import App
from quartapp.flasklike.asgi.http import ResponseTimeoutError
from quartapp.flasklike.asgi.websockets import Websocket
from quartapp.flasklike.blueprints import Blueprint
from quartapp.flasklike.ctx import stream_with_context
from quartapp.flasklike.development import Debugger
from quartapp.flasklike.routing import url_for
from quartapp.flasklike.sessions import SecureCookieSessionInterface, get_flashed_messages
from quartapp.flasklike.static import send_file, send_from_directory
from quartapp.flasklike.templating import (
    render_template,
    render_template_string,
    stream_template,
    stream_template_string,
)
from quartapp.flasklike.views import MethodView, View
from quartapp.flasklike.wrappers.request import Request
from quartapp.flasklike.wrappers.response import Response, make_response

__all__ = [
    "App",
    "Blueprint",
    "Debugger",
    "MethodView",
    "Request",
    "Response",
    "ResponseTimeoutError",
    "SecureCookieSessionInterface",
    "View",
    "Websocket",
    "abort",
    "flash",
    "get_flashed_messages",
    "make_response",
    "redirect",
    "render_template",
    "render_template_string",
    "send_file",
    "send_from_directory",
    "stream_template",
    "stream_template_string",
    "stream_with_context",
    "url_for",
]
