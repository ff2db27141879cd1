"""What changes when a Quart application becomes an `App`.

Each function is named in the table "Coming from Quart" of docs/port.md, and shows both sides.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import quart
from quart import Quart, g, request, session, websocket
from quart.testing.connections import WebsocketDisconnectError

from quartapp import flasklike
from quartapp.flasklike import App

DOCUMENT = Path(__file__).parents[3] / "docs" / "port.md"


@pytest.fixture
def old() -> Quart:
    app = Quart("old")
    app.secret_key = "a key"
    return app


@pytest.fixture
def new() -> App:
    app = App("new")
    app.secret_key = "a key"
    return app


async def answer(app: Any, view: Callable[[], Any], method: str = "GET", **kwargs: Any) -> Any:
    """The response of *view*."""
    app.add_url_rule("/", "view", view, methods=["GET", "POST"])
    return await app.test_client().open("/", method=method, **kwargs)


async def fail() -> str:
    raise ValueError("wrong")


async def nothing() -> str:
    return ""


def test_change_body_limit(old: Quart, new: App) -> None:
    assert old.config["MAX_CONTENT_LENGTH"] == 16 * 1024 * 1024
    assert new.config["MAX_CONTENT_LENGTH"] is None


def test_change_static_files_in_caches(old: Quart, new: App) -> None:
    assert old.config["SEND_FILE_MAX_AGE_DEFAULT"] == timedelta(hours=12)
    assert new.config["SEND_FILE_MAX_AGE_DEFAULT"] is None


async def test_change_errors_in_tests(old: Quart, new: App) -> None:
    old.testing = new.testing = True
    assert (await answer(old, fail)).status_code == 500
    with pytest.raises(ValueError, match="wrong"):
        await answer(new, fail)


async def test_change_errors_in_teardown(old: Quart, new: App) -> None:
    seen: list[Any] = []
    for app in (old, new):
        app.teardown_request(seen.append)
        await answer(app, fail)
    assert seen[0] is None
    assert isinstance(seen[1], ValueError)


async def test_change_teardown_order(old: Quart, new: App) -> None:
    orders: list[list[int]] = []
    for app in (old, new):
        order: list[int] = []
        app.teardown_appcontext(lambda _, order=order: order.append(1))
        app.teardown_appcontext(lambda _, order=order: order.append(2))
        async with app.app_context():
            pass
        orders.append(order)
    assert orders == [[1, 2], [2, 1]]


async def test_change_json_of_another_type(old: Quart, new: App) -> None:
    async def view() -> str:
        return str(await request.get_json())

    assert await (await answer(old, view, "POST", data=b"{}")).get_data() == b"None"
    assert (await answer(new, view, "POST", data=b"{}")).status_code == 415


async def test_change_setup_after_the_first_request(old: Quart, new: App) -> None:
    for app in (old, new):
        await answer(app, nothing)
    old.add_url_rule("/late", "late", nothing)
    with pytest.raises(AssertionError, match="can no longer be called"):
        new.add_url_rule("/late", "late", nothing)


async def test_change_subdomains(old: Quart, new: App) -> None:
    codes = []
    for app in (old, new):
        app.config["SERVER_NAME"] = "here.example"
        app.add_url_rule("/", "view", nothing, subdomain="sub")
        headers = {"Host": "sub.here.example"}
        codes.append((await app.test_client().get("/", headers=headers)).status_code)
    assert codes == [200, 404]


@pytest.mark.filterwarnings("ignore:Current server name:UserWarning")  # Werkzeug's, with Quart
async def test_change_hosts(old: Quart, new: App) -> None:
    codes = []
    for app in (old, new):
        app.config["SERVER_NAME"] = "here.example"
        codes.append((await answer(app, nothing, headers={"Host": "else.example"})).status_code)
        app.config["SERVER_NAME"] = None
        app.config["TRUSTED_HOSTS"] = ["here.example"]
        response = await app.test_client().get("/", headers={"Host": "else.example"})
        codes.append(response.status_code)
    assert codes == [404, 200, 200, 400]


async def test_change_vary(old: Quart, new: App) -> None:
    async def view() -> str:
        return str(session.get("name"))

    assert "Vary" not in (await answer(old, view)).headers
    assert (await answer(new, view)).headers["Vary"] == "Cookie"


async def test_change_g_in_streams(old: Quart, new: App) -> None:
    bodies = []
    for app, stream_with_context in (
        (old, quart.stream_with_context),
        (new, flasklike.stream_with_context),
    ):

        async def view(stream_with_context: Any = stream_with_context) -> Any:
            g.name = "susan"

            async def parts() -> AsyncIterator[str]:
                yield g.get("name", "nobody")

            return stream_with_context(parts)()

        bodies.append(await (await answer(app, view)).get_data())
    assert bodies == [b"nobody", b"susan"]


async def test_change_status_texts(old: Quart, new: App) -> None:
    async def view() -> Any:
        return "short and stout", "418 TEAPOT"

    assert (await answer(old, view)).status_code == 500
    assert (await answer(new, view)).status_code == 418


async def test_change_plain_functions(old: Quart, new: App) -> None:
    def view() -> str:
        form: Any = request.form
        if asyncio.iscoroutine(form):
            form.close()
        return type(form).__name__

    assert await (await answer(old, view, "POST")).get_data() == b"coroutine"
    assert await (await answer(new, view, "POST")).get_data() == b"ImmutableMultiDict"


def test_change_templates(old: Quart, new: App) -> None:
    assert (old.jinja_env.is_async, new.jinja_env.is_async) == (True, False)


async def test_change_responses_of_errors(old: Quart, new: App) -> None:
    async def view() -> str:
        quart.abort(404)

    seen: list[bool] = []
    for app in (old, new):

        @app.after_request
        async def after(response: Any, app: Any = app) -> Any:
            seen.append(isinstance(response, app.response_class))
            return response

        await answer(app, view)
    assert seen == [False, True]


async def test_change_names_of_files(old: Quart, new: App) -> None:
    async with old.test_request_context("/"):
        response = await quart.send_file(__file__, attachment_filename="a.txt", as_attachment=True)
        assert response.headers["Content-Disposition"] == "attachment; filename=a.txt"
    async with new.test_request_context("/"):
        send_file: Any = flasklike.send_file
        for name in ("attachment_filename", "cache_timeout", "add_etags"):
            with pytest.raises(TypeError, match=name):
                await send_file(__file__, **{name: None})
        response = await send_file(
            __file__, download_name="a.txt", as_attachment=True, max_age=1, etag=False
        )
        assert response.headers["Content-Disposition"] == "attachment; filename=a.txt"


async def test_change_head(old: Quart, new: App) -> None:
    async def view() -> str:
        return "text"

    assert await (await answer(old, view, "HEAD")).get_data() == b"text"
    assert await (await answer(new, view, "HEAD")).get_data() == b""


async def test_change_stray_cancellation(
    old: Quart, new: App, caplog: pytest.LogCaptureFixture
) -> None:
    async def view() -> str:
        raise asyncio.CancelledError

    await answer(old, view)
    assert caplog.text == ""
    assert (await answer(new, view)).status_code == 500
    assert "StrayCancelledError" in caplog.text


async def test_change_tasks(old: Quart, new: App) -> None:
    async def task() -> None:
        quart.abort(404)

    async def view() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(task())
        return ""

    assert (await answer(old, view)).status_code == 500
    assert (await answer(new, view)).status_code == 404


async def test_change_websocket_errors(old: Quart, new: App) -> None:
    async def view() -> None:
        await websocket.accept()
        raise ValueError

    codes = []
    for app in (old, new):
        app.add_websocket("/", "view", view)
        with pytest.raises(WebsocketDisconnectError) as left:
            async with app.test_client().websocket("/") as connection:
                await connection.receive()
        codes.append(left.value.args[0])
    assert codes == [1000, 1011]


async def test_change_contexts_in_tests(old: Quart, new: App) -> None:
    counts = []
    for app in (old, new):
        seen: list[Any] = []
        app.teardown_request(seen.append)
        app.add_url_rule("/", "view", nothing)
        async with app.test_client() as client:
            await client.get("/")
            assert request.path == "/"
            counts.append(len(seen))
        counts.append(len(seen))
    assert counts == [0, 0, 1, 2]


def test_every_change_is_in_the_document_and_every_one_there_is_shown() -> None:
    _, _, table = DOCUMENT.read_text("utf-8").partition("## Coming from Quart")
    named = re.findall(r"^\| `(\w+)` \|", table.partition("## ")[0], re.MULTILINE)
    tests = [name.removeprefix("test_change_") for name in globals() if "test_change_" in name]
    assert named == tests
