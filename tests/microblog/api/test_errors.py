"""The errors that reporting has counted, for programs of administrators."""

from typing import Any

import pytest
from sqlalchemy import insert, update

from quartapp.flasklike import App
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.models.user import User
from quartapp.reporting.tables import ErrorGroup
from tests.microblog.api.conftest import Caller
from tests.reporting.queries.test_listing import group

ADDRESSES = [("GET", "/api/errors"), ("GET", "/api/errors/1"), ("POST", "/api/errors/1/acts")]


@pytest.fixture(autouse=True)
async def groups(app: App) -> None:
    async with app.extensions["database"].begin() as session:
        await session.execute(insert(ErrorGroup), [group(number) for number in range(1, 61)])


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
async def test_only_a_token_with_the_scope_may_ask(
    method: str, path: str, app: App, nobody: Caller, susan: Caller, admin: Caller
) -> None:
    body = {"act": "reopen"} if method == "POST" else None
    assert (await nobody(method, path, body)).problem["code"] == "token-required"
    refused = await susan(method, path, body)
    assert (refused.status, refused.problem["code"]) == (403, "insufficient-scope")
    assert 'scope="admin"' in refused.headers["WWW-Authenticate"]
    assert (await admin(method, path, body)).status == 200
    async with app.extensions["database"].begin() as session:
        await session.execute(update(User).values(is_admin=False))
    assert (await admin(method, path, body)).problem["code"] == "forbidden"


async def test_a_token_for_reading_does_not_become_one_of_an_administrator(
    app: App, admin: Caller
) -> None:
    issued = await issue_token(app.extensions["database"], admin.id, 0, scope="read write")
    plain = Caller(admin.client, admin.id, issued.token)
    assert (await plain("GET", "/api/errors")).problem["code"] == "insufficient-scope"


async def test_the_list_has_the_filters_and_the_pages_of_the_inbox(admin: Caller) -> None:
    first = (await admin("GET", "/api/errors?state=all&q=valueerror")).json
    assert [item["id"] for item in first["items"]] == list(range(1, 51))
    second = (await admin("GET", first["_links"]["next"])).json
    assert [item["id"] for item in second["items"]] == list(range(51, 61))
    assert second["_links"]["next"] is None
    back = (await admin("GET", second["_links"]["prev"])).json
    assert back["items"] == first["items"]
    found = (await admin("GET", "/api/errors?q=order_7")).json["items"]
    assert [item["title"] for item in found] == ["ValueError in shop.order_7"]
    own = (await admin("GET", found[0]["_links"]["self"])).json
    assert (own["id"], own["version"]) == (7, found[0]["version"])


@pytest.mark.parametrize("query", ["state=x", "after=1", "nosuch=1", "q=%00", f"q={'x' * 300}"])
async def test_what_no_list_can_mean_is_refused(query: str, admin: Caller) -> None:
    answer = await admin("GET", f"/api/errors?{query}")
    assert (answer.status, answer.problem["code"]) == (400, "bad-request")


async def test_acts_are_recorded_with_who_and_what_was_seen(
    admin: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "quartapp.security")
    seen = (await admin("GET", "/api/errors/3")).json["version"]
    done = await admin("POST", "/api/errors/3/acts", {"act": "resolve", "version": seen})
    assert (done.status, done.json["state"]) == (200, "resolved")
    late = await admin("POST", "/api/errors/3/acts", {"act": "reopen", "version": seen})
    assert (late.status, late.problem["code"]) == (409, "conflict")
    muted = await admin("POST", "/api/errors/3/acts", {"act": "mute", "hours": 2})
    assert muted.json["state"] == "muted"
    await admin("POST", "/api/errors/3/acts", {"act": "comment", "text": "looked at it"})
    shown = (await admin("GET", "/api/errors/3")).json
    kinds = [(act["kind"], act["who"]) for act in shown["acts"]]
    assert sorted(kinds) == [("comment", "admin"), ("mute", "admin"), ("resolve", "admin")]
    assert caplog.text.count('"kind": "error-act"') == 3


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/errors/999/acts", {"act": "resolve"}, 404),
        ("/api/errors/3/acts", {"act": "comment"}, 422),
        ("/api/errors/3/acts", {"act": "resolve_later"}, 422),
        ("/api/errors/3/acts", {"act": "mute", "hours": 0}, 422),
        ("/api/errors/3/acts", {"act": "resolve", "version": "x"}, 409),
    ],
)
async def test_what_cannot_be_done_is_a_problem(
    path: str, body: Any, status: int, admin: Caller
) -> None:
    answer = await admin("POST", path, body)
    assert (answer.status, answer.problem["status"]) == (status, status)


async def test_an_error_that_is_gone_is_a_404(admin: Caller) -> None:
    for path in ("/api/errors/999", "/api/errors/9999999999999999999"):
        assert (await admin("GET", path)).problem["code"] == "not-found"
        acting = await admin("POST", f"{path}/acts", {"act": "reopen"})
        assert acting.problem["code"] == "not-found"
