"""The extensions for Quart, as their own documentation shows them, and those for Flask."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from types import ModuleType
from typing import Any

import flask
import pytest
import quart
from quart import ResponseReturnValue, session, websocket
from quart.testing.connections import WebsocketDisconnectError
from quart_auth import (
    AuthUser,
    QuartAuth,
    Unauthorized,
    authenticated_client,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from quart_cors import cors, route_cors
from quart_rate_limiter import RateLimit, RateLimiter, rate_limit
from quart_schema import QuartSchema, validate_request, validate_response
from quart_session import Session
from redis.asyncio import Redis

from quartapp.flasklike import App, Blueprint, redirect, render_template_string, url_for

ROOT = Path(__file__).parents[2]


MENU = """{{ current_user.is_authenticated }} for
{%- if current_user.is_authenticated %} {{ current_user.auth_id }}{% else %} strangers{% endif %}"""


@dataclass
class Todo:
    task: str
    due: datetime | None


@pytest.fixture
def app() -> App:
    app = App(__name__)
    app.secret_key = "secret key"
    return app


async def text_of(client: Any, path: str, **kwargs: Any) -> str:
    text: str = await (await client.get(path, **kwargs)).get_data(as_text=True)
    return text


async def test_quart_auth_logs_in_and_out(app: App) -> None:
    app.config["QUART_AUTH_COOKIE_SECURE"] = False
    QuartAuth(app)

    @app.route("/")
    @login_required
    async def restricted_route() -> str:
        return f"for {current_user.auth_id}"

    @app.errorhandler(Unauthorized)
    async def redirect_to_login(*_: Exception) -> ResponseReturnValue:
        return redirect(url_for("login"))

    @app.route("/login")
    async def login() -> str:
        login_user(AuthUser("2"))
        return ""

    @app.route("/logout")
    async def logout() -> str:
        logout_user()
        return ""

    client = app.test_client()
    assert (await client.get("/")).location == "/login"
    await client.get("/login")
    assert await text_of(client, "/") == "for 2"
    await client.get("/logout")
    assert (await client.get("/")).status_code == 302
    async with authenticated_client(client, "3"):
        assert await text_of(client, "/") == "for 3"


async def test_quart_auth_protects_a_plain_view(app: App) -> None:
    QuartAuth(app)

    @app.route("/")
    @login_required  # type: ignore[arg-type]  # typed for coroutine functions
    def restricted_route() -> str:
        return f"for {current_user.auth_id}"

    client = app.test_client()
    assert (await client.get("/")).status_code == 401
    async with authenticated_client(client, "3"):
        assert await text_of(client, "/") == "for 3"


async def test_quart_auth_shows_the_menu_of_members_to_members(app: App) -> None:
    QuartAuth(app)

    @app.route("/")
    async def user() -> str:
        return await render_template_string(MENU)

    @app.route("/quart")
    async def of_quart() -> str:
        return await quart.render_template_string(MENU)

    client = app.test_client()
    for path in ("/", "/quart"):
        assert await text_of(client, path) == "False for strangers"
        async with authenticated_client(client, "3"):
            assert await text_of(client, path) == "True for 3"


async def test_quart_cors_for_an_application_and_for_a_route(app: App) -> None:
    blueprint = Blueprint("public", __name__, url_prefix="/public")

    @blueprint.get("/")
    @route_cors(allow_origin="https://there.example", allow_methods=["GET"])
    async def handler() -> str:
        return ""

    @app.get("/failing")
    async def failing() -> str:
        raise ValueError

    app.register_blueprint(blueprint)
    app = cors(app, allow_origin="https://here.example", allow_credentials=True)
    client = app.test_client()

    async def allowed(method: str, path: str, origin: str) -> str | None:
        headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        send = client.options if method == "OPTIONS" else client.get
        response = await send(path, headers=headers)
        return response.headers.get("Access-Control-Allow-Origin")

    assert await allowed("GET", "/public/", "https://there.example") == "https://there.example"
    assert await allowed("OPTIONS", "/public/", "https://there.example") == "https://there.example"
    assert await allowed("GET", "/failing", "https://here.example") == "https://here.example"
    assert await allowed("GET", "/nowhere", "https://here.example") == "https://here.example"
    assert await allowed("GET", "/failing", "https://there.example") is None


async def test_quart_rate_limiter_answers_429_and_when_to_come_again(app: App) -> None:
    RateLimiter(app)

    @app.get("/once")
    @rate_limit(1, timedelta(seconds=10))
    async def once() -> str:
        return ""

    @app.get("/plain")
    @rate_limit(limits=[RateLimit(1, timedelta(seconds=1)), RateLimit(20, timedelta(minutes=1))])
    def plain() -> str:
        return ""

    client = app.test_client()
    for path, seconds in (("/once", 10), ("/plain", 1)):
        first = await client.get(path)
        assert (first.status_code, first.headers["RateLimit-Remaining"]) == (200, "0")
        second = await client.get(path)
        assert second.status_code == 429
        assert 0 <= int(second.headers["Retry-After"]) <= seconds


async def test_quart_schema_validates_requests_responses_and_websockets(app: App) -> None:
    QuartSchema(app)

    @app.post("/")
    @validate_request(Todo)
    @validate_response(Todo, 201)
    async def create_todo(data: Todo) -> tuple[Todo, int]:
        return data, 201

    @app.websocket("/ws")
    async def ws() -> None:
        data = await websocket.receive_as(Todo)  # type: ignore[attr-defined]  # quart-schema's
        await websocket.send_as(data, Todo)  # type: ignore[attr-defined]  # quart-schema's

    client = app.test_client()
    todo = {"task": "port", "due": None}
    created = await client.post("/", json=todo)
    assert (created.status_code, await created.get_json()) == (201, todo)
    assert (await client.post("/", json={"task": "port"})).status_code == 400
    document = await (await client.get("/openapi.json")).get_json()
    assert document["paths"]["/"]["post"]["responses"]["201"]
    for path in ("/docs", "/redocs", "/scalar"):
        page = await client.get(path)
        assert (page.status_code, "/openapi.json" in await page.get_data(as_text=True)) == (
            200,
            True,
        )
    async with client.websocket("/ws") as connection:
        await connection.send_json(todo)
        assert await connection.receive_json() == todo


@pytest.mark.redis
async def test_quart_session_keeps_the_session_on_the_server(app: App) -> None:
    redis = Redis.from_url(os.environ["QUARTAPP_TEST_REDIS"])
    app.config["SESSION_TYPE"] = "redis"

    @app.before_serving
    async def setup() -> None:
        app.config["SESSION_REDIS"] = redis
        Session(app)

    @app.route("/")
    async def hello() -> str:
        session["foo"] = "bar"
        return ""

    @app.route("/foo")
    async def foo() -> str:
        return str(session.get("foo", "session key 'foo' not found"))

    async with redis, app.test_app():
        client = app.test_client()
        assert await text_of(client, "/foo") == "session key 'foo' not found"
        assert "bar" not in (await client.get("/")).headers["Set-Cookie"]
        assert await text_of(client, "/foo") == "bar"
        assert await text_of(app.test_client(), "/foo") == "session key 'foo' not found"


async def test_flasks_names_are_ours_in_plain_functions(app: App) -> None:
    app.context_processor(lambda: {"who": flask.g.who})

    @app.before_request
    def before() -> None:
        flask.g.who = flask.session.get("who", "a stranger")

    @app.post("/<int:number>")
    def view(number: int) -> Any:
        flask.session["who"] = flask.request.form["who"]
        flask.flash("Welcome.")
        return flask.render_template_string(
            "{{ who }} {{ request.form['who'] }} {{ get_flashed_messages() }} {{ url }}",
            url=flask.url_for("view", number=number),
        )

    @app.get("/awaited")
    def awaited() -> Any:
        async def function() -> str:
            return flask.current_app.name

        return flask.jsonify(name=flask.current_app.ensure_sync(function)())

    @app.after_request
    def after(response: Any) -> Any:
        response.headers["X-Path"] = flask.request.path
        return response

    client: Any = app.test_client()
    first = await client.post("/1", data={"who": "susan"})
    assert first.text == "a stranger susan [&#39;Welcome.&#39;] /1"
    assert first.headers["X-Path"] == "/1"
    assert (await client.post("/2", data={"who": "david"})).text.startswith("susan david")
    assert (await client.get("/awaited")).json == {"name": app.name}


async def test_flasks_names_are_those_of_one_request(app: App) -> None:
    meet = Barrier(2)

    @app.post("/plain/<int:number>")
    def plain(number: int) -> str:
        meet.wait(20)
        form = flask.request.form["number"]
        meet.wait(20)
        return f"{flask.request.path} {form}"

    @app.get("/")
    async def asynchronous() -> str:
        return f"{flask.has_request_context()} {flask.has_app_context()}"

    client: Any = app.test_client()
    first, second, other = await asyncio.gather(
        client.post("/plain/1", data={"number": "1"}),
        client.post("/plain/2", data={"number": "2"}),
        client.get("/"),
    )
    assert [first.text, second.text] == ["/plain/1 1", "/plain/2 2"]
    assert other.text == "False False"
    assert not flask.has_app_context()


def test_a_function_that_would_not_be_awaited_is_refused(app: App) -> None:
    handle: Any = app.handle_exception
    with pytest.raises(TypeError, match="write CORS\\(app, intercept_exceptions=False\\)"):
        app.handle_exception = lambda error: handle(error)  # type: ignore[method-assign]
    app.handle_exception = handle  # type: ignore[method-assign]


def test_flasks_names_are_ours_in_a_plain_block(app: App) -> None:
    with app.app_context(), app.test_request_context("/path") as context:
        assert (flask.current_app.name, flask.request.path) == (app.name, "/path")
        with context:
            assert flask.request.path == "/path"
        assert flask.g.get("name") is None
    assert not flask.has_app_context()


@pytest.fixture
def flask_login() -> ModuleType:
    """A module of that name, with what Flask-Login's current_user does."""
    module = ModuleType("flask_login")
    source = (
        "from flask import has_request_context, session\n"
        "from werkzeug.local import LocalProxy\n"
        "def user():\n"
        "    return session['_user_id']\n"
        "current_user = LocalProxy(lambda: user() if has_request_context() else None)\n"
    )
    exec(compile(source, "flask_login/utils.py", "exec"), module.__dict__)
    return module


async def test_an_error_in_an_extension_of_flask_says_what_to_use(
    app: App, flask_login: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def view() -> Any:
        return flask_login.user()

    assert (await app.test_client().get("/")).status_code == 500
    assert "flask_login/utils.py, line 4, uses a name of `flask`" in caplog.text
    assert "call flask_login in a plain `def` function, or use quart-auth" in caplog.text


async def test_flask_login_knows_people_in_plain_functions_and_fails_in_others(
    app: App, flask_login: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    app.login_manager = object()
    app.secret_key = "secret"

    @app.before_request
    def log_in() -> None:
        session["_user_id"] = "susan"

    @app.get("/plain")
    def plain() -> Any:
        return str(flask_login.current_user)

    @app.get("/asynchronous")
    async def asynchronous() -> Any:
        assert [bool(each) for each in (flask.request, flask.current_app)] == [False, False]
        return "a member" if flask_login.current_user else "a stranger"

    assert await text_of(app.test_client(), "/plain") == "susan"
    assert (await app.test_client().get("/asynchronous")).status_code == 500
    assert "call flask_login in a plain `def` function, or use quart-auth" in caplog.text


async def test_flask_login_fails_in_an_asynchronous_websocket_too(
    app: App, flask_login: ModuleType
) -> None:
    app.login_manager = object()
    seen: list[str] = []

    @app.websocket("/")
    async def view() -> None:
        await websocket.accept()
        try:
            seen.append(str(bool(flask_login.current_user)))
        except TypeError as error:
            seen.append(str(error))

    async with app.test_client().websocket("/") as connection:
        with pytest.raises(WebsocketDisconnectError):
            await connection.receive()
    assert seen == ["Working outside of request context."]


async def test_an_error_handler_sees_it_too(app: App, flask_login: ModuleType) -> None:
    @app.get("/")
    async def view() -> Any:
        return flask_login.user()

    @app.errorhandler(Exception)
    async def handler(error: Exception) -> str:
        return error.__notes__[0]

    assert "use quart-auth" in await text_of(app.test_client(), "/")


async def test_a_forgotten_import_from_flask_is_named(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/")
    async def view() -> Any:
        return flask.jsonify(name=app.name)

    assert (await app.test_client().get("/")).status_code == 500
    line = view.__code__.co_firstlineno + 2
    assert f"{__file__}, line {line}, uses a name of `flask`" in caplog.text
    assert "import it from quartapp.flasklike" in caplog.text


@pytest.mark.slow
async def test_an_error_after_the_view_says_it_too(
    app: App, flask_login: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    @app.after_request
    async def after(response: Any) -> Any:
        flask_login.user()
        return response

    @app.get("/")
    async def view() -> str:
        return ""

    assert (await app.test_client().get("/")).status_code == 500
    assert "use quart-auth" in caplog.text


async def test_an_error_outside_of_a_request_says_it_too(app: App, flask_login: ModuleType) -> None:
    with pytest.raises(RuntimeError) as caught:
        async with app.app_context():
            flask_login.user()
    assert "use quart-auth" in caught.value.__notes__[0]


async def test_an_error_of_a_teardown_function_says_it_too(
    app: App, flask_login: ModuleType
) -> None:
    app.teardown_appcontext(lambda exc: flask_login.user())
    with pytest.raises(RuntimeError) as caught:
        async with app.app_context():
            pass
    assert "use quart-auth" in caught.value.__notes__[0]


async def test_other_errors_get_no_note(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/")
    async def view() -> Any:
        raise RuntimeError("Working, but not there")

    await app.test_client().get("/")
    assert "uses a name of `flask`" not in caplog.text


PATCHED = """
import asyncio
{imports}
from flask import current_app, g, make_response, request  # which is quart_flask_patch

app = App(__name__)
app.config["MAX_CONTENT_LENGTH"] = 50


@app.errorhandler(413)
async def too_large(error):
    return "too large", 413


@app.post("/async")
async def asynchronous():
    return f"{{current_app.name}} {{request.form['a']}}"


@app.post("/plain")
def plain():
    g.name = "g"
    return make_response(g.name + " " + request.form["a"])


async def main():
    client = app.test_client()
    for path, text in ("/async", "typed"), ("/plain", "typed"), ("/plain", "x" * 90):
        response = await asyncio.wait_for(client.post(path, form={{"a": text}}), 60)
        print(response.status_code, await response.get_data(as_text=True))


asyncio.run(main())
"""

OURS, PATCH = "from quartapp.flasklike import App", "import quart_flask_patch"


@pytest.mark.slow
@pytest.mark.parametrize("imports", [(OURS, PATCH), (PATCH, OURS)], ids=["after", "before"])
def test_quart_flask_patch_works_before_and_after_our_import(imports: tuple[str, str]) -> None:
    program = PATCHED.format(imports="\n".join(imports))
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", program]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.splitlines() == ["200 __main__ typed", "200 g typed", "413 too large"], (
        done.stderr[-3000:]
    )
