"""The example of docs/debug.md: a shop of plain Quart with errors to look at, under `quart dev`."""

from collections.abc import Callable

import pytest

from tests.debugger.development import development
from tests.examples.conftest import Example

pytestmark = pytest.mark.slow  # a development server

HTML = {"accept": "text/html"}


def test_each_error_shows_what_led_to_it(example: Callable[[str], Example]) -> None:
    shop = example("debugger")
    environment = {"PYTHONPATH": "", "EDITOR_URL": "vscode"}
    python = str(shop.wheel.python)
    with development(shop.folder, app="", python=python, environment=environment) as server:
        assert "Buy tea" in server.get("/").text
        bought = server.client.post("/orders", data={"item": "tea", "card_token": "tok-4242"})
        page = server.client.post(
            "/orders", data={"item": "tea", "card_token": "tok-4242"}, headers=HTML
        ).text
        label = server.get("/label", HTML).text
        routes = server.get("/order", HTML).text
        markdown = server.get("/receipt", {"accept": "text/markdown"}).text

    assert "KeyError: 'tea'" in bought.text
    assert "INSERT INTO orders (item) VALUES (?)" in page
    assert "order 2: tea, paid with card_token=[hidden]" in page
    assert "tok-4242" not in page
    assert f'href="vscode://file{shop.folder}/app.py:' in page
    assert "{{ customer.street.upper() }}" in label
    assert "<td>/orders</td>" in routes
    assert markdown.startswith("# `TypeError` in `GET /receipt`\n")
    assert "templates/receipt.html:6" in markdown
    assert "tok-4242" not in bought.text
