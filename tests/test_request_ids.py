"""The ids of a request, in anybody's application."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from quart import Quart
from werkzeug.datastructures import Headers

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.request_ids import RequestIds, current_ids, request_id, trace_id
from quartapp.settings import ConfigurationError

TRACE = "0af7651916cd43dd8448eb211c80319c"
VALID = f"00-{TRACE}-b7ad6b7169203331-01"
HOSTILE = ["", "a b", "a\x00b", "a\x1bb", "caf\xe9", "<b>", "a" * 129, "x" * 8000, "a;b", 'a"b']


def make(kind: type[Quart] = App, **config: Any) -> Quart:
    app = kind("till")
    app.config.update(config)
    RequestIds(app)

    @app.get("/")
    async def index() -> dict[str, str]:
        ids = current_ids()
        assert ids is not None
        in_task = await asyncio.create_task(asyncio.to_thread(request_id))
        return {"id": request_id(), "trace": trace_id(), "task": in_task} | ids.headers()

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError("boom")

    @app.get("/own")
    async def own() -> tuple[str, dict[str, str]]:
        return "", {"X-Request-Id": "of-the-application"}

    @app.websocket("/ws")
    async def ws() -> None:
        from quart import websocket

        await websocket.send(request_id())

    return app


async def ask(app: Quart, headers: dict[str, str] | Headers | None = None) -> dict[str, str]:
    response = await app.test_client().get("/", headers=headers)
    found: dict[str, str] = await response.get_json()
    assert response.headers.getlist("X-Request-ID") == [found["id"]] == [found["task"]]
    return found


@pytest.mark.parametrize("kind", [Quart, App])
async def test_each_request_has_ids_of_its_own(kind: type[Quart]) -> None:
    app = make(kind)
    one, other = await ask(app), await ask(app)
    assert len(one["id"]) == len(one["trace"]) == 32
    assert int(one["id"], 16) != int(other["id"], 16)
    assert int(one["trace"], 16) != int(other["trace"], 16)
    assert one["traceparent"].startswith(f"00-{one['trace']}-")
    assert (request_id(), trace_id(), current_ids()) == ("", "", None)


async def test_a_client_chooses_nothing() -> None:
    found = await ask(make(), {"X-Request-ID": "chosen", "traceparent": VALID, "tracestate": "a=b"})
    assert (found["id"] != "chosen", found["trace"] != TRACE) == (True, True)
    assert "tracestate" not in found


async def test_a_proxy_is_trusted() -> None:
    headers = {"X-Request-ID": "a-1_2.3:4@5+6/7=", "traceparent": VALID, "tracestate": "a=1, b=2"}
    found = await ask(make(PROXY_HOPS=1), headers)
    assert (found["id"], found["trace"]) == ("a-1_2.3:4@5+6/7=", TRACE)
    assert found["traceparent"].startswith(f"00-{TRACE}-")
    assert found["traceparent"].endswith("-01")
    assert "b7ad6b7169203331" not in found["traceparent"], "the parent is this request's span"
    assert found["tracestate"] == "a=1, b=2"


@pytest.mark.parametrize("value", HOSTILE)
async def test_what_is_no_id_is_replaced(value: str) -> None:
    scope_headers = [(b"x-request-id", value.encode("latin-1"))]
    assert (await started(make(PROXY_HOPS=1), scope_headers)).isalnum()


async def test_an_ambiguous_one_is_replaced() -> None:
    for name, value in (("x-request-id", "twice"), ("traceparent", VALID)):
        headers = Headers([(name, value)] * 50)
        found = await ask(make(PROXY_HOPS=1), headers)
        assert found["id"] != "twice"
        assert found["trace"] != TRACE


@pytest.mark.parametrize(
    ("value", "is_taken"),
    [
        (VALID, True),
        (f"01-{VALID[3:]}-of-the-future", True),
        (f"{VALID}-more", False),
        (f"ff-{VALID[3:]}", False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (VALID.upper(), False),
        (VALID * 90, False),
        ("", False),
    ],
)
async def test_a_trace_is_taken_if_it_is_valid(value: str, is_taken: bool) -> None:
    found = await ask(make(PROXY_HOPS=1), {"traceparent": value, "tracestate": "a=1"})
    assert (found["trace"] == TRACE) is is_taken
    assert ("tracestate" in found) is is_taken


async def test_a_state_that_is_too_long_is_left_out() -> None:
    for state in ("a" * 513, "a\xe9"):
        found = await ask(make(PROXY_HOPS=1), {"traceparent": VALID, "tracestate": state})
        assert found["trace"] == TRACE
        assert "tracestate" not in found


async def started(app: Quart, headers: Any, status: int = 200, **more: Any) -> str:
    """The X-Request-ID of the response to a request that a server makes."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
    }
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": ""}
    scope |= {"extensions": {}, "asgi": {}, "subprotocols": []} | more

    async def receive() -> Any:
        await asyncio.sleep(0)
        kind = "websocket.connect" if scope["type"] == "websocket" else "http.request"
        return {"type": kind, "body": b"", "more_body": False}

    with suppress(RuntimeError, asyncio.CancelledError):
        await app(scope, receive, send)
    assert sent[0].get("status", 101) == status
    [found] = [value.decode() for name, value in sent[0]["headers"] if name == b"x-request-id"]
    return str(found)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"path": "/nope"}, 404),
        ({"method": "POST"}, 405),
        ({"path": "/boom"}, 500),
        ({"query_string": b"a" * 9000}, 414),
        ({"headers": [(b"a", b"b" * 40_000)]}, 431),
    ],
)
@pytest.mark.parametrize("kind", [Quart, App])
async def test_errors_have_it_too(kind: type[Quart], more: dict[str, Any], status: int) -> None:
    app = make(kind)
    ErrorPages(app, bounds=True)
    headers = [(b"host", b"localhost"), *more.get("headers", ())]
    async with app.test_app():  # which puts it around the bounds
        assert len(await started(app, **more | {"status": status, "headers": headers})) == 32


async def test_a_stopping_server_sends_it() -> None:
    """Its last answers are sent outside of all middleware."""
    app = make()
    ErrorPages(app)
    inner: Any = app.asgi_app

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            app.stop_requests()  # type: ignore[attr-defined]  # an App
            await asyncio.sleep(5)
        await inner(scope, receive, send)

    app.asgi_app = wait  # type: ignore[method-assign]  # Quart's documented place
    async with app.test_app():
        serving = asyncio.create_task(started(app, [(b"host", b"a")], 503))
        assert len(await serving) == 32


async def test_an_application_may_choose_its_own() -> None:
    response = await make().test_client().get("/own")
    assert response.headers.getlist("X-Request-ID") == ["of-the-application"]


async def test_a_websocket_has_it() -> None:
    found = await started(make(), [(b"host", b"a")], 101, type="websocket", path="/ws", scheme="ws")
    assert len(found) == 32


async def test_what_is_wrapped_later_is_inside() -> None:
    app = make()
    inner: Any = app.asgi_app

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/refused":
            await inner(scope, receive, send)
            return
        headers = iter([(b"x-of", b"theirs")])  # ASGI asks for an iterable
        await send({"type": "http.response.start", "status": 402, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    app.asgi_app = refuse  # type: ignore[method-assign]  # Quart's documented place
    async with app.test_app():
        response = await app.test_client().get("/refused")
        assert (response.status_code, response.headers["X-Of"]) == (402, "theirs")
        assert len(response.headers["X-Request-ID"]) == 32
        await ask(app)


def test_it_is_an_extension() -> None:
    app = make()
    with pytest.raises(RuntimeError, match="RequestIds is installed"):
        RequestIds(app)
    with pytest.raises(ConfigurationError, match="PROXY_HOPS"):
        make(PROXY_HOPS="one")


async def test_an_application_may_say_itself_whom_it_trusts() -> None:
    app = App("till")
    RequestIds(app, trusted=True)
    response = await app.test_client().get("/", headers={"X-Request-ID": "chosen"})
    assert response.headers["X-Request-ID"] == "chosen"
