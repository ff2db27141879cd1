"""Applications of other people: plain Quart or `flasklike`, with code of any kind around."""

import asyncio
import logging
import sys
import tomllib
from collections.abc import AsyncIterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NoReturn

import pytest
from jinja2 import Environment
from quart import Quart, Response, render_template, websocket

from quartapp.debugger.server.attach import make_debugger
from quartapp.debugger.server.process import _load
from quartapp.flasklike import App
from quartapp.flasklike.development import DEBUGGERS
from tests.debugger.site import HTML, TEMPLATES, Answer, Site, host

ROOT = Path(__file__).parents[3]


def make_app(kind: type[Quart]) -> Quart:
    app = kind(__name__, template_folder=str(TEMPLATES))
    app.secret_key = "development"

    @app.get("/view")
    async def view() -> NoReturn:
        raise ValueError("in a view")

    @app.get("/template")
    async def template() -> str:
        return await render_template("broken.html", items=[1])

    @app.before_request
    async def check() -> None:
        from quart import request

        if request.path == "/before":
            raise PermissionError("in a hook")

    @app.get("/before")
    async def before() -> str:
        return "never"

    @app.get("/stream")
    async def stream() -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"begun"
            raise OSError("in a body")

        return Response(body())

    @app.get("/background")
    async def background() -> str:
        app.add_background_task(errand)
        return "later"

    async def errand() -> NoReturn:
        raise ArithmeticError("in a task")

    @app.websocket("/socket")
    async def socket() -> NoReturn:
        await websocket.accept()
        raise LookupError("in a websocket")

    @app.errorhandler(KeyError)
    async def handle(error: KeyError) -> tuple[str, int]:
        return "the application's own page", 500

    @app.get("/handled")
    async def handled() -> NoReturn:
        raise KeyError("handled")

    return app


@pytest.fixture(params=[Quart, App])
def site(request: pytest.FixtureRequest) -> Site:
    return host(make_app(request.param))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/view", "ValueError"),
        ("/template", "jinja2.exceptions.UndefinedError"),
        ("/before", "PermissionError"),
    ],
)
async def test_an_error_shows_its_page(
    site: Site, caplog: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    answer = await site.request("GET", path, headers=HTML)

    assert answer.status == 500
    assert f"<h1>{kind}</h1>" in answer.text
    assert len([r for r in caplog.records if r.exc_info]) == 1
    assert [line.split(" in GET")[0] for line in site.said] == [f" * {kind}"]


async def test_a_prompt_runs_in_the_request(site: Site) -> None:
    await site.request("GET", "/view", headers=HTML)
    await site.unlock()

    assert (await site.run("request.path", "view"))["value"] == "'/view'"


async def test_what_the_application_handles_is_its_own(site: Site) -> None:
    answer = await site.request("GET", "/handled", headers=HTML)

    assert (answer.status, answer.text) == (500, "the application's own page")
    assert site.said == []


async def test_a_body_that_breaks_off_has_a_link(site: Site) -> None:
    with pytest.raises(OSError, match="in a body"):
        await site.request("GET", "/stream")

    (line,) = site.said
    assert line.startswith(" * OSError in the answer to ")


async def test_a_background_task_has_a_link(site: Site) -> None:
    await site.request("GET", "/background")
    await asyncio.wait_for(asyncio.gather(*site.app.background_tasks), 60)

    (line,) = site.said
    assert line.startswith(" * ArithmeticError in a background task: http://127.0.0.1:5000/")


async def test_a_websocket_has_a_link_and_is_closed(site: Site) -> None:
    sent = await site.connect("/socket")

    (line,) = site.said
    assert line.startswith(" * LookupError in websocket /socket: ")
    assert sent == ["websocket.accept", "websocket.close"]
    page = await site.request("GET", f"/__debugger__/failures/{site.failure_id}", headers=HTML)
    assert "<td>WEBSOCKET</td>" in page.text
    assert "<td>/socket</td>" in page.text


async def test_an_error_of_an_asgi_middleware_has_a_page(site: Site) -> None:
    async def middleware(scope: Any, receive: Any, send: Any) -> NoReturn:
        raise RuntimeError("in a middleware")

    site.app.asgi_app = middleware  # type: ignore[method-assign]

    answer = await site.request("GET", "/", headers=HTML)

    assert (answer.status, "<h1>RuntimeError</h1>" in answer.text) == (500, True)


async def test_without_the_debugger_an_error_reaches_the_server(site: Site) -> None:
    async def middleware(scope: Any, receive: Any, send: Any) -> NoReturn:
        raise RuntimeError("in a middleware")

    site.app.asgi_app = middleware  # type: ignore[method-assign]
    site.app.debugger = None  # type: ignore[attr-defined]

    with pytest.raises(RuntimeError, match="in a middleware"):
        await site.request("GET", "/", headers=HTML)


@pytest.mark.parametrize("kind", ["quart:Quart", "quartapp.flasklike:App"])
@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"{}.py": "app = App('a')"}, "{}"),
        ({"{}.py": "site = App('a')"}, "{}:site"),
        ({"{}.py": "def create_app():\n    return App('a')"}, "{}"),
        ({"{}.py": "def create_app():\n    return App('a')"}, "{}:create_app"),
        ({"{}.py": "def make(name):\n    return App(name)"}, "{}:make('a')"),
        ({"{}/__init__.py": "", "{}/web.py": "app = App('a')"}, "{}.web"),
        ({"{}/__init__.py": "app = App('a')"}, "{}"),
    ],
)
def test_an_application_is_found_as_quart_finds_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    name: str,
    kind: str,
) -> None:
    unique = f"shop_{abs(hash(tmp_path))}"
    module, _, klass = kind.partition(":")
    for path, text in files.items():
        file = tmp_path / path.format(unique)
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"from {module} import {klass} as App\n{text}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    app = _load(name.format(unique))

    assert (app.name, app.debug) == ("a", True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("def broken(:", "SyntaxError"), ("import nowhere_to_be_found", "ModuleNotFoundError")],
)
async def test_an_application_that_cannot_be_imported_shows_why(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, kind: str
) -> None:
    (tmp_path / "unimportable.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    site.hosting.load(lambda: _load("unimportable"))

    answer = await site.request("GET", "/view", headers=HTML)

    assert (answer.status, f"<h1>{kind}</h1>" in answer.text) == (500, True)
    assert "unimportable.py" in answer.text


class Attached(Site):
    """`App.run(debug=True)` up to where the server would start."""

    async def __call__(self, *asgi: Any) -> None:
        await self.app(*asgi)


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Attached:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("WERKZEUG_DEBUG_PIN", "123-456-789")
    app = make_app(App)
    assert isinstance(app, App)
    app.debug = True
    debugger: Any = make_debugger(app, evalex=True)
    app.debugger = debugger
    site = Attached(app, debugger, app, [], [])  # type: ignore[arg-type]  # the application
    return site


async def test_run_shows_the_debugger_and_its_prompts(
    attached: Attached, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = await attached.request("GET", "/view", headers=HTML)
    await attached.unlock()

    assert "<h1>ValueError</h1>" in answer.text
    assert (await attached.run("request.path", "view"))["value"] == "'/view'"
    assert (await attached.request("GET", "/handled")).text == "the application's own page"
    error = capsys.readouterr().err
    assert " * ValueError in GET /view: http://127.0.0.1:5000/__debugger__/failures/" in error


async def test_run_lists_routes_in_debug_mode_alone(attached: Attached) -> None:
    shown = await attached.request("GET", "/nowhere", headers=HTML)
    other = await attached.request("GET", "/nowhere", headers=HTML, peer="192.0.2.1")
    attached.app.debug = False
    without = await attached.request("GET", "/nowhere", headers=HTML)

    pages = (shown, other, without)
    assert ["/background" in page.text for page in pages] == [True, False, False]


async def refused(attached: Attached, **changed: Any) -> Answer:
    answer = await attached.request("GET", "/view", **changed)
    assert (answer.status, "in a view" in answer.text) == (500, False)
    link = f"/__debugger__/failures/{attached.failure_id}"
    kept = await attached.request("GET", link, **changed)
    assert "in a view" not in kept.text
    return answer


async def test_run_shows_other_machines_not_even_the_source(attached: Attached) -> None:
    answer = await refused(attached, headers=HTML, peer="192.0.2.1")
    assert "only the server's own machine" in answer.text
    await refused(attached, headers=HTML | {"x-forwarded-for": "127.0.0.1"})
    await refused(attached, headers=HTML | {"host": "evil.example"})
    command = await attached.command("/unlock", {"pin": "123-456-789"}, peer="192.0.2.1")
    assert command.status == 403


def test_run_has_no_debugger_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "production")
    app = App("shop")
    before = app.asgi_app

    assert make_debugger(app, evalex=True) is None
    assert app.asgi_app == before


@pytest.mark.parametrize(("ci", "evalex"), [("true", True), ("", False)])
async def test_run_has_no_prompt_in_ci_or_without_evalex(
    monkeypatch: pytest.MonkeyPatch, ci: str, evalex: bool
) -> None:
    monkeypatch.setenv("CI", ci)
    debugger = make_debugger(App("shop"), evalex=evalex)

    assert debugger is not None
    assert (debugger.access.evalex, debugger.access.pin) == (False, None)


def test_a_second_run_uses_the_same_debugger(attached: Attached) -> None:
    before = attached.app.asgi_app

    assert make_debugger(attached.app, evalex=True) is attached.debugger
    assert attached.app.asgi_app is before


def test_the_package_offers_it_to_app_run() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    ((name, value),) = project["entry-points"][DEBUGGERS].items()

    assert EntryPoint(name, value, DEBUGGERS).load() is make_debugger


def test_without_the_debugger_nothing_is_installed() -> None:
    before = (logging.getLogRecordFactory(), Environment.compile)
    host(make_app(Quart), debugger=False)

    assert (logging.getLogRecordFactory(), Environment.compile) == before
