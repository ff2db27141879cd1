"""Logins: who they belong to, how long they last, and how they end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, update

from quartapp.database import DatabaseEngine, Session
from quartapp.flasklike import App
from quartapp.microblog.models import ApiToken, Login, User
from quartapp.microblog.models.base import utc_now
from quartapp.microblog.models.login import (
    LOGIN_IDLE,
    LOGIN_LIFE,
    Device,
    Person,
    end_login,
    end_logins,
    find_person,
    other_logins,
    record_presence,
    start_login,
)
from quartapp.microblog.models.paging import PageRequest
from quartapp.microblog.models.token import issue_token
from quartapp.microblog.testing import AddPerson
from quartapp.testing import Clock

DEVICE = Device("192.0.2.1", "a browser")


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
def database(app: App) -> DatabaseEngine:
    found: DatabaseEngine = app.extensions["database"]
    return found


async def add(database: DatabaseEngine, person: User, digest: str, **more: Any) -> bool:
    values: dict[str, Any] = {"remembered": False} | more
    async with database.session() as session:
        return await start_login(session, person.id, 0, digest, DEVICE, **values)


async def find(database: DatabaseEngine, digest: str) -> Person | None:
    async with database.session(write=False) as session:
        return await find_person(session, digest)


async def count(session: Session, table: Any = Login) -> int | None:
    return await session.scalar(select(func.count()).select_from(table))


async def test_a_login_leads_to_its_person(database: DatabaseEngine, add_person: AddPerson) -> None:
    for name in ("susan", "john"):
        assert await add(database, await add_person(name), f"of {name}")
    found = await find(database, "of john")
    assert found is not None
    assert found.username == "john"
    assert await find(database, "of nobody") is None


@pytest.mark.parametrize(
    ("remembered", "life"), [(False, LOGIN_IDLE), (True, LOGIN_LIFE)], ids=["idle", "remembered"]
)
async def test_a_login_ends_by_itself(
    database: DatabaseEngine, add_person: AddPerson, clock: Clock, remembered: bool, life: timedelta
) -> None:
    await add(database, await add_person("susan"), "a", remembered=remembered)
    clock.advance(seconds=life.total_seconds() - 1)
    assert await find(database, "a") is not None
    clock.advance(seconds=1)
    assert await find(database, "a") is None


async def test_a_request_keeps_a_login_alive_but_not_longer_than_its_life(
    database: DatabaseEngine, add_person: AddPerson, clock: Clock
) -> None:
    await add(database, await add_person("susan"), "a")
    last = timedelta()
    while person := await find(database, "a"):
        async with database.session() as session:
            await record_presence(session, person, Device("192.0.2.9", "another"))
        clock.advance(hours=11)
        last += timedelta(hours=11)
    assert LOGIN_LIFE < last <= LOGIN_LIFE + timedelta(hours=11)
    async with database.session(write=False) as session:
        assert (await session.scalars(select(Login.address))).one() == "192.0.2.9"


async def test_a_login_from_the_future_is_none(
    database: DatabaseEngine, add_person: AddPerson, clock: Clock
) -> None:
    """The clock was a year ahead, and was corrected: no login may last for that year."""
    susan = await add_person("susan")
    await add(database, susan, "ahead", remembered=True)
    clock.advance(days=-365)
    assert await find(database, "ahead") is None
    await add(database, susan, "now")
    clock.advance(hours=-1)
    assert await find(database, "now") is not None


async def test_ending_leaves_one_and_what_belongs_to_others(
    database: DatabaseEngine, add_person: AddPerson, session: Session
) -> None:
    susan, john = await add_person("susan"), await add_person("john")
    for digest in ("a", "b", "c"):
        await add(database, susan, digest)
    await add(database, john, "of john")
    stays = await find(database, "b")
    assert stays is not None
    async with database.session() as writer:
        await issue_token(writer, susan.id, 0)
        await end_logins(writer, susan.id, but=stays.login_id)
        await writer.commit()
    assert [digest for digest in "abc" if await find(database, digest)] == ["b"]
    assert await count(session, ApiToken) == 1
    await session.rollback()
    async with database.session() as writer:
        await end_logins(writer, susan.id, tokens=True)
        await writer.commit()
    assert await find(database, "b") is None
    assert await count(session, ApiToken) == 0
    assert await find(database, "of john") is not None


async def test_nobody_ends_the_login_of_another(
    database: DatabaseEngine, add_person: AddPerson
) -> None:
    susan, john = await add_person("susan"), await add_person("john")
    await add(database, susan, "a")
    found = await find(database, "a")
    assert found is not None
    for login_id in (found.login_id, 0, 2**63, 10**30):
        async with database.session() as writer:
            await end_login(writer, john.id, login_id)
            await writer.commit()
    assert await find(database, "a") is not None


async def test_what_was_checked_before_logins_ended_starts_none(
    database: DatabaseEngine, add_person: AddPerson, session: Session
) -> None:
    """A password is changed while a login with the old one is being hashed."""
    susan = await add_person("susan")
    async with database.session() as writer:
        await end_logins(writer, susan.id)
        await writer.commit()
    assert not await add(database, susan, "late")
    assert await count(session) == 0


@pytest.mark.slow
async def test_a_login_waits_for_logins_that_are_being_ended(
    database: DatabaseEngine, add_person: AddPerson
) -> None:
    susan = await add_person("susan")
    async with database.session() as writer:
        await end_logins(writer, susan.id)
        late = asyncio.create_task(add(database, susan, "late"))
        await asyncio.sleep(0.1)
        await writer.commit()
    assert not await late
    assert await find(database, "late") is None


async def test_a_new_login_deletes_a_bounded_number_of_expired_ones(
    database: DatabaseEngine, add_person: AddPerson, session: Session, clock: Clock
) -> None:
    susan = await add_person("susan")
    await _add_many(database, susan, 150)
    clock.advance(days=31)
    await add(database, susan, "new")
    assert await count(session) == 51
    await session.rollback()
    await add(database, susan, "newer")
    assert await count(session) == 2


@pytest.mark.slow
async def test_ten_thousand_logins_are_read_page_by_page_and_ended_at_once(
    database: DatabaseEngine, add_person: AddPerson, session: Session, clock: Clock
) -> None:
    susan = await add_person("susan")
    await _add_many(database, susan, 10_000)
    page = await other_logins(session, susan.id, 1, PageRequest(25))
    assert (len(page.items), page.has_older) == (25, True)
    older = await other_logins(session, susan.id, 1, PageRequest(25, before=page.items[-1].id))
    assert older.items[0].id == page.items[-1].id - 1
    await session.rollback()
    async with database.session() as writer:
        await end_logins(writer, susan.id)
        await writer.commit()
    assert await count(session) == 0


async def _add_many(database: DatabaseEngine, person: User, number: int) -> None:
    now = utc_now()
    row = {"user_id": person.id, "created_at": now, "last_seen": now, "remembered": False}
    row |= {"expires_at": now + LOGIN_IDLE, "address": "", "user_agent": ""}
    async with database.session() as writer:
        rows = [row | {"digest": f"{index}"} for index in range(number)]
        for start in range(0, number, 1000):
            await writer.execute(insert(Login), rows[start : start + 1000])
        await writer.commit()


async def test_the_person_is_found_by_one_statement_through_an_index(
    database: DatabaseEngine, add_person: AddPerson
) -> None:
    await add(database, await add_person("susan"), "a")
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        sent.append((statement, values))

    async with database.session(write=False) as session:
        connection = await session.connection()
        event.listen(connection.sync_connection, "before_cursor_execute", note)
        assert await find_person(session, "a") is not None
        [(statement, values)] = sent
        if database.is_sqlite:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = [row.detail for row in rows]
            assert not [step for step in plan if step.startswith("SCAN")], plan


async def test_a_deleted_person_has_no_logins(
    database: DatabaseEngine, add_person: AddPerson, session: Session
) -> None:
    susan = await add_person("susan")
    await add(database, susan, "a")
    async with database.session() as writer:
        await writer.delete(await writer.get_one(User, susan.id))
        await writer.commit()
    assert await find(database, "a") is None
    assert not await add(database, susan, "b")
    assert await count(session) == 0


async def test_an_epoch_that_is_not_the_persons_starts_none(
    database: DatabaseEngine, add_person: AddPerson
) -> None:
    susan = await add_person("susan")
    async with database.session() as writer:
        await writer.execute(update(User).values(login_epoch=7))
        await writer.commit()
    assert not await add(database, susan, "a")
