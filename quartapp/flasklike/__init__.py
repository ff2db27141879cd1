"""Quart with Flask's semantics, above all where an application fails.

This package has `App`, a Quart application class with its own contexts, connections, requests and
responses, and the functions of the `flask` module whose behaviour an application class cannot
change. Modules have the names that Flask and Quart use for the same subjects. Import from `quart`
what Quart already does as Flask does (`request`, `g`, `session`, signals).

It has no pages, no reporting, no database and no code of an application, and it imports nothing
else of quartapp. Only `_upstream` imports private names of Flask and Quart.

docs/flask-parity.md lists the differences from Flask, and tests/system/parity compares with Flask
itself. After an upgrade, tests/flasklike/test_contracts.py lists the upstream code to review.
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
