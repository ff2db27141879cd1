"""Many logins at a time: they are bounded, and take no lock from those who write."""

import asyncio
import base64
import sqlite3
import threading
from contextlib import closing

import pytest

from quartapp.flasklike import App
from quartapp.microblog import passwords
from quartapp.microblog.passwords import PasswordHasher
from quartapp.microblog.testing import PASSWORD, AddPerson
from quartapp.reporting import Report
from quartapp.testing import Client
from tests.microblog.web.conftest import Submit


async def test_a_login_beyond_the_queue_is_a_503_that_is_counted_and_not_recorded(
    app: App,
    client: Client,
    submit: Submit,
    captured_reports: list[Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(passwords, "check_password_hash", lambda *_: go_on.wait(60))
    hasher = app.extensions["passwords"] = PasswordHasher(1, 0)
    holding = asyncio.create_task(hasher.is_right("", "cat-on-the-mat"))
    await asyncio.sleep(0)
    page = await submit(client, "/login", username="susan", password="cat-on-the-mat")
    basic = base64.b64encode(b"susan:cat").decode()
    problem = await client.post("/api/tokens", headers={"Authorization": f"Basic {basic}"})
    user = {"username": "david", "email": "d@b.example", "password": "dog-in-the-fog"}
    registration = await client.post("/api/users", json=user)
    for answer in (page, problem, registration):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (await client.get("/explore")).status_code == 200
    go_on.set()
    await holding
    await hasher.close()
    assert captured_reports == []


@pytest.mark.slow
async def test_a_login_takes_the_write_lock_only_for_a_right_password(
    app: App, client: Client, submit: Submit, add_person: AddPerson
) -> None:
    await add_person("susan")
    path = str(app.extensions["database"].url.database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await submit(client, "/login", username="susan", password="dog")
        assert answer.status_code == 422
        susan = {"username": "susan", "password": PASSWORD}
        right = asyncio.ensure_future(submit(client, "/login", **susan))
        await asyncio.sleep(0.2)
        assert not right.done()
        other.execute("COMMIT")
        assert (await right).status_code == 302
