"""What `quartapp.flasklike` relies on in Quart, Flask and Werkzeug, beyond their documentation.

After an upgrade, the failures here list what has to be read again.
"""

from pathlib import Path
from typing import Any

import flask.app
import flask.sansio.app
import pytest
import quart
import quart.globals
import quart.helpers
import quart.wrappers
from werkzeug.datastructures import Headers

from quartapp import flasklike
from quartapp.flasklike import ctx, dispatch
from quartapp.flasklike._upstream import TEST_CLIENT_KEY
from quartapp.flasklike.asgi import http, websockets
from quartapp.flasklike.wrappers import formparser, response
from tests.flasklike import upstream_sources
from tests.flasklike.upstream_sources import current_table, read_table

UPDATE = f"python -m {upstream_sources.__name__} > tests/flasklike/{upstream_sources.TABLE.name}"


def changed() -> list[str]:
    """The functions that differ from the table, with their parameters."""
    recorded, current = read_table(), current_table()
    names = recorded.keys() | current.keys()
    return sorted(name for name in names if recorded.get(name) != current.get(name))


@pytest.mark.slow
def test_what_is_overridden_is_what_was_read() -> None:
    functions = "\n".join(changed())
    advice = (
        f"read these again, and what flasklike has in their place:\n{functions}\nthen: {UPDATE}"
    )
    assert not functions, advice


@pytest.mark.slow
def test_a_replaced_body_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle_request(self: Any, request: Any) -> Any:
        raise NotImplementedError

    before = set(changed())
    handle_request.__module__ = quart.Quart.__module__
    handle_request.__qualname__ = quart.Quart.handle_request.__qualname__
    monkeypatch.setattr(quart.Quart, "handle_request", handle_request)
    assert set(changed()) - before == {"quart.app.Quart.handle_request(self, request)"}


@pytest.mark.slow
def test_a_changed_parameter_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_data(self: Any, cache: bool = True, as_text: bool = False) -> Any:
        raise NotImplementedError

    before = set(changed())
    get_data.__module__ = quart.Request.__module__
    get_data.__qualname__ = quart.Request.get_data.__qualname__
    monkeypatch.setattr(quart.Request, "get_data", get_data)
    name = "quart.wrappers.request.Request.get_data"
    assert set(changed()) - before == {
        f"{name}(self, cache, as_text)",
        f"{name}(self, cache, as_text, parse_form_data)",
    }


def test_comments_layout_and_docstrings_do_not_count(tmp_path: Path) -> None:
    versions = {
        "one": 'def f(x: int = 1) -> str:\n    """Said."""\n    return f"{x!r} \'{x}\'"\n',
        "other": "def f(\n    x: int = 1,\n) -> str:  # said\n    return f\"{x!r} '{x}'\"\n",
        "third": "def f(x: int = 2) -> str:\n    return f\"{x!r} '{x}'\"\n",
    }
    one, other, third = (
        upstream_sources.digest_of(_function(tmp_path / f"{name}.py", source))
        for name, source in versions.items()
    )
    assert one == other != third


def _function(path: Path, source: str) -> Any:
    path.write_text(source)
    namespace: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), namespace)
    return namespace["f"]


def test_the_mark_of_a_test_scope() -> None:
    app = flasklike.App("contract")
    connection: Any = app.test_client().request("/")
    assert TEST_CLIENT_KEY in connection.scope


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
    assert "inner" not in app.teardown_websocket_funcs  # otherwise ours would run twice


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
    assert app.request_class.form_data_parser_class is formparser.FormDataParser
    assert app.response_class.iterable_body_class is response.StreamBody
    assert type(app.app_context()) is ctx.AppContext
    assert issubclass(type(app), dispatch.RequestDispatcher)


def test_headers_are_appended_and_looked_up_as_before() -> None:
    headers = Headers([("A", "1")])
    headers.add("A", "2")
    assert headers.get("a") == "1"
    assert list(headers) == [("A", "1"), ("A", "2")]
