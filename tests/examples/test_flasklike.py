"""docs/examples/flasklike, from the wheel."""

import json
from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

ASK = """
import asyncio, json
from app import app

async def ask(path):
    response = await app.test_client().get(path)
    return response.status_code, await response.get_data(as_text=True)

print(json.dumps([asyncio.run(ask(path)) for path in ("/teapot", "/kettle", "/spoon")]))
"""


@pytest.mark.slow
def test_errors_find_their_handlers(example: Callable[[str], Example]) -> None:
    teapot, kettle, spoon = json.loads(example("flasklike").run("-c", ASK).stdout)
    assert teapot == [200, "A teapot, 20 EUR."]
    assert kettle == [409, "Sold out: kettle."]
    assert spoon[0] == 404
    assert "There is no spoon here." in spoon[1]
