"""No request holds a connection, or SQLite's write lock, while it does something slow."""

import asyncio
import base64
from typing import Any

import pytest
from sqlalchemy.pool import QueuePool

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.microblog.database import db
from tests.microblog.api.conftest import Caller


def in_use(app: App) -> int:
    """The number of connections that are taken from the pool."""
    database: DatabaseEngine = app.extensions["database"]
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_none_while_a_client_sends_its_body(app: App, susan: Caller) -> None:
    headers = {"Authorization": f"Bearer {susan.token}", "Content-Type": "application/json"}
    slow = susan.client.request("/api/posts", method="POST", headers=headers)
    async with slow as connection:
        await connection.send(b'{"body": ')
        async with asyncio.timeout(60):  # the consumer has one for a moment
            while in_use(app):  # noqa: ASYNC110 a pool has no event for a returned connection
                await asyncio.sleep(0.02)
        assert (await susan("POST", "/api/posts", {"body": "fast"})).status == 201
        await connection.send(b'"slow"}')
        await connection.send_complete()
    assert (await connection.as_response()).status_code == 201


@pytest.mark.parametrize("path", ["/api/tokens", "/api/users"])
async def test_none_while_a_password_is_hashed(
    susan: Caller, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    seen: list[bool] = []

    async def look(*_args: Any) -> Any:
        seen.append(db.session.in_transaction())
        return "hash"

    monkeypatch.setattr("quartapp.microblog.credentials.is_password_right", look)
    monkeypatch.setattr("quartapp.microblog.api.users.hash_password", look)
    basic = base64.b64encode(b"susan:cat").decode()
    headers = {"Authorization": f"Basic {basic}"}
    person = {"username": "david", "email": "d@b.example", "password": "dog-in-the-fog"}
    body = person if path == "/api/users" else {"name": "backup"}
    assert (await susan("POST", path, body, headers=headers)).status == 201
    assert seen == [False]
