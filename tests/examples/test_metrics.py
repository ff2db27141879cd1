"""docs/examples/metrics, from the wheel."""

from collections.abc import Callable

import pytest

from tests.examples.conftest import Example

USE = """
import asyncio
from app import app

async def use():
    async with app.test_app():
        client = app.test_client()
        await client.post("/books/paper")
        headers = {"Authorization": "Bearer a-token-of-a-test"}
        print(await (await client.get("/metrics", headers=headers)).get_data(as_text=True))

asyncio.run(use())
"""


@pytest.mark.slow
def test_the_metrics_of_the_shop_are_shown(example: Callable[[str], Example]) -> None:
    page = example("metrics").run("-c", USE, QUART_METRICS_TOKEN="a-token-of-a-test").stdout
    assert 'shop_books_sold_total{kind="paper"} 1.0' in page
    assert 'shop_price_euros_bucket{le="20.0"} 1.0' in page
    assert 'http_requests_total{method="POST",route="/books/<kind>",status="200"} 1.0' in page
