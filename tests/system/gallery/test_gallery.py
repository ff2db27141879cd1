"""Each example answers as it says, and both versions of it answer alike, header for header."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.system.parity.observe import describe_headers

GALLERY = Path(__file__).parents[3] / "docs" / "gallery"


@dataclass(frozen=True)
class Exchange:
    """A request to an example, and of the response the status and a part of the body or headers."""

    example: str
    request: str
    status: int
    body: str = ""
    header: tuple[str, str] | None = None
    data: str = ""
    content_type: str = ""


JSON = "application/json"
EXCHANGES = [
    Exchange("registering", "GET /posts/2", 200, "Post 2"),
    Exchange("registering", "GET /posts/0", 400, "counted from 1"),
    Exchange("registering", "GET /posts/9", 404, "no such post"),
    Exchange("registering", "GET /nowhere", 404, "no such post"),
    Exchange("unknown_code", "POST /uploads", 507, "There is no room"),
    Exchange("generic_json", "GET /nowhere", 404, '"code": 404'),
    Exchange("generic_json", "GET /search", 429, header=("retry-after", "60")),
    Exchange("generic_json", "POST /search", 405, '"code": 405'),
    Exchange("generic_json", "GET /broken", 500, '"code": 500'),
    Exchange("generic_exception", "GET /", 500, "not your fault"),
    Exchange("generic_exception", "GET /nowhere", 404, "<h1>Not Found</h1>"),
    Exchange("unhandled", "GET /asked", 500, "Someone said abort"),
    Exchange("unhandled", "GET /unexpected", 500, "a ConnectionError"),
    Exchange("custom_pages", "GET /<x>", 404, "<h1>/&lt;x&gt; is not here"),
    Exchange("custom_pages", "GET /followers", 500, "our fault"),
    Exchange("factory", "POST /posts", 429, "come back tomorrow"),
    Exchange("factory", "GET /", 404, "nothing here"),
    Exchange("blueprints", "GET /api/posts/13", 422, "rejected by api"),
    Exchange("blueprints", "GET /post/1", 422, "rejected by pages"),
    Exchange("blueprints", "GET /api/posts/1", 404, "a view of the API said"),
    Exchange("blueprints", "GET /api/nowhere", 404, '"error":"Not Found"'),
    Exchange("blueprints", "PUT /api/posts/1", 405, "Method Not Allowed"),
    Exchange("blueprints", "GET /nowhere", 404, "<h1>Not Found</h1>"),
    Exchange("json_errors", "GET /users/bob", 404, "404 Not Found: nobody is"),
    Exchange("json_errors", "POST /users", 415, data="x=1"),
    Exchange("json_errors", "POST /users", 400, data="{", content_type=JSON),
    Exchange("json_errors", "POST /users", 201, data='{"name":1}', content_type=JSON),
    Exchange("invalid_usage", "GET /messages", 400, "how many messages"),
    Exchange("invalid_usage", "GET /messages?limit=999", 422, "too much"),
    Exchange("invalid_usage", "GET /messages?limit=5", 200, "5 messages"),
    Exchange("statuses", "GET /number", 202, "accepted"),
    Exchange("statuses", "GET /text", 418, "short and stout"),
    Exchange("statuses", "GET /enum", 409, "conflict"),
    Exchange("statuses", "GET /headers", 200, header=("x-answer", "42")),
    Exchange("statuses", "GET /all", 202, '"queued"', ("x-queue", "mail")),
    Exchange("statuses", "GET /made", 203, "made by hand"),
    Exchange("statuses", "POST /empty", 201, header=("content-length", "0")),
    Exchange("statuses", "POST /posts", 201, '"id":7', ("location", "/posts/7")),
    Exchange("statuses", "GET /latest", 303, header=("location", "/posts/9")),
    Exchange("statuses", "DELETE /posts/1", 204),
    Exchange("lookups", "GET /users/susan", 200, "Susan says hello."),
    Exchange("lookups", "GET /users/bob", 404, "nobody is called bob"),
    Exchange("lookups", "GET /users/bob/created", 500, "abort refuses: "),
]


def load(example: str, side: str) -> Any:
    return importlib.import_module(f"docs.gallery.{example}.{side}").app


def arguments(exchange: Exchange) -> tuple[str, dict[str, Any]]:
    method, _, path = exchange.request.partition(" ")
    keywords: dict[str, Any] = {"method": method, "headers": {}}
    if exchange.data:
        keywords["data"] = exchange.data.encode()
    if exchange.content_type:
        keywords["headers"]["Content-Type"] = exchange.content_type
    return path, keywords


Answer = tuple[int, tuple[tuple[str, str], ...], bytes]


def ask_flask(exchange: Exchange) -> Answer:
    path, keywords = arguments(exchange)
    response = load(exchange.example, "on_flask").test_client().open(path, **keywords)
    return response.status_code, describe_headers(response.headers), response.data


async def ask_flasklike(exchange: Exchange) -> Answer:
    path, keywords = arguments(exchange)
    response = await load(exchange.example, "on_flasklike").test_client().open(path, **keywords)
    body = await response.get_data(as_text=False)
    return response.status_code, describe_headers(response.headers), body


@pytest.mark.parametrize(
    "exchange", EXCHANGES, ids=lambda exchange: f"{exchange.example}: {exchange.request}"
)
async def test_both_versions_answer_alike_and_as_promised(exchange: Exchange) -> None:
    answer = await ask_flasklike(exchange)
    assert answer == ask_flask(exchange)
    status, headers, body = answer
    assert status == exchange.status
    assert exchange.body in body.decode()
    assert exchange.header is None or exchange.header in headers


def examples() -> list[str]:
    return sorted(path.parent.name for path in GALLERY.glob("*/on_flasklike.py"))


def test_every_example_is_asked() -> None:
    assert examples() == sorted({exchange.example for exchange in EXCHANGES})


@pytest.mark.parametrize("example", examples())
def test_the_versions_can_be_compared_line_by_line(example: str) -> None:
    """Apart from the imports, only `async`, `await` and the name of the class differ."""
    versions = [
        (GALLERY / example / f"on_{side}.py").read_text() for side in ("flask", "flasklike")
    ]
    assert plain(versions[0]) == plain(versions[1])


def plain(source: str) -> list[str]:
    source = source.replace("async def", "def").replace("await ", "").replace("Flask", "App")
    source = source.replace("Response | BaseResponse", "Response")
    return [
        line for line in source.splitlines() if line and not line.startswith(("from ", "import "))
    ]


def test_every_example_is_in_the_index() -> None:
    index = (GALLERY / "README.md").read_text()
    assert [name for name in examples() if f"({name}/on_flask.py)" not in index] == []
    assert [name for name in examples() if f"({name}/on_flasklike.py)" not in index] == []
