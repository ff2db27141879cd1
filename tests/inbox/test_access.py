"""Others get the application's own 404, whatever they ask for below the prefix."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, abort, g, request
from werkzeug.exceptions import Unauthorized

from quartapp.flasklike import App
from quartapp.inbox import Inbox
from quartapp.inbox.access import POLICY
from quartapp.reporting import Reporting
from quartapp.settings import ConfigurationError
from tests.inbox.conftest import OPERATOR, make_app

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]


async def raw(client: Any, path: str, method: str = "GET", **options: Any) -> tuple[Any, ...]:
    answer = await client.open(path, method=method, **options)
    return answer.status_code, sorted(answer.headers.items()), await answer.get_data()


def addresses(app: Quart) -> list[str]:
    """An address of every route of the inbox, and some that it has not."""
    values = {"group_id": "1", "name": "inbox.css", "reference": "abcdefgh", "sample_id": "1"}
    found = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("error_inbox."):
            with_values = {name: values.get(name, "1") for name in rule.arguments}
            path = rule.rule
            for name, value in with_values.items():
                path = "".join(
                    value if piece.rstrip(">").rpartition(":")[2] == name else piece
                    for piece in _pieces(path)
                )
            found.append(path)
    assert "/errors/" in found
    assert "/errors/static/inbox.css" in found
    return [*found, "/errors", "/errors/no-such-page", "/errors/999999999999999999999", "/errors//"]


def _pieces(rule: str) -> list[str]:
    return [piece for part in rule.split("<") for piece in _parted(part)]


def _parted(part: str) -> list[str]:
    inside, bracket, rest = part.partition(">")
    return [inside + bracket, rest] if bracket else [part]


async def test_all_addresses_are_unknown_to_others(app: Quart, client: Any) -> None:
    for method in METHODS:
        unknown = await raw(client, "/nowhere/", method)
        assert unknown[0] == 404
        for path in addresses(app):
            assert await raw(client, path, method) == unknown, (method, path)


async def test_an_operator_gets_pages(app: Quart, client: Any) -> None:
    answer = await client.get("/errors/", headers=OPERATOR)
    assert answer.status_code == 200
    assert "<h1>Errors</h1>" in await answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert (await client.get("/errors", headers=OPERATOR)).headers["Location"].endswith("/errors/")
    assert (await client.put("/errors/", headers=OPERATOR)).status_code == 405
    unknown = await client.get("/errors/no-such-page", headers=OPERATOR)
    assert unknown.status_code == 404


@pytest.mark.slow
async def test_functions_of_the_application_do_not_make_a_page_public(
    app: Quart, client: Any
) -> None:
    @app.after_request
    async def store_everything(response: Any) -> Any:
        response.headers["Cache-Control"] = "public, max-age=3600"
        response.headers["Content-Security-Policy"] = "default-src *"
        if "fail" in request.args:
            raise RuntimeError("the application's")
        return response

    for path in ("/errors/", "/errors/overview", "/errors/12345", "/errors/?state=x"):
        answer = await client.get(path, headers=OPERATOR)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"] == POLICY
    for path, method, status in (
        ("/errors?x=1", "GET", 308),
        ("/errors/1/resolve", "GET", 405),
        ("/errors/", "PUT", 405),
    ):
        answer = await client.open(path, method=method, headers=OPERATOR)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (status, "no-store")
        assert answer.headers.get("Location", "/errors/?x=1").endswith("/errors/?x=1")
        assert ("Allow" in answer.headers) is (status == 405)
    static = await client.get("/errors/static/inbox.css", headers=OPERATOR)
    assert static.headers["Cache-Control"].startswith("private")
    for path in ("/errors/", "/errors/?fail=1", "/nowhere/"):
        answer = await client.get(path)  # others get what all of the application's pages have
        assert answer.headers.get("Content-Security-Policy") != POLICY
    failed = await client.get("/errors/?fail=1", headers=OPERATOR)
    assert failed.status_code == 500
    assert failed.headers.get("Content-Security-Policy") != POLICY


async def test_functions_of_the_application_see_an_unknown_address(tmp_path: Path) -> None:
    app: Quart = make_app(tmp_path)
    seen = []

    @app.before_request
    async def note() -> None:
        seen.append((request.endpoint, request.url_rule, type(request.routing_exception)))

    client = app.test_client()
    for path in ("/errors/", "/nowhere"):
        await client.get(path)
    assert seen[0] == seen[1]
    assert seen[0][0] is None


async def test_a_plain_function_is_called_without_a_thread(tmp_path: Path) -> None:
    threads = []

    def allow() -> bool:
        threads.append(threading.current_thread())
        return False

    app = App("shop", instance_path=str(tmp_path))
    Reporting(app)
    Inbox(app, allow=allow)
    assert (await app.test_client().get("/errors/")).status_code == 404
    assert threads == [threading.main_thread()]


async def test_a_websocket_is_refused_like_any(app: Quart, client: Any) -> None:
    async def refused(path: str) -> str:
        try:
            async with client.websocket(path) as websocket:
                await websocket.receive()
        except Exception as error:  # noqa: BLE001 any, of either framework
            return f"{type(error).__name__} {getattr(error, 'response', None)}"
        return "accepted"

    assert await refused("/errors/") == await refused("/nowhere/")


def _refuse() -> bool:
    raise Unauthorized


async def _ask_later() -> bool:
    return True


WAYS: list[tuple[Callable[[], Any] | None, bool]] = [
    (None, False),
    (lambda: False, False),
    (lambda: None, False),
    (lambda: abort(403), False),
    (_refuse, False),
    (lambda: g.operator, True),
    (_ask_later, True),
    (lambda: _ask_later(), True),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [App, Quart])
async def test_allow_may_be_any_function(tmp_path: Path, kind: type[Quart]) -> None:
    for index, (allow, wanted) in enumerate(WAYS):
        app = kind("shop", instance_path=str(tmp_path / str(index)))
        app.config["SECRET_KEY"] = "k" * 40
        Reporting(app)
        Inbox(app, url_prefix="/ops/errors", allow=allow)

        @app.before_request
        async def load() -> None:
            g.operator = True

        answer = await app.test_client().get("/ops/errors/")
        assert answer.status_code == (200 if wanted else 404), index
        await app.extensions["reporting"].database.dispose()


async def test_a_route_for_all_addresses_answers_others(tmp_path: Path) -> None:
    app: Quart = make_app(tmp_path)

    @app.get("/<path:rest>")
    async def rest(rest: str) -> str:
        return "of the application"

    client = app.test_client()
    assert await (await client.get("/errors/")).get_data(as_text=True) == "of the application"
    assert "<h1>Errors" in await (await client.get("/errors/", headers=OPERATOR)).get_data(
        as_text=True
    )
    await app.extensions["reporting"].database.dispose()


@pytest.mark.parametrize("kind", [App, Quart])
async def test_without_a_key_the_application_does_not_start(
    tmp_path: Path, kind: type[Quart]
) -> None:
    app = make_app(tmp_path, kind)
    app.config["SECRET_KEY"] = None
    with pytest.raises(ConfigurationError, match="SECRET_KEY: is required by Inbox"):
        await app.startup()
    await app.extensions["reporting"].stop()  # it had started before


def test_wrong_installations_say_what_is_wrong(tmp_path: Path) -> None:
    app = App("shop", instance_path=str(tmp_path))
    with pytest.raises(RuntimeError, match="has no Reporting"):
        Inbox(app)
    Reporting(app)
    with pytest.raises(ValueError, match="url_prefix"):
        Inbox(app, url_prefix="errors/")
    with pytest.raises(TypeError, match="allow"):
        Inbox(app, allow="admin")  # type: ignore[arg-type]
    inbox = Inbox(app)
    with pytest.raises(RuntimeError, match="Inbox is installed"):
        inbox.init_app(app)
    inbox.init_app(make_other(tmp_path))


def make_other(folder: Path) -> Quart:
    app = Quart("other", instance_path=str(folder))
    Reporting(app)
    return app


async def test_broken_parts_of_the_application_break_no_page(tmp_path: Path) -> None:
    app: Quart = make_app(tmp_path)

    @app.context_processor
    def broken() -> dict[str, object]:
        raise RuntimeError("canary")

    app.jinja_env.filters["line"] = app.jinja_env.filters["e"] = lambda text: "<b>"
    app.jinja_env.globals["csrf_token"] = broken
    async with app.test_app():
        answer = await app.test_client().get("/errors/", headers=OPERATOR)
        assert answer.status_code == 200
        assert "<b>" not in await answer.get_data(as_text=True)


async def test_a_database_that_is_away_is_a_page(app: Quart, client: Any, tmp_path: Path) -> None:
    pipeline = app.extensions["reporting"]
    await pipeline.flush()

    async def fail() -> None:
        raise OSError("connection refused")

    pipeline.prepare = fail
    answer = await client.get("/errors/", headers=OPERATOR)
    text = await answer.get_data(as_text=True)
    assert answer.status_code == 503
    assert "does not answer" in text
    assert pipeline.recorder.take_owed() == []
