"""Quart with Flask's semantics, above all where an application fails.

Here live `App`, a Quart application class with its own contexts, connections, requests and
responses, and those functions of Flask's module that an application class cannot change. The
modules have the names that Flask and Quart give to the same subjects. What Quart already does as
Flask does (`request`, `g`, `session`, signals) is imported from `quart`.

Here live no pages, no reporting, no database and nothing of any application. This package imports
nothing else of quartapp. Private names of Flask and Quart are imported by `_upstream` alone.

docs/flask-parity.md says what differs from Flask, and tests/system/parity compares with Flask
itself. tests/flasklike/test_contracts.py lists, after an upgrade, what has to be read again.
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
