"""Using pages as a browser does: fetch a form, fill it in, send it with its token."""

import re
from collections.abc import Awaitable, Callable
from html import unescape
from typing import Any, TypeAlias

import pytest
from quart import Response

from quartapp.testing import Client

Submit: TypeAlias = Callable[..., Awaitable[Response]]

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


async def text_of(response: Response) -> str:
    """The page's HTML with its entities resolved."""
    return unescape(await response.get_data(as_text=True))


async def token_of(client: Client, path: str) -> str:
    page = await (await client.get(path)).get_data(as_text=True)
    match = _TOKEN.search(page)
    assert match, f"{path} holds no form"
    return match[1]


@pytest.fixture
def submit() -> Submit:
    """`await submit(client, "/login", username="susan")`: GET the page, POST its form.

    `page` is the page of the form, if it is not the address to which the form is sent.
    """

    async def send(client: Client, path: str, page: str | None = None, **fields: Any) -> Response:
        token = await token_of(client, page or path)
        answer = await client.post(path, form={"csrf_token": token, **fields})
        assert isinstance(answer, Response)
        return answer

    return send
