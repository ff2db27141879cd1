"""Responses made from return values of views: Flask makes each too, and both are compared."""

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import flask
import pytest
from quart import Response as QuartResponse
from werkzeug.exceptions import Conflict, MethodNotAllowed
from werkzeug.wrappers import Response as WSGIResponse

from quartapp.flasklike import App, Response, make_response

VALUES: dict[str, Callable[[], Any]] = {
    "str": lambda: "text",
    "bytes": lambda: b"bytes",
    "bytearray": lambda: bytearray(b"array"),
    "dict": lambda: {"a": 1},
    "list": lambda: [1, 2],
    "empty dict": dict,
    "iterator": lambda: iter(["one ", "two"]),
    "generator": lambda: (part for part in ("one ", b"two")),
    "status": lambda: ("text", 202),
    "status str": lambda: ("text", "418"),
    "status enum": lambda: ("text", HTTPStatus.CREATED),
    "headers dict": lambda: ("text", {"X": "1"}),
    "headers list": lambda: ("text", [("X", "1"), ("X", "2")]),
    "headers tuple": lambda: ("text", (("X", "1"), ("X", "2"))),
    "headers of lists": lambda: ("text", {"X": ["1", "2"]}),
    "all three": lambda: ("text", 203, {"Content-Type": "text/plain"}),
    "json with all": lambda: ({"a": 1}, 203, {"Content-Type": "application/x"}),
    "status none": lambda: ("text", None),
    "error": lambda: Conflict("returned"),
    "error with status": lambda: (Conflict("returned"), 299),
    "error with headers": lambda: MethodNotAllowed(["GET", "PUT"]),
    "werkzeug": lambda: WSGIResponse("w", 201, {"X": "1"}),
    "werkzeug parts": lambda: WSGIResponse(["a", "b"], 201),
    "werkzeug stream": lambda: WSGIResponse((part for part in ("a", "b")), 201),
    "werkzeug and headers": lambda: (WSGIResponse("w"), 202, {"Content-Type": "x/y"}),
    "none": lambda: None,
    "int": lambda: 1,
    "object": object,
    "set": lambda: {1},
    "empty tuple": tuple,
    "long tuple": lambda: ("a", 1, {}, 2),
    "bad status": lambda: ("text", "nonsense text"),
    "no status": lambda: ("text", ""),
    "none in tuple": lambda: (None, 200),
}


def by_flask(make: Callable[[], Any]) -> Any:
    app = flask.Flask("oracle")
    app.testing = True
    app.add_url_rule("/", view_func=make, endpoint="index")
    try:
        response = app.test_client().get("/")
    except Exception as error:  # noqa: BLE001  # compared with the other side's
        return type(error), str(error)
    return response.status_code, sorted(response.headers.to_wsgi_list()), response.data


async def by_us(make: Callable[[], Any]) -> Any:
    app = App("subject")
    app.testing = True

    async def view() -> Any:
        return make()

    app.add_url_rule("/", view_func=view, endpoint="index")
    try:
        response = await app.test_client().get("/")
    except Exception as error:  # noqa: BLE001  # compared with the other side's
        return type(error), str(error)
    fields = sorted((key.title(), value) for key, value in response.headers)
    return response.status_code, fields, await response.get_data()


@pytest.mark.parametrize("name", VALUES)
async def test_is_made_into_what_flask_makes_of_it(name: str) -> None:
    assert await by_us(VALUES[name]) == by_flask(VALUES[name])


async def test_functions_are_called_when_the_body_was_sent() -> None:
    app, called = App("closing"), []

    @app.get("/")
    async def index() -> Response:
        response = Response("text")

        async def later() -> None:
            called.append("async")

        response.call_on_close(later)
        response.call_on_close(lambda: called.append("sync"))
        return response

    assert (await app.test_client().get("/")).status_code == 200
    assert called == ["async", "sync"]
    assert (await app.test_client().head("/")).status_code == 200
    assert called == ["async", "sync"] * 2


async def test_functions_are_called_though_the_stream_fails_to_close() -> None:
    called: list[str] = []

    class Parts:
        def __aiter__(self) -> "Parts":
            return self

        async def __anext__(self) -> str:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            raise OSError("while it is closed")

    response = Response(Parts())
    response.call_on_close(lambda: called.append("called"))
    with pytest.raises(OSError, match="while it is closed"):
        await response.close()
    assert called == ["called"]


async def test_a_stream_that_is_not_sent_is_closed() -> None:
    app, closed = App("closing"), asyncio.Event()

    class Parts:
        def __aiter__(self) -> "Parts":
            return self

        async def __anext__(self) -> str:
            raise AssertionError("not asked for")

        async def aclose(self) -> None:
            closed.set()

    @app.get("/")
    async def index() -> Response:
        return Response(Parts())

    assert await (await app.test_client().head("/")).get_data() == b""
    assert closed.is_set()


async def test_asynchronous_iterators_are_streamed() -> None:
    app = App("streaming")

    async def parts() -> AsyncIterator[str]:
        yield "one "
        yield "two"

    @app.get("/")
    async def index() -> Any:
        return parts(), 201

    response = await app.test_client().get("/")
    assert (response.status_code, await response.get_data()) == (201, b"one two")


async def test_a_response_of_quarts_becomes_ours() -> None:
    app = App("conversion")
    async with app.test_request_context("/"):
        given = QuartResponse("text", 201)
        made = await make_response(given)
        assert made is given
        assert type(made) is Response
        await made.close()


async def test_make_response_takes_what_a_view_returns() -> None:
    app = App("making")
    async with app.test_request_context("/"):
        assert (await make_response()).status_code == 200
        assert (await make_response("text", 201)).status_code == 201
        assert (await make_response(("text", 202, {"X": "1"}))).headers["X"] == "1"


async def test_a_list_of_parts_has_a_length() -> None:
    app = App("parts")
    app.add_url_rule("/", view_func=lambda: Response(["a", b"bc"]), endpoint="index")
    response = await app.test_client().get("/")
    assert response.headers["Content-Length"] == "3"
    assert await response.get_data() == b"abc"
