"""The box on the page of an error in which people say what they did."""

import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from sqlalchemy import select

from quartapp.errors import ErrorPages
from quartapp.errors import feedback as feedback_module
from quartapp.flasklike import App
from quartapp.reporting import Reporting
from quartapp.reporting.pipeline import Pipeline
from quartapp.reporting.references import number_of
from quartapp.reporting.tables import ErrorFeedback, ErrorReference
from quartapp.throttling import Throttle
from quartapp.throttling.counters import Counters
from tests.errors.conftest import serve

KEY = "a key that signs the forms of these tests"
FORM = re.compile(r'<form class="feedback" method="post" action="([^"]*)">.*?</form>', re.S)


def make(folder: Path, kind: type[Quart] = Quart, **config: Any) -> Quart:
    app = kind("shop", instance_path=str(folder))
    app.config.from_mapping({"SECRET_KEY": KEY, "API_KEY": "canary-4711"}, **config)
    ErrorPages(app, feedback=True, bounds=True, headers=True)
    Reporting(app)

    @app.before_request
    async def nothing_works() -> None:
        raise ConnectionRefusedError("the database is away")

    return app


@pytest.fixture
def app(tmp_path: Path, request: pytest.FixtureRequest) -> Quart:
    return make(tmp_path, getattr(request, "param", Quart))


on_both = pytest.mark.parametrize("app", [Quart, App], indirect=True)


@pytest.fixture
async def client(app: Quart) -> Any:
    return app.test_client()


async def token_of(client: Any) -> str:
    response = await client.get("/")
    assert response.status_code == 500
    page = await response.get_data(as_text=True)
    [found] = re.findall('name="of" value="([^"]*)"', page)
    return unescape(found)


async def send(client: Any, text: str, token: str = "", **more: Any) -> Any:
    token = token or await token_of(client)
    headers = {"Origin": "http://localhost", **more.pop("headers", {})}
    return await client.post(
        feedback_module.PATH, form={"of": token, "text": text, **more}, headers=headers
    )


async def stored(app: Quart) -> list[ErrorFeedback]:
    pipeline: Pipeline = app.extensions["reporting"]
    await pipeline.flush()
    async with pipeline.database.session(write=False) as session:
        rows = list(await session.scalars(select(ErrorFeedback).order_by(ErrorFeedback.id)))
    await pipeline.database.dispose()
    return rows


def said(page: str) -> str:
    [area] = re.findall("<textarea[^>]*>\n(.*?)</textarea>", page, re.S)
    return unescape(area)


@on_both
async def test_joins_the_error_by_its_reference_though_nothing_works(
    app: Quart, client: Any
) -> None:
    """The database is opened after the text was sent, and no function of the application works."""
    response = await send(client, "I pressed Buy.\r\nTwice.")
    assert (response.status_code, response.headers["Location"]) == (303, feedback_module.PATH)
    thanks = await client.get(response.headers["Location"])
    assert thanks.status_code == 200
    assert "Thank you" in await thanks.get_data(as_text=True)
    [row] = await stored(app)
    assert row.text == "I pressed Buy.\nTwice."
    assert row.group_id == 1
    assert len(await stored(app)) == 1  # it is counted once


async def test_the_text_is_kept_without_secrets_and_never_markup(app: Quart, client: Any) -> None:
    hostile = "</textarea><script>alert(1)</script>\u202e\x00 my key is canary-4711"
    await send(client, hostile)
    [row] = await stored(app)
    assert row.text == "</textarea><script>alert(1)</script> my key is [hidden]"
    long = hostile + "x" * 1000
    page = await (await send(client, long)).get_data(as_text=True)
    assert "<script" not in page


async def test_a_text_that_is_too_long_stays_in_the_form(app: Quart, client: Any) -> None:
    for text, status in (("ü" * 1000, 303), ("ü" * 1001, 422), (" \r\n", 422)):
        response = await send(client, text)
        assert response.status_code == status
        if status == 422:
            assert said(await response.get_data(as_text=True)) == text.strip()
    assert [row.text for row in await stored(app)] == ["ü" * 1000]


@pytest.mark.parametrize("token", ["", "abcdefgh", "abcdefgh.aaaa.bbbb", "x" * 10_000, "é\x00"])
async def test_a_reference_that_nobody_was_shown_is_refused(
    app: Quart, client: Any, token: str
) -> None:
    response = await send(client, "my text", token or "-")
    assert response.status_code == 403
    page = await response.get_data(as_text=True)
    assert said(page) == "my text"
    assert "<form" not in page
    assert await stored(app) == []


async def test_a_day_later_it_is_too_late(
    app: Quart, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert feedback_module.VALID == 24 * 3600
    token = await token_of(client)
    monkeypatch.setattr(feedback_module, "VALID", -1)
    assert (await send(client, "late", token)).status_code == 403


async def test_an_older_key_is_accepted_and_another_one_not(app: Quart, client: Any) -> None:
    token = await token_of(client)
    app.config.update(SECRET_KEY="another key", SECRET_KEY_FALLBACKS=[KEY])
    assert (await send(client, "text", token)).status_code == 303
    app.config["SECRET_KEY_FALLBACKS"] = None
    assert (await send(client, "text", token)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}],
)
async def test_a_form_of_another_site_is_refused(
    app: Quart, client: Any, headers: dict[str, str]
) -> None:
    response = await send(client, "text", headers=headers)
    assert response.status_code == 400
    assert await stored(app) == []


async def test_of_one_error_five_texts_are_kept(app: Quart, client: Any) -> None:
    token = await token_of(client)
    responses = [await send(client, f"text {number}", token) for number in range(7)]
    assert [response.status_code for response in responses] == [303] * 5 + [429] * 2
    assert int(responses[-1].headers["Retry-After"]) > 3600
    assert said(await responses[-1].get_data(as_text=True)) == "text 6"
    pipeline: Pipeline = app.extensions["reporting"]
    reference = token.partition(".")[0]
    assert pipeline.keep_feedback(reference, "of another process, which counts for itself")
    assert [row.text for row in await stored(app)] == [f"text {number}" for number in range(5)]


async def test_an_address_is_limited_and_all_together_are(
    app: Quart, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = [(await send(client, "text")).status_code for _ in range(21)]
    assert statuses == [303] * 20 + [429]
    few = feedback_module._LIMITS["all"]._replace(amount=1)
    monkeypatch.setitem(feedback_module._LIMITS, "all", few)
    app.extensions["throttling"] = Throttle(Counters())  # the application's, if it has one
    assert [(await send(client, "text")).status_code for _ in range(2)] == [303, 429]


async def test_a_text_that_cannot_be_kept_stays_in_the_form(
    app: Quart, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = await token_of(client)
    pipeline: Pipeline = app.extensions["reporting"]
    monkeypatch.setattr(pipeline.journal, "append", lambda payload: False)
    response = await send(client, "my text", token)
    assert response.status_code == 503
    page = await response.get_data(as_text=True)
    assert said(page) == "my text"
    assert FORM.search(page)


async def test_other_methods_and_bodies_are_refused(client: Any) -> None:
    path = feedback_module.PATH
    assert (await client.put(path)).status_code == 405
    assert (await client.head(path)).status_code == 200
    token = await token_of(client)
    assert (await client.post(path, json={"of": token, "text": "x"})).status_code == 400
    assert (await client.post(path, form={"of": token, "text": "x" * 70_000})).status_code == 400
    fields = {f"f{number}": "x" for number in range(200)}
    assert (await client.post(path, form={"of": token, "text": "x"} | fields)).status_code == 400


@on_both
async def test_only_pages_of_recorded_errors_have_the_box(app: Quart) -> None:
    client = app.test_client()
    problem = await client.get("/api/x", headers={"Accept": "application/json"})
    assert problem.status_code == 500
    assert "feedback" not in await problem.get_data(as_text=True)
    app.before_request_funcs.clear()
    page = await (await client.get("/nowhere")).get_data(as_text=True)
    assert "feedback" not in page


@on_both
async def test_the_page_of_last_resort_has_the_box_and_its_policy_allows_it(app: Quart) -> None:
    async def fail(error: Exception) -> str:
        raise ValueError

    app.register_error_handler(500, fail)
    (start, body), _ = await serve(app)
    assert FORM.search(body["body"].decode())
    assert b"form-action 'self'" in dict(start["headers"])[b"content-security-policy"]


@on_both
async def test_below_a_root_path_the_form_stays_below_it(app: Quart) -> None:
    client = app.test_client()
    response = await client.get("/shop/", root_path="/shop")
    assert f'action="/shop{feedback_module.PATH}"' in await response.get_data(as_text=True)
    thanks = await client.get(f"/shop{feedback_module.PATH}", root_path="/shop")
    assert thanks.status_code == 200


async def test_without_a_key_there_is_no_box(tmp_path: Path) -> None:
    app = make(tmp_path, SECRET_KEY=None)
    response = await app.test_client().get("/")
    assert response.status_code == 500
    assert "feedback" not in await response.get_data(as_text=True)


async def test_a_text_that_is_counted_before_its_error_is_joined_later(
    app: Quart, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is in the journal of another process."""
    pipeline: Pipeline = app.extensions["reporting"]
    assert pipeline.keep_feedback("abcdefgh", "text")
    [row] = await stored(app)
    assert row.group_id is None
    await token_of(client)
    await stored(app)
    async with pipeline.database.begin() as session:
        number = number_of("abcdefgh")
        session.add(ErrorReference(number=number, group_id=1, seen_at=int(time.time())))
    [row] = await stored(app)
    assert row.group_id is None  # it is looked for every half minute
    monkeypatch.setattr(pipeline.consumer, "_others_at", 0.0)
    [row] = await stored(app)
    assert row.group_id == 1


async def test_a_text_about_a_deleted_error_joins_no_other_error(app: Quart, client: Any) -> None:
    """SQLite uses the id of the last group again."""
    await token_of(client)
    await stored(app)
    pipeline: Pipeline = app.extensions["reporting"]
    async with pipeline.database.begin() as session:
        session.add(ErrorReference(number=number_of("abcdefgh"), group_id=1, seen_at=1))
    assert pipeline.keep_feedback("abcdefgh", "text")
    [row] = await stored(app)
    assert row.group_id is None
