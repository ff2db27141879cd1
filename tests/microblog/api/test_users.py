"""People: registering, reading, changing one's own data, and a race for a name."""

import asyncio
from typing import Any

import pytest
from quart.signals import got_request_exception
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from quartapp.flasklike import App
from quartapp.microblog.exceptions import InvalidAPIUsage
from quartapp.microblog.models import User
from tests.microblog.api.conftest import Caller, Enter

NEW = {"username": "david", "email": "david@Example.COM", "password": "dog-in-the-fog"}


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


async def test_registers_and_says_where(nobody: Caller, susan: Caller) -> None:
    answer = await nobody("POST", "/api/users", NEW)
    assert answer.status == 201
    assert answer.json["email"] == "david@example.com"
    assert answer.headers["Location"] == answer.json["_links"]["self"]
    assert "password" not in answer.text
    found = await susan("GET", answer.headers["Location"])
    assert found.json["username"] == "david"


async def test_an_email_address_is_for_its_owner(susan: Caller, enter: Enter) -> None:
    david = await enter("david")
    path = f"/api/users/{david.id}"
    assert (await david("GET", path)).json["email"] == "david@example.com"
    for place in (path, "/api/users", f"/api/user?user_id={david.id}"):
        answer = await susan("GET", place)
        assert answer.status == 200
        assert "example.com" not in answer.text
        assert "hash" not in answer.text


async def test_changes_what_is_given(susan: Caller) -> None:
    path = f"/api/users/{susan.id}"
    answer = await susan("PUT", path, {"about_me": "line\r\n\r\n\r\nline "})
    assert answer.status == 200
    assert answer.json["about_me"] == "line\n\nline"
    assert answer.json["username"] == "susan"
    assert (await susan("PUT", path, {})).status == 200
    assert (await susan("PUT", path, {"username": "susan", "about_me": ""})).status == 200
    assert (await susan("PUT", path, {"username": "sue"})).json["username"] == "sue"


async def test_changes_nobody_else(susan: Caller, enter: Enter, session: AsyncSession) -> None:
    david = await enter("david")
    answer = await susan("PUT", f"/api/users/{david.id}", {"about_me": "pwned"})
    assert (answer.status, answer.problem["code"]) == (403, "forbidden")
    assert (await susan("PUT", "/api/users/99", {})).status == 404
    about = await session.scalar(select(User.about_me).where(User.id == david.id))
    assert about == ""


async def test_names_and_passwords_follow_the_rules_of_the_forms(
    susan: Caller, enter: Enter
) -> None:
    bad = {"username": "\u0430dmin", "password": "iloveyou"}
    answer = await susan("POST", "/api/users", NEW | bad)
    assert answer.status == 422
    assert "reserved" in answer.fields["username"]
    assert "most common" in answer.fields["password"]
    path = f"/api/users/{susan.id}"
    assert list((await susan("PUT", path, {"username": "s\ufe0f"})).fields) == ["username"]
    admin = await enter("admin")  # had the name before it was reserved
    kept = {"username": "admin", "about_me": "New"}
    assert (await admin("PUT", f"/api/users/{admin.id}", kept)).status == 200


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"username": "susan"}, "username-taken"),
        ({"username": "SUS\u0410N"}, "username-taken"),
        ({"email": "susan@EXAMPLE.com"}, "email-taken"),
    ],
)
async def test_a_taken_value_is_a_conflict(
    susan: Caller, enter: Enter, value: dict[str, str], code: str
) -> None:
    david = await enter("david")
    for answer in (
        await david("PUT", f"/api/users/{david.id}", value),
        await david(
            "POST", "/api/users", {**NEW, "username": "mary", "email": "m@b.example"} | value
        ),
    ):
        assert (answer.status, answer.problem["code"]) == (409, code)
        assert list(answer.fields) == list(value)


@pytest.mark.slow
async def test_one_of_twenty_gets_the_name(
    app: App, session: AsyncSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Any] = []

    async def note(_app: object, exception: Exception, **_: object) -> None:
        failures.append(exception)

    got_request_exception.connect(note, app)

    async def none_taken(*_args: object) -> bool:
        return False

    # The check in advance finds the name free for everybody: only the constraint decides.
    monkeypatch.setattr("quartapp.microblog.api.users.is_username_taken", none_taken)

    async def register(number: int) -> tuple[int, str]:
        caller = Caller(app.test_client())
        body = NEW | {"email": f"david{number}@example.com"}
        answer = await caller("POST", "/api/users", body)
        return answer.status, answer.json.get("code", "")

    outcomes = await asyncio.gather(*(register(number) for number in range(20)))
    assert sorted(outcomes) == [(201, ""), *[(409, "username-taken")] * 19]
    assert failures == []
    assert await session.scalar(select(func.count(User.id))) == 1


async def test_one_of_twenty_is_renamed(app: App, enter: Enter, session: AsyncSession) -> None:
    callers = [await enter(f"person{number}") for number in range(20)]

    async def rename(caller: Caller) -> int:
        return (await caller("PUT", f"/api/users/{caller.id}", {"username": "king"})).status

    statuses = await asyncio.gather(*map(rename, callers))
    assert sorted(statuses) == [200, *[409] * 19]
    kings = select(func.count(User.id)).where(User.username == "king")
    assert await session.scalar(kings) == 1


async def test_the_error_of_flasks_documentation(nobody: Caller, susan: Caller) -> None:
    for path, status, body in (
        ("/api/user", 400, {"message": "No user id provided!"}),
        ("/api/user?user_id=", 400, {"message": "No user id provided!"}),
        ("/api/user?user_id=99", 404, {"message": "No such user!"}),
    ):
        answer = await nobody("GET", path)
        assert (answer.status, answer.json) == (status, body)
        assert answer.headers["Content-Type"] == "application/json"
    answer = await nobody("GET", f"/api/user?user_id={susan.id}")
    assert answer.status == 200
    assert answer.json["username"] == "susan"
    assert not {"email", "last_seen"} & answer.json.keys()


async def test_a_payload_is_merged_into_the_error(app: App, nobody: Caller) -> None:
    async def view() -> None:
        raise InvalidAPIUsage("Too few!", 418, {"needed": 3, "message": "overridden"})

    app.add_url_rule("/api/few", view_func=view)
    answer = await nobody("GET", "/api/few")
    assert (answer.status, answer.json) == (418, {"needed": 3, "message": "Too few!"})
