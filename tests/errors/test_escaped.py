"""What stock Quart lets through to the server is answered with a page, and raised again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.reporting import Reporting
from tests.errors.conftest import Unreadable, serve


def shop() -> Quart:
    app = add_routes(Quart("shop", root_path="/nowhere"))
    ErrorPages(app)
    return app


def add_routes(app: Quart) -> Quart:
    @app.route("/")
    async def index() -> str:
        return "fine"

    @app.route("/boom")
    @app.route("/api/boom")
    async def boom() -> str:
        raise RuntimeError("canary")

    return app


def failing_session() -> Quart:
    app = shop()
    app.session_interface = Unreadable()
    return app


async def fail(_: BaseException | None) -> None:
    raise ZeroDivisionError("canary")


def failing_teardown() -> Quart:
    app = shop()
    app.teardown_request(fail)
    return app


def failing_handler() -> Quart:
    app = shop()
    app.register_error_handler(500, fail)  # type: ignore[arg-type]  # it returns nothing
    return app


@pytest.mark.parametrize("make", [failing_session, failing_teardown, failing_handler])
async def test_an_exception_outside_the_handlers_gets_a_page_and_goes_on(make: Any) -> None:
    for path in ("/boom", "/api/boom"):
        sent, error = await serve(make(), path)
        assert isinstance(error, ZeroDivisionError)
        assert [message["type"] for message in sent] == [
            "http.response.start",
            "http.response.body",
        ]
        assert sent[0]["status"] == 500
        assert b"canary" not in sent[1]["body"]
        if path == "/boom":
            assert b"<h1>An unexpected error has occurred</h1>" in sent[1]["body"]
        else:
            assert json.loads(sent[1]["body"])["status"] == 500


@pytest.mark.parametrize("kind", [App, Quart])
@pytest.mark.parametrize("parts", [(ErrorPages, Reporting), (Reporting, ErrorPages)])
@pytest.mark.parametrize("where", ["session_interface", "teardown_request", "/boom"])
async def test_it_is_recorded_once_in_whatever_order_the_parts_are_installed(
    kind: type[Quart], parts: Sequence[Any], where: str, tmp_path: Path
) -> None:
    app = add_routes(kind("shop", root_path="/nowhere", instance_path=str(tmp_path)))
    for part in parts:
        part(app)
    if where == "session_interface":
        app.session_interface = Unreadable()
    elif where == "teardown_request":
        app.teardown_request(fail)
    recorded: list[str] = []
    listeners = app.extensions["reporting"].recorder.listeners
    listeners.append(lambda report: recorded.append(report.title.partition(" ")[0]))
    async with app.test_app():
        sent, _ = await serve(app, where if where == "/boom" else "/")
    assert sent[0]["status"] == 500
    assert b"has been recorded" in sent[1]["body"]
    assert b"Reference: " in sent[1]["body"]
    assert recorded == ["RuntimeError" if where == "/boom" else "ZeroDivisionError"]


async def test_a_head_has_no_body() -> None:
    sent, _ = await serve(failing_session(), "/boom", "HEAD")
    assert (sent[0]["status"], sent[1]["body"]) == (500, b"")
    assert int(dict(sent[0]["headers"])[b"content-length"]) > 100


async def test_a_host_that_cannot_be_routed_is_a_bad_request() -> None:
    sent, error = await serve(shop(), host="a..b")
    assert (sent[0]["status"], error) == (400, None)
    assert b"<h1>Bad Request</h1>" in sent[1]["body"]


async def test_an_answer_that_has_begun_is_not_answered_again() -> None:
    app = shop()

    @app.route("/stream")
    async def stream() -> Any:
        async def parts() -> Any:
            yield b"one"
            raise ZeroDivisionError("canary")

        return parts()

    sent, error = await serve(app, "/stream")
    assert isinstance(error, ZeroDivisionError)
    assert [message.get("status") for message in sent] == [200, None]
