import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from quart import appcontext_tearing_down, g, has_app_context, has_request_context, request, session

from quartapp.flasklike import App, stream_with_context


def make_app() -> tuple[App, list[Any]]:
    app = App("streams")
    app.secret_key = "secret"
    torn_down: list[Any] = []

    @app.teardown_request
    async def note(error: BaseException | None) -> None:
        torn_down.append((error, g.get("name"), request.path))

    return app, torn_down


def serve_stream(app: App, make: Any) -> None:
    @app.get("/<name>")
    async def index(name: str) -> Any:
        g.name = name
        session["name"] = name
        return make()


async def parts() -> AsyncIterator[str]:
    yield f"{request.path} "
    await asyncio.sleep(0)
    yield f"{g.name} {session['name']}"


def synchronous_parts() -> Iterator[str]:
    yield f"{request.path} "
    yield f"{g.name} {session['name']}"


@pytest.mark.parametrize("of", [parts, synchronous_parts], ids=["async", "sync"])
@pytest.mark.parametrize("how", ["generator", "function"])
async def test_a_stream_keeps_g_the_session_and_the_request(of: Any, how: str) -> None:
    app, torn_down = make_app()
    if how == "generator":
        serve_stream(app, lambda: stream_with_context(of()))
    else:
        serve_stream(app, lambda: stream_with_context(of)())
    response = await app.test_client().get("/susan")
    assert await response.get_data() == b"/susan susan susan"
    assert torn_down == [(None, "susan", "/susan")] * 2  # of the request, and of the stream


async def test_the_teardown_of_a_stream_gets_its_error() -> None:
    app, torn_down = make_app()
    error = ValueError("streaming")
    app_torn_down: list[Any] = []

    async def fail() -> AsyncIterator[str]:
        yield "some"
        raise error

    def on_app(_: Any, exc: Any) -> None:
        app_torn_down.append(exc)

    serve_stream(app, lambda: stream_with_context(fail()))
    with (
        appcontext_tearing_down.connected_to(on_app, app),
        pytest.raises(ValueError, match="streaming"),
    ):
        await app.test_client().get("/susan")
    assert [each[0] for each in torn_down] == app_torn_down == [None, error]


async def test_the_contexts_are_not_in_force_between_the_parts() -> None:
    app, torn_down = make_app()
    app_context = app.test_request_context("/x")
    await app_context.push()
    g.name = "here"
    stream = stream_with_context(parts_of_the_context())
    await app_context.pop(None)

    async def step() -> Any:
        return await anext(stream, None), has_request_context(), has_app_context()

    # each step in a new task, as in asyncio.wait_for
    steps = [await asyncio.create_task(step()) for _ in range(3)]
    assert steps == [("/x here", False, False), ("/x here", False, False), (None, False, False)]
    assert [each[0] for each in torn_down] == [None, None]


async def parts_of_the_context() -> AsyncIterator[str]:
    yield f"{request.path} {g.name}"
    yield f"{request.path} {g.name}"


async def test_a_stream_that_is_given_up_is_torn_down() -> None:
    app, torn_down = make_app()
    async with app.test_request_context("/x"):
        g.name = "here"
        stream = stream_with_context(parts_of_the_context())
    assert await anext(stream) == "/x here"
    await stream.aclose()
    assert [type(each[0]) for each in torn_down] == [type(None), GeneratorExit]


async def test_needs_a_request() -> None:
    with pytest.raises(RuntimeError, match="request context is active"):
        stream_with_context(parts())


def test_contexts_are_pushed_and_popped_in_plain_code() -> None:
    app, torn_down = App("plain"), []
    app.teardown_appcontext(lambda _error: torn_down.append("app"))
    app.teardown_request(lambda _error: torn_down.append("request"))
    context = app.app_context()
    context.push()
    assert has_app_context()
    inner: Any = app.test_request_context("/?name=World")
    inner.push()
    assert request.args["name"] == "World"
    inner.pop()
    assert not has_request_context()
    context.pop()
    assert not has_app_context()
    assert torn_down == ["request", "app"]
