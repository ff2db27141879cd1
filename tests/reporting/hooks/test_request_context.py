"""What a report says of the request besides its address: what it did before, and its trace."""

import logging
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from quart import Response, request
from quart.typing import TestClientProtocol as Client

from quartapp.flasklike import App
from quartapp.reporting.hooks.request_context import BREADCRUMBS
from quartapp.reporting.report import Report
from tests.reporting.hooks.conftest import Records
from tests.shop.app import failed_flush

TRACE = "0af7651916cd43dd8448eb211c80319c"
VALID = f"00-{TRACE}-b7ad6b7169203331-01"


async def test_a_report_has_what_its_request_did_before_without_secrets(
    app: App, client: Client, records: Records
) -> None:
    @app.post("/log")
    async def log() -> str:
        form = await request.form
        logging.getLogger("elsewhere").warning("trying %s", form["password"])
        return await failed_flush()

    await client.get("/failed_flush?name=susan")  # in a ring of its own
    await client.post("/log?name=flushed", form={"password": "my-canary-word"})
    report = records()[-1]
    assert isinstance(report, Report)
    line, *statements = [entry for entry in report.breadcrumbs if entry.logger != "quartapp"]
    assert (line.kind, line.text, line.level) == ("log", "trying [hidden]", "WARNING")
    assert [entry.text.split("(")[0] for entry in statements] == ["INSERT INTO customers "]
    assert 0 <= line.seconds <= statements[0].seconds < 60
    assert "my-canary-word" not in report.to_json()


@pytest.mark.parametrize("root_path", ["", "/shop"])
async def test_a_secret_in_the_path_of_the_page_before_is_hidden(
    app: App, client: Client, records: Records, root_path: str
) -> None:
    @app.get("/reset/<token>")
    async def reset(token: str) -> str:
        return token

    page = f"http://localhost{root_path}/reset/my-canary%20word"
    await client.get("/boom", headers={"Referer": page}, root_path=root_path)
    [report] = records()
    assert isinstance(report, Report)
    assert report.request
    assert dict(report.request.headers)["Referer"] == f"http://localhost{root_path}/reset/[hidden]"


async def test_it_is_hidden_when_the_context_of_the_request_has_ended(
    app: App, client: Client, records: Records
) -> None:
    @app.get("/reset/<token>")
    async def reset(token: str) -> str:
        return token

    @app.get("/pieces")
    async def pieces() -> Response:
        async def body() -> AsyncIterator[bytes]:
            yield b"begin"
            raise ZeroDivisionError

        return Response(body())

    page = "http://localhost/reset/my-canary"
    with pytest.raises(ZeroDivisionError):
        await client.get("/pieces", headers={"Referer": page})
    [report] = records()
    assert isinstance(report, Report)
    assert report.request
    assert dict(report.request.headers)["Referer"] == "http://localhost/reset/[hidden]"


async def test_of_many_lines_a_report_has_the_last(
    app: App, client: Client, records: Records
) -> None:
    @app.get("/many")
    async def many() -> str:
        for number in range(200):
            logging.getLogger("elsewhere").warning("line %d", number)
        raise ZeroDivisionError

    await client.get("/many")
    [report] = records()
    assert isinstance(report, Report)
    assert len(report.breadcrumbs) == BREADCRUMBS
    assert report.breadcrumbs[-1].text == "line 199"


@pytest.mark.parametrize(
    ("headers", "trace"),
    [
        ({}, ""),
        ({"traceparent": VALID}, TRACE),
        ({"Traceparent": f"01-{VALID[3:]}-what-a-later-version-adds"}, TRACE),
        ({"traceparent": f"{VALID}-more"}, ""),
        ({"traceparent": f"01-{VALID[3:]}more"}, ""),
        ({"traceparent": f"ff-{VALID[3:]}"}, ""),
        ({"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"}, ""),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, ""),
        ({"traceparent": VALID.upper()}, ""),
        ({"traceparent": "<script>"}, ""),
        ({"traceparent": VALID * 99}, ""),
    ],
)
async def test_a_report_has_the_trace_of_its_request(
    client: Client, records: Records, headers: dict[str, str], trace: str
) -> None:
    await client.get("/boom", headers=headers)
    [report] = records()
    assert isinstance(report, Report)
    assert report.trace == trace


@pytest.mark.parametrize(("is_valid", "trace"), [(True, f"{7:032x}"), (False, TRACE)])
async def test_the_span_of_opentelemetry_has_precedence(
    client: Client,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    is_valid: bool,
    trace: str,
) -> None:
    context = SimpleNamespace(is_valid=is_valid, trace_id=7, span_id=8)
    span = SimpleNamespace(get_span_context=lambda: context)
    api = SimpleNamespace(get_current_span=lambda: span)
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", api)
    await client.get("/boom", headers={"traceparent": VALID})
    [report] = records()
    assert isinstance(report, Report)
    assert report.trace == trace
