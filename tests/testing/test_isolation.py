"""What is written in a block of `isolated` is gone after it, whatever wrote it."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from quartapp.database import DatabaseEngine
from quartapp.testing import isolated, isolation
from quartapp.testing.isolation import NotIsolatedError, backup_of

metadata = MetaData()
people = Table(
    "people",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, unique=True),
    Column("boss", ForeignKey("people.id")),
)
toys = Table(
    "toys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", ForeignKey("people.id", ondelete="CASCADE")),
)
ADD = insert(people)
NAMES = select(people.c.name).order_by(people.c.id)
SUSAN = {"name": "susan"}


@pytest.fixture
async def database(each_database_url: str) -> AsyncIterator[DatabaseEngine]:
    database = DatabaseEngine(each_database_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(
            ADD, [{"name": "root", "boss": None}, {"name": "david", "boss": 1}]
        )
        await connection.execute(insert(toys), [{"owner": 2}, {"owner": 1}])
    yield database
    await database.dispose()


async def rows(database: DatabaseEngine) -> list[list[tuple[object, ...]]]:
    return [await database.read(select(table)) for table in (people, toys)]


async def test_what_every_way_of_writing_wrote_is_gone(database: DatabaseEngine) -> None:
    before = await rows(database)
    for _ in range(2):  # the second one would fail on the unique name
        async with isolated(database.url):
            assert await database.write(ADD, **SUSAN) == 1
            await database.write_all((ADD, {"name": "a"}), (ADD, {"name": "b", "boss": 1}))
            async with database.begin() as session:
                await session.execute(ADD, {"name": "c"})
                await session.execute(update(people).where(people.c.id == 1).values(name="new"))
            async with database.snapshot() as session:
                assert len(await session.read(NAMES)) == 6
            assert len(await database.read(NAMES)) == 6
        assert await rows(database) == before


async def test_the_numbers_of_new_rows_begin_again(database: DatabaseEngine) -> None:
    numbers = set()
    for _ in range(2):
        async with isolated(database.url), database.begin() as session:
            numbers.add((await session.execute(ADD.returning(people.c.id), SUSAN)).scalar_one())
    assert numbers == {3}


async def test_several_connections_write_and_read_at_a_time(database: DatabaseEngine) -> None:
    before = await rows(database)
    async with isolated(database.url):

        async def add(number: int) -> None:
            async with database.begin() as session:
                await session.execute(ADD, {"name": f"person {number}"})
                await asyncio.sleep(0)

        await asyncio.gather(*map(add, range(8)))
        assert len(await database.read(NAMES)) == 10
    assert await rows(database) == before


async def test_errors_and_aborted_transactions_are_as_without_it(database: DatabaseEngine) -> None:
    before = await rows(database)
    async with isolated(database.url):
        async with database.session() as session:
            await session.execute(ADD, SUSAN)
            with pytest.raises(IntegrityError):
                await session.execute(ADD, {"name": "root"})
            if not database.is_sqlite:
                with pytest.raises(DBAPIError, match="aborted"):
                    await session.execute(NAMES)
            await session.rollback()
            await session.execute(ADD, {"name": "after"})
            await session.commit()
        assert [name for (name,) in await database.read(NAMES)] == ["root", "david", "after"]
    assert await rows(database) == before


async def test_rows_that_went_with_others_are_back(database: DatabaseEngine) -> None:
    before = await rows(database)
    async with isolated(database.url), database.begin() as session:
        await session.execute(text("DELETE FROM people WHERE name = 'david'"))
    assert await rows(database) == before


async def test_tables_that_are_new_are_gone(database: DatabaseEngine) -> None:
    for _ in range(2):
        async with isolated(database.url), database.begin() as session:
            await session.execute(text("CREATE TABLE new (id INTEGER)"))
        with pytest.raises(SQLAlchemyError, match="new"):
            await database.read(select(text("id")).select_from(text("new")))


@pytest.mark.slow
async def test_a_session_that_was_left_open_is_named(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "LOCK_SECONDS", 1 if not database.is_sqlite else 0.1)
    backup = backup_of(database.url)
    await backup.take()
    await database.write(ADD, name="a")
    async with database.session() as session:
        await session.execute(ADD, SUSAN)
        with pytest.raises(NotIsolatedError, match="is still open"):
            await backup.restore()
    await backup.restore()
    assert await database.read(NAMES) == [("root",), ("david",)]


async def test_a_large_database_is_refused(
    database: DatabaseEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "LARGEST", 5000)
    with pytest.raises(NotIsolatedError, match="isolation copies a database"):
        async with isolated(database.url):
            pass


async def test_a_database_in_memory_and_one_that_is_not_there_yet(tmp_path: object) -> None:
    for url in ("sqlite:///:memory:", f"sqlite:///{tmp_path}/new.db"):
        database = DatabaseEngine(url)
        for _ in range(2):
            async with isolated(database.url), database.engine.begin() as connection:
                await connection.run_sync(people.create)
                made = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
                assert made == ["people"]
        await database.dispose()


@pytest.mark.postgresql
async def test_without_the_rights_of_a_superuser(postgresql_url: str) -> None:
    url = make_url(postgresql_url)
    admin = await asyncpg.connect(url.set(drivername="postgresql").render_as_string(False))
    name = f"plain_{url.database}"
    try:
        await admin.execute(
            f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA public TO {name}"
        )
        database = DatabaseEngine(url.set(username=name, password="x").render_as_string(False))
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(ADD, [{"name": "root"}, {"name": "david"}])
            await connection.execute(insert(toys), [{"owner": 2}])
        before = await rows(database)
        async with isolated(database.url), database.begin() as session:
            await session.execute(update(people).values(boss=1))
        assert await rows(database) == before
        await database.dispose()
    finally:
        await admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
        await admin.close()


@pytest.mark.postgresql
async def test_an_altered_table_is_reported(postgresql_url: str) -> None:
    database = DatabaseEngine(postgresql_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    with pytest.raises(NotIsolatedError, match=r"dropped or altered public\.toys"):
        async with isolated(database.url), database.begin() as session:
            await session.execute(text("ALTER TABLE toys ADD COLUMN colour TEXT"))
    await database.dispose()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("CREATE VIEW names AS SELECT name FROM people", "view names"),
        ("CREATE INDEX by_boss ON people (boss)", "index by_boss"),
        ("CREATE TYPE mood AS ENUM ('good')", "type mood"),
        ("CREATE SCHEMA attic", "schema attic"),
        ("CREATE SEQUENCE numbers", "sequence numbers"),
        ("ALTER TABLE people ADD CONSTRAINT short CHECK (name <> '')", "constraint short on table"),
        ("DROP VIEW all_people", "view all_people"),
    ],
)
async def test_other_objects_are_reported(postgresql_url: str, statement: str, name: str) -> None:
    database = DatabaseEngine(postgresql_url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(text("CREATE VIEW all_people AS SELECT * FROM people"))

    async def write() -> None:
        async with isolated(database.url), database.begin() as session:
            await session.execute(ADD, [{"name": "root"}])
            await session.execute(text(statement))

    with pytest.raises(NotIsolatedError, match=f"created or dropped {name}"):
        await write()
    assert await rows(database) == [[], []]  # restored all the same
    await database.dispose()


async def test_other_databases_are_refused() -> None:
    with pytest.raises(NotIsolatedError, match="mysql databases cannot be isolated"):
        async with isolated("mysql://localhost/x"):
            pass
