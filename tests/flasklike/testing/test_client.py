import asyncio
from typing import Any

import pytest
from quart import g, has_request_context, request, session

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


def make_session_app() -> App:
    app = App("sessions")
    app.secret_key = "secret"

    @app.get("/")
    @app.get("/below/")
    async def read() -> Any:
        return {"session": dict(session), "cookies": dict(request.cookies)}

    return app


async def test_cookies_are_set_as_in_flask_and_as_in_quart() -> None:
    client: Any = make_session_app().test_client()
    client.set_cookie("a", "ü")
    client.set_cookie("localhost", "b", "2")
    client.set_cookie("c", value="3", path="/below")
    client.set_cookie(server_name="other.example", key="d", value="4")
    client.set_cookie("e", "5", domain="other.example")
    assert (await client.get("/")).json["cookies"] == {"a": "ü", "b": "2"}
    assert (await client.get("/below/")).json["cookies"] == {"a": "ü", "b": "2", "c": "3"}
    away = await client.get("/", base_url="http://other.example")
    assert away.json["cookies"] == {"d": "4", "e": "5"}
    found = client.get_cookie("a")
    assert found is not None
    assert (found.decoded_value, found.domain, found.path) == ("ü", "localhost", "/")
    client.delete_cookie("a")
    client.delete_cookie("localhost", "b")
    assert client.get_cookie("a") is None
    assert (await client.get("/")).json["cookies"] == {}
    assert len(client.cookie_jar) == 3


async def test_a_session_is_prepared_in_a_transaction() -> None:
    client: Any = make_session_app().test_client()
    async with client.session_transaction("/", base_url="http://localhost/") as prepared:
        prepared["a"] = 1
        assert not has_request_context()
    async with client.session_transaction() as prepared:
        assert prepared == {"a": 1}
    assert (await client.get("/")).json["session"] == {"a": 1}


async def test_without_cookies_there_are_no_sessions() -> None:
    client: Any = make_session_app().test_client(use_cookies=False)
    with pytest.raises(TypeError, match="use_cookies=True"):
        client.set_cookie("a", "1")
    with pytest.raises(TypeError, match="use_cookies=True"):
        async with client.session_transaction():
            pass
    assert (await client.get("/")).json["cookies"] == {}


async def test_a_client_has_an_address_and_a_name() -> None:
    app, _ = make_app()

    @app.get("/who/")
    async def who() -> str:
        return f"{request.remote_addr} {request.user_agent.string}"

    client: Any = app.test_client()
    assert (await client.get("/who/")).text.startswith("127.0.0.1 Werkzeug/3.")
    client.environ_base["REMOTE_ADDR"] = "10.0.0.1"
    assert (await client.get("/who/")).text.startswith("10.0.0.1 ")


def test_where_no_loop_runs_the_client_is_used_as_flasks() -> None:
    app = make_session_app()

    @app.post("/form/")
    def form() -> Any:
        sent: Any = request.form
        session["name"] = sent["name"]
        return sent["name"]

    client: Any = app.test_client()
    assert client.post("/form/", data={"name": "ü"}).text == "ü"
    with client.session_transaction() as prepared:
        assert prepared == {"name": "ü"}
        prepared["name"] = "b"
    with client:
        response = client.get("/")
        assert response.json["session"] == {"name": "b"}
        assert (request.path, session["name"]) == ("/", "b")
        with pytest.raises(RuntimeError, match="nest"):
            client.__enter__()
    assert not has_request_context()
    assert asyncio.run(client.get("/")).status_code == 200  # as in tests for Quart


async def test_where_a_loop_runs_a_plain_block_says_what_to_write() -> None:
    client: Any = make_session_app().test_client()
    with pytest.raises(RuntimeError, match="write 'async with client:'"), client:
        pass
    block = client.session_transaction()
    with (
        pytest.raises(RuntimeError, match=r"write 'async with client.session_transaction\("),
        block,
    ):
        pass


async def test_the_cookies_of_a_response_whose_body_fails_are_kept() -> None:
    app = App("client")
    app.config.update(TESTING=True, SECRET_KEY="secret")

    @app.get("/")
    async def index() -> Any:
        session["count"] = session.get("count", 0) + 1

        async def parts() -> Any:
            yield "begun"
            raise ValueError("in the body")

        return parts()

    client = app.test_client()
    for count in (1, 2):
        with pytest.raises(ValueError, match="in the body"):
            await client.get("/")
        async with client.session_transaction() as kept:
            assert kept["count"] == count
