"""ErrorPages in applications of others: on App and on stock Quart, alone or with other parts."""

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, abort, has_request_context, request
from quart.testing.connections import WebsocketResponseError
from sqlalchemy import Column, String, Table, select
from werkzeug.exceptions import NotFound

from quartapp.database import Database
from quartapp.errors import ErrorPages, error_response
from quartapp.errors.plain import STYLE, STYLE_HASH
from quartapp.flasklike import App
from quartapp.settings import ConfigurationError

both = pytest.mark.parametrize("kind", [App, Quart])


class OutOfStock(Exception):
    """An error of the application's domain."""

    def __init__(self, left: int = 0) -> None:
        super().__init__("canary")
        self.left = left


class SoldToday(OutOfStock):
    pass


class PaymentError(Exception):
    pass


ERRORS = {
    "boom": RuntimeError("canary"),
    "stock": OutOfStock(3),
    "sold": SoldToday(),
    "payment": PaymentError("canary"),
}


def shop(kind: type[Quart], folder: Path = Path("/nowhere"), **config: Any) -> Quart:
    """An application without anything else."""
    app = kind("shop", root_path=str(folder))
    app.config.update(config)

    @app.route("/raise/<name>", methods=["GET", "POST"])
    @app.route("/api/raise/<name>")
    async def fail(name: str) -> str:
        raise ERRORS[name]

    @app.route("/abort/<int:status>")
    async def leave(status: int) -> str:
        abort(status, request.args.get("text"))

    return app


async def ask(app: Quart, path: str, accept: str = "text/html", **more: Any) -> tuple[Any, str]:
    """The response, with its body."""
    response: Any = await app.test_client().get(path, headers={"Accept": accept}, **more)
    return response, await response.get_data(as_text=True)


@both
async def test_each_error_is_a_page_or_problem_json(kind: type[Quart]) -> None:
    app = shop(kind)
    ErrorPages(app)
    for path, status in {"/nothing": 404, "/raise/boom": 500, "/abort/418": 418}.items():
        page, text = await ask(app, path)
        assert (page.status_code, page.mimetype) == (status, "text/html")
        assert "canary" not in text
        for where, accept in ((f"/api{path}", "text/html"), (path, "application/json")):
            if "abort" in where and accept == "text/html":
                continue
            answer, body = await ask(app, where, accept)
            assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
            assert json.loads(body)["status"] == status


@both
async def test_without_reporting_nothing_claims_to_be_recorded(kind: type[Quart]) -> None:
    app = shop(kind)
    ErrorPages(app)
    for accept in ("text/html", "application/json"):
        _, text = await ask(app, "/raise/boom", accept)
        assert "Something went wrong on this server." in text
        assert not re.search("reference|record|notif|report", text)


@both
async def test_the_application_s_templates_take_precedence(
    kind: type[Quart], tmp_path: Path
) -> None:
    folder = tmp_path / "templates" / "errors"
    folder.mkdir(parents=True)
    (folder / "error.html").write_text("own {{ error.title }}, {{ error.contact }}")
    (folder / "404.html").write_text("own 404: {{ error.detail }}")
    app = shop(kind, tmp_path, ERRORS_CONTACT="help@shop.example")
    ErrorPages(app)
    assert (await ask(app, "/nothing"))[1].startswith("own 404: There is no such page here.")
    assert (await ask(app, "/abort/418"))[1] == "own I&#39;m a Teapot, "
    assert (await ask(app, "/abort/503"))[1] == "own Service Unavailable, help@shop.example"


@both
@pytest.mark.parametrize(
    "source", ["{{ 1 / 0 }}", "{% if %}", '{% extends "errors/missing.html" %}', "{{ nobody() }}"]
)
async def test_a_template_that_fails_leaves_the_plain_page_and_is_logged(
    kind: type[Quart], tmp_path: Path, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "templates" / "errors"
    folder.mkdir(parents=True)
    (folder / "error.html").write_text(source)
    app = shop(kind, tmp_path)
    ErrorPages(app)
    response, text = await ask(app, "/abort/409")
    assert (response.status_code, "<h1>Conflict</h1>" in text) == (409, True)
    assert "The page of an error could not be rendered" in caplog.text


@both
async def test_the_plain_page_needs_no_other_file_and_names_its_style_in_its_policy(
    kind: type[Quart],
) -> None:
    app = shop(kind)
    ErrorPages(app)
    response, text = await ask(app, "/nothing")
    assert f"<style>{STYLE}</style>" in text
    assert not re.search("<link|<script|<img|style=", text)
    assert f"style-src {STYLE_HASH};" in response.headers["Content-Security-Policy"]


@both
async def test_registered_errors_have_their_own_status_and_texts(kind: type[Quart]) -> None:
    app = shop(kind)
    pages = ErrorPages(app)
    pages.register(
        OutOfStock,
        status=409,
        code="out-of-stock",
        title="Sold out",
        detail=lambda error: f"We have {error.left} of them.",
        headers={"Retry-After": "60"},
        extensions=lambda error: {"left": error.left},
    )
    response, text = await ask(app, "/raise/stock")
    assert (response.status_code, response.headers["Retry-After"]) == (409, "60")
    assert "<h1>Sold out</h1><p>We have 3 of them.</p>" in text
    problem = json.loads((await ask(app, "/api/raise/stock"))[1])
    assert (problem["code"], problem["left"]) == ("out-of-stock", 3)
    assert problem["title"] == "Sold out"
    assert json.loads((await ask(app, "/api/raise/sold"))[1])["left"] == 0


@both
async def test_a_registered_5xx_is_logged_unless_it_is_expected(
    kind: type[Quart], caplog: pytest.LogCaptureFixture
) -> None:
    app = shop(kind)
    pages = ErrorPages(app)
    pages.register(PaymentError, status=502)
    response, text = await ask(app, "/raise/payment")
    assert (response.status_code, "canary" in text) == (502, False)
    assert [record.exc_info[1] for record in errors_of(caplog) if record.exc_info] == [
        ERRORS["payment"]
    ]
    caplog.clear()
    pages.register(PaymentError, status=503, expected=True)
    assert (await ask(app, "/raise/payment"))[0].status_code == 503
    assert errors_of(caplog) == []


def errors_of(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@both
async def test_the_texts_of_a_status_can_be_replaced(kind: type[Quart]) -> None:
    app = shop(kind)
    pages = ErrorPages(app)
    pages.register(404, title="Nothing here", detail="Try the search.", code="no-such-page")
    pages.register(500, detail="We are sorry.")
    page, problem = (await ask(app, "/nothing"))[1], (await ask(app, "/api/nothing"))[1]
    assert "<h1>Nothing here</h1><p>Try the search.</p>" in page
    own = {"code": "no-such-page", "title": "Nothing here", "detail": "Try the search."}
    assert json.loads(problem) == json.loads(problem) | own
    failure = json.loads((await ask(app, "/api/raise/boom"))[1])
    assert failure["title"] == "Internal Server Error", "HTTP's name, without one"
    assert "<p>We are sorry.</p>" in (await ask(app, "/raise/boom"))[1]
    assert "<p>own words</p>" in (await ask(app, "/abort/404?text=own words"))[1]


@both
async def test_the_application_s_own_handler_wins_before_and_after(kind: type[Quart]) -> None:
    async def own(error: Exception) -> tuple[str, int]:
        return f"own {type(error).__name__}", 599

    app = shop(kind)
    app.register_error_handler(500, own)
    pages = ErrorPages(app)
    app.register_error_handler(OutOfStock, own)
    pages.register(OutOfStock, status=409)
    pages.register(SoldToday, status=410)
    app.register_error_handler(404, own)
    assert (await ask(app, "/raise/boom"))[1] == "own InternalServerError"
    assert (await ask(app, "/raise/stock"))[1] == "own OutOfStock"
    assert (await ask(app, "/nothing"))[1] == "own NotFound"
    assert (await ask(app, "/raise/sold"))[0].status_code == 410


@both
async def test_an_own_handler_can_answer_as_the_pages_do(kind: type[Quart]) -> None:
    async def own(error: Exception) -> Any:
        response = await error_response(error)
        response.headers["X-Own"] = "yes"
        return response

    app = shop(kind)
    pages = ErrorPages(app)
    for error in (404, 500, OutOfStock, PaymentError):
        app.register_error_handler(error, own)
    pages.register(OutOfStock, status=409)
    paths = {"/nothing": 404, "/raise/boom": 500, "/raise/stock": 409, "/raise/payment": 500}
    for path, status in paths.items():
        response, _ = await ask(app, path)
        assert (response.status_code, response.headers["X-Own"]) == (status, "yes")


@both
async def test_what_is_registered_holds_for_each_application_of_the_object(
    kind: type[Quart],
) -> None:
    pages = ErrorPages(name="The <shop>")
    pages.register(OutOfStock, status=409)
    first, second = shop(kind, ERRORS_API_PATHS="/v1, /v2/"), shop(kind)
    pages.init_app(first)
    pages.init_app(second)
    pages.register(SoldToday, status=410)
    for app in (first, second):
        assert (await ask(app, "/raise/stock"))[0].status_code == 409
        assert (await ask(app, "/raise/sold"))[0].status_code == 410
        assert "The &lt;shop&gt;" in (await ask(app, "/nothing"))[1]
    assert (await ask(first, "/v2/nothing"))[0].mimetype == "application/problem+json"
    assert (await ask(first, "/api/nothing"))[0].mimetype == "text/html"
    assert (await ask(second, "/v2/nothing"))[0].mimetype == "text/html"


@both
async def test_the_fields_of_http_errors_are_kept(kind: type[Quart]) -> None:
    app = shop(kind)
    ErrorPages(app)

    @app.route("/own")
    async def own() -> str:
        abort(app.response_class("own", status=404, headers={"X-Own": "yes"}))

    answer = await app.test_client().delete("/raise/boom")
    assert (answer.status_code, "POST" in answer.headers["Allow"]) == (405, True)
    response, text = await ask(app, "/own")
    assert (response.status_code, text, response.headers["X-Own"]) == (404, "own", "yes")


@both
async def test_a_missing_field_of_a_form_is_said_for_people(kind: type[Quart]) -> None:
    app = shop(kind)
    ErrorPages(app)

    @app.post("/form")
    async def read() -> str:
        return str((await request.form)["text"])

    page = await (await app.test_client().post("/form")).get_data(as_text=True)
    assert "<p>Your browser sent something that this server could not understand.</p>" in page
    app.config["TRAP_BAD_REQUEST_ERRORS"] = None
    app.debug = True
    page = await (await app.test_client().post("/form")).get_data(as_text=True)
    assert "KeyError: &#x27;text&#x27;" in page


@both
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_rollback_of_any_session_runs_before_the_page_of_a_500(
    kind: type[Quart], is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []

    async def roll_back() -> None:
        done.append(request.path)

    def roll_back_in_a_thread() -> None:
        done.append(request.path)
        raise RuntimeError("the rollback failed")

    app = shop(kind)
    pages = ErrorPages(app, rollback=roll_back if is_async else roll_back_in_a_thread)
    pages.register(PaymentError, status=502)
    pages.register(OutOfStock, status=409)
    assert (await ask(app, "/raise/boom"))[0].status_code == 500
    assert (await ask(app, "/raise/payment"))[0].status_code == 502
    assert (await ask(app, "/raise/stock"))[0].status_code == 409
    assert done == ["/raise/boom", "/raise/payment"]
    assert ("The rollback after an error failed" in caplog.text) is not is_async


@both
async def test_the_session_of_a_database_is_rolled_back_before_the_page(
    kind: type[Quart], tmp_path: Path
) -> None:
    """Otherwise the page would show what is stored nowhere."""
    folder = tmp_path / "templates" / "errors"
    folder.mkdir(parents=True)
    (folder / "error.html").write_text("{{ names }}")
    app = shop(kind, tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/shop.db")
    db = Database(app)
    ErrorPages(app)
    products = Table("products", db.metadata, Column("name", String, primary_key=True))

    @app.context_processor
    async def names() -> dict[str, Any]:
        return {"names": (await db.session.scalars(select(products.c.name))).all()}

    @app.post("/sell")
    async def sell() -> str:
        for name in ("teapot", "kettle", "kettle"):
            await db.session.execute(products.insert().values(name=name))
        return "never"

    async with app.test_app():
        async with app.app_context():
            await db.create_all()
        response = await app.test_client().post("/sell")
        assert (response.status_code, await response.get_data(as_text=True)) == (500, "[]")


@both
@pytest.mark.parametrize(
    ("contact", "link"),
    [
        ("help@shop.example", '<a href="mailto:help@shop.example">help@shop.example</a>'),
        ("https://shop.example/?a&b", '<a href="https://shop.example/?a&amp;b">'),
    ],
)
async def test_the_contact_is_on_the_pages_of_5xx(
    kind: type[Quart], contact: str, link: str
) -> None:
    app = shop(kind, ERRORS_CONTACT=contact)
    ErrorPages(app)
    assert link in (await ask(app, "/raise/boom"))[1]
    assert link in (await ask(app, "/abort/503"))[1]
    assert link not in (await ask(app, "/nothing"))[1]


@both
async def test_a_head_has_the_fields_and_no_reference_to_reporting(kind: type[Quart]) -> None:
    app = shop(kind)
    ErrorPages(app)
    response = await app.test_client().head("/nothing")
    assert (response.status_code, response.mimetype) == (404, "text/html")


@both
async def test_a_websocket_is_refused_with_problem_json(kind: type[Quart]) -> None:
    app = shop(kind)
    ErrorPages(app)

    @app.websocket("/talk")
    async def talk() -> None:
        raise RuntimeError("canary")

    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/talk") as connection:
            await connection.receive()
    problem = json.loads(await caught.value.response.get_data())
    assert (problem["status"], "canary" in str(problem)) == (500, False)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"ERRORS_CONTACT": "javascript:alert(1)"}, "ERRORS_CONTACT: expected a mail address"),
        ({"ERRORS_API_PATHS": "api"}, "ERRORS_API_PATHS: expected paths that begin with /"),
        ({"ERRORS_API_PATHS": 7}, "ERRORS_API_PATHS: expected a valid tuple"),
    ],
)
def test_a_wrong_setting_is_a_line(config: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(line)):
        ErrorPages(shop(App, **config))


@both
def test_it_is_installed_once(kind: type[Quart]) -> None:
    app = shop(kind)
    pages = ErrorPages(app)
    with pytest.raises(
        RuntimeError, match="ErrorPages is installed in the application 'shop' already"
    ):
        pages.init_app(app)


@both
async def test_it_is_installed_before_the_application_serves(kind: type[Quart]) -> None:
    app = shop(kind)
    async with app.test_app():
        with pytest.raises(RuntimeError, match="has begun to serve"):
            ErrorPages(app)


async def test_it_is_installed_before_the_first_request() -> None:
    """Stock Quart does not notice a first request without a start."""
    app, other = shop(App), shop(App)
    pages = ErrorPages(app)
    await ask(other, "/")
    with pytest.raises(RuntimeError, match="has begun to serve"):
        pages.init_app(other)
    await ask(app, "/")
    with pytest.raises(RuntimeError, match="has begun to serve"):
        pages.register(OutOfStock, status=409)


@pytest.mark.parametrize(
    ("what", "options"),
    [
        (OutOfStock, {}),
        (OutOfStock, {"status": 200}),
        (OutOfStock, {"status": "409"}),
        (OutOfStock, {"status": 409, "extensions": 3}),
        (OutOfStock, {"status": 409, "headers": "Retry-After: 3"}),
        ((OutOfStock, ValueError), {"status": 409}),
        (OutOfStock(), {"status": 409}),
        (KeyboardInterrupt, {"status": 503}),
        (NotFound, {"status": 404}),
        (404, {"status": 404}),
        (404, {"detail": str}),
        (200, {"detail": "fine"}),
    ],
)
def test_what_cannot_be_registered_is_refused(what: Any, options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="register"):
        ErrorPages().register(what, **options)


@pytest.mark.parametrize("options", [{"headers": "X-A: b"}, {"rollback": "session"}])
def test_options_of_another_type_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="ErrorPages: "):
        ErrorPages(**options)


class Lazy:
    """A text that is translated when it is used, as extensions for languages make them."""

    def __str__(self) -> str:
        assert has_request_context()
        return "Ausverkauft"

    def __len__(self) -> int:
        return len(str(self))


@both
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_text_may_be_translated_when_it_is_used(kind: type[Quart], accept: str) -> None:
    app = shop(kind)
    pages = ErrorPages(app)
    pages.register(OutOfStock, status=409, title=Lazy(), detail=lambda error: Lazy())
    pages.register(404, title=Lazy(), detail=Lazy())
    for path, status in (("/raise/stock", 409), ("/nowhere", 404)):
        response, text = await ask(app, path, accept)
        assert (response.status_code, "Ausverkauft" in text) == (status, True)


def test_deadlines_need_app() -> None:
    with pytest.raises(RuntimeError, match=r"needs quartapp\.flasklike\.App"):
        ErrorPages(shop(Quart), deadlines=True)


@pytest.mark.slow
def test_it_loads_neither_reporting_nor_a_database() -> None:
    code = "import sys, quartapp.errors; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(said.stdout.split())
    assert "quartapp.flasklike" in loaded
    assert not loaded & {"sqlalchemy", "quartapp.reporting", "quartapp.database", "aiosmtplib"}
