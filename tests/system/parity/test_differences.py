"""What flasklike does differently from Flask, on purpose or of necessity.

Each function is named in the table of docs/port.md, and shows both sides.
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask
import pytest
import quart
from quart.testing.utils import make_test_scope
from werkzeug.datastructures import Headers
from werkzeug.exceptions import NotFound
from werkzeug.test import create_environ
from werkzeug.wrappers import Response as WerkzeugResponse

from quartapp.flasklike import App
from quartapp.flasklike._upstream import TEST_CLIENT_KEY

DOCUMENT = Path(__file__).parents[3] / "docs" / "port.md"


@pytest.fixture
def old() -> flask.Flask:
    return flask.Flask("old")


@pytest.fixture
def new() -> App:
    return App("new")


async def test_difference_wsgi_callables(old: flask.Flask, new: App) -> None:
    answer = WerkzeugResponse("from WSGI")

    def view() -> Any:
        return lambda environ, start_response: answer(environ, start_response)

    old.add_url_rule("/", view_func=view)
    new.add_url_rule("/", view_func=view)
    new.testing = True
    assert old.test_client().get("/").text == "from WSGI"
    with pytest.raises(TypeError, match="WSGI callable, but it was a function"):
        await new.test_client().get("/")


async def test_difference_stop_iteration(old: flask.Flask, new: App) -> None:
    def view() -> str:
        return next(iter(()))

    for app in (old, new):
        app.add_url_rule("/", view_func=view)
        app.config["TESTING"] = True
    with pytest.raises(StopIteration):
        old.test_client().get("/")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await new.test_client().get("/")


async def test_difference_groups(old: flask.Flask, new: App) -> None:
    def view() -> str:
        raise ExceptionGroup("of a task", [NotFound()])

    for app in (old, new):
        app.add_url_rule("/", view_func=view)
    assert old.test_client().get("/").status_code == 500
    assert (await new.test_client().get("/")).status_code == 404


async def test_difference_teardown_errors(old: flask.Flask, new: App) -> None:
    called: dict[str, list[str]] = {}

    for app in (old, new):
        calls = called[app.name] = []

        def fail(error: Any, calls: list[str] = calls) -> None:
            calls.append("called")
            raise ValueError

        app.add_url_rule("/", view_func=lambda: "fine")
        app.teardown_request(fail)
        app.teardown_request(fail)
    with pytest.raises(ValueError):
        old.test_client().get("/")
    with pytest.raises(ExceptionGroup, match="Errors during request teardown"):
        await new.test_client().get("/")
    assert called == {"old": ["called"], "new": ["called", "called"]}


INTERRUPTED = """
import asyncio
from quartapp.flasklike import App
app = App("app")
@app.teardown_request
async def teardown(error): print("teardown", repr(error))
@app.get("/")
async def view(): raise KeyboardInterrupt
try:
    asyncio.run(app.test_client().get("/"))
except KeyboardInterrupt:
    print("the loop ended")
"""


def test_difference_keyboard_interrupt(old: flask.Flask) -> None:
    """On Flask it ends the request; here, as always with asyncio, the loop, after teardown."""
    seen: list[BaseException | None] = []
    old.teardown_request(seen.append)

    def view() -> str:
        raise KeyboardInterrupt

    old.add_url_rule("/", view_func=view)
    with pytest.raises(KeyboardInterrupt):
        old.test_client().get("/")
    assert isinstance(seen[0], KeyboardInterrupt)
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True
    )
    assert "the loop ended" in ended.stdout
    assert "teardown KeyboardInterrupt()" in ended.stdout


@pytest.mark.parametrize("ending", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()])
async def test_difference_exits(old: flask.Flask, new: App, ending: BaseException) -> None:
    """On Flask they reach the server; here, where they would end the worker, they are a 500."""

    def view() -> str:
        raise ending

    def start_response(*_: Any) -> Any:
        raise AssertionError("there is no response")

    for app in (old, new):
        app.add_url_rule("/", view_func=view)
    with pytest.raises(type(ending)):
        old.wsgi_app(create_environ("/"), start_response)
    scope = {**make_test_scope("http", "/", "GET", Headers(), b"", "http", "", "1.1", {})}
    del scope[TEST_CLIENT_KEY]  # as a server sends it
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    await new(scope, receive, send)  # type: ignore[arg-type]  # a plain dictionary
    assert sent[0]["status"] == 500


async def test_difference_websockets(old: flask.Flask, new: App) -> None:
    assert not hasattr(old, "websocket")

    @new.websocket("/")
    async def echo() -> None:
        await quart.websocket.send(await quart.websocket.receive())

    async with new.test_client().websocket("/") as connection:
        await connection.send("hello")
        assert await connection.receive() == "hello"


async def test_difference_reason_phrase(old: flask.Flask, new: App) -> None:
    def view() -> Any:
        return "", "418 Short and stout"

    old.add_url_rule("/", view_func=view)
    new.add_url_rule("/", view_func=view)
    assert old.test_client().get("/").status == "418 Short and stout"
    assert (await new.test_client().get("/")).status == "418 I'M A TEAPOT"


async def test_difference_unannounced_bodies(old: flask.Flask, new: App) -> None:
    @old.post("/")
    def plain() -> bytes:
        return flask.request.get_data()

    @new.post("/")
    async def awaiting() -> Any:
        return await quart.request.get_data()

    for app in (old, new):
        app.config["MAX_CONTENT_LENGTH"] = 5
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    cut = old.test_client().post("/", data=b"123456789", environ_overrides=chunked)
    assert (cut.status_code, cut.data) == (200, b"12345")
    assert (await new.test_client().post("/", data=b"123456789")).status_code == 413


async def test_difference_error_in_appcontext_pushed(old: flask.Flask, new: App) -> None:
    def fail(sender: Any) -> None:
        raise ValueError("lost on Flask")

    with flask.appcontext_pushed.connected_to(fail, old), pytest.raises(LookupError):
        old.test_client().get("/")
    quart.appcontext_pushed.connect(fail, new)
    try:
        assert (await new.test_client().get("/")).status_code == 500
    finally:
        quart.appcontext_pushed.disconnect(fail, new)


async def test_difference_error_in_a_stream(old: flask.Flask, new: App) -> None:
    def view() -> Any:
        def parts() -> Iterator[str]:
            yield "one"
            raise ValueError("in the stream")

        return parts()

    old.add_url_rule("/", view_func=view)
    new.add_url_rule("/", view_func=view)
    response = old.test_client().get("/")
    assert response.status_code == 200
    with pytest.raises(ValueError, match="in the stream"):
        assert response.data
    with pytest.raises(ValueError, match="in the stream"):
        await new.test_client().get("/")


async def test_difference_sync_functions_run_in_threads(old: flask.Flask, new: App) -> None:
    import threading

    def view() -> str:
        return str(threading.current_thread() is threading.main_thread())

    old.add_url_rule("/", view_func=view)
    new.add_url_rule("/", view_func=view)
    assert old.test_client().get("/").text == "True"
    assert await (await new.test_client().get("/")).get_data() == b"False"


async def test_difference_a_text_as_fallback_keys(old: flask.Flask, new: App) -> None:
    for app in (old, new):
        app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS="old")
    forger: Any = flask.Flask("of one letter")

    def cookie(key: str) -> Any:
        forger.secret_key = key
        return forger.session_interface.get_signing_serializer(forger).dumps({"user": 1})

    @old.get("/")
    def theirs() -> Any:
        return dict(flask.session)

    @new.get("/")
    def ours() -> Any:
        return dict(quart.session)

    by_letter, by_key = ({"Cookie": f"session={cookie(key)}"} for key in ("o", "old"))
    client = old.test_client(use_cookies=False)  # so that the header counts
    assert client.get("/", headers=by_letter).json == {"user": 1}
    assert await (await new.test_client().get("/", headers=by_letter)).get_json() == {}
    assert await (await new.test_client().get("/", headers=by_key)).get_json() == {"user": 1}


async def test_difference_a_client_that_leaves(new: App) -> None:
    """WSGI does not notice it. Here the view is cancelled, and teardown functions get that
    error."""
    seen: list[BaseException | None] = []
    arrived = asyncio.Event()

    @new.teardown_request
    async def teardown(error: BaseException | None) -> None:
        seen.append(error)

    @new.get("/")
    async def slow() -> str:
        arrived.set()
        await asyncio.sleep(60)
        return "never"

    async with new.test_client().request("/") as connection:
        await connection.send_complete()
        await arrived.wait()
        await connection.disconnect()
    assert isinstance(seen[0], asyncio.CancelledError)


def named_in_the_document() -> set[str]:
    _, _, table = DOCUMENT.read_text().partition("## What is different")
    table, _, _ = table.partition("## ")
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def test_every_difference_is_in_the_document_and_every_one_there_is_shown() -> None:
    tests = {
        name.removeprefix("test_difference_")
        for name in globals()
        if name.startswith("test_difference_")
    }
    assert named_in_the_document() == tests
