"""What operators do to an error: by forms that only a page of the inbox can send."""

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, g, request
from sqlalchemy import select

from quartapp.database import DatabaseEngine
from quartapp.flasklike import App
from quartapp.inbox import Inbox
from quartapp.inbox.acts import carry_out
from quartapp.inbox.site import Act
from quartapp.reporting import Reporting
from quartapp.reporting.queries import triage
from quartapp.reporting.queries.listing import state_of
from quartapp.reporting.queries.triage import version_of
from quartapp.reporting.tables import ErrorAct, ErrorGroup

HOSTILE = "<script>alert(1)</script>\u202egnp.exe \"'> {{ 7*7 }} \N{SNAKE} العربية"


class Operator:
    """Somebody who looks at an error in a browser."""

    def __init__(self, app: Quart, name: str) -> None:
        self.client: Any = app.test_client()
        self.headers = {"X-Operator": name}
        self.form: dict[str, str] = {}

    async def get(self, path: str) -> tuple[int, str]:
        answer = await self.client.get(path, headers=self.headers)
        return answer.status_code, await answer.get_data(as_text=True)

    async def look(self) -> str:
        """Load the page of error 1; returns it."""
        status, page = await self.get("/errors/1")
        assert status == 200
        self._keep(page)
        return page

    async def act(self, act: str, **values: str) -> tuple[int, str]:
        """Send a form of the page that was looked at; returns the page, or where it leads."""
        answer = await self.client.post(
            f"/errors/1/{act}", headers=self.headers, form=self.form | values
        )
        page = await answer.get_data(as_text=True)
        if answer.status_code != 303:
            self._keep(page)
            return answer.status_code, page
        return answer.status_code, answer.headers["Location"]

    def _keep(self, page: str) -> None:
        fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
        self.form = dict(fields) or self.form


@pytest.fixture
def done() -> list[Act]:
    return []


@pytest.fixture
def kind() -> type[Quart]:
    return App


BOTH = pytest.mark.parametrize("kind", [App, Quart])


@pytest.fixture
def app(kind: type[Quart], tmp_path: Path, done: list[Act]) -> Quart:
    made = kind("shop", instance_path=str(tmp_path), static_folder=None)
    made.config["SECRET_KEY"] = "k" * 40
    made.config["RELEASE"] = "1.4"
    Reporting(made)
    Inbox(made, allow=operator_name, on_act=done.append)
    return made


def operator_name() -> str:
    return request.headers.get("X-Operator", "")


@pytest.fixture
async def database(app: Quart) -> AsyncIterator[DatabaseEngine]:
    """With one group."""
    pipeline = app.extensions["reporting"]
    await pipeline.prepare()
    now = datetime.now(UTC)
    database: DatabaseEngine = pipeline.database
    async with database.begin() as session:
        session.add(
            ErrorGroup(
                fingerprint="abcd" * 8, title="KeyError", count=1, first_seen=now, last_seen=now
            )
        )
    yield database
    await database.dispose()


async def group(database: DatabaseEngine) -> ErrorGroup:
    async with database.session(write=False) as session:
        return (await session.scalars(select(ErrorGroup))).one()


async def rows(database: DatabaseEngine) -> list[tuple[str, str, str]]:
    async with database.session(write=False) as session:
        found = await session.scalars(select(ErrorAct).order_by(ErrorAct.id))
        return [(act.kind, act.who, act.text) for act in found]


@pytest.fixture
def ann(app: Quart, database: DatabaseEngine) -> Operator:
    return Operator(app, "ann")


@pytest.fixture
def bob(app: Quart, database: DatabaseEngine) -> Operator:
    return Operator(app, "bob")


MUTES = [
    ({"until": "again"}, "until it happens again"),
    ({"until": "hours", "hours": "2"}, "until 20"),
    ({"until": "time", "time": "2200-01-31T18:00"}, "until 2200-01-31 18:00:00 UTC"),
    ({"until": "more", "more": "50"}, "for 50 more"),
    ({"until": "rate", "rate": "9"}, "until more than 9 in an hour"),
    ({"until": "forever", "hours": "x"}, "forever"),
]


@pytest.mark.slow
@BOTH
async def test_each_act_is_done_recorded_and_leads_back(
    ann: Operator, database: DatabaseEngine, done: list[Act]
) -> None:
    for act, values, state in (
        ("resolve", {}, "resolved"),
        ("reopen", {}, "new"),
        *(("mute", values, "muted") for values, _ in MUTES),
        ("comment", {"text": "It is the supplier."}, "muted"),
        ("resolve", {"release": "next"}, "resolved"),
    ):
        await ann.look()
        assert await ann.act(act, **values) == (303, "/errors/1")
        assert state_of(await group(database), time.time()) == state
    kinds = ["resolve", "reopen", *["mute"] * len(MUTES), "comment", "resolve_next"]
    found = await rows(database)
    assert [(kind, who) for kind, who, _ in found] == [(kind, "ann") for kind in kinds]
    texts = [
        "",
        "",
        *(text for _, text in MUTES),
        "It is the supplier.",
        "in the release after 1.4",
    ]
    for (_, _, text), expected in zip(found, texts, strict=True):
        assert text.startswith(expected)
    assert [(act.kind, act.who, act.text) for act in done] == found
    assert {(act.group_id, act.title) for act in done} == {(1, "KeyError")}


@BOTH
async def test_deleting_asks_before(
    ann: Operator, database: DatabaseEngine, done: list[Act]
) -> None:
    assert 'href="/errors/1/delete"' in await ann.look()
    _, page = await ann.get("/errors/1/delete")
    assert "<h1>Delete this error?</h1>" in page
    assert "1 occurrence, samples" in page
    assert await ann.act("delete") == (303, "/errors/")
    async with database.session(write=False) as session:
        assert (await session.scalars(select(ErrorGroup.id))).all() == []
    assert [(act.kind, act.who, act.fingerprint) for act in done] == [("delete", "ann", "abcd" * 8)]
    for act in ("resolve", "mute", "delete"):
        status, page = await ann.act(act, until="forever")
        assert status == 404
        assert "It may have been deleted." in page
    status, page = await ann.act("comment", text=HOSTILE)
    assert status == 404
    [typed] = re.findall("<textarea[^>]*>(.*)</textarea>", page)
    assert unescape(typed) == HOSTILE, "what was typed can be copied"


async def test_the_second_of_two_sees_what_the_first_did(
    ann: Operator, bob: Operator, database: DatabaseEngine
) -> None:
    await ann.look()
    await bob.look()
    seen = bob.form
    await ann.act("mute", until="more", more="77")
    await ann.act("comment", text=HOSTILE)
    for act in ("resolve", "reopen", "mute", "delete"):
        bob.form = seen
        status, page = await bob.act(act, until="rate", rate="12345", text="typed")
        assert status == 409
        assert "Somebody was faster: nothing was changed." in page
        assert "ann muted it" in page
        assert "for 77 more" in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "\u202e" not in page
        assert 'value="12345"' in page, "what was typed stays in the form"
    assert len(await rows(database)) == 2
    assert (await bob.act("resolve"))[0] == 303, "the form is for what he sees now"


@BOTH
async def test_a_comment_is_never_refused_and_stays_text(
    ann: Operator, bob: Operator, database: DatabaseEngine
) -> None:
    await ann.look()
    await bob.look()
    await ann.act("resolve")
    assert (await bob.act("comment", text=f"{HOSTILE}\r\n\x00"))[0] == 303
    assert (await rows(database))[-1] == ("comment", "bob", f"{HOSTILE}\n\ufffd")


async def test_a_comment_that_is_too_long_stays_in_the_form(
    ann: Operator, database: DatabaseEngine
) -> None:
    await ann.look()
    status, page = await ann.act("comment", text=HOSTILE + "\N{SNAKE}" * 4000)
    assert status == 400
    assert "A comment has at most 4,000 characters; this one has 4,0" in page
    [typed] = re.findall("<textarea[^>]*>(.*)</textarea>", page)
    assert unescape(typed) == HOSTILE + "\N{SNAKE}" * 4000, "also what would be shown as an escape"
    assert (await ann.act("comment", text="\N{SNAKE}" * 4000))[0] == 303
    assert await rows(database) == [("comment", "ann", "\N{SNAKE}" * 4000)]


WRONG_MUTES = [
    ({}, "Choose for how long"),
    ({"until": "x" * 1000}, "Choose for how long"),
    ({"until": "hours", "hours": "0"}, "from 1 to 876,000."),
    ({"until": "hours", "hours": "nan"}, "from 1 to"),
    ({"until": "hours", "hours": "٣"}, "from 1 to"),
    ({"until": "more", "more": "9" * 5000}, "from 1 to 2,147,483,647."),
    ({"until": "rate", "rate": "-1"}, "from 1 to"),
    ({"until": "time", "time": "1999-01-01T00:00"}, "over already"),
    ({"until": "time", "time": "\x00<b>"}, "Expected a time"),
    ({"until": "time", "time": "2999-01-31T18:00+14:00"}, "Expected a time"),
    ({"until": "time", "time": "2999-01-31T18:00Z"}, "Expected a time"),
    ({"until": "time", "time": "0001-01-01T00:00+23:00"}, "Expected a time"),
    ({"until": "time", "time": "0001-01-01T00:00"}, "over already"),
]


@pytest.mark.slow
async def test_a_mute_that_cannot_be_is_one_sentence(
    ann: Operator, database: DatabaseEngine
) -> None:
    await ann.look()
    for values, sentence in WRONG_MUTES:
        status, page = await ann.act("mute", **values)
        assert status == 400
        assert sentence in page
    assert await rows(database) == []


async def test_without_a_token_nothing_is_done(
    ann: Operator, bob: Operator, database: DatabaseEngine
) -> None:
    version = version_of(await group(database))
    await bob.look()
    await ann.look()
    for act in ("resolve", "reopen", "mute", "comment", "delete"):
        for form in ({"version": version}, bob.form):
            ann.form = form
            assert (await ann.act(act, until="forever", text="x"))[0] == 400
        answer = await ann.client.get(f"/errors/1/{act}", headers=ann.headers)
        assert answer.status_code == (200 if act == "delete" else 405)
    assert await rows(database) == []
    assert (await group(database)).revision == 0


async def test_a_forged_version_changes_nothing(ann: Operator, database: DatabaseEngine) -> None:
    await ann.look()
    seen = ann.form
    for version in ("0", "-1-x", "9" * 5000, "0-" + "\x00" * 16, "\N{SUPERSCRIPT TWO}-"):
        ann.form = seen | {"version": version}
        assert (await ann.act("resolve"))[0] == 409
    for without in ({"version": ""}, {}):
        ann.form = {name: text for name, text in seen.items() if name != "version"} | without
        assert (await ann.act("resolve"))[0] == 400
    assert await rows(database) == []


async def test_a_trail_that_fails_leaves_the_act_done(
    tmp_path: Path, database: DatabaseEngine, ann: Operator, app: Quart
) -> None:
    async def fail(act: Act) -> None:
        raise RuntimeError(act.kind)

    app.extensions["inbox"].on_act = fail
    await ann.look()
    assert (await ann.act("resolve"))[0] == 303
    assert [kind for kind, _, _ in await rows(database)] == ["resolve"]


async def test_without_a_release_the_next_one_is_refused(
    ann: Operator, database: DatabaseEngine, app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = app.extensions["reporting"].recorder.origin
    monkeypatch.setattr(
        type(app.extensions["reporting"].recorder), "origin", type(origin)(release="")
    )
    await ann.look()
    status, page = await ann.act("resolve", release="next")
    assert status == 400
    assert "set RELEASE" in page
    assert (await group(database)).resolved_at is None


async def test_a_blank_name_is_none(app: Quart, database: DatabaseEngine, done: list[Act]) -> None:
    async with app.test_request_context("/errors/"):
        g._inbox_operator = " \t"
        await carry_out({1: None}, lambda _: triage.mute())
    assert done[0].who.startswith("an operator at ")


async def test_on_act_is_a_function() -> None:
    with pytest.raises(TypeError, match="on_act"):
        Inbox(on_act="x")  # type: ignore[arg-type]  # that is the test


async def test_an_act_of_many_is_recorded_for_each(
    app: Quart, database: DatabaseEngine, done: list[Act]
) -> None:
    async with app.test_request_context("/errors/"):
        g._inbox_operator = "ann"
        outcome = await carry_out({1: None, 2: None}, lambda _: triage.mute())
    assert outcome.missing == [2]
    assert [(act.kind, act.group_id) for act in done] == [("mute", 1)]
