"""Quart made to fail the way Flask's documentation says.

Here lives `App`, a Quart application class with its own connection, context, request and response
classes, and those module-level names of Flask that an application class cannot mend. Nothing here
knows the microblog: the package imports nothing else of quartapp and could be a library of its own.
Names of Quart that already behave as Flask's (`request`, `g`, `session`, signals ...) are to be
imported from `quart`.
"""

from quart import (
    Blueprint,
    abort,
    redirect,
    render_template,
    render_template_string,
    stream_with_context,
    url_for,
)
from quart.views import MethodView, View

from quartapp.flasklike.app import App
from quartapp.flasklike.debugging import Debugger

__all__ = [
    "App",
    "Blueprint",
    "Debugger",
    "MethodView",
    "View",
    "abort",
    "redirect",
    "render_template",
    "render_template_string",
    "stream_with_context",
    "url_for",
]
