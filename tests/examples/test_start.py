"""docs/examples/start, from the wheel."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.examples.conftest import Example

FAIL = """
import asyncio
from app import app

async def fail():
    async with app.test_app():
        response = await app.test_client().get("/", headers={"Accept": "text/html"})
        print(response.status_code, await response.get_data(as_text=True))

asyncio.run(fail())
"""


@pytest.mark.slow
def test_an_error_gets_a_page_and_is_counted(example: Callable[[str], Example]) -> None:
    shop = example("start")
    printed = shop.run("-c", FAIL, QUART_DATABASE_URL="sqlite:///shop.db").stdout
    assert printed.startswith("500 <!doctype html>")
    assert "Reference: " in printed
    with closing(sqlite3.connect(shop.folder / "instance" / "errors.db")) as database:
        groups = database.execute("SELECT title, count FROM error_groups").fetchall()
    assert groups == [("OperationalError in app.index", 1)]
