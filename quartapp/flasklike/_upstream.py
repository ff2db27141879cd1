"""Every private name of Quart and MarkupSafe that flasklike imports, and of others that it uses.

No other module of this package imports a name with a leading underscore, or accesses a private
attribute that is not listed in `ATTRIBUTES`. After an upgrade, read this module first; then
tests/flasklike/test_contracts.py says which overridden methods have changed.
"""

import sys

# The running event loop of this thread, or None; the documented function raises an error instead.
from asyncio import _get_running_loop as running_loop
from asyncio import _set_running_loop as set_running_loop
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any

import flask
from flask.sansio import app as flask_sansio

# What `markupsafe.escape` calls. It returns a str; a Markup costs more, and is needed only by
# values that are escaped again. Both builds of MarkupSafe, compiled and not, have it.
from markupsafe import _escape_inner as escape_inner  # type: ignore[attr-defined]

# The variables behind quart.globals.app_ctx, request_ctx and websocket_ctx. The contexts of
# flasklike set and reset them, which a proxy cannot do. Each use of a proxy also costs several
# times as much as reading the variable.
from quart.globals import _cv_app as cv_app
from quart.globals import _cv_request as cv_request
from quart.globals import _cv_websocket as cv_websocket

__all__ = [
    "ATTRIBUTES",
    "QUART_FLASK_PATCH",
    "TEST_CLIENT_KEY",
    "cv_app",
    "cv_request",
    "cv_websocket",
    "escape_inner",
    "flask_cv_app",
    "flask_cv_request",
    "flask_request_variable",
    "running_loop",
    "server_is_stopping",
    "set_running_loop",
]

QUART_FLASK_PATCH = "quart_flask_patch"
"""A module that, once imported, stands in `sys.modules` in the place of `flask`."""

if QUART_FLASK_PATCH in sys.modules:  # it lacks the modules of Flask that Quart does not import
    flask.__path__.append(str(Path(flask_sansio.__file__).parents[1]))

debughelpers: Any = import_module("flask.debughelpers")

# Behind Flask's own current_app, g, request and session, which extensions of Flask read.
flask_cv_app: ContextVar[Any] = flask.globals._cv_app
flask_cv_request: ContextVar[Any] = flask.globals._cv_request

TEST_CLIENT_KEY = "_quart._preserve_context"
"""Quart's test client adds this key to the scope of each request. A server does not."""

ATTRIBUTES = {
    # of proxies
    "_get_current_object": "LocalProxy: the object itself; documented in spite of its name",
    # of the application
    "_find_error_handler": "Flask's lookup of handlers, which Quart shares",
    "_got_first_request": "after it the application can no longer be set up",
    # of contexts
    "_after_request_functions": "filled by after_this_request",
    "_after_websocket_functions": "filled by after_this_websocket",
    "_cv_tokens": "one for each time that the context was entered",
    # of requests and their bodies
    "_cached_json": "filled by get_json",
    "_complete": "Body: an event, set when the last part has arrived",
    "_data": "Body: what has arrived and was not read",
    "_files": "filled by _load_form_data",
    "_form": "filled by _load_form_data",
    "_has_data": "Body: an event, set when a part has arrived",
    "_load_form_data": "overridden: called by the properties `form` and `files`",
    "_max_content_length": "the limit of this request, where the application's is not used",
    "_parse_multipart": "overridden: Werkzeug's decoder and errors",
    "_parse_urlencoded": "overridden: Werkzeug's decoding of bytes that are not UTF-8",
    "_parsing_lock": "held by _load_form_data",
    # of connections
    "_accepted": "whether the websocket was accepted",
    "_closed": "whether the websocket was closed by the view",
    "_create_request_from_scope": "overridden: headers and paths as in a WSGI environment",
    "_create_websocket_from_scope": "overridden: an empty path",
    "_send_push_promise": "handed to each request",
    # of header fields
    "_list": "Headers: pairs of name and value",
    # of rules
    "_build": "what builds a URL, assigned by Rule.compile",
    "_compile_builder": "overridden: compiles at the first call",
    "_trace": "what a rule consists of: pairs of whether it is an argument, and its text or name",
    # of templates
    "_from_namespace": "overridden: reads a name that ours writes into the module of a template",
    "_get_source_explained": "overridden: names the blueprint of Quart's request",
    "_output_child_pre": "overridden, as Jinja's documentation of code generators allows",
    # of the session
    "_untag_scan": "TaggedJSONSerializer: what its `loads` does with the parsed JSON",
    # of functions
    "_quart_async_wrapper": "the mark by which Quart recognises functions it need not wrap",
}
"""Private attributes of upstream objects that are accessed or overridden, and what they are."""


def flask_request_variable() -> ContextVar[Any]:
    """The variable behind `flask.globals.request_ctx`, which Flask's own helpers read."""
    # Not its attribute __wrapped__: while the proxy is bound, that is looked up in the context.
    variable: ContextVar[Any]
    variable = object.__getattribute__(debughelpers.request_ctx, "_LocalProxy__wrapped")
    return variable


def server_is_stopping(send: Any) -> bool:
    """Whether the server of an ASGI *send* has begun to stop, where that can be seen: Hypercorn."""
    context = getattr(getattr(send, "__self__", None), "context", None)
    terminated = getattr(context, "terminated", None)
    return terminated is not None and bool(terminated.is_set())
