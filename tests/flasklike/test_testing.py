import asyncio
from typing import Any

import pytest
from quart import g, has_request_context, request

from quartapp.flasklike import App


def make_app() -> tuple[App, list[str]]:
    app = App("client")
    torn_down: list[str] = []

    @app.get("/<name>")
    async def index(name: str) -> Any:
        g.name = name
        return (name, 204) if name == "empty" else name

    app.teardown_request(lambda e: torn_down.append(g.get("name")))
    return app, torn_down


async def test_a_block_keeps_the_context_of_the_last_request() -> None:
    app, torn_down = make_app()
    async with app.test_client() as client:
        await client.get("/one")
        assert (request.path, g.name, torn_down) == ("/one", "one", ["one"])
        await client.get("/two")
        assert (request.path, g.name, torn_down) == ("/two", "two", ["one", "one", "two"])
    assert torn_down == ["one", "one", "two", "two"]
    assert not has_request_context()


async def test_a_block_may_end_in_another_task() -> None:
    app, torn_down = make_app()
    client = app.test_client()
    await asyncio.create_task(client.__aenter__())
    await asyncio.create_task(client.get("/one"))
    await client.__aexit__(None, None, None)  # type: ignore[arg-type]  # as `async with` does
    assert torn_down == ["one", "one"]


async def test_without_a_block_nothing_is_kept() -> None:
    app, torn_down = make_app()
    await app.test_client().get("/one")
    assert torn_down == ["one"]
    assert not has_request_context()


async def test_blocks_do_not_nest() -> None:
    app, _ = make_app()
    async with app.test_client() as client:
        with pytest.raises(RuntimeError, match="nest"):
            await client.__aenter__()


async def test_the_answer_has_the_fields_that_were_sent() -> None:
    app, _ = make_app()
    response = await app.test_client().get("/empty")
    assert "Content-Length" not in response.headers
    response = await app.test_client().head("/some")
    assert response.headers["Content-Length"] == "4"
    assert await response.get_data() == b""


async def test_requests_go_where_the_configuration_says() -> None:
    app, _ = make_app()
    app.config.update(PREFERRED_URL_SCHEME="https", APPLICATION_ROOT="/root")

    @app.get("/where/")
    async def where() -> str:
        return f"{request.url} {request.path}"

    response = await app.test_client().get("/where/")
    assert await response.get_data() == b"https://localhost/root/where/ /where/"
