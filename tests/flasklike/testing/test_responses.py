from typing import Any

import pytest

from quartapp.flasklike import App, Response, make_response, redirect, request, url_for


def make_app() -> App:
    app = App("responses")

    @app.route("/json/<name>")
    async def in_json(name: str) -> Any:
        values: dict[str, Any] = {
            "dict": {"a": 1},
            "list": [1],
            "text": "a",
            "int": 7,
            "float": 0.5,
            "true": True,
            "null": None,
        }
        return await make_response(app.json.response(values[name]))

    @app.route("/text")
    async def text() -> Any:
        return "ü".encode() + b"\xff"

    @app.route("/broken")
    async def broken() -> Any:
        return Response("{", mimetype="application/json")

    @app.route("/from", methods=["GET", "POST"])
    async def start() -> Any:
        return redirect(url_for("middle"), int(request.args.get("code", 302)))

    @app.route("/middle", methods=["GET", "POST"])
    async def middle() -> Any:
        return redirect("end?a=1", int(request.args.get("code", 302)))

    @app.route("/end", methods=["GET", "POST"])
    async def end() -> Any:
        return f"{request.method} {request.url} {(await request.get_data(as_text=True))!s}"

    @app.route("/again", methods=["GET", "POST"])
    async def again() -> Any:
        return redirect("/end", 307)

    app.add_url_rule("/loop", "loop", lambda: redirect("/loop"))
    app.add_url_rule("/away", "away", lambda: redirect("https://example.org/"))
    return app


@pytest.mark.parametrize("name", ["dict", "list", "text", "int", "float"])
async def test_json_is_read_as_in_flask_and_as_in_quart(name: str) -> None:
    response: Any = await make_app().test_client().get(f"/json/{name}")
    expected = {"dict": {"a": 1}, "list": [1], "text": "a", "int": 7, "float": 0.5}[name]
    assert response.json == response.get_json() == expected
    for awaited in await response.json, await response.get_json():
        assert awaited == expected
        assert type(awaited) is type(expected)


@pytest.mark.parametrize(("name", "expected"), [("true", True), ("null", None)])
async def test_a_constant_in_json_has_to_be_awaited(name: str, expected: bool | None) -> None:
    response: Any = await make_app().test_client().get(f"/json/{name}")
    assert await response.json is expected
    for use in (bool, hash, lambda value: value == expected, lambda value: value != expected):
        with pytest.raises(TypeError, match="only awaiting gives: write 'await"):
            use(response.json)


@pytest.mark.parametrize(("name", "expected"), [("true", True), ("null", None)])
def test_a_constant_in_json_is_itself_in_a_plain_test(name: str, expected: bool | None) -> None:
    response: Any = make_app().test_client().get(f"/json/{name}")
    assert response.json is expected
    assert response.get_json() is expected


async def test_a_body_is_read_as_in_flask_and_as_in_quart() -> None:
    response: Any = await make_app().test_client().get("/text")
    body = b"\xc3\xbc\xff"
    assert response.data == response.get_data() == await response.data == body
    assert response.text == response.get_data(as_text=True) == "ü\ufffd"
    assert await response.get_data(as_text=True) == "ü\ufffd"
    assert type(await response.data) is bytes
    assert await response.json is None  # another type
    assert await response.close() is None
    assert isinstance(response, Response)


async def test_broken_json_is_an_error_unless_silent() -> None:
    response: Any = await make_app().test_client().get("/broken")
    with pytest.raises(ValueError, match="property name"):
        response.get_json()
    assert await response.get_json(silent=True) is None


async def test_redirects_are_followed_and_kept_as_history() -> None:
    client: Any = make_app().test_client()
    response = await client.post("/from", data={"a": "1"}, follow_redirects=True)
    assert response.text == "GET http://localhost/end?a=1 "
    assert [one.status_code for one in response.history] == [302, 302]
    assert [one.request.path for one in response.history] == ["/from", "/middle"]
    assert response.history[1].history == response.history[:1]
    assert response.request.url == "http://localhost/end?a=1"
    response = await client.post("/again", data={"a": "1"}, follow_redirects=True)
    assert response.text == "POST http://localhost/end a=1"


@pytest.mark.parametrize(("path", "text"), [("/loop", "Loop"), ("/away", "external")])
async def test_some_redirects_are_not_followed(path: str, text: str) -> None:
    client: Any = make_app().test_client()
    with pytest.raises(Exception, match=text):
        await client.get(path, follow_redirects=True)
    assert (await client.get(path)).status_code == 302
