"""What people do to their accounts is recorded, and nothing else."""

import base64

import pytest

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.testing import PASSWORD
from quartapp.testing import Client
from tests.microblog.test_trail import stored
from tests.microblog.web.conftest import Submit


@pytest.mark.slow
async def test_what_people_do_is_recorded(
    app: App, client: Client, session: Session, submit: Submit
) -> None:
    login = {"username": "susan", "password": PASSWORD}
    basic = base64.b64encode(f"susan:{PASSWORD}".encode()).decode()
    await submit(client, "/register", **login, email="susan@example.com", password2=PASSWORD)
    await submit(client, "/login", **login | {"password": "dog"})
    await submit(client, "/login", **login)
    await submit(client, "/edit_profile", username="susan", about_me="new")
    await submit(client, "/edit_profile", username="sue")
    await submit(client, "/edit_profile", username="susan")
    await submit(client, "/sessions/end_others", page="/sessions")
    new = {"password": "dog-under-the-table", "password2": "dog-under-the-table"}
    issued = await client.post("/api/tokens", headers={"Authorization": f"Basic {basic}"})
    bearer = {"Authorization": f"Bearer {(await issued.get_json())['token']}"}
    for _ in range(3):
        await client.get("/api/posts", headers=bearer)
    await client.delete("/api/tokens", headers=bearer)
    await submit(client, "/change_password", current_password=PASSWORD, **new)
    await submit(client, "/logout")
    await app.extensions["trail"].written()
    assert [row.kind for row in await stored(session)] == [
        *("registered", "login-failed", "login", "username-changed", "username-changed"),
        *("login-ended", "token-issued", "token-used", "token-revoked", "password-changed"),
        "logout",
    ]
    assert {row.user_id for row in await stored(session)} == {1}
