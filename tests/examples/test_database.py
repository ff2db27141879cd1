"""docs/examples/database, from the wheel."""

import json
from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

ASK = """
import asyncio, json
from app import create_app

app = create_app()

async def ask():
    async with app.test_app():
        client = app.test_client()
        for number in range(7):
            form = {"name": f"item {number}", "price": "5"}
            assert (await client.post("/items", form=form)).status_code == 302
        paths = "/?page=2", "/?page=9", "/items/3", "/items/9"
        answers = [await client.get(path) for path in paths]
        return [(each.status_code, await each.get_data(as_text=True)) for each in answers]

print(json.dumps(asyncio.run(ask())))
"""


@pytest.mark.slow
def test_a_shop_with_migrations_and_pages(example: Callable[[str], Example]) -> None:
    shop = example("database")
    assert "Items" in shop.run("-m", "quart", "--app", "app", "db", "upgrade").stderr
    second, beyond, item, missing = json.loads(shop.run("-c", ASK).stdout)
    assert second[0] == 200
    assert "<h1>7 items</h1>" in second[1]
    assert [f"item {number}" in second[1] for number in range(7)] == [
        number in {3, 4, 5} for number in range(7)
    ]
    assert (beyond[0], item, missing[0]) == (404, [200, "item 2, 5 EUR"], 404)
    assert "We do not sell this." in missing[1]
