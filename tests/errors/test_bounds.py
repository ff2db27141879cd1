"""A request whose head is too large gets a plain 4xx; nothing is logged, recorded or mailed."""

import asyncio
import json
from typing import Any

import pytest

from quartapp.flasklike import App
from quartapp.reporting import Report
from tests.costs import TOLERATED, growth

HOSTS = [
    "a" * 64 + ".example", "a..b", "[::1", "[::1]x", "[", "]", ".", "a b", "\xff", "x:99999",
    "x:abc", "a:80:80", "a" * 300, "%00", "user@host", "-", "-a.example", "a.-b", "a-.b", "a-:80",
]  # fmt: skip
GOOD_HOSTS = [
    "",
    "localhost",
    "example.org:8000",
    "[::1]:5000",
    "127.0.0.1",
    "my_app:5000",
    "a-b.c--d.e",
]


async def ask(app: App, path: str, query: str = "", **headers: Any) -> tuple[int, str, str]:
    """The status, type and text for a request that is made without the test client's cookie jar."""
    given = [(name, value) for name, values in headers.items() for value in values]
    return await send(app, "http", path, query, [("accept", "text/html"), *given])


async def send(
    app: App, kind: str, path: str, query: str, headers: list[tuple[str, str]]
) -> tuple[int, str, str]:
    scope: Any = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "subprotocols": [], "extensions": {},
    }  # fmt: skip
    sent: list[Any] = []

    async def take(message: Any) -> None:
        sent.append(message)

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    await app(scope, receive, take)
    if kind == "websocket":
        return sent[0]["code"], sent[0]["type"], ""
    answered = dict(sent[0]["headers"])
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    return sent[0]["status"], answered[b"content-type"].decode(), text


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_that_cannot_exist_is_a_plain_bad_request(
    app: App, caplog: pytest.LogCaptureFixture, captured_reports: list[Report], host: str
) -> None:
    for path in ("/", "/boom", "/nothing", "/api/nothing", "/health"):
        status, kind, text = await ask(app, path, host=[host])
        assert status == 400, path
        if path.startswith("/api"):
            assert (kind, json.loads(text)["code"]) == ("application/problem+json", "bad-request")
        else:
            assert (kind, "<h1>Bad Request</h1>" in text) == ("text/html; charset=utf-8", True)
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []
    assert captured_reports == []


@pytest.mark.parametrize("host", GOOD_HOSTS)
async def test_other_hosts_are_answered(app: App, host: str) -> None:
    assert (await ask(app, "/health", host=[host]))[0] == 200


async def test_a_host_that_is_not_trusted_is_a_plain_bad_request(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    app.config["TRUSTED_HOSTS"] = ["shop.example"]
    status, _, text = await ask(app, "/health", host=["other.example"])
    assert (status, "<h1>Bad Request</h1>" in text) == (400, True)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


BOUNDS: list[tuple[int, str, dict[str, Any]]] = [
    (414, "path", {"path": "/" + "a" * 8_000}),
    (414, "query", {"query": "a" * 8_000}),
    (400, "arguments", {"query": "a&" * 100}),
    (431, "head", {"x-one": ["a" * 33_000]}),
    (431, "fields", {"x-many": ["a"] * 100}),
    (431, "cookies", {"cookie": ["a=b;" * 200]}),
    (431, "cookies in many fields", {"cookie": ["a=b;" * 10] * 20}),
]
WITHIN: list[dict[str, Any]] = [
    {"query": "a" * 7_900},
    {"query": "a&" * 99},
    {"x-one": ["a" * 30_000]},
    {"x-many": ["a"] * 98},
    {"cookie": ["a=b;" * 199]},
]


@pytest.mark.parametrize(("status", "what", "more"), BOUNDS)
async def test_what_is_beyond_a_bound_is_refused_before_it_is_processed(
    app: App, captured_reports: list[Report], status: int, what: str, more: dict[str, Any]
) -> None:
    more = {"path": "/boom"} | more  # a view that fails if it is reached
    answer, kind, _ = await ask(app, **more)
    assert (answer, kind) == (status, "text/html; charset=utf-8"), what
    assert captured_reports == []


@pytest.mark.parametrize("more", WITHIN)
async def test_what_is_within_the_bounds_is_answered(app: App, more: dict[str, Any]) -> None:
    assert (await ask(app, **({"path": "/health"} | more)))[0] == 200


async def test_websockets_have_the_same_bounds(app: App) -> None:
    code, kind, _ = await send(app, "websocket", "/", "a" * 8_000, [])
    assert (code, kind) == (1008, "websocket.close")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("accept", "a/b;q=0.1;x=1,"),
        ("accept-language", "de,"),
        ("cookie", "a=b;"),
        ("cookie", "\\012"),
        ("content-type", ";a=b"),
        ("if-none-match", '"a",'),
        ("range", "0-1,"),
        ("authorization", "a=b,"),
        ("host", "a."),
        ("referer", "//["),
        ("origin", "://"),
    ],
)
async def test_header_fields_cost_no_more_than_their_size(app: App, name: str, part: str) -> None:
    async def get(size: int) -> None:
        more: dict[str, Any] = {name: [part * (size // len(part))]}
        assert (await ask(app, "/nothing", **more))[0] < 500

    assert await growth(get, 7_500) < TOLERATED


async def test_a_path_costs_no_more_than_its_size(app: App) -> None:
    async def get(size: int) -> None:
        for part in ("/", "a/", "../", "static/", "%2F"):
            assert (await ask(app, "/" + part * (size // len(part))))[0] < 500

    assert await growth(get, 1_900) < TOLERATED
