"""Security events in the table, on both engines."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select

from quartapp.database import Session
from quartapp.flasklike import App
from quartapp.microblog.models import SecurityEvent, User
from quartapp.microblog.models.event import (
    EVENT_LIFE,
    EventKind,
    add_events,
    failures_since_login,
)
from quartapp.microblog.testing import AddPerson
from quartapp.microblog.trail import Trail
from quartapp.testing import Clock
from tests.microblog.test_trail import event, stored


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
def kept(app: App) -> Trail:
    found: Trail = app.extensions["trail"]
    return found


async def test_an_event_outlives_its_account(
    kept: Trail, add_person: AddPerson, session: Session, app: App
) -> None:
    susan, now = await add_person("susan"), datetime.now(UTC)
    kept.record(event(EventKind.LOGIN, susan.id, now))
    await kept.written()
    async with app.extensions["database"].begin() as writer:
        await writer.execute(delete(User))
    kept.record(event(EventKind.ACCOUNT_DELETED, susan.id, now))
    kept.record(event(EventKind.REGISTERED, None, now))
    await kept.written()
    assert [(row.kind, row.user_id) for row in await stored(session)] == [
        ("login", None),
        ("account-deleted", None),
        ("registered", None),
    ]


async def test_the_failures_since_the_last_login_are_counted(
    add_person: AddPerson, app: App, clock: Clock
) -> None:
    susan, john = await add_person("susan"), await add_person("john")
    before, login, after = (clock.now + timedelta(seconds=n) for n in (1, 2, 3))
    async with app.extensions["database"].session() as session:
        assert await failures_since_login(session, susan.id) == 0
        kinds = [(EventKind.LOGIN_FAILED, before), (EventKind.LOGIN_FAILED, before)]
        await add_events(session, [event(kind, susan.id, at) for kind, at in kinds])
        await add_events(session, [event(EventKind.LOGIN_FAILED, john.id, after)])
        assert await failures_since_login(session, susan.id) == 2
        kinds = [(EventKind.LOGIN, login), (EventKind.LOGIN_FAILED, after)]
        await add_events(session, [event(kind, susan.id, at) for kind, at in kinds])
        assert await failures_since_login(session, susan.id) == 1


async def test_events_are_kept_for_ninety_days(
    app: App, kept: Trail, add_person: AddPerson, session: Session, clock: Clock
) -> None:
    susan = await add_person("susan")
    old = clock.now - EVENT_LIFE
    kept.record(event(EventKind.LOGIN, susan.id, old - timedelta(seconds=1)))
    kept.record(event(EventKind.LOGIN, susan.id, old + timedelta(seconds=1)))
    await kept.written()
    assert EVENT_LIFE.days == 90
    assert await session.scalar(select(func.count(SecurityEvent.id))) == 1
