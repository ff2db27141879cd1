"""What a client sees of an error: the page or the JSON, and no internals."""

import json
import logging
import re
from typing import NoReturn

import pytest
from quart import abort
from quart.testing.connections import WebsocketResponseError

from quartapp.errors.texts import describe
from quartapp.flasklike import App
from quartapp.testing import Client
from tests.shop.app import INSIDE

NAMED = [400, 401, 403, 404, 405, 413, 415, 429, 500, 502, 503, 504]
OTHERS = [406, 408, 409, 410, 411, 412, 414, 416, 417, 418, 422, 423, 424, 428, 431, 451, 501, 505]


def fail_with(app: App, status: int) -> None:
    async def view() -> NoReturn:
        abort(status)

    app.add_url_rule(f"/fail/{status}", view_func=view, endpoint=f"fail{status}")


@pytest.mark.parametrize("status", [*NAMED, *OTHERS])
async def test_every_error_has_a_page_of_the_applications_template(
    app: App, client: Client, status: int
) -> None:
    fail_with(app, status)
    response = await client.get(f"/fail/{status}", headers={"Accept": "text/html"})
    page = await response.get_data(as_text=True)
    assert response.status_code == status
    assert response.mimetype == "text/html"
    title = describe(status).title.replace("'", "&#39;")
    assert f"<title>{title}: the shop</title>" in page


@pytest.mark.parametrize("status", [*NAMED, *OTHERS])
async def test_every_error_is_problem_json_for_a_program(
    app: App, client: Client, status: int
) -> None:
    fail_with(app, status)
    response = await client.get(f"/fail/{status}", headers={"Accept": "application/json"})
    problem = json.loads(await response.get_data())
    assert response.content_type == "application/problem+json"
    assert problem["status"] == response.status_code == status
    assert re.fullmatch(r"[a-z0-9-]+", problem["code"])
    assert {"type", "title", "detail"} <= set(problem)
    assert ("reference" in problem) is (status >= 500)


@pytest.mark.parametrize(
    ("accept", "is_json"),
    {
        "": False,
        "*/*": False,
        "text/html,application/json": False,
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": False,
        "text/html;q=0.9,application/json": True,
        "text/html;q=0.9,*/*": True,
        "application/json,text/html": False,
        "application/problem+json": True,
        "application/*,text/html;q=0.5": True,
    }.items(),
)
async def test_json_is_answered_where_it_is_preferred_to_a_page(
    client: Client, accept: str, is_json: bool
) -> None:
    response = await client.get("/nothing", headers={"Accept": accept})
    assert response.content_type.endswith("json") is is_json


async def test_the_api_answers_in_json_whatever_is_accepted(client: Client) -> None:
    response = await client.get("/api/nothing", headers={"Accept": "text/html"})
    assert (response.status_code, response.content_type) == (404, "application/problem+json")


async def test_a_wrong_method_says_which_are_right(client: Client) -> None:
    response = await client.post("/health")
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_500_tells_nothing_but_its_reference(
    client: Client, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.get("/boom", headers={"Accept": accept})
    body = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert not [word for word in INSIDE if word in body]
    reference = re.search(r"\b[2-9a-hjkmnp-z]{8}\b(?=[<\"])", body)
    assert reference is not None
    assert reference[0] in caplog.text
    assert "canary-of-the-exception" in caplog.text


async def test_a_broken_template_leaves_a_plain_page(
    app: App, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_args: object, **_context: object) -> str:
        raise ZeroDivisionError("the template failed")

    monkeypatch.setattr("quartapp.errors.responses.render_template", broken)
    response = await client.get("/boom")
    page = await response.get_data(as_text=True)
    assert response.status_code == 500
    assert "An unexpected error has occurred" in page
    assert "ZeroDivisionError" not in page


async def test_a_websocket_that_fails_is_refused_with_json_and_one_record(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    async def view() -> NoReturn:
        raise RuntimeError("canary")

    app.add_websocket("/ws", view_func=view)
    with pytest.raises(WebsocketResponseError) as caught:
        async with app.test_client().websocket("/ws") as connection:
            await connection.receive()
    problem = json.loads(await caught.value.response.get_data())
    assert (problem["status"], problem["code"]) == (500, "internal-server-error")
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1


@pytest.mark.parametrize("path", ["/boom/100%25", "/boom/%25s%25d"])
async def test_a_percent_sign_in_the_address_disturbs_no_log(
    app: App, client: Client, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async def view(name: str) -> NoReturn:
        raise RuntimeError(f"canary in {name}")

    app.add_url_rule("/boom/<name>", view_func=view)
    assert (await client.get(path)).status_code == 500
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith(f"Exception on {path.replace('%25', '%')} [GET] [reference ")
