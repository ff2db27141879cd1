"""Errors of tasks in an `asyncio.TaskGroup`: the pages and problems of the errors themselves."""

import asyncio
from typing import Any

import pytest
from quart import abort

from quartapp.flasklike import App
from quartapp.microblog.exceptions import NotFoundError


async def missing() -> None:
    abort(404)


async def forbidden() -> None:
    abort(403)


async def unknown() -> None:
    raise NotFoundError


async def broken() -> None:
    raise KeyError("canary")


@pytest.fixture
def raising(app: App) -> Any:
    """Add a page and a URL of the API on which tasks fail."""

    def add(*tasks: Any) -> None:
        async def fail() -> str:
            async with asyncio.TaskGroup() as group:
                for task in tasks:
                    group.create_task(task())
            return "never"

        app.add_url_rule("/group", "group", fail)
        app.add_url_rule("/api/group", "api_group", fail)

    return add


@pytest.mark.parametrize(
    ("tasks", "status"),
    [
        ([missing], 404),
        ([missing, forbidden], 404),
        ([forbidden, missing], 403),
        ([unknown], 404),
        ([missing, broken], 500),
    ],
)
async def test_are_answered_with_a_page_and_as_a_problem(
    app: App, raising: Any, tasks: list[Any], status: int
) -> None:
    raising(*tasks)
    client = app.test_client()
    page = await client.get("/group", headers={"Accept": "text/html"})
    problem = await client.get("/api/group")
    assert (page.status_code, page.mimetype) == (status, "text/html")
    assert (problem.status_code, problem.mimetype) == (status, "application/problem+json")
    text = await page.get_data(as_text=True)
    fields = await problem.get_json()
    assert "<nav" in text
    assert fields["status"] == status
    assert "canary" not in text + str(fields)
    assert ("reference" in fields) == (status == 500)
    assert ("Reference" in text or "reference" in text) == (status == 500)
