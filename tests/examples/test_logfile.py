"""docs/examples/logfile, from the wheel."""

from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

FAIL = """
import asyncio
from app import app

async def fail():
    async with app.test_app():
        client = app.test_client()
        await client.post("/login", form={"name": "susan", "password": "cat-on-the-mat"})
        await client.get("/boom?token=abcd1234")

asyncio.run(fail())
"""


@pytest.mark.slow
def test_the_lines_are_in_the_file_without_secrets(example: Callable[[str], Example]) -> None:
    shop = example("logfile")
    shop.run("-c", FAIL)
    text = (shop.folder / "logs" / "app.log").read_text("utf-8")
    assert "INFO: App startup" in text
    assert "WARNING: login failed: name=susan password=[hidden]" in text
    assert "RuntimeError: the service refused [hidden]" in text
    assert "abcd1234" not in text
    assert "cat-on-the-mat" not in text
