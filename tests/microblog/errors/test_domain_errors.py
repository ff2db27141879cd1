"""Errors of the domain become responses; those without a status are recorded."""

import json
from typing import NoReturn

import pytest

from quartapp.flasklike import App
from quartapp.microblog.exceptions import ForbiddenError, NotFoundError, QuartappError
from quartapp.testing import Client


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(NotFoundError("No post."), 404, "not-found"), (ForbiddenError(), 403, "forbidden")],
)
async def test_errors_of_the_domain_have_their_own_code_and_message(
    app: App, client: Client, error: QuartappError, status: int, code: str
) -> None:
    async def view() -> NoReturn:
        raise error

    app.add_url_rule("/domain", view_func=view)
    response = await client.get("/domain", headers={"Accept": "application/json"})
    problem = json.loads(await response.get_data())
    assert (response.status_code, problem["code"]) == (status, code)
    assert problem["detail"] == error.message


async def test_a_domain_error_without_a_status_is_recorded_and_says_nothing(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def view() -> NoReturn:
        raise QuartappError("canary")

    app.add_url_rule("/domain", view_func=view)
    response = await client.get("/domain")
    assert response.status_code == 500
    assert "canary" not in await response.get_data(as_text=True)
    assert "canary" in caplog.text
