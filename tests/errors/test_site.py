"""What an error page says of the error itself is true."""

import json
from pathlib import Path

import pytest
from quart import Quart, abort

from quartapp.errors import ErrorPages
from quartapp.flasklike import App
from quartapp.reporting import Reporting
from tests.errors.conftest import Unreadable, serve

RECORDED = "has been recorded"
UNRECORDED = "Something went wrong on this server."


@pytest.fixture(params=[(App, True), (App, False), (Quart, True), (Quart, False)])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Quart:
    """A shop, with a template for its errors or without."""
    kind, has_template = request.param
    templates = tmp_path / "templates" / "errors"
    templates.mkdir(parents=True)
    if has_template:
        (templates / "500.html").write_text("{{ error.detail }} {{ reference }}")
    app: Quart = kind("shop", root_path=str(tmp_path), instance_path=str(tmp_path / "instance"))
    ErrorPages(app)
    Reporting(app)

    @app.get("/boom")
    @app.get("/api/boom")
    async def boom() -> str:
        raise RuntimeError("canary")

    @app.get("/abort")
    async def leave() -> str:
        abort(500)

    return app


async def answers(app: Quart) -> dict[str, str]:
    """What each kind of answer to an error says."""
    client = app.test_client()
    found = {}
    for path in ("/boom", "/abort"):
        found[path] = str(await (await client.get(path)).get_data(as_text=True))
    problem = await (await client.get("/api/boom")).get_data()
    found["problem"] = json.loads(problem)["detail"]
    app.session_interface = Unreadable()
    sent, _ = await serve(app, "/boom")
    found["escaped"] = sent[1]["body"].decode()
    return found


async def test_an_answer_says_that_the_error_is_recorded(app: Quart) -> None:
    titles: list[str] = []
    listeners = app.extensions["reporting"].recorder.listeners
    listeners.append(lambda report: titles.append(report.title))
    async with app.test_app():
        found = await answers(app)
    assert {name: RECORDED in text for name, text in found.items()} == dict.fromkeys(found, True)
    assert [title.split(" in ")[0] for title in titles] == [
        "RuntimeError",
        "Response 500 Internal Server Error",
        "RuntimeError",
        "ZeroDivisionError",
    ]


async def test_an_answer_claims_nothing_if_the_journal_refuses_the_error(
    app: Quart, tmp_path: Path
) -> None:
    (tmp_path / "instance").write_text("no folder")
    async with app.test_app():
        found = await answers(app)
        assert app.extensions["reporting"].recorder.owed == len(found)
    assert {name: UNRECORDED in text for name, text in found.items()} == dict.fromkeys(found, True)
    assert not [name for name, text in found.items() if "recorded" in text]
