"""What is written into a file: each case is a source, and the same source as it works on App."""

from pathlib import Path
from textwrap import dedent

import libcst as cst
import pytest

from quartapp.flasklike.port.coroutines import Coroutines
from quartapp.flasklike.port.inference import Inference
from quartapp.flasklike.port.program import Program, Reader
from quartapp.flasklike.port.rewriting import rewritten


def ported(*, convert: bool = True, **sources: str) -> dict[str, str]:
    """Files as the tool leaves them; a second run changes nothing."""
    once = _ported(sources, convert=convert)
    assert _ported(once, convert=convert) == once
    return once


def _ported(sources: dict[str, str], *, convert: bool) -> dict[str, str]:
    modules = {
        name: Reader(cst.parse_module(dedent(text)), Path(f"{name}.py")).module
        for name, text in sources.items()
    }
    coroutines = Coroutines(Inference(Program([*modules.values()])), convert=convert)
    return {name: rewritten(module, coroutines).code for name, module in modules.items()}


HEAD = """\
from flask import Flask, flash, make_response, render_template, request
app = Flask(__name__)
"""
CASES = {
    "methods_that_request_and_the_application_have_from_their_classes": (
        """
        from flask import Request, current_app
        class Form(Request):
            def field(self, name):
                return self.form[name]
        class Site(Flask):
            def page(self, name):
                return render_template(name)
        @app.post("/")
        def post():
            return request.field("x").title() + current_app.page("y") + request.x()
        """,
        """
        from quartapp.flasklike import Request, current_app
        class Form(Request):
            async def field(self, name):
                return (await self.form)[name]
        class Site(Flask):
            async def page(self, name):
                return await render_template(name)
        @app.post("/")
        async def post():
            return (await request.field("x")).title() + await current_app.page("y") + request.x()
        """,
    ),
    "methods_of_the_library_that_a_class_extends": (
        """
        class Site(Flask):
            def run(self, name):
                flash(name)
                return super().run(name)
        class Other(Flask):
            pass
        @app.post("/")
        def post():
            return Other("x").run("y")
        """,
        """
        class Site(Flask):
            async def run(self, name):
                await flash(name)
                return super().run(name)
        class Other(Flask):
            pass
        @app.post("/")
        async def post():
            return Other("x").run("y")
        """,
    ),
    "what_a_proxy_stands_for": (
        """
        from flask import current_app
        @app.route("/")
        def index():
            real = current_app._get_current_object()
            with real.app_context():
                return request._get_current_object().form["x"]
        """,
        """
        from quartapp.flasklike import current_app
        @app.route("/")
        async def index():
            real = current_app._get_current_object()
            async with real.app_context():
                return (await request._get_current_object().form)["x"]
        """,
    ),
    "a_star_import": (
        """
        from flask import *
        @app.route("/")
        def show():
            flash(open("x"))
            return render_template_string(request.form["x"])
        """,
        """
        from quartapp.flasklike import *
        @app.route("/")
        async def show():
            await flash(open("x"))
            return await render_template_string((await request.form)["x"])
        """,
    ),
    "a_view": (
        """
        @app.route("/")
        def index():  # the front page
            return render_template("index.html",   posts = [])
        """,
        """
        @app.route("/")
        async def index():  # the front page
            return await render_template("index.html",   posts = [])
        """,
    ),
    "a_form_and_what_is_read_from_it": (
        """
        @app.post("/")
        def post():
            title, body = request.form["title"], request.form.get("body")
            if not request.form or (request.values)["x"]:
                return f"{request.form['x']!r} {request.get_json()}", 400
            return request.get_json(silent=True)["a"] + request.get_data(as_text=True)
        """,
        """
        @app.post("/")
        async def post():
            title, body = (await request.form)["title"], (await request.form).get("body")
            if not await request.form or (await request.values)["x"]:
                return f"{(await request.form)['x']!r} {await request.get_json()}", 400
            return (await request.get_json(silent=True))["a"] + await request.get_data(as_text=True)
        """,
    ),
    "what_needs_no_await": (
        """
        @app.before_request
        def look():
            request.args["a"], request.headers, request.cookies.get("b"), request.is_json
        """,
        """
        @app.before_request
        async def look():
            request.args["a"], request.headers, request.cookies.get("b"), request.is_json
        """,
    ),
    "files": (
        """
        @app.post("/")
        def upload():
            file = request.files["file"]
            file.save(file.filename)
            for name, other in request.files.items():
                other.save(name)
            [more.save("x") for more in request.files.getlist("more")]
            request.files.get("a").save("y")
        """,
        """
        @app.post("/")
        async def upload():
            file = (await request.files)["file"]
            await file.save(file.filename)
            for name, other in (await request.files).items():
                await other.save(name)
            [await more.save("x") for more in (await request.files).getlist("more")]
            await (await request.files).get("a").save("y")
        """,
    ),
    "helpers_and_their_helpers": (
        """
        def read(name):
            return request.form[name]

        def title():
            def inner():
                return read("title").strip()
            return inner() or "none"

        def pure(x):
            return x

        @app.route("/")
        def index():
            return pure(title())
        """,
        """
        async def read(name):
            return (await request.form)[name]

        async def title():
            async def inner():
                return (await read("title")).strip()
            return await inner() or "none"

        def pure(x):
            return x

        @app.route("/")
        async def index():
            return pure(await title())
        """,
    ),
    "a_decorator": (
        """
        import functools
        def login_required(view):
            @functools.wraps(view)
            def wrapped(**kwargs):
                if request.args:
                    return "no"
                return view(**kwargs)
            return wrapped

        @app.route("/")
        @login_required
        def index():
            return "yes"
        """,
        """
        import functools
        def login_required(view):
            @functools.wraps(view)
            async def wrapped(**kwargs):
                if request.args:
                    return "no"
                return await view(**kwargs)
            return wrapped

        @app.route("/")
        @login_required
        async def index():
            return "yes"
        """,
    ),
    "a_decorator_with_arguments": (
        """
        from functools import wraps
        def cached(timeout):
            def decorator(f):
                @wraps(f)
                def decorated(*args, **kwargs):
                    response = f(*args, **kwargs)
                    return make_response(response)
                return decorated
            return decorator

        @app.route("/")
        @cached(timeout=5)
        def index():
            return "yes"
        """,
        """
        from functools import wraps
        def cached(timeout):
            def decorator(f):
                @wraps(f)
                async def decorated(*args, **kwargs):
                    response = await f(*args, **kwargs)
                    return await make_response(response)
                return decorated
            return decorator

        @app.route("/")
        @cached(timeout=5)
        async def index():
            return "yes"
        """,
    ),
    "a_method_view": (
        """
        from flask.views import MethodView
        def checked(view):
            def wrapped(**kwargs):
                return view(**kwargs)
            return wrapped

        class Item(MethodView):
            decorators = [checked]
            def load(self, id):
                return request.get_json()
            def post(self, id):
                return self.load(id)["x"]
        """,
        """
        from quartapp.flasklike.views import MethodView
        def checked(view):
            async def wrapped(**kwargs):
                return await view(**kwargs)
            return wrapped

        class Item(MethodView):
            decorators = [checked]
            async def load(self, id):
                return await request.get_json()
            async def post(self, id):
                return (await self.load(id))["x"]
        """,
    ),
    "expressions": (
        """
        @app.post("/")
        def post():
            if (form := request.form) and (a := form.get("a")):
                flash(a)
            x = request.form["x"] if request.form else None
            y = any(request.get_json()[k] for k in "ab")
            z = {k: v for k, v in request.form.items()}
            return {"x": x, **request.json}, -request.json["n"] ** 2
        """,
        """
        @app.post("/")
        async def post():
            if (form := await request.form) and (a := form.get("a")):
                await flash(a)
            x = (await request.form)["x"] if await request.form else None
            y = any([(await request.get_json())[k] for k in "ab"])
            z = {k: v for k, v in (await request.form).items()}
            return {"x": x, **await request.json}, -(await request.json)["n"] ** 2
        """,
    ),
    "streams": (
        """
        from collections.abc import Iterator
        def rows() -> Iterator[str]:
            yield render_template("head.html")
            yield from ["a", "b"]  # twice

        def all_rows():
            yield from rows()

        @app.route("/")
        def stream():
            def generate():
                for row in all_rows():
                    yield row
            return generate()
        """,
        """
        from collections.abc import AsyncIterator
        async def rows() -> AsyncIterator[str]:
            yield await render_template("head.html")
            for item in ["a", "b"]:  # twice
                yield item

        async def all_rows():
            async for item in rows():
                yield item

        @app.route("/")
        async def stream():
            async def generate():
                async for row in all_rows():
                    yield row
            return generate()
        """,
    ),
    "a_resource": (
        """
        from flask import current_app
        def load():
            with current_app.open_resource("schema.sql") as f, open("x") as other:
                return f.read().decode() + other.read()
        """,
        """
        from quartapp.flasklike import current_app
        async def load():
            async with await current_app.open_resource("schema.sql") as f:
                with open("x") as other:
                    return (await f.read()).decode() + other.read()
        """,
    ),
    "an_application_context": (
        """
        def once():
            with app.app_context():
                return app.name

        def whole():
            with app.app_context():
                return render_template("x")
        """,
        """
        def once():
            with app.app_context():
                return app.name

        async def whole():
            async with app.app_context():
                return await render_template("x")
        """,
    ),
    "hooks_that_are_handed_over": (
        """
        def close(error=None):
            pass

        def not_found(error):
            return render_template("404.html"), 404

        def after(response):
            return response.get_data()

        app.teardown_appcontext(close)
        app.register_error_handler(404, not_found)
        """,
        """
        async def close(error=None):
            pass

        async def not_found(error):
            return await render_template("404.html"), 404

        def after(response):
            return response.get_data()

        app.teardown_appcontext(close)
        app.register_error_handler(404, not_found)
        """,
    ),
    "names_that_only_look_alike": (
        """
        class Form:
            form = {}
        def index(request):
            return request.form["x"]
        def other():
            request = Form()
            return request.form["x"]
        def render_template(name):
            return name
        index(Form()), render_template("x")
        """,
        """
        class Form:
            form = {}
        def index(request):
            return request.form["x"]
        def other():
            request = Form()
            return request.form["x"]
        def render_template(name):
            return name
        index(Form()), render_template("x")
        """,
    ),
    "sessions_and_subclasses": (
        """
        from flask.sessions import SessionInterface
        class Sessions(SessionInterface):
            def open_session(self, app, request):
                return {}
            def save_session(self, app, session, response):
                pass

        class Site(Flask):
            def make_response(self, rv):
                return super().make_response(rv)
        """,
        """
        from quartapp.flasklike.sessions import SessionInterface
        class Sessions(SessionInterface):
            async def open_session(self, app, request):
                return {}
            async def save_session(self, app, session, response):
                pass

        class Site(Flask):
            async def make_response(self, rv):
                return await super().make_response(rv)
        """,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_ported(name: str) -> None:
    before, after = (HEAD + dedent(text) for text in CASES[name])
    head = HEAD.replace("from flask import", "from quartapp.flasklike import")
    assert ported(views=before)["views"] == after.replace(HEAD, head)


def test_plain_views_keep_everything_but_their_imports() -> None:
    before, _ = CASES["helpers_and_their_helpers"]
    text = HEAD + dedent(before)
    new = ported(convert=False, views=text)["views"]
    assert new == text.replace("from flask import", "from quartapp.flasklike import")


TESTS = """
import pytest
from contextlib import contextmanager
from views import app as application, index

@pytest.fixture
def app():
    with application.app_context():
        yield application

@pytest.fixture()
def client(app):
    return app.test_client()

class Actions:
    def __init__(self, client):
        self._client = client
    def login(self, name="test"):
        return self._client.post("/login", data={"name": name})

@pytest.fixture
def actions(client):
    return Actions(client)

@contextmanager
def logged_in(client):
    client.post("/login")
    yield
    client.get("/logout")

def test_login(client, actions, monkeypatch):
    def fake():
        return "fake"
    monkeypatch.setattr("views.index", fake)
    assert actions.login().data == b"x"
    with client, pytest.raises(KeyError):
        response = client.get("/", query_string={"a": 1})
        assert response.status_code == 200 and response.get_json()["a"]
    with client.session_transaction() as session:
        session["a"] = 1
    with logged_in(client):
        rv = client.get("/").json

def test_nothing(app):
    assert app.config
"""
PORTED_TESTS = """
import pytest
from contextlib import asynccontextmanager
from views import app as application, index

@pytest.fixture
async def app():
    async with application.app_context():
        yield application

@pytest.fixture()
def client(app):
    return app.test_client()

class Actions:
    def __init__(self, client):
        self._client = client
    async def login(self, name="test"):
        return await self._client.post("/login", data={"name": name})

@pytest.fixture
def actions(client):
    return Actions(client)

@asynccontextmanager
async def logged_in(client):
    await client.post("/login")
    yield
    await client.get("/logout")

async def test_login(client, actions, monkeypatch):
    async def fake():
        return "fake"
    monkeypatch.setattr("views.index", fake)
    assert await (await actions.login()).data == b"x"
    async with client:
        with pytest.raises(KeyError):
            response = await client.get("/", query_string={"a": 1})
            assert response.status_code == 200 and (await response.get_json())["a"]
    async with client.session_transaction() as session:
        session["a"] = 1
    async with logged_in(client):
        rv = await (await client.get("/")).json

def test_nothing(app):
    assert app.config
"""


@pytest.mark.parametrize("convert", [True, False])
def test_tests_are_ported(convert: bool) -> None:
    views = HEAD + "@app.route('/')\ndef index():\n    return 'x'\n"
    new = ported(convert=convert, views=views, test_views=TESTS)["test_views"]
    fake = "    async def fake():" if convert else "    def fake():"
    assert new == PORTED_TESTS.replace("    async def fake():", fake)


UNITTEST = """
import unittest
from unittest import TestCase
from views import app

class Base(TestCase):
    def setUp(self):
        self.context = app.app_context()
        self.context.push()
        self.client = app.test_client()

class Views(Base):
    def test_index(self):
        self.assertEqual(self.client.get("/").status_code, 200)
"""


def test_a_testcase_becomes_asynchronous() -> None:
    new = ported(views=HEAD, test_views=UNITTEST)["test_views"]
    assert "from unittest import IsolatedAsyncioTestCase" in new
    assert "class Base(IsolatedAsyncioTestCase):\n    async def asyncSetUp(self):" in new
    assert "await self.context.push()" in new
    assert "    async def test_index(self):" in new
    assert 'self.assertEqual((await self.client.get("/")).status_code, 200)' in new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import flask\n", "import quartapp.flasklike as flask\n"),
        ("import os, flask  # both\n", "import os, quartapp.flasklike as flask  # both\n"),
        ("import flask as f\n", "import quartapp.flasklike as f\n"),
        ("from flask import *\n", "from quartapp.flasklike import *\n"),
        (
            "from flask import (\n    abort,  # errors\n    g as state,\n)\n",
            "from quartapp.flasklike import (\n    abort,  # errors\n    g as state,\n)\n",
        ),
        ("from flask.json import jsonify\n", "from quartapp.flasklike.json import jsonify\n"),
        ("from werkzeug.exceptions import NotFound\n", None),
        ("from .flask import x\n", None),
        ("import flask_login\n", None),
        ("from flask import _request_ctx_stack\n", None),
        (
            "if 1:\n    from flask import _request_ctx_stack, g\n",
            "if 1:\n    from flask import _request_ctx_stack\n"
            "    from quartapp.flasklike import g\n",
        ),
    ],
)
def test_an_import_is_ported(before: str, after: str | None) -> None:
    assert ported(views=before)["views"] == (before if after is None else after)
