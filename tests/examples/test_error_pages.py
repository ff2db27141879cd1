"""docs/examples/error_pages, from the wheel."""

import json
from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

ASK = """
import asyncio, json
from app import app

async def ask(path):
    response = await app.test_client().get(path)
    return response.status_code, response.mimetype, await response.get_data(as_text=True)

paths = ("/teapot", "/kettle", "/api/kettle", "/spoon", "/a/b")
print(json.dumps([asyncio.run(ask(path)) for path in paths]))
"""


@pytest.mark.slow
def test_people_get_pages_and_programs_problems(example: Callable[[str], Example]) -> None:
    teapot, kettle, problem, spoon, missing = json.loads(
        example("error_pages").run("-c", ASK).stdout
    )
    assert teapot == [200, "text/html", "A teapot, 20 EUR."]
    assert kettle[0] == 409
    assert "<h1>Sold out</h1><p>We have no more of this: kettle.</p>" in kettle[2]
    assert problem[:2] == [409, "application/problem+json"]
    assert json.loads(problem[2])["code"] == "out-of-stock"
    assert spoon[0] == 500
    assert '<a href="mailto:help@shop.example">' in spoon[2]
    assert "KeyError" not in spoon[2]
    assert missing[0] == 404
    assert "<h1>Nothing is sold here</h1>" in missing[2]
