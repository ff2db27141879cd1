"""Every answer has the header fields of the application, whichever part gives it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import abort, redirect

from quartapp.errors import admission, deadlines
from quartapp.errors.headers import DEFAULTS
from quartapp.flasklike import App
from tests.shop.app import create_app, create_tables


@pytest.fixture
async def app(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[App]:
    monkeypatch.setattr(deadlines, "LOOK_EVERY", 0.02)
    monkeypatch.setattr(deadlines, "BODY_SECONDS", 0.1)
    application = create_app(tmp_path, database_url, REQUEST_TIMEOUT=0.2)
    await create_tables(application)
    application.add_url_rule("/there", view_func=there, methods=["GET", "POST"])
    application.add_url_rule("/hang", view_func=hang, methods=["GET", "POST"])
    application.add_url_rule("/away", view_func=away)
    application.add_url_rule("/own", view_func=own)
    application.add_websocket("/talk", view_func=talk)
    async with application.test_app():
        yield application


async def there() -> str:
    return "there"


async def hang() -> str:
    await asyncio.sleep(3600)
    return "never"


async def away() -> Any:
    return redirect("/there")


async def own() -> tuple[str, dict[str, str]]:
    return "own", {"Cache-Control": "public", "X-Frame-Options": "SAMEORIGIN"}


async def talk() -> None:
    abort(403)


class Exchange:
    """A request over raw ASGI, with the messages of a body that a test sends."""

    def __init__(self, app: App, path: str, *parts: Any, method: str = "GET", **more: Any) -> None:
        self.sent: list[Any] = []
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        for body, more_body in parts:
            self.messages.put_nowait({"type": "http.request", "body": body, "more_body": more_body})
        scope: Any = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
            "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
            "headers": [(b"host", b"localhost")], "extensions": {"websocket.http.response": {}},
            "subprotocols": [],
        } | more  # fmt: skip
        self.task = asyncio.ensure_future(app(scope, self.messages.get, self.send))

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def answer(self) -> tuple[int, list[tuple[str, str]]]:
        await asyncio.wait_for(asyncio.wait([self.task]), 60)
        fields = [(name.decode(), value.decode()) for name, value in self.sent[0]["headers"]]
        return self.sent[0]["status"], fields


def has_all(fields: list[tuple[str, str]], but: tuple[str, ...] = ()) -> bool:
    """Whether each default field is there once, and with its value."""
    names = [name for name, _ in fields]
    assert len(set(names)) == len(names), fields
    expected = {(name.lower(), value) for name, value in DEFAULTS.items()}
    return {field for field in expected if field[0] not in but} <= set(fields)


ANSWERS: list[tuple[str, int, dict[str, Any]]] = [
    ("/there", 200, {}),
    ("/there", 405, {"method": "DELETE"}),
    ("/away", 302, {}),
    ("/nothing", 404, {}),
    ("/boom", 500, {}),
    ("/api/nothing", 404, {}),
    ("/hang", 503, {}),
    ("/there", 400, {"headers": [(b"host", b"-")]}),
    ("/there", 400, {"query_string": b"a&" * 100}),
    ("/" + "a" * 8_000, 414, {}),
    ("/there", 431, {"headers": [(b"x", b"y")] * 101}),
    ("/talk", 403, {"type": "websocket", "scheme": "ws"}),
]


@pytest.mark.parametrize(("path", "status", "more"), ANSWERS)
async def test_every_answer_has_them(app: App, path: str, status: int, more: Any) -> None:
    found, fields = await Exchange(app, path, (b"", False), **more).answer()
    assert found == status
    assert has_all(fields)


async def test_a_field_of_the_answer_is_kept(app: App) -> None:
    _, fields = await Exchange(app, "/own", (b"", False)).answer()
    assert has_all(fields, but=("cache-control", "x-frame-options"))
    assert {("cache-control", "public"), ("x-frame-options", "SAMEORIGIN")} <= set(fields)


async def test_a_refusal_of_admission_has_them(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_self: object) -> None:
        return None

    monkeypatch.setattr(admission.Admission, "_has_room", lambda _self: False)
    monkeypatch.setattr(admission.Admission, "_turn", none)
    for path in ("/there", "/api/there"):
        status, fields = await Exchange(app, path, (b"", False)).answer()
        assert status == 503
        assert has_all(fields)


async def test_the_last_resort_has_them(app: App) -> None:
    async def fail(_error: BaseException | None) -> None:
        raise RuntimeError("canary")

    app.teardown_request(fail)
    exchange = Exchange(app, "/there", (b"", False))
    status, fields = await exchange.answer()
    assert isinstance(exchange.task.exception(), RuntimeError)
    assert status == 500
    assert has_all(fields)


async def test_the_answers_of_a_stop_have_them(app: App) -> None:
    under_way = Exchange(app, "/hang")
    await asyncio.sleep(0.05)
    app.stop_requests()
    for exchange in (under_way, Exchange(app, "/there")):
        status, fields = await exchange.answer()
        assert status == 503
        assert has_all(fields)


BODIES: list[tuple[str, int, bool, tuple[tuple[bytes, bool], ...]]] = [
    ("/there", 200, False, ((b"a" * 100, False),)),
    ("/there", 200, False, ((b"a" * 70, True), (b"a" * 30, False))),
    ("/there", 200, False, ((b"a" * 2**20, True), (b"a", False))),
    ("/there", 200, True, ()),
    ("/there", 200, True, ((b"a" * 70, True),)),
    ("/nothing", 404, True, ((b"a" * 70, True),)),
    ("/hang", 408, True, ((b"a" * 70, True),)),
    ("/" + "a" * 8_000, 414, True, ((b"a" * 70, True),)),
]


@pytest.mark.parametrize(("path", "status", "closes", "parts"), BODIES)
async def test_an_unread_body_ends_the_connection_and_the_answer_says_so(
    app: App, path: str, status: int, closes: bool, parts: Any
) -> None:
    length = [(b"host", b"localhost"), (b"content-length", b"100")]
    for version in ("1.1", "2"):
        exchange = Exchange(app, path, *parts, method="POST", headers=length, http_version=version)
        found, fields = await exchange.answer()
        assert found == status
        assert (("connection", "close") in fields) == (closes and version == "1.1"), version
