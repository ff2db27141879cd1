"""Forms are sent as a browser sends them."""

from typing import Any

import httpx
import pytest
from quart import Quart, request

from quartapp.flasklike import App
from quartapp.testing import FormError, submit

PAGE = """
<form action="/search"><input name="q"><input type="submit" name="go" value="Go"></form>
<form id="profile" method="post" action="">
  <input type="hidden" name="csrf_token" value="t&amp;1">
  <input name="username" value="old"><input type="password" name="password">
  <textarea name="about">
two &lt; lines
</textarea>
  <input type="checkbox" name="remember" value="yes" checked><input type="checkbox" name="news">
  <input type="radio" name="size" value="s"><input type="radio" name="size" value="l" checked>
  <select name="colour"><option>red</option><option value="b">blue</option></select>
  <select name="langs" multiple><option value="en" selected>E</option><option value="es">S</option>
  </select>
  <input name="off" value="x" disabled>
  <button name="save">Save</button><button name="delete" value="1">Delete</button>
</form>
<input name="outside" form="profile" value="o">
"""
SENT = {
    "csrf_token": ["t&1"],
    "username": ["old"],
    "password": [""],
    "about": ["two < lines\n"],
    "remember": ["yes"],
    "size": ["l"],
    "colour": ["red"],
    "langs": ["en"],
    "outside": ["o"],
}


@pytest.fixture(params=[Quart, App])
def app(request: pytest.FixtureRequest) -> Quart:
    app: Quart = request.param("theirs")

    @app.get("/page")
    async def page() -> str:
        return PAGE

    @app.post("/page")
    async def take() -> dict[str, list[str]]:
        return dict((await request_form()).lists())

    @app.get("/search")
    async def search() -> dict[str, Any]:
        return request_args()

    @app.get("/empty")
    async def empty() -> str:
        return "no form"

    return app


async def request_form() -> Any:
    return await request.form


def request_args() -> dict[str, Any]:
    return request.args.to_dict()


async def sent(client: Any, **values: Any) -> dict[str, list[str]]:
    response = await submit(client, "/page", form="profile", **values)
    assert response.status_code == 200
    got: dict[str, list[str]] = await response.get_json()
    return got


async def test_what_the_page_has_is_sent_with_what_is_given(client: Any) -> None:
    assert await sent(client) == SENT
    changed = await sent(
        client,
        username="susan",
        remember=False,
        news=True,
        size="s",
        colour="b",
        langs=["en", "es"],
        password=None,
        delete=True,
    )
    expected = SENT | {
        "username": ["susan"],
        "news": ["on"],
        "size": ["s"],
        "colour": ["b"],
        "langs": ["en", "es"],
        "delete": ["1"],
    }
    assert changed == {k: v for k, v in expected.items() if k not in {"remember", "password"}}


async def test_the_only_form_with_the_given_fields_is_sent(client: Any) -> None:
    response = await submit(client, "/page", q="a b")
    assert await response.get_json() == {"q": "a b"}
    response = await submit(client, "/page", username="susan")
    assert (await response.get_json())["username"] == ["susan"]


@pytest.mark.parametrize(
    ("path", "values", "message"),
    [
        ("/empty", {}, "/empty has no form"),
        ("/none", {}, "GET /none answered 404"),
        ("/page", {}, "no form of /page has all of"),
        ("/page", {"form": "login"}, r"has no form 'login', but\n  <form action='/search'>: q, go"),
        ("/page", {"user": "x"}, r"no form of /page has all of user:\n"),
        ("/page", {"form": "profile", "user": "x"}, "has no field 'user', but username, password"),
        ("/page", {"size": "xl"}, r"'size' of <form id='profile'.* offers \['s', 'l'\], not"),
    ],
)
async def test_what_is_wrong_is_named(
    client: Any, path: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(FormError, match=message):
        await submit(client, path, **values)


async def test_with_httpx(app: Quart) -> None:
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # Hypercorn's types
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await submit(client, "/page", username="susan")
    assert response.json() == SENT | {"username": ["susan"]}
