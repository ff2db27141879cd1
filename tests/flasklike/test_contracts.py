"""What `quartapp.flasklike` relies on in Quart, Flask and Werkzeug, beyond their documentation.

A change here after an upgrade says which override has to be read again.
"""

import inspect
from collections.abc import Callable
from typing import Any

import flask.app
import flask.debughelpers
import flask.sansio.app
import flask.templating
import jinja2
import pytest
import quart
import quart.asgi
import quart.ctx
import quart.formparser
import quart.globals
import quart.testing.client
import quart.testing.connections
import quart.wrappers
import quart.wrappers.response
from jinja2.compiler import CodeGenerator
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter
from werkzeug.sansio.multipart import MultipartDecoder
from werkzeug.wrappers import Response as WSGIResponse

from quartapp import flasklike
from quartapp.flasklike import ctx as contexts
from quartapp.flasklike import dispatch as handling
from quartapp.flasklike.asgi import http, websockets
from quartapp.flasklike.wrappers import formparser as forms
from quartapp.flasklike.wrappers import response as responses

OVERRIDDEN: list[tuple[Callable[..., Any], str]] = [
    (quart.Quart.handle_request, "(self, request)"),
    (quart.Quart.handle_websocket, "(self, websocket)"),
    (quart.Quart.full_dispatch_request, "(self, request_context)"),
    (quart.Quart.full_dispatch_websocket, "(self, websocket_context)"),
    (quart.Quart.preprocess_request, "(self, request_context)"),
    (quart.Quart.preprocess_websocket, "(self, websocket_context)"),
    (quart.Quart.raise_routing_exception, "(self, request)"),
    (quart.Quart.make_default_options_response, "(self)"),
    (quart.Quart.make_response, "(self, result)"),
    (quart.Quart.finalize_request, "(self, result, request_context, from_error_handler)"),
    (quart.Quart.finalize_websocket, "(self, result, websocket_context, from_error_handler)"),
    (quart.Quart.process_response, "(self, response, request_context)"),
    (quart.Quart.log_exception, "(self, exception_info)"),
    (quart.Quart.do_teardown_request, "(self, exc, request_context)"),
    (quart.Quart.do_teardown_websocket, "(self, exc, websocket_context)"),
    (quart.Quart.do_teardown_appcontext, "(self, exc)"),
    (quart.Quart.app_context, "(self)"),
    (quart.Quart.request_context, "(self, request)"),
    (quart.Quart.websocket_context, "(self, websocket)"),
    (quart.Quart.sync_to_async, "(self, func)"),
    (quart.Quart.create_url_adapter, "(self, request)"),
    (
        quart.Quart.url_for,
        "(self, endpoint, _anchor, _external, _method, _scheme, values)",
    ),
    (quart.Quart.create_jinja_environment, "(self)"),
    (quart.Quart.update_template_context, "(self, context)"),
    (
        quart.Quart.run,
        "(self, host, port, debug, use_reloader, loop, ca_certs, certfile, keyfile, kwargs)",
    ),
    (quart.asgi.ASGIHTTPConnection.__init__, "(self, app, scope)"),
    (quart.asgi.ASGIHTTPConnection.handle_messages, "(self, request, receive)"),
    (quart.asgi.ASGIHTTPConnection._create_request_from_scope, "(self, send)"),
    (quart.asgi.ASGIHTTPConnection._send_push_promise, "(self, send, path, headers)"),
    (quart.asgi.ASGIWebsocketConnection.__init__, "(self, app, scope)"),
    (quart.asgi.ASGIWebsocketConnection.handle_messages, "(self, receive)"),
    (quart.asgi.ASGIWebsocketConnection.handle_websocket, "(self, websocket, send)"),
    (quart.asgi.ASGIWebsocketConnection._create_websocket_from_scope, "(self, send)"),
    (quart.ctx.RequestContext.__init__, "(self, app, request, session)"),
    (quart.ctx.WebsocketContext.__init__, "(self, app, request, session)"),
    (quart.ctx.AppContext.__init__, "(self, app)"),
    (quart.ctx.AppContext.push, "(self)"),
    (quart.ctx.AppContext.pop, "(self, exc)"),
    (quart.wrappers.Body.__init__, "(self, expected_content_length, max_content_length)"),
    (quart.wrappers.Body.append, "(self, data)"),
    (quart.wrappers.Request.get_data, "(self, cache, as_text, parse_form_data)"),
    (quart.wrappers.Request.get_json, "(self, force, silent, cache)"),
    (quart.wrappers.Request._load_form_data, "(self)"),
    (
        quart.wrappers.Response.__init__,
        "(self, response, status, headers, mimetype, content_type)",
    ),
    (quart.wrappers.response.IterableBody.__init__, "(self, iterable)"),
    (
        quart.formparser.FormDataParser.parse,
        "(self, body, mimetype, content_length, options)",
    ),
    (quart.formparser.MultiPartParser.parse, "(self, body, boundary, content_length)"),
    (
        quart.formparser.MultiPartParser.start_file_streaming,
        "(self, event, total_content_length)",
    ),
    (quart.testing.connections.TestHTTPConnection.as_response, "(self)"),
    (MultipartDecoder.__init__, "(self, boundary, max_form_memory_size, max_parts)"),
    (
        Map.bind,
        "(self, server_name, script_name, subdomain, url_scheme, default_method, path_info,"
        " query_args)",
    ),
    (
        MapAdapter.build,
        "(self, endpoint, values, method, force_external, append_unknown, url_scheme)",
    ),
    (HTTPException.get_response, "(self, environ, scope)"),
    (WSGIResponse.iter_encoded, "(self)"),
    (flask.debughelpers.FormDataRoutingRedirect.__init__, "(self, request)"),
    (flask.debughelpers.attach_enctype_error_multidict, "(request)"),
    (flask.templating.Environment.__init__, "(self, app, options)"),
    (CodeGenerator._output_child_pre, "(self, node, frame, finalize)"),
    (jinja2.Environment.make_globals, "(self, d)"),
]


@pytest.mark.parametrize(
    ("function", "signature"), OVERRIDDEN, ids=lambda value: getattr(value, "__qualname__", "")
)
def test_takes_what_it_took(function: Callable[..., Any], signature: str) -> None:
    assert f"({', '.join(inspect.signature(function).parameters)})" == signature


def test_the_mark_of_a_test_scope() -> None:
    app = flasklike.App("contract")
    connection: Any = app.test_client().request("/")
    assert "_quart._preserve_context" in connection.scope


def test_the_attributes_of_a_context_that_ours_sets() -> None:
    app = quart.Quart("contract")
    ours: Any = flasklike.App("contract")
    request = _request_of(app)
    theirs = set(vars(app.request_context(request))) - {"session"}
    assert theirs <= {*vars(ours.request_context(_request_of(ours)))}
    assert {"_cv_tokens", "preserved", "url_adapter"} <= theirs


def _request_of(app: quart.Quart) -> quart.Request:
    return app.test_request_context("/").request


def test_the_context_variables() -> None:
    names = [getattr(quart.globals, f"_cv_{name}").name for name in ("app", "request", "websocket")]
    assert names == ["quart.app_ctx", "quart.request_ctx", "quart.websocket_ctx"]


def test_quart_does_not_merge_a_blueprints_websocket_teardown() -> None:
    app = quart.Quart("contract")
    blueprint = quart.Blueprint("inner", "inner")
    blueprint.teardown_websocket(lambda error: None)
    app.register_blueprint(blueprint)
    assert "inner" not in app.teardown_websocket_funcs  # else ours would run twice


def test_the_names_of_the_body() -> None:
    body = quart.wrappers.Body(None, None)
    assert {"_data", "_complete", "_has_data"} <= set(vars(body))


def test_flask_and_quart_share_the_lookup_of_handlers() -> None:
    find = flask.sansio.app.App._find_error_handler
    assert quart.Quart._find_error_handler is find
    assert flask.app.Flask._find_error_handler is find


def test_the_classes_are_the_ones_the_application_uses() -> None:
    app = flasklike.App("contract")
    assert app.asgi_http_class is http.HTTPConnection
    assert app.asgi_websocket_class is websockets.WebsocketConnection
    assert app.request_class.form_data_parser_class is forms.FormDataParser
    assert app.response_class.iterable_body_class is responses.StreamBody
    assert type(app.app_context()) is contexts.AppContext
    assert issubclass(type(app), handling.RequestDispatcher)


def test_headers_are_appended_and_looked_up_as_before() -> None:
    headers = Headers([("A", "1")])
    headers.add("A", "2")
    assert headers.get("a") == "1"
    assert list(headers) == [("A", "1"), ("A", "2")]
