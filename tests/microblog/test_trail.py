"""The trail of security events: never in the way of a request."""

import asyncio
import json
import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.logfile.handler import ThreadedHandler
from quartapp.microblog import trail
from quartapp.microblog.app import create_app
from quartapp.microblog.config import Settings
from quartapp.microblog.models import SecurityEvent, User
from quartapp.microblog.models.event import (
    EventKind,
    NewEvent,
    events_of,
)
from quartapp.microblog.testing import AddPerson, LogIn, create_tables
from quartapp.microblog.trail import Trail, record_event
from tests.microblog.web.conftest import text_of

ADDRESS = {"Remote-Addr": "203.0.113.9"}


@pytest.fixture
def kept(app: App) -> Trail:
    found: Trail = app.extensions["trail"]
    return found


def event(kind: EventKind, user_id: int | None, at: datetime) -> NewEvent:
    return NewEvent(at, kind, user_id, "203.0.113.9", "curl/8", "")


async def stored(session: Session) -> list[SecurityEvent]:
    rows = await session.scalars(select(SecurityEvent).order_by(SecurityEvent.id))
    return list(rows)


async def test_an_event_holds_its_sender_cut_to_the_columns(
    app: App, kept: Trail, add_person: AddPerson, session: Session
) -> None:
    susan = await add_person("susan")
    headers = ADDRESS | {"User-Agent": "\x1b[31m" + "x" * 5000}
    async with app.test_request_context("/", headers=headers):
        record_event(EventKind.PASSWORD_CHANGED, susan.id, "d" * 5000)
    await kept.written()
    [row] = await stored(session)
    assert (row.kind, row.user_id, row.address) == ("password-changed", susan.id, "203.0.113.9")
    assert row.user_agent == "?[31m" + "x" * 195
    assert len(row.detail) == 200


@pytest.mark.slow
async def test_many_events_are_stored_in_their_order(kept: Trail, session: Session) -> None:
    now = datetime.now(UTC)
    for number in range(1200):
        kept.record(event(EventKind.LOGIN_FAILED, None, now + timedelta(seconds=number)))
    await kept.written()
    rows = await stored(session)
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert len(rows) == 1200


async def test_events_wait_while_the_database_fails_and_the_request_goes_on(
    app: App,
    kept: Trail,
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(trail, "add_events", fail)
        async with app.test_request_context("/"):
            record_event(EventKind.LOGIN_FAILED)
            record_event(EventKind.LOGIN)
        for _ in range(3):
            await kept.written()
    assert await stored(session) == []
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == [
        "Security events cannot be stored, and wait: the disk is full"
    ]
    await kept.written()
    await session.rollback()
    assert [row.kind for row in await stored(session)] == ["login-failed", "login"]


async def test_what_waits_is_bounded(
    kept: Trail, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MOST_WAITING", 10)
    for _ in range(30):
        kept.record(event(EventKind.LOGIN_FAILED, None, datetime.now(UTC)))
    await kept.written()
    assert len(await stored(session)) == 10


async def test_each_event_is_a_line_of_json_in_a_log_of_its_own(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartapp.security")
    headers = ADDRESS | {"User-Agent": "a\x1bb"}
    async with app.test_request_context("/", headers=headers):
        record_event(EventKind.LOGIN_FAILED, 7)
    [record] = [record for record in caplog.records if record.name == "quartapp.security"]
    line = json.loads(record.getMessage())
    assert line.pop("at").endswith("+00:00")
    assert line == {
        "kind": "login-failed",
        "user_id": 7,
        "address": "203.0.113.9",
        "user_agent": "a?b",
        "detail": "",
    }


async def test_people_see_their_own_events_and_those_of_this_moment(
    app: App, kept: Trail, log_in: LogIn, add_person: AddPerson, session: Session
) -> None:
    john = await add_person("john")
    client = await log_in("susan")
    [susan_id] = await session.scalars(select(User.id).where(User.username == "susan"))
    await session.rollback()
    now = datetime.now(UTC)
    kept.record(event(EventKind.PASSWORD_CHANGED, john.id, now))
    kept.record(event(EventKind.EMAIL_CHANGED, susan_id, now)._replace(user_agent="<b>me"))
    answer = await client.get("/security")
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert "The email address was changed" in page
    assert "203.0.113.9, &lt;b&gt;me" in page
    assert "The password was changed" not in page
    assert "Nothing yet." in await text_of(await (await log_in("mary")).get("/security"))
    assert (await app.test_client().get("/security")).status_code == 302


async def test_the_lock_of_another_process_delays_no_request(
    app: App, kept: Trail, session: Session
) -> None:
    path = str(app.extensions["database"].url.database)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with app.test_request_context("/"):
            record_event(EventKind.LOGIN)
        assert await stored(session) == []
        await session.rollback()
        other.execute("ROLLBACK")
    await kept.written()
    assert [row.kind for row in await stored(session)] == ["login"]


async def test_the_latest_fifty_events_are_shown(
    app: App, kept: Trail, add_person: AddPerson, session: Session
) -> None:
    susan, now = await add_person("susan"), datetime.now(UTC)
    for number in range(60):
        at = now + timedelta(seconds=number)
        kept.record(event(EventKind.LOGIN, susan.id, at)._replace(detail=str(number)))
    await kept.written()
    rows = await events_of(session, susan.id)
    assert [row.detail for row in rows] == [str(number) for number in range(59, 9, -1)]


@pytest.mark.lenient("threads", "files")  # the handlers are only detached
async def test_a_server_writes_them_to_a_file_of_its_own(settings: Settings) -> None:
    production = {"environment": "production", "secret_key": "0123456789abcdef" * 4}
    app = create_app(settings.model_copy(update=production))
    await create_tables(app)
    async with app.test_app(), app.test_request_context("/", headers=ADDRESS):
        record_event(EventKind.LOGIN, 7)
    for logger in map(logging.getLogger, ("quartapp", "quartapp.security")):
        handlers = [one for one in logger.handlers if isinstance(one, ThreadedHandler)]
        for handler in handlers:
            handler.flush()
            logger.removeHandler(handler)
        logger.propagate = True
    [line] = (settings.log_dir / "security.log").read_text().splitlines()
    assert json.loads(line)["kind"] == "login"
    assert "203.0.113.9" not in (settings.log_dir / "microblog.log").read_text()


@pytest.mark.slow
@pytest.mark.lenient("errors", "tasks")  # one is left at the database that hangs
async def test_a_stop_stores_what_waits_and_does_not_wait_for_a_database_that_hangs(
    app: App, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_by_stop = Trail(app.extensions["database"])
    await stored_by_stop.start()
    stored_by_stop.record(event(EventKind.LOGIN, None, datetime.now(UTC)))
    await stored_by_stop.stop()
    assert [row.kind for row in await stored(session)] == ["login"]

    async def hang(*_: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(trail, "add_events", hang)
    monkeypatch.setattr(trail, "_PATIENCE", 0.05)
    hanging = Trail(app.extensions["database"])
    await hanging.start()
    hanging.record(event(EventKind.LOGIN, None, datetime.now(UTC)))
    await hanging.written()
    async with asyncio.timeout(30):
        await hanging.stop()
    assert hanging._storing is not None
    hanging._storing.cancel()
