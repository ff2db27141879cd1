"""The sources of Quart, Flask and Werkzeug that flasklike overrides or follows, as hashes.

    python -m tests.flasklike.upstream_sources > tests/flasklike/upstream_sources.txt

prints the table that test_contracts.py compares. A line has a hash, and a function with its
parameters. The hash covers what a function does, not its layout, comments and docstrings, and is
the same on every version of Python.

What is overridden is found automatically: every method that a class of flasklike has in common with
a base class of these packages, and with the class of Flask whose behaviour it follows.
"""

import ast
import hashlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import flask
import flask.ctx
import flask.debughelpers
import flask.templating
import flask.testing
import flask.views
import quart
import quart.ctx
import quart.helpers
import quart.templating
import werkzeug.utils
from jinja2.compiler import CodeGenerator
from quart.asgi import ASGIHTTPConnection
from quart.formparser import FormDataParser, MultiPartParser
from quart.testing import QuartClient
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter
from werkzeug.sansio.multipart import MultipartDecoder
from werkzeug.wrappers import Response as WSGIResponse

from quartapp import flasklike
from quartapp.flasklike import ctx, testing

TABLE = Path(__file__).with_suffix(".txt")

PACKAGES = ("Flask", "Jinja2", "Quart", "Werkzeug")

FOLLOWED: dict[type, type] = {
    flasklike.App: flask.Flask,
    flasklike.MethodView: flask.views.MethodView,
    flasklike.Request: flask.Request,
    ctx.AppContext: flask.ctx.AppContext,
    ctx.RequestContext: flask.ctx.RequestContext,
    testing.Client: flask.testing.FlaskClient,
}
"""Classes of flasklike, and those of Flask whose behaviour they follow."""

ALSO: list[Any] = [
    # called, and relied on to do what they do
    ASGIHTTPConnection._send_push_promise,
    CodeGenerator._output_child_pre,
    FormDataParser.parse,
    HTTPException.get_response,
    Map.bind,
    MapAdapter.build,
    MultiPartParser.start_file_streaming,
    MultipartDecoder.__init__,
    QuartClient._make_request,
    WSGIResponse.iter_encoded,
    flask.Flask.wsgi_app,
    flask.debughelpers.FormDataRoutingRedirect.__init__,
    flask.debughelpers.attach_enctype_error_multidict,
    flask.debughelpers.explain_template_loading_attempts,
    flask.templating.Environment.__init__,
    quart.ctx.AppContext.__init__,
    quart.Quart._find_error_handler,
    quart.Quart.dispatch_request,
    quart.Quart.dispatch_websocket,
    quart.Quart.handle_exception,
    quart.Quart.handle_http_exception,
    quart.Quart.handle_websocket_exception,
    quart.Quart.postprocess_websocket,
    werkzeug.utils.send_file,
    werkzeug.utils.send_from_directory,
    # functions that flasklike has instead
    flask.stream_with_context,
    flask.templating._default_template_ctx_processor,
    flask.templating._render,
    flask.templating._stream,
    quart.helpers.get_flashed_messages,
    quart.helpers.make_response,
    quart.helpers.send_file,
    quart.helpers.send_from_directory,
    quart.helpers.stream_with_context,
    quart.helpers.url_for,
    quart.templating._render,
    quart.templating._stream,
]


def read_table() -> dict[str, str]:
    """The recorded hashes by function."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("  ", 1) for line in lines if line and not line.startswith("#")]
    return {name: digest for digest, name in pairs}


def current_table() -> dict[str, str]:
    """The hashes of what is installed, by function."""
    return {described(each): digest_of(each) for each in [*_overridden(), *_unwrapped(ALSO)]}


def described(function: Any) -> str:
    """The function's full name and its parameters."""
    parameters = ", ".join(inspect.signature(function).parameters)
    return f"{function.__module__}.{function.__qualname__}({parameters})"


def digest_of(function: Any) -> str:
    """A hash of what *function* does."""
    source = inspect.getsource(function)
    if source[0].isspace():
        source = "if True:\n" + source  # makes the indentation of a method valid
    return hashlib.sha256(_shape(ast.parse(source)).encode()).hexdigest()[:12]


def modules() -> list[ModuleType]:
    """The modules of flasklike."""
    found = pkgutil.walk_packages(flasklike.__path__, "quartapp.flasklike.")
    return [flasklike, *(import_module(each.name) for each in found)]


def classes() -> list[type]:
    """The classes that flasklike defines."""
    found = {
        each
        for module in modules()
        for each in vars(module).values()
        if inspect.isclass(each) and each.__module__ == module.__name__
    }
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__))


def upstream_bases(cls: type) -> list[type]:
    """The base classes of *cls* from other packages that are not Python's own."""
    packages = {each.lower() for each in PACKAGES}
    return [base for base in cls.__mro__ if base.__module__.partition(".")[0] in packages]


def _overridden() -> Iterator[Any]:
    for cls in classes():
        ours = [base for base in cls.__mro__ if base.__module__.startswith("quartapp.")]
        names = {name for base in ours for name in vars(base)}
        followed = FOLLOWED.get(cls, object)
        for bases in (upstream_bases(cls), followed.__mro__):
            for name in sorted(names):
                values = (vars(base)[name] for base in bases if name in vars(base))
                yield from _unwrapped([next(values, None)])


def _unwrapped(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, property):
            yield from _unwrapped([value.fget, value.fset])
        elif isinstance(value, (classmethod, staticmethod)):
            yield from _unwrapped([value.__func__])
        elif inspect.isfunction(value):
            yield inspect.unwrap(value)


def _shape(node: Any) -> str:
    """The tree as text, without empty fields, which only some versions of Python print."""
    if isinstance(node, list):
        return f"[{','.join(_shape(each) for each in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    inner = ",".join(f"{name}={_shape(value)}" for name, value in fields.items())
    return f"{type(node).__name__}({inner})"


if __name__ == "__main__":
    print("#", ", ".join(f"{name} {version(name)}" for name in PACKAGES))
    for name, digest in sorted(current_table().items()):
        print(f"{digest}  {name}")
