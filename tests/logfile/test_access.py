"""The access log: a line for each request and websocket."""

import asyncio
import json
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypercorn.middleware import ProxyFixMiddleware
from quart import Quart

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.logfile import LogFile
from quartapp.logfile.access import client_of
from quartapp.logfile.handler import ThreadedHandler
from quartapp.request_ids import RequestIds
from quartapp.settings import ConfigurationError

COMBINED = re.compile(
    r'(\S+) - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "([^"]*)" (\d+) (\d+) '
    r'"([^"]*)" "([^"]*)" (\d+\.\d{3}) (\S+)'
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", [])
    yield
    logger = logging.getLogger("till")
    for one in logger.handlers[:]:
        if isinstance(one, ThreadedHandler):
            one.close()
            logger.removeHandler(one)


def make(kind: type[Quart] = App, **config: Any) -> Quart:
    logging.root.handlers = []  # those of pytest
    app = kind("till")
    app.config.update({"ACCESS_LOG": "true"} | config)
    LogFile(app)
    RequestIds(app)
    ErrorPages(app, bounds=True)

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/boom")
    async def boom() -> str:
        raise RuntimeError("boom")

    @app.get("/stream")
    async def stream() -> Any:
        async def parts() -> Any:
            for _ in range(3):
                yield b"part"

        return parts()

    @app.get("/users/<int:number>/reset/<token>")
    async def reset(number: int, token: str) -> str:
        return ""

    @app.get("/wait")
    async def wait() -> str:
        await asyncio.sleep(5)
        return ""

    @app.websocket("/ws")
    async def ws() -> None:
        from quart import websocket

        await websocket.send("hello")

    return app


def text(path: str = "logs/access.log") -> list[str]:
    return Path(path).read_text("ascii").splitlines()


def exists(path: str) -> bool:
    return Path(path).exists()


def middleware(app: Any) -> Iterator[Any]:
    while (app := getattr(app, "asgi_app", None)) is not None:
        yield app


async def ask(app: Quart, *requests: dict[str, Any]) -> list[Any]:
    """The messages that the server got for each request."""
    async with app.test_app():
        return [await call(app, **request) for request in requests]


async def call(app: Quart, path: str = "/", raw: bytes = b"", **more: Any) -> list[Any]:
    sent: list[Any] = []
    headers = [(name.encode(), value.encode("latin-1")) for name, value in more.pop("headers", ())]
    leaves = more.pop("leaves", False)
    scope: Any = {"type": "http", "method": "GET", "path": path, "raw_path": raw or path.encode()}
    scope |= {"query_string": b"", "headers": [(b"host", b"a"), *headers], "http_version": "1.1"}
    scope |= {"scheme": "http", "root_path": "", "extensions": {}, "client": ("192.0.2.7", 5)}
    scope |= {"subprotocols": []} | more
    incoming: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]
    if scope["type"] == "websocket":
        incoming = [{"type": "websocket.connect"}]

    async def receive() -> Any:
        if incoming:
            return incoming.pop()
        if not leaves:
            await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    # Werkzeug refuses header fields that no server lets through.
    with suppress(RuntimeError, ValueError, asyncio.CancelledError):
        await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("kind", [Quart, App])
async def test_a_line_in_combined_format(kind: type[Quart]) -> None:
    agent = [("user-agent", 'a"b\\c\x1b\xe9 d'), ("referer", "https://u:p@site.test/x?token=1")]
    [sent] = await ask(make(kind), {"headers": agent, "query_string": b"a=1"})
    [line] = text()
    found = COMBINED.fullmatch(line)
    assert found is not None, line
    client, what, status, size, referer, shown, _, name = found.groups()
    assert (client, what, status, size) == ("192.0.2.7", "GET /?a=1 HTTP/1.1", "200", "5")
    assert (referer, shown) == ("https://site.test/x", r"a\x22b\x5Cc\x1B\xE9 d")
    assert (b"x-request-id", name.encode()) in sent[0]["headers"]


@pytest.mark.parametrize(
    ("request_", "status", "size"),
    [
        ({"path": "/nope"}, 404, None),
        ({"path": "/boom"}, 500, None),
        ({"query_string": b"a" * 9000}, 414, None),
        ({"path": "/stream"}, 200, 12),
        ({"path": "/", "method": "HEAD"}, 200, None),
        ({"type": "websocket", "path": "/ws", "scheme": "ws"}, 101, 5),
        ({"type": "websocket", "path": "/nope", "scheme": "ws"}, 403, 0),
        ({"path": "/wait", "leaves": True}, 499, 0),
    ],
)
async def test_the_status_and_the_size(
    request_: dict[str, Any], status: int, size: int | None
) -> None:
    [sent] = await ask(make(LOG_FORMAT="json"), request_)
    [line] = [json.loads(line) for line in text()]
    assert line["status"] == status
    assert size is None or line["bytes"] == size
    assert line["bytes"] == sum(len(m.get("body") or m.get("text") or "") for m in sent)
    assert line["complete"] is (status != 499)
    assert 0 <= line["duration_ms"] < 5000


async def test_a_line_of_json() -> None:
    await ask(make(LOG_FORMAT="json"), {"headers": [("user-agent", "curl\x1b")]})
    [line] = [json.loads(line) for line in text()]
    for name in ("time", "request_id", "trace_id", "span_id", "duration_ms"):
        assert line.pop(name)
    assert line == {
        "level": "INFO",
        "logger": "access",
        "message": "GET / 200",
        "method": "GET",
        "route": "/",
        "path": "/",
        "query": "",
        "status": 200,
        "bytes": 5,
        "client": "192.0.2.7",
        "user_agent": "curl\x1b",
        "referer": "",
        "http_version": "1.1",
        "complete": True,
    }


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/users/7/reset/canary"},
        {"path": "//users//7//reset//canary"},
        {"path": "/Users/7/Reset/canary/more"},
        {"path": "/users/7/reset/canary", "raw": b"/users/7/r%65set/canary"},
        {"path": "/users/7/reset/canary", "query_string": b"a" * 9000},
        {"path": "/mine/users/7/reset/canary", "root_path": "/mine"},
        {"query_string": b"a=1&token=canary&api_key=canary"},
        {"query_string": b"p%61ssword=canary"},
        {"headers": [("referer", "https://site.test/users/7/reset/canary")]},
        {"headers": [("referer", "https://site.test/?x=canary#canary")]},
        {"headers": [("referer", "https://canary:canary@site.test/")]},
        {"headers": [("referer", "https://[canary")]},
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_in_it(request_: dict[str, Any], form: str) -> None:
    await ask(make(LOG_FORMAT=form), request_)
    [line] = text()
    assert "canary" not in line


@pytest.mark.parametrize("form", ["text", "json"])
async def test_nobody_forges_a_line_or_fills_the_disk(form: str) -> None:
    evil = '\r\n127.0.0.1 "x'
    requests: list[dict[str, Any]] = [
        {"method": evil},
        {"raw": evil.encode()},
        {"query_string": evil.encode()},
        {"headers": [("x-forwarded-for", evil)]},
        *[{"headers": [(name, evil)]} for name in ("user-agent", "referer")],
        {"raw": b"/" + b"\xff" * 7000},
        {"method": "M" * 60_000},
        {"headers": [(name, "\xe9" * 15_000) for name in ("user-agent", "referer")]},
    ]
    await ask(make(LOG_FORMAT=form, PROXY_HOPS=1), *requests)
    lines = text()
    assert len(lines) == len(requests)
    assert max(map(len, lines)) < 16_000
    for line in lines:
        assert COMBINED.fullmatch(line) if form == "text" else json.loads(line)


@pytest.mark.parametrize(
    ("hops", "client"), [(0, "192.0.2.7"), (1, "c"), (2, "b"), (4, "192.0.2.7")]
)
async def test_the_client_is_the_one_that_views_see(hops: int, client: str) -> None:
    headers = [(b"X-Forwarded-For", b"a"), (b"x-forwarded-for", b"b, c")]
    scope = {"type": "http", "headers": headers, "client": ("192.0.2.7", 5)}
    seen: list[Any] = []

    async def view(inner: Any, *_: Any) -> None:
        seen.append(inner["client"][0])

    await ProxyFixMiddleware(view, trusted_hops=hops)(scope, None, None)  # type: ignore[arg-type]
    assert client_of(scope, hops) == seen[0] == client


async def test_requests_that_a_stop_cuts_off_have_503() -> None:
    app = make()
    inner: Any = app.asgi_app

    async def wait(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(5)
        await inner(scope, receive, send)

    app.asgi_app = wait  # type: ignore[method-assign]  # Quart's documented place
    async with app.test_app():
        waiting = asyncio.create_task(call(app, "/wait"))
        await asyncio.sleep(0.02)
        app.stop_requests()  # type: ignore[attr-defined]  # an App
        [start, *_] = await waiting
    assert start["status"] == 503
    assert '"GET /wait HTTP/1.1" 503' in text()[0]


async def test_it_is_off_unless_it_is_wanted() -> None:
    app = make(ACCESS_LOG="false")
    await ask(app, {})
    assert not exists("logs/access.log")
    assert not any("access" in type(each).__module__ for each in middleware(app))


async def test_a_file_of_its_own() -> None:
    await ask(make(ACCESS_LOG="elsewhere/web.log"), {})
    assert len(text("elsewhere/web.log")) == 1
    with pytest.raises(ConfigurationError, match="ACCESS_LOG: expected true, false, or a file"):
        make(ACCESS_LOG="flase")


async def test_with_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    await ask(make(LOG_TO_STDOUT=True), {})
    assert '"GET / HTTP/1.1" 200 5' in capsys.readouterr().out
    assert not exists("logs/access.log")
