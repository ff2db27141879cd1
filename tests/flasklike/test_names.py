"""Everything that an application imports from Flask or Quart has its place in flasklike."""

import asyncio
import importlib
import logging
import threading
from collections.abc import AsyncIterator, Callable
from functools import partial
from types import ModuleType
from typing import Any

import flask
import pytest
import quart
from blinker import NamedSignal
from werkzeug.local import LocalProxy

from quartapp import flasklike
from quartapp.flasklike import App
from quartapp.flasklike.logging import default_handler

MODULES = (
    *("app", "blueprints", "config", "ctx", "globals", "helpers", "json", "json.provider"),
    *("json.tag", "logging", "sessions", "signals", "templating", "typing", "views", "wrappers"),
)


def names_of(module: ModuleType) -> set[str]:
    """The public names that a package exports or a module defines."""
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith(("_", "T_")) and name not in {"t", "F", "T", "annotations"}
        if is_offered(name, value, module)
    }


def is_offered(name: str, value: object, module: ModuleType) -> bool:
    if module in {flask, quart}:
        return name == "json" or not isinstance(value, ModuleType)
    if module in {flask.globals, flask.signals}:
        return type(value) in {LocalProxy, NamedSignal}
    if isinstance(value, ModuleType) or type(value) is LocalProxy:
        return False
    return getattr(value, "__module__", module.__name__) == module.__name__


@pytest.mark.parametrize("upstream", [flask, quart])
def test_every_public_name_is_exported(upstream: ModuleType) -> None:
    assert names_of(upstream) - set(flasklike.__all__) == set()


@pytest.mark.parametrize("name", MODULES)
def test_every_name_of_a_module_of_flask_is_in_the_same_place(name: str) -> None:
    ours = importlib.import_module(f"quartapp.flasklike.{name}")
    expected = names_of(importlib.import_module(f"flask.{name}"))
    assert {each for each in expected if not hasattr(ours, each)} == set()


def test_the_names_of_applications_are_one_class() -> None:
    assert flasklike.Flask is flasklike.Quart is App


@pytest.mark.parametrize("name", ["Request", "Response", "Websocket"])
def test_a_class_that_derives_from_quarts_is_refused(name: str) -> None:
    own = type("Own", (getattr(quart, name),), {})
    attribute = f"{name.lower()}_class"
    text = f"{attribute} = Own: derive Own from quartapp.flasklike.{name}"
    with pytest.raises(TypeError, match=text):
        setattr(App("names"), attribute, own)
    with pytest.raises(TypeError, match=text):
        type("OwnApp", (App,), {attribute: own})
    setattr(App("names"), attribute, type("Own", (getattr(flasklike, name),), {}))


async def test_streams_keep_g_whichever_function_they_use() -> None:
    app = App("names")

    async def stream(stream_with_context: Callable[..., Any]) -> Any:
        flasklike.g.name = "kept"

        async def parts() -> AsyncIterator[str]:
            yield flasklike.g.name

        return stream_with_context(parts)()

    app.add_url_rule("/quart", "quart", partial(stream, quart.stream_with_context))
    app.add_url_rule("/own", "own", partial(stream, flasklike.stream_with_context))
    client = app.test_client()
    for path in "/quart", "/own":
        assert await (await client.get(path)).get_data() == b"kept"


async def test_a_copy_of_the_context_runs_in_a_thread_as_in_flask() -> None:
    app, seen, torn_down = App("names"), [], []
    app.teardown_request(lambda _error: torn_down.append(flasklike.request.path))

    @app.get("/<path:name>")
    def view(name: str) -> str:
        @flasklike.copy_current_request_context
        def work(*values: int) -> int:
            seen.append((flasklike.request.path, flasklike.g.get("name"), *values))
            return len(seen)

        flasklike.g.name = name
        thread = threading.Thread(target=work, args=(1,))
        thread.start()
        thread.join()
        return str(work(2))

    response = await app.test_client().get("/a/b")
    assert await response.get_data() == b"2"
    assert seen == [("/a/b", None, 1), ("/a/b", "a/b", 2)]
    assert torn_down == ["/a/b"] * 3


async def test_several_threads_may_call_one_copy_at_a_time() -> None:
    app, barrier = App("names"), threading.Barrier(2)

    @app.get("/<name>")
    def view(name: str) -> list[str]:
        ended = []

        @flasklike.copy_current_request_context
        def work() -> str:
            barrier.wait(30)  # both threads are in it
            return flasklike.request.path

        threads = [
            threading.Thread(target=lambda: ended.append(work()), daemon=True) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return ended

    response: Any = await app.test_client().get("/a")
    assert response.json == ["/a", "/a"]


async def test_a_copy_of_the_context_is_awaited_in_a_task() -> None:
    app = App("names")

    @app.get("/")
    async def view() -> str:
        @flasklike.copy_current_request_context
        def plain() -> str:
            return flasklike.request.path

        @flasklike.copy_current_app_context
        async def later() -> str:
            return flasklike.current_app.name

        return " ".join(await asyncio.gather(plain(), later()))

    assert await (await app.test_client().get("/")).get_data() == b"/ names"


@pytest.mark.parametrize("inside", [False, True])
async def test_redirects_take_flasks_arguments(inside: bool) -> None:
    class OwnApp(App):
        def redirect(self, location: str, code: int = 302) -> Any:
            return super().redirect(f"/own{location}", code)

    class OwnResponse(flask.Response):
        pass

    if inside:
        async with OwnApp("names").app_context():
            response = flasklike.redirect("/x", 303, OwnResponse)
        assert response.location == "/own/x"
    else:
        response = flasklike.redirect("/x", 303, OwnResponse)
        assert isinstance(response, OwnResponse)
    assert response.status_code == 303


def test_the_handler_of_the_log_can_be_removed() -> None:
    logging.getLogger("names_of_log").propagate = False
    app = App("names_of_log")
    assert app.logger.handlers == [default_handler]
    app.logger.removeHandler(default_handler)
    assert app.logger.handlers == []


def test_an_application_can_make_signals_of_its_own() -> None:
    assert flasklike.signals.Namespace is flask.signals.Namespace  # type: ignore[attr-defined]
