"""What the page shows around an error."""

import logging
from typing import Any, NoReturn

import pytest
from quart import Quart, render_template_string, request, session
from sqlalchemy import create_engine, text

from quartapp.debugger.page import details
from quartapp.debugger.page.details import Details, details_of
from quartapp.flasklike import App
from tests.debugger.site import HTML, Site, host

FORM = {"content-type": "application/x-www-form-urlencoded"}


def make_app(kind: type[Quart]) -> Quart:
    app = kind(__name__)
    app.secret_key = "development"
    engine = create_engine("sqlite://")

    @app.route("/buy/<int:number>", methods=["GET", "POST"])
    async def buy(number: int) -> NoReturn:
        await request.form
        await request.files
        session["cart"] = ["tea"]
        session["access_token"] = "session-secret"
        logging.getLogger("shop").warning("paying %s with %s", number, "card-secret")
        with engine.connect() as connection:
            connection.execute(text("SELECT :value"), {"value": "sql-secret"})
        engine.dispose()
        raise ValueError("refused")

    @app.post("/json")
    async def json() -> NoReturn:
        await request.get_json()
        raise ValueError("refused")

    @app.get("/thread")
    def thread() -> NoReturn:
        logging.getLogger("shop").warning("in a thread")
        raise ValueError("refused")

    @app.post("/unread")
    async def unread() -> NoReturn:
        raise ValueError("refused")

    @app.get("/template")
    async def template() -> str:
        return await render_template_string("{{ 1 / zero }}", zero=0, api_key="template-secret")

    @app.get("/asked")
    async def asked() -> str:
        return await render_template_string("{{ 1 / 0 }}", thing=Thing(), text="x" * 10_000)

    return app


class Thing:
    def __repr__(self) -> str:
        raise AssertionError("a value was asked")

    __str__ = __repr__


@pytest.fixture(params=[Quart, App])
def site(request: pytest.FixtureRequest) -> Site:
    return host(make_app(request.param))


async def found(site: Site, method: str, path: str, **more: Any) -> Details:
    await site.request(method, path, **more)
    return details_of(site.newest)


def rows(found: Details, title: str) -> dict[str, str]:
    (table,) = [table for table in found.request if table.title == title]
    return dict(table.rows)


async def test_the_request_with_its_secrets_hidden(site: Site) -> None:
    headers = {**FORM, "authorization": "Bearer head-secret", "x-thing": "<b>"}
    body = b"item=tea&password=form-secret&copy=form-secret"
    shown = await found(site, "POST", "/buy/7", headers=headers, body=body)

    assert rows(shown, "Request") == {
        "method": "POST",
        "URL": "http://127.0.0.1:5000/buy/7",
        "route": "/buy/<int:number>",
        "endpoint": "buy",
    }
    assert rows(shown, "Arguments of the route") == {"number": "7"}
    assert rows(shown, "Headers")["X-Thing"] == "<b>"
    assert rows(shown, "Headers")["Authorization"] == "[hidden]"
    assert rows(shown, "Form") == {
        "item": "'tea'",
        "password": "[hidden]",
        "copy": "'[hidden]'",
    }
    assert rows(shown, "Session") == {"cart": "['tea']", "access_token": "[hidden]"}


async def test_a_body_of_json_and_the_names_of_files(site: Site) -> None:
    body = b'{"item": "tea", "token": "json-secret"}'
    shown = await found(
        site, "POST", "/json", headers={"content-type": "application/json"}, body=body
    )
    assert rows(shown, "JSON") == {"item": "'tea'", "token": "[hidden]"}

    body = (
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a<b>.png"\r\n'
        b"Content-Type: image/png\r\n\r\nbytes\r\n--x--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=x"}
    shown = await found(site, "POST", "/buy/7", headers=kind, body=body)
    assert rows(shown, "Files") == {"photo": "a<b>.png (image/png)"}


async def test_a_body_that_was_not_read_stays_unread(site: Site) -> None:
    shown = await found(site, "POST", "/unread", headers=FORM, body=b"item=tea")

    assert {table.title for table in shown.request} == {"Request", "Headers"}


async def test_statements_and_lines_with_their_times(site: Site) -> None:
    shown = await found(site, "GET", "/buy/7")

    (statement,) = shown.statements
    assert (statement.text, statement.rows) == ("SELECT ?", None)
    line = shown.log[0]
    assert (line.level, line.logger, line.text) == ("WARNING", "shop", "paying 7 with card-secret")
    assert 0 < line.seconds <= statement.seconds < 60
    assert shown.log[1].text == "Exception on /buy/7 [GET]"


async def test_a_synchronous_view_in_its_thread_too(site: Site) -> None:
    shown = await found(site, "GET", "/thread")

    assert [line.text for line in shown.log][:1] == ["in a thread"]


async def test_requests_do_not_see_each_other(site: Site) -> None:
    await site.request("GET", "/buy/7")
    shown = await found(site, "GET", "/template")

    assert [line.text for line in shown.log] == ["Exception on /template [GET]"]
    assert shown.statements == []


async def test_the_variables_of_the_template_that_failed(site: Site) -> None:
    (table,) = (await found(site, "GET", "/template")).templates

    assert table.rows == [("zero", "0"), ("api_key", "[hidden]")]


async def test_no_value_is_asked_and_none_is_long(site: Site) -> None:
    (table,) = (await found(site, "GET", "/asked")).templates

    assert dict(table.rows)["thing"] == f"<{Thing.__module__}.Thing>"
    assert len(dict(table.rows)["text"]) <= details.MAX_TEXT


async def test_the_page_has_all_of_it_as_text(site: Site) -> None:
    body = b"item=%3Cscript%3Ealert(1)%3C/script%3E&password=form-secret"
    page = (await site.request("POST", "/buy/7", headers=FORM | HTML, body=body)).text

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    for part in ("traceback", "request", "sql", "log", "text", "markdown"):
        assert f'<a href="#{part}">' in page
        assert page.count(f' id="{part}"') == 1
    assert '<a href="#template">' not in page
    assert "form-secret" not in page


async def test_an_error_outside_a_request_has_none(site: Site) -> None:
    site.hosting.load(lambda: 1 / 0)  # type: ignore[arg-type,return-value]  # it fails before
    page = (await site.request("GET", "/", headers=HTML)).text

    assert "<h1>ZeroDivisionError</h1>" in page
    assert 'href="#request"' not in page


async def test_a_fault_of_the_details_leaves_the_traceback(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details, "details_of", lambda failure: 1 / 0)
    page = (await site.request("GET", "/buy/7", headers=HTML)).text

    assert "<h1>ValueError</h1>" in page
    assert "could not be read" in page
