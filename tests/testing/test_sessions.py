"""The session of a test, besides an application that writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import sleep
from typing import cast

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from quartapp.database import DatabaseEngine
from quartapp.database.drivers.driver import Driver
from quartapp.testing.sessions import session_for_tests


class Model(DeclarativeBase):
    pass


class Person(Model):
    __tablename__ = "people"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[DatabaseEngine]:
    database = DatabaseEngine(f"sqlite:///{tmp_path}/people.db")
    async with database.begin() as session:
        await (await session.connection()).run_sync(Model.metadata.create_all)
        session.add(Person(id=1, name="susan"))
    yield database
    await database.dispose()


async def number(database: DatabaseEngine) -> int:
    return int((await database.read(select(func.count(Person.id))))[0][0])


async def test_it_writes_although_somebody_has_written_since_it_read(
    database: DatabaseEngine,
) -> None:
    async with session_for_tests(database) as session:
        person = await session.get_one(Person, 1)
        async with database.begin() as other:
            other.add(Person(name="john"))
        person.name = "new"
        await session.commit()
        assert await number(database) == 2
    async with database.session() as session:
        assert (await session.get_one(Person, 1)).name == "new"


async def test_what_it_does_not_commit_is_gone(database: DatabaseEngine) -> None:
    async with session_for_tests(database) as session:
        session.add(Person(name="john"))
        await session.flush()
        async with session.begin_nested():
            await session.execute(insert(Person).values(name="david"))
        assert await session.scalar(select(func.count(Person.id))) == 3
        await session.rollback()
        await session.execute(insert(Person).values(name="david"))
        await session.rollback()
    assert await number(database) == 1


async def test_it_does_not_commit_in_place_of_a_transaction_that_is_still_being_rolled_back(
    database: DatabaseEngine,
) -> None:
    async with database.session(write=False) as reader:
        connection = await (await reader.connection()).get_raw_connection()
        driver = cast("Driver", connection.driver_connection)
        await reader.scalar(select(func.count(Person.id)))
        driver._tx.put_nowait((None, lambda: sleep(0.05)))
    async with session_for_tests(database) as session:
        await session.execute(insert(Person).values(name="david"))
        await session.rollback()
    assert await number(database) == 1


async def test_it_holds_nobody_up_while_it_reads(database: DatabaseEngine) -> None:
    async with session_for_tests(database) as session:
        for wanted in (1, 2):
            assert await session.scalar(select(func.count(Person.id))) == wanted
            async with database.begin() as other:
                other.add(Person(name="john"))
