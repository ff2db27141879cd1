"""docs/examples/inbox, from the wheel."""

import json
from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

USE = """
import asyncio, json, re
from app import app

async def use():
    async with app.test_app():
        client = app.test_client()

        async def get(path):
            response = await client.get(path)
            return response.status_code, response.mimetype, await response.get_data(as_text=True)

        seen = [await get("/errors/"), await get("/nowhere"), await get("/")]
        wrong = await client.post("/login", form={"password": "guess"})
        seen.append([wrong.status_code, "", ""])
        await client.post("/login", form={"password": "cat-on-the-mat"})
        await app.extensions["reporting"].flush()
        page = await get("/errors/")
        style = re.search('href="([^"]*inbox.css[^"]*)"', page[2])
        return [*seen, page, await get(style[1]), await get("/errors/1")]

print(json.dumps(asyncio.run(use())))
"""


@pytest.mark.slow
def test_the_operator_reads_what_has_happened(example: Callable[[str], Example]) -> None:
    key, password = "k" * 40, "cat-on-the-mat"
    done = example("inbox").run("-c", USE, QUART_SECRET_KEY=key, QUART_OPERATOR_PASSWORD=password)
    stranger, unknown, failed, wrong, page, style, one = json.loads(done.stdout)
    assert stranger == unknown
    assert unknown[0] == 404
    assert failed[0] == 500
    assert wrong[0] == 200
    assert page[0] == 200
    assert "RuntimeError in app.index" in page[2]
    assert style[:2] == [200, "text/css"]
    assert one[0] == 200
    assert "the printer has no paper" in one[2]


@pytest.mark.slow
def test_without_a_key_it_says_what_is_missing(example: Callable[[str], Example]) -> None:
    program = "import asyncio; from app import app; asyncio.run(app.startup())"
    done = example("inbox").run("-c", program, code=1)
    assert "ConfigurationError: SECRET_KEY: is required by Inbox" in done.stderr
