"""A shop as in production: with TESTING the exception would be raised in the test instead.

And one request as a server makes it, for errors that leave the application.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from quart.sessions import SecureCookieSessionInterface

from quartapp.flasklike import App
from tests.shop.app import create_app, create_tables


@pytest.fixture
async def app(tmp_path: Path, database_url: str) -> AsyncIterator[App]:
    application = create_app(tmp_path, database_url, DATABASE_POOL_SIZE=2)
    await create_tables(application)
    async with application.test_app():
        yield application


class Unreadable(SecureCookieSessionInterface):
    async def open_session(self, *_: object) -> Any:
        raise ZeroDivisionError("canary")

    async def save_session(self, *_: object) -> None:
        """There is none, which Flask's own interface does not expect either."""


async def serve(app: Quart, path: str = "/", method: str = "GET", host: str = "localhost") -> Any:
    """The messages that a server gets, and the exception that leaves the application."""
    scope: Any = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(b"host", host.encode())], "extensions": {},
    }  # fmt: skip
    sent: list[Any] = []

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    error = None
    try:
        await app(scope, receive, send)
    except Exception as raised:  # noqa: BLE001 what is tested
        error = raised
    return sent, error
