"""The steps of a request, in Flask's order and with Flask's errors."""

import asyncio
import gc
import logging
import sys
import weakref
from typing import Any

import pytest
from quart import Quart, appcontext_tearing_down, g, request, session
from quart.signals import appcontext_pushed, got_request_exception, request_tearing_down
from quart.wrappers import Response as QuartResponse
from werkzeug.exceptions import Conflict, HTTPException, InternalServerError, NotFound
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as WSGIResponse

from quartapp.flasklike import App, Blueprint, Response, abort


def make_app(**config: Any) -> App:
    app = App("handled")
    app.config.update(config)
    return app


def failing(error: BaseException) -> Any:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


async def test_teardown_functions_and_signals_get_the_unhandled_error() -> None:
    app, error = make_app(), ValueError("unhandled")
    seen: list[Any] = []
    app.add_url_rule("/", view_func=failing(error), endpoint="index")
    app.teardown_request(lambda e: seen.append(("request", e)))
    app.teardown_appcontext(lambda e: seen.append(("app", e)))

    def on_request(_: Any, exc: Any) -> None:
        seen.append(("request signal", exc))

    def on_app(_: Any, exc: Any) -> None:
        seen.append(("app signal", exc))

    with (
        request_tearing_down.connected_to(on_request, app),
        appcontext_tearing_down.connected_to(on_app, app),
    ):
        assert (await app.test_client().get("/")).status_code == 500
    assert seen == [
        ("request", error),
        ("request signal", error),
        ("app", error),
        ("app signal", error),
    ]


async def test_teardown_functions_get_no_error_that_a_handler_took() -> None:
    app = make_app()
    seen: list[Any] = []
    app.add_url_rule("/", view_func=failing(ValueError()), endpoint="index")
    app.register_error_handler(ValueError, lambda e: "handled")
    app.teardown_request(seen.append)
    assert await (await app.test_client().get("/")).get_data() == b"handled"
    assert seen == [None]


async def test_an_error_that_should_be_ignored_is_kept_from_teardown() -> None:
    class Ignoring(App):
        def should_ignore_error(self, error: BaseException | None) -> bool:
            return isinstance(error, ValueError)

    app = Ignoring("ignoring")
    seen: list[Any] = []
    app.add_url_rule("/", view_func=failing(ValueError()), endpoint="index")
    app.teardown_request(seen.append)
    await app.test_client().get("/")
    assert seen == [None]


async def test_an_error_that_is_ignored_is_raised_with_what_caused_it() -> None:
    class Ignoring(App):
        def should_ignore_error(self, error: BaseException | None) -> bool:
            return True

    app = Ignoring("ignoring")
    app.config.update(TESTING=True, TRAP_HTTP_EXCEPTIONS=True)
    with pytest.raises(NotFound) as raised:
        await app.test_client().get("/missing")
    assert type(raised.value.__context__).__name__ == "NoMatch"


async def test_teardown_functions_run_last_registered_first() -> None:
    app = make_app()
    seen: list[Any] = []
    for number in (1, 2):
        app.teardown_appcontext(lambda e, n=number: seen.append(f"app {n}"))
        app.teardown_request(lambda e, n=number: seen.append(f"request {n}"))
    await app.test_client().get("/")
    assert seen == ["request 2", "request 1", "app 2", "app 1"]


@pytest.mark.parametrize("config", [{"TESTING": True}, {"DEBUG": True}])
async def test_the_test_client_raises_what_is_let_through(config: dict[str, bool]) -> None:
    app, error = make_app(**config), ValueError("let through")
    seen: list[Any] = []
    app.add_url_rule("/", view_func=failing(error), endpoint="index")
    app.teardown_request(seen.append)
    with pytest.raises(ValueError, match="let through") as raised:
        await app.test_client().get("/")
    assert raised.value is error
    assert seen == [error]


async def test_an_unhandled_error_is_logged_as_flask_logs_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app, error = make_app(), ValueError()
    app.add_url_rule("/path", view_func=failing(error), endpoint="index")
    await app.test_client().get("/path?query")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("handled", "ERROR")
    assert record.getMessage() == "Exception on /path [GET]"
    assert record.exc_info
    assert record.exc_info[1] is error


async def test_an_error_while_an_error_is_finalized_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_app()
    app.add_url_rule("/", view_func=failing(ValueError()), endpoint="index")
    app.after_request(failing(KeyError("finalizing")))
    assert (await app.test_client().get("/")).status_code == 500
    assert [record.getMessage() for record in caplog.records] == [
        "Exception on / [GET]",
        "Request finalizing failed with an error while handling an error",
    ]


@pytest.mark.parametrize("where", ["open_session", "converter", "pushed"])
async def test_an_error_before_dispatch_is_handled_like_any_other(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    app, error = make_app(), ValueError(where)
    seen: list[Any] = []
    signalled: list[Any] = []
    app.teardown_request(seen.append)

    async def page(error: InternalServerError) -> Any:
        return f"handled {error.original_exception}", 500

    app.register_error_handler(500, page)
    receiver = failing(error)
    if where == "open_session":
        base = type(app.session_interface)
        app.session_interface = type("Failing", (base,), {"open_session": receiver})()
    elif where == "converter":

        class Brittle(app.url_map.converters["default"]):  # type: ignore[misc,name-defined]
            def to_python(self, value: str) -> str:
                raise error

        app.url_map.converters["brittle"] = Brittle
        app.add_url_rule("/<brittle:x>", view_func=failing(error), endpoint="x")
    else:
        appcontext_pushed.connect(receiver, app)

    def on_error(_: Any, exception: Any) -> None:
        signalled.append(exception)

    with got_request_exception.connected_to(on_error, app):
        response = await app.test_client().get("/x")
    assert (response.status_code, await response.get_data()) == (500, f"handled {where}".encode())
    assert seen == signalled == [error]
    assert caplog.records[0].getMessage() == "Exception on /x [GET]"


async def test_a_synchronous_handler_sees_the_active_error() -> None:
    app = make_app()
    seen: list[Any] = []
    app.add_url_rule("/", view_func=failing(ValueError("active")), endpoint="index")

    @app.errorhandler(ValueError)
    def handle(error: ValueError) -> str:
        seen.append(sys.exc_info()[1] is error)
        return "handled"

    await app.test_client().get("/")
    assert seen == [True]


async def test_a_stray_cancelled_error_goes_to_the_handlers() -> None:
    app = make_app()

    @app.get("/")
    async def index() -> str:
        task = asyncio.create_task(asyncio.sleep(10))
        task.cancel()
        await task
        return "never"

    @app.errorhandler(RuntimeError)
    async def handle(error: RuntimeError) -> str:
        return type(error.__cause__).__name__

    assert await (await app.test_client().get("/")).get_data() == b"CancelledError"


async def test_a_stray_cancelled_error_of_a_later_function_is_unhandled() -> None:
    app = make_app()
    seen: list[Any] = []
    app.add_url_rule("/", view_func=_answer("index"), endpoint="index")
    app.teardown_request(seen.append)
    app.after_request(failing(asyncio.CancelledError()))
    app.register_error_handler(500, lambda e: (type(e.original_exception).__name__, 500))
    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert await response.get_data() == b"StrayCancelledError"
    assert [type(error).__name__ for error in seen] == ["StrayCancelledError"]


async def test_after_request_functions_see_one_class_of_response() -> None:
    app = make_app()
    seen: list[Any] = []

    class Own(Response):
        pass

    app.response_class = Own
    views = {
        "werkzeug": lambda: WSGIResponse("w", 201, {"X": "1"}),
        "quart": lambda: QuartResponse("q", 202),
        "error": lambda: abort(410),
        "returned": lambda: Conflict("returned"),
        "inside": lambda: abort(Response("inside", 203)),
    }
    for name, view in views.items():
        app.add_url_rule(f"/{name}", view_func=view, endpoint=name)

    @app.after_request
    async def note(response: Any) -> Any:
        seen.append(type(response))
        return response

    statuses = [(await app.test_client().get(f"/{name}")).status_code for name in [*views, "no"]]
    assert statuses == [201, 202, 410, 409, 203, 404]
    assert seen == [Own] * 6


async def test_setting_up_after_the_first_request_is_an_error() -> None:
    app = make_app()
    await app.test_client().get("/")
    with pytest.raises(AssertionError, match="can no longer be called"):
        app.errorhandler(404)(failing(ValueError()))


async def test_a_redirect_that_would_lose_a_form_says_so_in_debug_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        RequestRedirect, "code", 302
    )  # Werkzeug's are 308, which keep the method and the body
    app = make_app(DEBUG=True)
    app.add_url_rule("/form/", methods=["GET", "POST"], view_func=_answer(""), endpoint="form")
    assert (await app.test_client().get("/form")).status_code == 302
    with pytest.raises(AssertionError, match="canonical URL 'http://localhost/form/'"):
        await app.test_client().post("/form")


async def test_url_value_preprocessors_and_before_functions_run_app_first() -> None:
    app = make_app()
    seen: list[Any] = []
    blueprint = Blueprint("inner", "inner", url_prefix="/in")
    for scope, name in ((blueprint, "blueprint"), (app, "app")):
        scope.url_value_preprocessor(lambda e, v, n=name: seen.append(f"value {n}"))
        scope.before_request(lambda n=name: seen.append(f"before {n}"))
        scope.after_request(_noting(seen, f"after {name}"))
        scope.teardown_request(lambda e, n=name: seen.append(f"teardown {n}"))
    blueprint.add_url_rule("/", view_func=_answer("inner"), endpoint="index")
    app.register_blueprint(blueprint)
    await app.test_client().get("/in/")
    assert seen == [
        *("value app", "value blueprint", "before app", "before blueprint"),
        *("after blueprint", "after app", "teardown blueprint", "teardown app"),
    ]


def _noting(seen: list[str], text: str) -> Any:
    def note(response: Any) -> Any:
        seen.append(text)
        return response

    return note


def _answer(text: str) -> Any:
    async def view(**_: Any) -> str:
        return text

    return view


async def test_an_untrusted_host_is_a_routing_error() -> None:
    app = make_app(TRUSTED_HOSTS=["good.test"])
    app.add_url_rule("/", view_func=_answer("index"), endpoint="index")
    app.register_error_handler(HTTPException, lambda e: (f"refused {e.code}", e.code))
    for host, expected in (("good.test", b"index"), ("evil.test", b"refused 400")):
        response = await app.test_client().get("/", headers={"Host": host})
        assert await response.get_data() == expected


async def test_a_server_name_does_not_restrict_the_host() -> None:
    app = make_app(SERVER_NAME="known.test")
    app.add_url_rule("/", view_func=_answer("index"), endpoint="index")
    response = await app.test_client().get("/", headers={"Host": "other.test"})
    assert await response.get_data() == b"index"


async def test_the_answer_varies_by_cookie_once_the_session_was_used() -> None:
    app = make_app(SECRET_KEY="secret")

    @app.get("/<name>")
    async def index(name: str) -> str:
        if name == "read":
            session.get("anything")
        return name

    client = app.test_client()
    assert (await client.get("/not")).headers.get("Vary") is None
    assert (await client.get("/read")).headers.get("Vary") == "Cookie"


async def test_what_no_response_can_be_made_of_is_a_type_error() -> None:
    app = make_app(TESTING=True)
    values: dict[str, Any] = {
        "none": None,
        "object": object(),
        "tuple": ("a", 200, {}, 1),
        "int": 1,
    }
    app.add_url_rule("/<name>", view_func=_returning(values), endpoint="index")
    texts = {}
    for name in values:
        with pytest.raises(TypeError) as raised:
            await app.test_client().get(f"/{name}")
        texts[name] = str(raised.value)
    assert texts["none"].startswith("The view function for 'index' did not return a valid response")
    assert texts["tuple"].startswith("The view function did not return a valid response tuple.")
    assert texts["object"].endswith("but it was a object.")
    assert texts["int"].endswith("but it was a int.")


def _returning(values: dict[str, Any]) -> Any:
    async def view(name: str) -> Any:
        return values[name]

    return view


async def test_what_an_after_request_function_returns_must_be_a_response() -> None:
    app = make_app()
    app.add_url_rule("/", view_func=_answer("index"), endpoint="index")
    app.after_request(lambda response: "text")
    with pytest.raises(TypeError, match="'str' object is not callable"):
        await app.test_client().get("/")


async def test_a_second_error_in_the_500_handler_reaches_the_server() -> None:
    app, first = make_app(), ValueError("first")
    seen: list[Any] = []
    app.add_url_rule("/", view_func=failing(first), endpoint="index")
    app.register_error_handler(500, failing(KeyError("second")))
    app.teardown_request(seen.append)
    with pytest.raises(KeyError, match="second"):
        await app.test_client().get("/")
    assert seen == [first]


async def test_g_lives_as_long_as_its_request() -> None:
    app = make_app()
    seen: list[Any] = []

    @app.get("/")
    async def index() -> str:
        g.seen = "value"
        return "index"

    app.teardown_request(lambda e: seen.append(g.pop("seen")))
    app.teardown_appcontext(lambda e: seen.append("seen" in g))
    await app.test_client().get("/")
    assert seen == ["value", False]


async def test_options_are_answered_without_a_body() -> None:
    app = make_app()
    app.add_url_rule("/", view_func=_answer("index"), endpoint="index", methods=["GET", "PUT"])
    response = await app.test_client().options("/")
    assert response.headers["Content-Length"] == "0"
    assert sorted(response.headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS", "PUT"]


async def test_a_missing_header_is_the_applications_error(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.get("/")
    async def index() -> str:
        return request.headers["X-Missing"]

    assert (await app.test_client().get("/")).status_code == 500
    assert caplog.records[0].levelno == logging.ERROR
    assert caplog.records[0].exc_info
    assert repr(caplog.records[0].exc_info[1]) == "KeyError('HTTP_X_MISSING')"


async def test_names_of_quart_are_untouched() -> None:
    assert isinstance(App("x"), Quart)
    assert issubclass(NotFound, HTTPException)


async def test_an_errors_frames_are_freed_without_the_garbage_collector() -> None:
    class Resource:
        pass

    app = make_app()
    kept: list[weakref.ref[Resource]] = []

    @app.get("/")
    async def index() -> str:
        resource = Resource()
        kept.append(weakref.ref(resource))
        raise ValueError("with a resource in its frame")

    app.logger.disabled = True
    gc.disable()
    try:
        await app.test_client().get("/")
        assert kept[0]() is None
    finally:
        gc.enable()


@pytest.mark.slow
async def test_an_unknown_address_leaves_nothing_to_the_garbage_collector() -> None:
    app = make_app()
    seen: list[weakref.ref[Any]] = []

    @app.before_request
    async def watch() -> None:
        proxy: Any = request
        seen.append(weakref.ref(proxy._get_current_object()))

    async def ask() -> None:
        assert (await app.test_client().get("/nowhere")).status_code == 404

    gc.collect()
    gc.disable()
    try:
        await asyncio.create_task(ask())
        await asyncio.sleep(0)
        assert [reference() for reference in seen] == [None]
    finally:
        gc.enable()


async def test_what_routing_raised_keeps_its_traceback_where_it_is_let_through() -> None:
    app = make_app(TRAP_HTTP_EXCEPTIONS=True, PROPAGATE_EXCEPTIONS=True)
    with pytest.raises(NotFound) as caught:
        await app.test_client().get("/nowhere")
    names = [entry.name for entry in caught.traceback]
    assert "raise_routing_exception" in names
